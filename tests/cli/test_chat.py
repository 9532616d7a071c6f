"""`mfa chat` through a pipe: turns, commands, reuse of the cache, a full context."""

import json
import subprocess
import unittest

from program import PROGRAM, TIMEOUT_SECONDS, ProgramTest

TEMPLATE = ("{%- for m in messages %}{{ m.role[0] }}:{{ m.content }}\n{% endfor %}"
            "{%- if add_generation_prompt %}a:{% endif %}")
CONTEXT = 200


def rendered(*messages):
    """What TEMPLATE makes of (role, content) pairs, written out in Python."""
    return "".join(f"{role}:{content}\n" for role, content in messages) + "a:"


class Chat(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = cls.shared / "model"
        cls.train(cls.model, "--attention", "mfa-kr", "--steps", 100, "--lr", 0.01, "--context", CONTEXT)
        cls.template = cls.shared / "template.jinja"
        cls.template.write_text(TEMPLATE)

    def talk(self, text, *flags, status=0, model=None):
        arguments = ["chat", model or self.model, "--template", self.template, "--greedy", "--ignore-eos", *flags]
        done = subprocess.run([PROGRAM, *map(str, arguments)], input=text, env=self.environment, capture_output=True, text=True,
                              errors="replace", timeout=TIMEOUT_SECONDS)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def turns(self, text, *flags):
        return json.loads(self.talk(text, "-n", 12, "--json", "-", "--quiet", *flags).stdout)["turns"]

    def continuation(self, prompt, tokens=12):
        return self.json("generate", self.model, "-p", prompt, "-n", tokens, "--greedy", "--ignore-eos", "--context", 1000)["text"]

    def test_answers_are_what_generate_makes_of_the_rendered_talk(self):
        turns = self.turns("the river\nand then\nold house\n", "--system", "dark wood")
        messages = [("s", "dark wood")]
        for turn, question in zip(turns, ("the river", "and then", "old house"), strict=True):
            messages.append(("u", question))
            self.assertEqual(turn["user"], question)
            self.assertEqual(turn["assistant"], self.continuation(rendered(*messages)))
            messages.append(("a", turn["assistant"]))

    def test_only_new_tokens_are_computed(self):
        turns = self.turns("the river runs under the old stone house\nand\nand\n")
        self.assertEqual(turns[0]["reused_tokens"], 0)
        for before, turn in zip(turns, turns[1:]):
            # The last token of an answer is chosen and not computed; a line's end may join it to another token.
            self.assertGreaterEqual(turn["reused_tokens"], before["reused_tokens"] + before["prompt_tokens"] + 12 - 4)
            self.assertLess(turn["prompt_tokens"], 12)

    def test_the_terminal_shows_the_answers(self):
        turns = self.turns("the river\nand then\n")
        done = self.talk("the river\nand then\n", "-n", 12)
        self.assertEqual(done.stdout, "".join(turn["assistant"] + "\n" for turn in turns))

    def test_commands(self):
        plain = self.turns("the river\nand then\n")
        undone = self.turns("the river\nold house\n/undo\nand then\n")
        self.assertEqual(undone[2]["assistant"], plain[1]["assistant"])
        again = self.turns("the river\nand then\n/regen\n")
        self.assertEqual(again[2], {**again[1], **{key: again[2][key] for key in again[2] if key.endswith(("tokens", "per_s"))}})
        reset = self.turns("the river\n/reset\nand then\n")
        self.assertEqual(reset[1]["assistant"], self.continuation(rendered(("u", "and then"))))
        slash = self.turns("//help me\n")
        self.assertEqual(slash[0]["user"], "/help me")
        self.assertEqual(self.turns("one\\\ntwo\n")[0]["user"], "one\ntwo")
        self.assertEqual(len(self.turns("the river\n\n/exit\nand then\n")), 1)
        self.assertEqual(self.turns(""), [])
        done = self.talk("/undo\n/regen\n/nonsense\n/help\n")
        for words in ("nothing to take back", "no answer yet", "/nonsense", "/regen"):
            self.assertIn(words, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_regeneration_draws_anew(self):
        # Two of three answers of thirty draws each are equal by chance below 10^-20.
        arguments = [PROGRAM, "chat", self.model, "--template", self.template, "--ignore-eos", "-n", 30, "--json", "-", "--temperature", 1]
        done = subprocess.run(list(map(str, arguments)), input="the river\n/regen\n/regen\n", env=self.environment, capture_output=True,
                              text=True, timeout=TIMEOUT_SECONDS)
        self.assertEqual(len({turn["assistant"] for turn in json.loads(done.stdout)["turns"]}), 3)

    def test_stop_strings_end_an_answer(self):
        answer = self.turns("the river\n")[0]["assistant"]
        turn = self.turns("the river\n", "--stop", answer[4:7])[0]
        self.assertEqual(turn["assistant"], answer[: answer.index(answer[4:7])])
        self.assertEqual(turn["stop_reason"], "stop")

    def test_a_full_context_forgets_the_oldest_turns(self):
        questions = [f"question {i} of the river and the stone" for i in range(12)]
        done = self.talk("\n".join(questions) + "\n", "-n", 12, "--system", "dark", "--json", "-", "--context", 120)
        turns = json.loads(done.stdout)["turns"]
        self.assertEqual(len(turns), 12)
        self.assertIn("context of 120 tokens is full", done.stderr)
        # The last answer is that of the system message and some of the last turns.
        fits = [self.continuation(rendered(("s", "dark"), *[m for i in range(first, 11) for m in (("u", questions[i]), ("a", turns[i]["assistant"]))],
                                           ("u", questions[11]))) for first in range(1, 12)]
        self.assertIn(turns[11]["assistant"], fits)
        for turn in turns:
            self.assertLessEqual(turn["prompt_tokens"] + turn["reused_tokens"] + turn["generated_tokens"], 121)

    def test_an_answer_ends_where_the_context_does(self):
        done = self.talk("the river\n", "-n", -1, "--json", "-", "--context", 60)
        turn = json.loads(done.stdout)["turns"][0]
        self.assertEqual(turn["prompt_tokens"] + turn["generated_tokens"], 60)
        self.assertIn("the answer is cut", done.stderr)

    def test_a_message_that_is_too_long_is_not_sent(self):
        done = self.talk("word " * 300 + "\nthe river\n", "-n", 12, "--json", "-")
        self.assertIn("too long", done.stderr)
        turns = json.loads(done.stdout)["turns"]
        self.assertEqual([turn["assistant"] for turn in turns], [self.continuation(rendered(("u", "the river")))])

    def test_json_keys(self):
        document = json.loads(self.talk("the river\n", "-n", 12, "--json", "-", "--quiet").stdout)
        for key, kind in {"turns": list, "generated_tokens": int, "decode_tokens_per_s": float, "kv_bytes_per_token": int,
                          "kv_bytes_allocated": int, "mfa_version": str, "command": str}.items():
            self.assertIsInstance(document[key], kind, key)

    def test_without_a_template(self):
        line = self.refused("chat", self.model)
        self.assertIn("chat template", line)
        self.assertIn("mfa generate", line)

    def test_a_template_that_is_wrong(self):
        path = self.folder / "broken.jinja"
        path.write_text("{% for m in messages %}")
        self.assertIn("broken.jinja", self.refused("chat", self.model, "--template", path))
        path.write_text("{{ raise_exception('no talk today') }}")
        done = subprocess.run([PROGRAM, "chat", str(self.model), "--template", str(path), "--quiet"], input="hi\n", env=self.environment,
                              capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
        self.assertIn("no talk today", self.check_error(done, 2))

    def test_the_models_own_template(self):
        config = self.model / "tokenizer_config.json"
        before = config.read_text()
        try:
            config.write_text(json.dumps({**json.loads(before), "chat_template": TEMPLATE}))
            done = subprocess.run([PROGRAM, "chat", str(self.model), "--greedy", "--ignore-eos", "-n", "12", "--quiet"], input="the river\n",
                                  env=self.environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
            self.assertEqual(done.stdout, self.continuation(rendered(("u", "the river"))) + "\n")
        finally:
            config.write_text(before)


if __name__ == "__main__":
    unittest.main()
