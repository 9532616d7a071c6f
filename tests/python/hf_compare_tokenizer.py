#!/usr/bin/env python3
"""Compares the ids of `mfa tokenizer encode` with those of Hugging Face tokenizers on a text file.

    hf_compare_tokenizer.py MFA TOKENIZER_JSON TEXT

Exit status: 0 the same, 1 different, 77 skipped because Python's `tokenizers` is not installed.
Both find added tokens in the text and add nothing around it.
"""

import json
import pathlib
import subprocess
import sys


def hf_ids(tokenizer_json, text):
    import tokenizers
    encoder = tokenizers.Tokenizer.from_file(str(tokenizer_json))
    encoder.no_truncation()
    encoder.no_padding()
    return encoder.encode(text, add_special_tokens=False).ids


def mfa_ids(program, tokenizer_json, text_file):
    command = [program, "tokenizer", "encode", tokenizer_json, "--file", text_file, "--json", "-", "--quiet"]
    run = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit status {run.returncode}")
    return json.loads(run.stdout)["ids"]


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    program, tokenizer_json, text_file = sys.argv[1:]
    try:
        import tokenizers  # noqa: F401
    except ImportError:
        print("skipped: Python's tokenizers is not installed (pip install tokenizers)")
        sys.exit(77)
    text = pathlib.Path(text_file).read_bytes().decode("utf-8")
    ours, theirs = mfa_ids(program, tokenizer_json, text_file), hf_ids(tokenizer_json, text)
    if ours == theirs:
        print(f"{len(ours)} ids, the same")
        return
    common = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    print(f"ids differ from {common} on: got {ours[common:common + 8]} of {len(ours)}, "
          f"expected {theirs[common:common + 8]} of {len(theirs)}")
    sys.exit(1)


if __name__ == "__main__":
    main()
