#!/usr/bin/env python3
"""Writes src/formats/newer_characters.inc: characters that Hugging Face's regexes know and Unicode 14 does not.

    python make_newer_characters.py > src/formats/newer_characters.inc     (needs `tokenizers`, and Python 3.11)

Their general categories are read off `tokenizers` itself (0.23.3: Unicode 16); that of Python 3.11 is Unicode 14, as
PCRE2 10.42's. Each range comes with a character that stands in for it: of the same category, of as many bytes in
UTF-8, and on the same side of the ranges that published patterns spell out.
"""
import sys
import unicodedata

from tokenizers import Regex, pre_tokenizers

CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cf".split()
LOW = {"Mn": 0x0900, "Mc": 0x0903, "Po": 0x2016, "Lu": 0x10C7, "Ll": 0x1C80, "So": 0x2600}
HIGH = {"Lu": 0xA790, "Ll": 0xA791}  # from U+4E00 on
LONG = {"Lu": 0x1D400, "Ll": 0x1D41A, "Lm": 0x16B40, "Lo": 0x10000, "Mn": 0x10A01, "Mc": 0x11000, "Nd": 0x104A0,
        "No": 0x10107, "Po": 0x10100, "Pd": 0x10EAD, "Sm": 0x1D6C1, "So": 0x1F300, "Cf": 0x1D173}


def categories(text):
    found = {}
    for name in CATEGORIES:
        pieces = pre_tokenizers.Split(Regex(f"[^\\p{{{name}}}]+"), "removed").pre_tokenize_str(text)
        found.update((c, name) for piece, _ in pieces for c in piece)
    return found


def stand_in(code, name):
    stand = (LONG if code > 0xFFFF else HIGH if code > 0x4DFF else LOW)[name]
    assert unicodedata.category(chr(stand)) == name and len(chr(stand).encode()) == len(chr(code).encode())
    return stand


def main():
    if unicodedata.unidata_version != "14.0.0":
        sys.exit(f"Python knows Unicode {unicodedata.unidata_version}, expected 14.0.0")
    text = "".join(chr(c) for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000)
    found, ranges = categories(text), []
    for c in text:
        if unicodedata.category(c) != "Cn" or c not in found:
            continue
        code, stand = ord(c), stand_in(ord(c), found[c])
        if ranges and ranges[-1][1] == code - 1 and ranges[-1][2] == stand:
            ranges[-1][1] = code
        else:
            ranges.append([code, code, stand])
    line = ""
    for first, last, stand in ranges:
        item = f"{{0x{first:x}, 0x{last:x}, 0x{stand:x}}}, "
        if len(line) + len(item) > 121:
            print(line.rstrip())
            line = ""
        line += item
    print(line.rstrip())


if __name__ == "__main__":
    main()
