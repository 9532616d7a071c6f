#!/usr/bin/env python3
"""Trains an adapter on a tiny model of each layout and checks that PEFT computes with it what we compute.

    python lora_parity.py MFA_PROGRAM [MODEL ADAPTER]

The adapter that `mfa train --lora` wrote opens in peft beside the model it was trained on; its logits must be those of
the model that `mfa export --lora` merged, computed by us (`mfa generate --logits`, f32) and by transformers. With a
model and an adapter, checks those. Exit 77 (skipped) without transformers, torch and peft; 1 on a difference.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
try:
    import numpy
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from transformers_parity import write_text

# f32 sums of a few hundred terms in another order, twice over: adapters beside W, or merged into it. 1e-6 a layer, and a
# model of tiny weights and logits of size 1 leaves room below the 1e-3 that is asked for.
TOLERANCE = 1e-4
MODELS = {
    "--attention gqa --heads 8 --kv-heads 2": "--lora 4",
    "--attention mha --untied": "--lora 8 --lora-alpha 8 --lora-targets q_proj,v_proj",
    "--attention gqa --heads 8 --kv-heads 2 --qkv-bias": "--lora 4",
    "--attention gqa --heads 8 --kv-heads 2 --qk-norm": "--lora 4",
    "--attention mha --window 8": "--lora 4",
    # PEFT takes every DeepSeek for one with experts and drops adapters on its gate, up and down projections.
    "--attention mla": "--lora 4 --lora-targets q_a_proj,q_b_proj,kv_a_proj_with_mqa,kv_b_proj,o_proj",
    # The same with rotary rows in the order of DeepSeek's own checkpoints: another model, since its config says so.
    "--attention mla interleaved": "--lora 4 --lora-targets q_a_proj,q_b_proj,kv_a_proj_with_mqa,kv_b_proj,o_proj",
    # Of MFA the merged model alone is known to others: it must differ from the one without an adapter.
    "--attention mfa": "--lora 4",
}
SIZE = "--width 96 --layers 2 --vocab 400 --context 64 --batch 4 --steps 10 --lr 1e-2"
TUNE = "--batch 4 --steps 10 --lr 1e-2"


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done


def ours(program, model, text, folder):
    file = folder / "logits.npy"
    run(program, "generate", model, "-p", text, "-n", 1, "--greedy", "--precision", "f32", "--kv", "f32",
                 "--logits", file, "--json", folder / "ids.json")
    ids = json.loads(run(program, "tokenizer", "encode", model, "-p", text, "--json", "-").stdout)["ids"]
    return ids, numpy.load(file)


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].double().numpy()


def difference(a, b):
    return float(numpy.abs(a - b).max() / numpy.abs(b).max())


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def check(program, model, adapter, folder, text="the king said unto them that light is bread", limit=TOLERANCE):
    merged = folder / "merged"
    run(program, "export", model, merged, "--lora", adapter, "--format", "hf")
    ids, our_merged = ours(program, merged, text, folder)
    hf_merged = logits_of(load(merged), ids)
    worst = difference(our_merged, hf_merged)
    if json.loads((model / "config.json").read_text())["model_type"] == "mfa_cpp":
        _, base = ours(program, model, text, folder)
        moved = difference(our_merged, base)
        print(f"  transformers on the merged model {worst:.1e}; the adapter moves logits by {moved:.1e}")
        return worst <= limit and moved > 10 * limit
    with_peft = PeftModel.from_pretrained(load(model), adapter)
    adapted = logits_of(with_peft, ids)
    moved = difference(logits_of(load(model), ids), adapted)
    beside, inside = difference(our_merged, adapted), difference(hf_merged, adapted)
    print(f"  against peft: our merged model {beside:.1e}, transformers on it {inside:.1e}; the adapter moves logits by "
          f"{moved:.1e}")
    return max(worst, beside, inside) <= limit and moved > 10 * limit


def main():
    if len(sys.argv) not in (2, 4):
        print(__doc__, file=sys.stderr)
        return 2
    program, failed = Path(sys.argv[1]).resolve(), 0
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        if len(sys.argv) == 4:
            # A real adapter may move little: what is asked for is 1e-3 relative.
            ok = check(program, Path(sys.argv[2]), Path(sys.argv[3]), scratch, limit=1e-3)
            return 0 if ok else 1
        text = scratch / "text.txt"
        write_text(text)
        shared = ["--data", text, "--cache", scratch / "cache", "--gemm-peak", 100, "--quiet", "--precision", "f32"]
        for number, (shape, lora) in enumerate(MODELS.items()):
            folder = scratch / str(number)
            folder.mkdir()
            run(program, "train", *shared, "--out", folder / "model", *SIZE.split(),
                *shape.removesuffix(" interleaved").split())
            if shape.endswith(" interleaved"):
                config = folder / "model" / "config.json"
                config.write_text(json.dumps({**json.loads(config.read_text()), "rope_interleave": True}))
            run(program, "train", *shared, "--init", folder / "model", "--out", folder / "adapter", *TUNE.split(),
                *lora.split())
            print(f"{shape} {lora}")
            failed += not check(program, folder / "model", folder / "adapter", folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
