#!/usr/bin/env python3
"""A published GGUF (SmolLM2-135M-Instruct was used) through mfa, llama.cpp and transformers.

    python smollm2_parity.py MFA_PROGRAM [MODEL.gguf] [--prompts N] [--tokens N]

Without MODEL the environment variable MFA_TEST_GGUF names it. The file is exported to an F32 GGUF, so that llama.cpp
computes in f32 as we do (of quantized weights it multiplies 8-bit activations), and to a folder. Then:
  - tokens of every prompt equal llama.cpp's;
  - greedy continuations equal llama.cpp's for N tokens, or first differ where its two best logits are within 2e-2;
  - logits agree with transformers on the folder, and with llama.cpp, to 1e-3 of the largest.
Exit 77 (skipped) without the packages or the model; 1 on a difference.
"""
import argparse
import os
import sys
import tempfile
from pathlib import Path

try:
    import torch
    from transformers import AutoModelForCausalLM

    from gguf_parity import apart, mfa_logits, run
    from llama_cpp_oracle import Model
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)
except SystemExit as skipped:
    sys.exit(skipped.code)

PROMPTS = [
    "The capital of France is",
    "Once upon a time there was a",
    "def fibonacci(n):\n",
    "Water boils at",
    "The three primary colours are",
    "Dear Sir or Madam,\n\n",
    "1, 1, 2, 3, 5, 8,",
    "A good recipe for bread needs",
    "In 1969, the first man",
    "The mitochondria is",
    "SELECT name FROM users WHERE",
    "Shakespeare wrote",
    "To be, or not to be,",
    "<html>\n<head>\n",
    "The meaning of life",
    "She opened the door and saw",
    "Photosynthesis converts",
    "#include <stdio.h>\n\nint main",
    "The largest planet in our solar system",
    "My favourite book is",
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("model", nargs="?", default=os.environ.get("MFA_TEST_GGUF", ""))
    parser.add_argument("--prompts", type=int, default=len(PROMPTS) if os.environ.get("MFA_FULL") == "1" else 3)
    parser.add_argument("--tokens", type=int, default=64)
    args = parser.parse_args()
    if not args.model or not Path(args.model).exists():
        print(f"skipped: no {args.model or 'model (MFA_TEST_GGUF)'}")
        return 77
    failed = 0
    with tempfile.TemporaryDirectory() as top:
        scratch = Path(top)
        file, folder = scratch / "f32.gguf", scratch / "folder"
        run(args.program, "export", args.model, file, "--format", "gguf", "--type", "f32")
        run(args.program, "export", args.model, folder, "--format", "hf")
        llama, equal = Model(file, 1024), 0
        for prompt in PROMPTS[: args.prompts]:
            ids = run(args.program, "tokenizer", "encode", file, "-p", prompt)["ids"]
            ours = run(args.program, "generate", file, "--ids", ",".join(map(str, ids)), "-n", args.tokens, "--greedy",
                       "--ignore-eos", "--kv", "f32")["ids"]  # fmt: skip
            theirs, margins = llama.greedy(ids, args.tokens)
            at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), None)
            equal += at is None
            tokens = llama.tokenize(prompt)
            if tokens != ids or len(ours) != args.tokens or (at is not None and margins[at] > 2e-2):
                failed += 1
                print(f"{prompt!r}: ids {ids}, llama.cpp {tokens}; differs at {at}, margin {margins[at or 0]:.3g}")
        print(f"greedy: {equal} of {args.prompts} equal for {args.tokens} tokens, the others at near ties", flush=True)
        ids = llama.tokenize(" ".join(PROMPTS))
        theirs = llama.prompt_logits(ids)
        llama.close()
        with torch.no_grad():
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
            reference = model(torch.tensor([ids])).logits[0].numpy()
        for name, source in (("GGUF as given", args.model), ("F32 GGUF", file), ("folder", folder)):
            logits = mfa_logits(args.program, source, ids, scratch)
            differences = apart(logits, reference), apart(logits, theirs)
            failed += max(differences) > 1e-3
            print(f"logits from {name}: transformers {differences[0]:.1e}, llama.cpp {differences[1]:.1e}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main())
