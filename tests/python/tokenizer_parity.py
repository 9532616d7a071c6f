#!/usr/bin/env python3
"""Trains a tokenizer with `mfa` and compares its ids with Hugging Face tokenizers on 1 MB of mixed text.

    python tokenizer_parity.py MFA_PROGRAM

English, code (this repository's own), CJK, Arabic, emoji and control characters. Exit 77 without `tokenizers`.
"""
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import hf_compare_tokenizer

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [(0x4E00, 0x9FA5), (0x3040, 0x30FF), (0xAC00, 0xD7A3), (0x0621, 0x064A), (0x1F300, 0x1F6FF), (0x0400, 0x045F), (0x01, 0x1F)]


def mixed_text(size):
    draw = random.Random(1)
    prose = "".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))
    code = "".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.cpp")))
    pieces, length = [], 0
    while length < size:
        kind = draw.randrange(4)
        if kind < 2:
            source = prose if kind == 0 else code
            at = draw.randrange(max(1, len(source) - 400))
            piece = source[at : at + draw.randrange(20, 400)]
        else:
            low, high = draw.choice(SCRIPTS)
            piece = "".join(chr(draw.randint(low, high)) for _ in range(draw.randrange(1, 60))) + draw.choice([" ", "\n", "  \n\n", ""])
        pieces.append(piece)
        length += len(piece.encode())
    return "".join(pieces)


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        text = folder / "mixed.txt"
        text.write_text(mixed_text(1_000_000), encoding="utf-8", newline="")
        environment = dict(os.environ, XDG_CACHE_HOME=str(folder / "cache"))
        subprocess.run([sys.argv[1], "tokenizer", "train", "--data", text, "--vocab", "4000", "--out", folder / "tokenizer", "--quiet"],
                       check=True, stdout=subprocess.DEVNULL, env=environment)
        sys.argv = ["hf_compare_tokenizer.py", sys.argv[1], str(folder / "tokenizer" / "tokenizer.json"), str(text)]
        return hf_compare_tokenizer.main()


if __name__ == "__main__":
    sys.exit(main())
