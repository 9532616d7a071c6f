#!/usr/bin/env python3
"""Trains a tiny model of each kind that a published architecture covers, and checks its logits against transformers.

    python transformers_parity.py MFA_PROGRAM

Folds MFA and MFA-KR with `mfa export` first. Exit 77 (skipped) without transformers and torch; 1 on a difference.
"""
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import check_transformers
except SystemExit as skipped:  # says what is missing
    sys.exit(skipped.code)

# Flags of `mfa train` -> the architecture that the folder must carry.
YARN = "--rope-scaling yarn --rope-factor 4 --rope-original-context 32"
MODELS = {
    "--attention mha": "LlamaForCausalLM",
    "--attention mha --untied": "LlamaForCausalLM",
    f"--attention mha {YARN}": "LlamaForCausalLM",
    "--attention mha --rope-scaling linear --rope-factor 2": "LlamaForCausalLM",
    "--attention mha --rope-scaling ntk --rope-factor 2": "LlamaForCausalLM",
    "--attention mha --qkv-bias --o-bias --ffn-bias": "LlamaForCausalLM",
    "--attention gqa --heads 8 --kv-heads 2": "LlamaForCausalLM",
    "--attention mqa": "LlamaForCausalLM",
    "--attention mha --heads 7 --head-dim 16": "MistralForCausalLM",
    "--attention mha --window 8": "MistralForCausalLM",
    "--attention gqa --heads 8 --kv-heads 2 --qkv-bias": "Qwen2ForCausalLM",
    "--attention gqa --heads 8 --kv-heads 2 --qk-norm": "Qwen3ForCausalLM",
    "--attention mla": "DeepseekV3ForCausalLM",
    "--attention mla --rope-scaling llama3 --rope-factor 8 --rope-original-context 32": "DeepseekV3ForCausalLM",
    "--attention mfa": "MistralForCausalLM",
    "--attention mfa --q-rank 20": "MistralForCausalLM",
    "--attention mfa-kr": "MistralForCausalLM",
    "--attention mfa-kr --gate-init normal": "MistralForCausalLM",
    "--attention mfa-kr --reuse residual": "MistralForCausalLM",
}
SIZE = "--width 96 --layers 2 --vocab 400 --context 64 --batch 4 --steps 10 --lr 1e-2 --quiet"


def write_text(path):
    words = "the king went to a city and said unto them that day of light water stone bread hand voice".split()
    draw = random.Random(0)
    lines = [" ".join(draw.choice(words) for _ in range(12)).capitalize() + "." for _ in range(2000)]
    path.write_text("\n".join(lines))


def make_model(program, folder, flags, text):
    command = f"{program} train --data {text} --out {folder} {SIZE} --cache {text.parent / 'cache'} {flags}"
    subprocess.run(command.split(), check=True, capture_output=True)
    config = json.loads((folder / "config.json").read_text())
    if config["model_type"] != "mfa_cpp":
        return folder
    folded = folder.with_name(folder.name + "-folded")
    subprocess.run([program, "export", folder, folded, "--format", "hf"], check=True, capture_output=True)
    return folded


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    program, failed = sys.argv[1], 0
    with tempfile.TemporaryDirectory() as scratch:
        text = Path(scratch) / "text.txt"
        write_text(text)
        for number, (flags, architecture) in enumerate(MODELS.items()):
            model = make_model(program, Path(scratch) / f"model{number}", flags, text)
            found = json.loads((model / "config.json").read_text())["architectures"][0]
            sys.argv = ["check_transformers.py", str(model), program]
            print(f"{flags}: ", end="", flush=True)
            if found != architecture:
                print(f"the folder is {found}, expected {architecture}")
                failed += 1
            elif check_transformers.main() != 0:
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main())
