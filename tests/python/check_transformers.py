#!/usr/bin/env python3
"""Opens a model folder of ours with transformers and compares its logits with ours, both in float32.

usage: check_transformers.py MODEL_DIR MFA_PROGRAM [TOKENS]
TOKENS: length of the sequence, 64 unless given, cut to the model's context. Prints one line.
Exit: 0 equal, 1 different or not to be opened, 2 usage, 77 without torch or transformers (skipped)."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import torch
    import transformers
    from transformers import AutoModelForCausalLM
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

# Two float32 programs that sum in different orders: each dot product of some hundred terms rounds at about 1e-6 of its
# size, and a few dozen of them follow each other. Relative to the largest logit.
TOLERANCE = 1e-4


def pick_ids(vocab, tokens):
    """Tokens spread over the whole vocabulary, the same on every run (Knuth's multiplicative hash)."""
    return [(i * 2654435761 + 12345) % 2**32 * vocab // 2**32 for i in range(1, tokens + 1)]


def our_logits(program, folder, ids):
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "logits.npy"
        command = [program, "generate", folder, "--ids", ",".join(map(str, ids)), "-n", "0", "--logits", str(output)]
        command += ["--precision", "f32", "--kv", "f32"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode != 0 or not output.exists():
            sys.exit(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr.strip()}")
        return np.load(output).astype(np.float64)


def their_logits(folder, ids):
    model, loading = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    wrong = {key: sorted(map(str, names)) for key, names in loading.items() if names}
    if wrong:
        sys.exit(f"transformers does not find the tensors it expects in {folder}: {wrong}")
    with torch.no_grad():
        return type(model).__name__, model.eval()(torch.tensor([ids])).logits[0].double().numpy()


def main():
    if len(sys.argv) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 2
    folder, program = sys.argv[1], sys.argv[2]
    config = json.loads((Path(folder) / "config.json").read_text())
    tokens = int(sys.argv[3]) if len(sys.argv) == 4 else 64
    ids = pick_ids(config["vocab_size"], min(tokens, config["max_position_embeddings"]))
    architecture, theirs = their_logits(folder, ids)
    ours = our_logits(program, folder, ids)
    if ours.shape != theirs.shape:
        print(f"{folder}: our logits are {ours.shape}, transformers' {theirs.shape}")
        return 1
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    same_top = (ours.argmax(-1) == theirs.argmax(-1)).mean()
    print(
        f"{folder}: {architecture}, transformers {transformers.__version__}, {len(ids)} tokens: "
        f"difference {error:.2e} of the largest logit (allowed {TOLERANCE:.0e}), same top token {same_top:.1%}"
    )
    return 0 if error <= TOLERANCE else 1  # NaN compares false


if __name__ == "__main__":
    sys.exit(main())
