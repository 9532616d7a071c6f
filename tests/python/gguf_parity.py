#!/usr/bin/env python3
"""Round trips of tiny trained models: folder -> GGUF -> llama.cpp, and GGUF -> folder -> transformers.

    python gguf_parity.py MFA_PROGRAM

For each: llama.cpp opens our GGUF, its logits agree with ours from the folder, its greedy continuation is ours, its
tokenizer gives our ids; then the GGUF becomes a folder again, whose logits in transformers agree with ours. All compute
in f32: 2^-24 relative a sum of about 100 terms, through two layers, stays below 1e-4 of the largest logit.
Exit 77 (skipped) without llama-cpp-python, torch and transformers; 1 on a difference.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from llama_cpp_oracle import Model
    from transformers_parity import write_text
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

MODELS = [
    "--attention mha",
    "--attention mha --untied",
    "--attention gqa --heads 8 --kv-heads 2",
    "--attention mqa",
    "--attention mha --heads 7 --head-dim 16",
    "--attention mha --qkv-bias --o-bias --ffn-bias",
    "--attention mha --rope-scaling linear --rope-factor 2",
    "--attention mha --rope-scaling ntk --rope-factor 2",
    "--attention mha --rope-scaling yarn --rope-factor 4 --rope-original-context 32",
    "--attention mha --rope-scaling llama3 --rope-factor 8 --rope-original-context 32",
    "--attention gqa --heads 6 --kv-heads 2 --head-dim 16 --qkv-bias",
    "--attention gqa --heads 8 --kv-heads 2 --qkv-bias",
    "--attention gqa --heads 8 --kv-heads 2 --qk-norm",
    "--attention mfa",
    "--attention mfa-kr --gate-init normal",
]
SIZE = "--width 96 --layers 2 --vocab 400 --context 64 --batch 4 --steps 10 --lr 1e-2 --quiet"
PROMPT = "the king went to a city"
NEW = 32


def run(program, *arguments):
    done = subprocess.run([program, *map(str, arguments), "--quiet", "--json", "-"], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{arguments}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def mfa_logits(program, model, ids, scratch):
    file = scratch / "logits.npy"
    run(program, "generate", model, "--ids", ",".join(map(str, ids)), "-n", 1, "--greedy", "--precision", "f32",
        "--kv", "f32", "--logits", file)  # fmt: skip
    return np.load(file)


def apart(a, b):
    return float(np.abs(a - b).max() / np.abs(b).max())


def check(program, flags, text, scratch):
    folder, file, back = scratch / "model", scratch / "model.gguf", scratch / "back"
    run(program, *f"train --data {text} --out {folder} {SIZE} --cache {text.parent / 'cache'} {flags}".split())
    run(program, "export", folder, file, "--format", "gguf")
    run(program, "export", file, back, "--format", "hf")
    ours = run(program, "generate", folder, "-p", PROMPT, "-n", NEW, "--greedy", "--ignore-eos", "--kv", "f32")["ids"]
    ids = run(program, "tokenizer", "encode", folder, "-p", PROMPT)["ids"]
    logits = mfa_logits(program, folder, ids, scratch)

    llama = Model(file)
    theirs, margins = llama.greedy(ids, NEW)
    tokens, in_llama = llama.tokenize(PROMPT), apart(llama.prompt_logits(ids), logits)
    llama.close()
    with torch.no_grad():
        model = AutoModelForCausalLM.from_pretrained(back, dtype=torch.float32)
        in_transformers = apart(model(torch.tensor([ids])).logits[0].numpy(), logits)
    tokenized = AutoTokenizer.from_pretrained(back)(PROMPT, add_special_tokens=False)["input_ids"]
    from_gguf = apart(mfa_logits(program, file, ids, scratch), logits)

    wrong = []
    if ours != theirs:
        at = next(i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b)
        wrong.append(f"greedy differs at {at}, where llama.cpp's margin is {margins[at]:.2g}")
    if tokens != ids or tokenized != ids:
        wrong.append(f"ids {ids}, llama.cpp {tokens}, transformers {tokenized}")
    if not (in_llama <= 1e-4 and in_transformers <= 1e-4 and from_gguf <= 1e-4):
        wrong.append("logits")
    print(f"{flags}: llama.cpp {in_llama:.1e}, transformers {in_transformers:.1e}, GGUF {from_gguf:.1e}: {'; '.join(wrong) or 'ok'}", flush=True)
    return not wrong


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    failed = 0
    with tempfile.TemporaryDirectory() as top:
        text = Path(top) / "text.txt"
        write_text(text)
        for number, flags in enumerate(MODELS):
            scratch = Path(top) / str(number)
            scratch.mkdir()
            try:
                failed += not check(sys.argv[1], flags, text, scratch)
            except RuntimeError as error:
                print(f"{flags}: {error}", flush=True)
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main())
