#!/usr/bin/env python3
"""Compares the ids of `mfa` with those of Hugging Face tokenizers on 1 MB of mixed text.

    python tokenizer_parity.py MFA_PROGRAM [TOKENIZER_JSON...]

With the tokenizers named, with Qwen3's and DeepSeek-V3's where ../shared holds them, and with one that `mfa` trains on
the text. English, code (this repository's own), CJK, Arabic, emoji, combining marks, control characters, special
tokens and very long words; then every code point up to U+32FFF. Exit 77 without `tokenizers`.
"""
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [(0x4E00, 0x9FA5), (0x3040, 0x30FF), (0xAC00, 0xD7A3), (0x0621, 0x064A), (0x1F300, 0x1F6FF), (0x0400, 0x045F), (0x01, 0x1F),
           (0x0300, 0x036F), (0x1100, 0x11FF), (0x0900, 0x097F), (0x2000, 0x206F), (0xFF00, 0xFFEF), (0x1D400, 0x1D7FF)]
ODD = ["Don't I'LL we'VE ", "  \t \r\n\n ", "1234567890 3.14e-10 ", "<|im_end|>", "<|endoftext|>", "<think>", "<｜User｜>", "<s>"]


def mixed_text(size):
    draw = random.Random(1)
    prose = "".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))
    code = "".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.cpp")))
    pieces, length = [], 0
    while length < size:
        kind = draw.randrange(5)
        if kind < 2:
            source = prose if kind == 0 else code
            at = draw.randrange(max(1, len(source) - 400))
            piece = source[at : at + draw.randrange(20, 400)]
        elif kind == 4:
            piece = draw.choice(ODD) if draw.random() < 0.9 else draw.choice("aXé汉 ") * draw.randrange(1, 3000)
        else:
            low, high = draw.choice(SCRIPTS)
            piece = "".join(chr(draw.randint(low, high)) for _ in range(draw.randrange(1, 60))) + draw.choice([" ", "\n", "  \n\n", ""])
        pieces.append(piece)
        length += len(piece.encode())
    return "".join(pieces)


def every_character():
    return " ".join(chr(c) + "a" for c in range(1, 0x33000) if not 0xD800 <= c < 0xE000)


def same(program, tokenizer, text):
    print(f"{Path(tokenizer).parent.name}, {text.name}: ", end="", flush=True)
    script = Path(__file__).with_name("hf_compare_tokenizer.py")
    return subprocess.run([sys.executable, script, program, tokenizer, text]).returncode == 0


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        import tokenizers  # noqa: F401
    except ImportError:
        print("skipped: Python's tokenizers is not installed (pip install tokenizers)")
        return 77
    program, published = sys.argv[1], [Path(name) for name in sys.argv[2:]]
    published += [path for name in ("qwen3", "deepseek_v3")
                  if (path := ROOT.parent / "shared/data/tokenizers" / name / "tokenizer.json").exists()]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        text, characters = folder / "mixed.txt", folder / "characters.txt"
        text.write_text(mixed_text(1_000_000), encoding="utf-8", newline="")
        characters.write_text(every_character(), encoding="utf-8", newline="")
        environment = dict(os.environ, XDG_CACHE_HOME=str(folder / "cache"))
        subprocess.run([program, "tokenizer", "train", "--data", text, "--vocab", "4000", "--out", folder / "trained", "--quiet"],
                       check=True, stdout=subprocess.DEVNULL, env=environment)
        ok = [same(program, tokenizer, one) for tokenizer in [folder / "trained" / "tokenizer.json", *published]
              for one in (text, characters)]
    return 0 if all(ok) else 1


if __name__ == "__main__":
    sys.exit(main())
