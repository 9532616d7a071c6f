#!/usr/bin/env python3
"""Seconds to tokenize a text, `mfa` against Hugging Face tokenizers on one thread: A B A B, medians.

    tokenizer_speed.py MFA TEXT TOKENIZER_JSON... [--rounds N]

Whole text and line by line; encoding alone. Exit status: 0 no slower, 1 slower,
77 skipped because Python's `tokenizers` is not installed.
"""
import argparse
import io
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"


def ours(program, tokenizer, text_file, by_line):
    command = [program, "tokenizer", "encode", tokenizer, "--file", text_file, "--json", "-", "--quiet", "--threads", "1"]
    run = subprocess.run(command + (["--by-line"] if by_line else []), stdout=subprocess.PIPE, check=True)
    document = json.loads(run.stdout)
    return document["seconds"], document["ids"]


def theirs(encoder, text, by_line):
    pieces = [line for line in io.StringIO(text, newline="\n")] if by_line else [text]
    began = time.perf_counter()
    encoded = [encoder.encode(piece, add_special_tokens=False) for piece in pieces]
    seconds = time.perf_counter() - began
    return seconds, [i for one in encoded for i in one.ids]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("text")
    parser.add_argument("tokenizers", nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    try:
        import tokenizers
    except ImportError:
        print("skipped: Python's tokenizers is not installed (pip install tokenizers)")
        return 77
    text = pathlib.Path(options.text).read_bytes().decode("utf-8")
    slower = False
    for path in options.tokenizers:
        encoder = tokenizers.Tokenizer.from_file(path)
        for by_line in (False, True):
            a, b = [], []
            for _ in range(options.rounds):
                seconds, our_ids = ours(options.program, path, options.text, by_line)
                a.append(seconds)
                seconds, their_ids = theirs(encoder, text, by_line)
                b.append(seconds)
            mfa, hf = statistics.median(a), statistics.median(b)
            same = "same ids" if our_ids == their_ids else "ids differ"
            print(f"{pathlib.Path(path).parent.name:>14} {'by line' if by_line else 'whole':>8}: mfa {mfa:.3f} s, "
                  f"tokenizers {hf:.3f} s, {hf / mfa:.1f} times as fast, {same}", flush=True)
            slower |= mfa > hf
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
