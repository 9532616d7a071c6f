"""`mfa tokenizer render`: what a chat template makes of messages, tools and variables; errors with their place."""

import json
import unicodedata
import unittest

from program import ProgramTest

TEMPLATE = ("{{ bos_token }}\n{%- if tools %}[{{ tools | map(attribute='function.name') | join(' ') }}]{% endif %}\n"
            "{%- for m in messages %}{{ m.role[0] }}:{{ m.content }}{{ eos_token }}\n{% endfor %}"
            "{%- if add_generation_prompt %}a:{% endif %}")
MESSAGES = [{"role": "system", "content": "brief"}, {"role": "user", "content": "héllo\n🩷"}]
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("weather", "time")]
TALK = "s:brief</s>\nu:héllo\n🩷</s>\n"


class RenderTest(ProgramTest):
    def write(self, name, content):
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    def arguments(self, template, *more, messages=MESSAGES):
        return ["tokenizer", "render", "--template", self.write("t.jinja", template),
                "--messages", self.write("m.json", messages), "--bos", "<s>", "--eos", "</s>", *more]

    def rendered(self, template, *more, messages=MESSAGES):
        return self.json(*self.arguments(template, *more, messages=messages))["text"]

    def fails(self, template, *more, messages=MESSAGES):
        return self.refused(*self.arguments(template, *more, messages=messages))


class Render(RenderTest):
    def test_messages(self):
        self.assertEqual(self.rendered(TEMPLATE), "<s>" + TALK + "a:")
        self.assertEqual(self.rendered(TEMPLATE, "--no-generation-prompt"), "<s>" + TALK)
        # A request as one sends it to a server holds them too.
        self.assertEqual(self.rendered(TEMPLATE, messages={"model": "x", "messages": MESSAGES}), "<s>" + TALK + "a:")

    def test_standard_output_is_the_text_byte_for_byte(self):
        self.assertEqual(self.ok(*self.arguments(TEMPLATE)).stdout, "<s>" + TALK + "a:")

    def test_tools(self):
        for tools in (TOOLS, {"tools": TOOLS}):
            out = self.rendered(TEMPLATE, "--tools", self.write("tools.json", tools))
            self.assertEqual(out, "<s>[weather time]" + TALK + "a:")
        self.assertEqual(self.rendered("{{ tools is none }}"), "True")

    def test_variables(self):
        template = "{{ thinking }} {{ style.tone }} {{ n + 1 }} {{ bos_token }}"
        flags = ("--set", "thinking=false", "--set", 'style={"tone": "a=b"}', "--set", "n=41", "--set", 'bos_token="!"')
        self.assertEqual(self.rendered(template, *flags), "False a=b 42 !")
        for wrong in ("thinking", "=1", "thinking=no", "x="):
            with self.subTest(set=wrong):
                self.assertIn("--set", self.fails(template, "--set", wrong))

    def test_errors_name_file_line_and_column(self):
        for template, place, what in (
            ("a\n{% if x %}\n{{ x", "line 3, column 5", "unexpected end"),
            ("{{ messages[0].content + 1 }}", "line 1, column 4", "can only concatenate str"),
            ("é\n é{{ raise_exception('roles must\\nalternate') }}", "line 2, column 21", "roles must"),
            ("{% extends 'base' %}", "line 1, column 4", "the tag 'extends' is not supported"),
            ("{{ 1 | striptags }}", "line 1", "striptags"),
            ("{{ x | no_such_filter }}", "line 1", "no_such_filter"),
            ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "line 1", ""),
        ):
            with self.subTest(template=template):
                line = self.fails(template)
                self.assertRegex(line, rf"^error: \[.*t\.jinja\] {place}")
                self.assertIn(what, line)

    def test_wrong_input(self):
        for messages in ({}, 5, "text", [1], [["user", "hi"]]):
            with self.subTest(messages=messages):
                self.fails(TEMPLATE, messages=json.dumps(messages))
        self.assertIn("m.json", self.fails(TEMPLATE, messages="[{"))
        self.assertIn("tools", self.fails(TEMPLATE, "--tools", self.write("tools.json", "5")))
        self.refused("tokenizer", "render", "--messages", self.write("m.json", MESSAGES))
        self.refused("tokenizer", "render", "--template", self.write("t.jinja", TEMPLATE))
        self.refused("tokenizer", "render", "--template", self.folder / "nowhere", "--messages", self.write("m.json", MESSAGES))

    def test_integers_keep_their_value_or_are_refused(self):
        template = "{{ messages[0].n | tojson }}"
        for number in (2**63 - 1, -2**63):
            self.assertEqual(self.rendered(template, messages=[{"n": number}]), str(number))
        for number in (2**63, -2**63 - 1, 10**30):
            with self.subTest(number=number):
                line = self.fails(template, messages=[{"n": number}])
                self.assertIn(f"m.json] the integer {number} is too large", line)
                self.assertIn("--set n", self.fails(template, "--set", f"n={number}"))


class Characters(RenderTest):
    """str methods against Python's own, on every character that Python knows."""

    METHODS = ("upper", "lower", "title", "capitalize", "swapcase", "casefold", "isalnum", "isalpha", "isascii",
               "isdecimal", "isdigit", "islower", "isnumeric", "isprintable", "isspace", "istitle", "isupper")
    # Lower-case only since Unicode 15.0 (Python 3.12).
    NEWLY_LOWER = {"\u10fc", "\ua7f2", "\ua7f3", "\ua7f4", "\uab69"}

    def known_difference(self, character, method):
        # Ideographs that are numbers to Python.
        if method == "isnumeric":
            return unicodedata.category(character) == "Lo"
        return method == "islower" and character in self.NEWLY_LOWER and unicodedata.unidata_version == "14.0.0"

    @unittest.skipUnless(unicodedata.unidata_version in ("14.0.0", "15.0.0"), "libutf8proc 2.8 knows Unicode 15.0")
    def test_all_as_in_python(self):
        known = [c for c in map(chr, range(0x110000)) if unicodedata.category(c) not in ("Cn", "Co", "Cs")]
        between, behind = "\ue000", "\ue001"  # private use, so not among `known`
        calls = between.join(f"{{{{ c.{method}() }}}}" for method in self.METHODS)
        template = "{% for c in messages[0].text %}" + calls + behind + "{% endfor %}"
        self.assertGreater(len(known), 140_000)
        differences = set()
        for at in range(0, len(known), 20_000):
            part = known[at:at + 20_000]
            answers = self.rendered(template, messages=[{"text": "".join(part)}]).split(behind)[:-1]
            for character, answer in zip(part, answers, strict=True):
                for method, got in zip(self.METHODS, answer.split(between), strict=True):
                    if got != str(getattr(character, method)()) and not self.known_difference(character, method):
                        differences.add((f"U+{ord(character):04X}", method))
        self.assertEqual(sorted(differences), [])


if __name__ == "__main__":
    unittest.main()
