#!/usr/bin/env python3
"""Writes src/formats/unicode_tables.cpp: Python's own character classes and case mappings, as ranges.

    python3 scripts/make_unicode_tables.py > src/formats/unicode_tables.cpp

Chat templates are written for Python, whose str.upper, str.isalpha or repr decide what they print; the tables are
read off the interpreter, so that the two agree on every character (of the Unicode version named in the first line).
"""
import sys
import unicodedata

CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
# Case_Ignorable beyond the general categories: Word_Break MidLetter, MidNumLet and Single_Quote.
WORD_BREAK = {0x27, 0x2E, 0x3A, 0xB7, 0x387, 0x55F, 0x5F4, 0x2018, 0x2019, 0x2024, 0x2027, 0xFE13, 0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A}

CLASSES = {
    "alpha": str.isalpha,
    "decimal": str.isdecimal,
    "digit": str.isdigit,
    "numeric": str.isnumeric,
    "space": str.isspace,
    "unprintable": lambda c: not c.isprintable(),
    "upper": str.isupper,
    "lower": str.islower,
    "title": lambda c: unicodedata.category(c) == "Lt",
    "case_ignorable": lambda c: unicodedata.category(c) in ("Mn", "Me", "Cf", "Lm", "Sk") or ord(c) in WORD_BREAK,
}
MAPPINGS = {"to_upper": str.upper, "to_lower": str.lower, "to_title": str.title, "to_folded": str.casefold}


def runs(keyed):
    """[first, last, step, key] of ascending (code, key): equal keys at an equal distance of 1 or 2."""
    found = []
    for code, key in keyed:
        if found and found[-1][3] == key:
            run = found[-1]
            step = code - run[1]
            if run[0] == run[1] and step <= 2 or step == run[2]:
                run[1], run[2] = code, step
                continue
        found.append([code, code, 1, key])
    return found


def print_rows(rows):
    line = "   "
    for row in rows:
        if len(line) + len(row) + 2 > 120:
            print(line)
            line = "   "
        line += f" {row},"
    print(line)


def main():
    print(f"// Made by scripts/make_unicode_tables.py from Python {sys.version.split()[0]}, Unicode {unicodedata.unidata_version}; not to be edited.")
    print('#include "formats/unicode_tables.h"\n\n// clang-format off\nnamespace mfa {\nnamespace {\n')
    for name, belongs in CLASSES.items():
        print(f"constexpr CodeRange k_{name}[] = {{")
        print_rows(f"{{{a}, {b}, {s}}}" for a, b, s, _ in runs((ord(c), 0) for c in CHARACTERS if belongs(c)))
        print("};")
    for name, change in MAPPINGS.items():
        changed = [(ord(c), change(c)) for c in CHARACTERS if change(c) != c]
        print(f"constexpr CodeShift k_{name}[] = {{")
        print_rows(f"{{{a}, {b}, {s}, {d}}}" for a, b, s, d in runs((c, ord(t) - c) for c, t in changed if len(t) == 1))
        print("};")
        print(f"constexpr CodeExpansion k_{name}_long[] = {{")
        print_rows(f"{{{c}, {{{', '.join(str(ord(x)) for x in t)}}}}}" for c, t in changed if len(t) > 1)
        print("};")
    print("\n}  // namespace\n")
    for name in CLASSES:
        print(f"const std::span<const CodeRange> {name}_ranges = k_{name};")
    for name in MAPPINGS:
        print(f"const CaseMapping {name}_mapping = {{k_{name}, k_{name}_long}};")
    print("\n}  // namespace mfa\n// clang-format on")


if __name__ == "__main__":
    main()
