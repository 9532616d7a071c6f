"""Sampling flags, stop strings, prompts from files, Ctrl-C: what `mfa generate` does with a small trained model."""

import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

from program import PROGRAM, TIMEOUT_SECONDS, ProgramTest

CONTEXT = 96


class Generate(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = cls.shared / "model"
        cls.train(cls.model, "--attention", "mfa-kr", "--steps", 150, "--lr", 0.01, "--context", CONTEXT)
        cls.greedy = cls.text_of("--greedy")

    @classmethod
    def text_of(cls, *flags, prompt="The river "):
        done = cls.run_program("generate", cls.model, "-p", prompt, "-n", 40, "--ignore-eos", "--quiet", "--json", "-", *flags)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return json.loads(done.stdout)

    def test_a_stop_string_ends_the_text_before_it_wherever_tokens_end(self):
        text = self.greedy["text"]
        for start in range(3, 25, 4):
            for length in (1, 2, 5, 9):
                stop = text[start : start + length]
                with self.subTest(stop=stop):
                    document = self.text_of("--greedy", "--stop", "never in the text", "--stop", stop)
                    self.assertEqual(document["text"], text[: text.index(stop)])
                    self.assertEqual(document["stop_reason"], "stop")
                    self.assertEqual(document["ids"], self.greedy["ids"][: len(document["ids"])])
                    shown = self.ok("generate", self.model, "-p", "The river ", "-n", 40, "--ignore-eos", "--greedy", "--stop", stop)
                    self.assertEqual(shown.stdout, "The river " + document["text"] + "\n")

    def test_a_stop_string_that_does_not_come_changes_nothing(self):
        document = self.text_of("--greedy", "--stop", self.greedy["text"][-4:] + "#")
        self.assertEqual(document["text"], self.greedy["text"])
        self.assertEqual(document["stop_reason"], "length")

    def test_prompts_from_a_file_and_from_standard_input(self):
        path = self.folder / "prompt.txt"
        path.write_text("The river ")
        self.assertEqual(self.json("generate", self.model, "--file", path, "-n", 40, "--ignore-eos", "--greedy")["ids"], self.greedy["ids"])
        done = subprocess.run([PROGRAM, "generate", self.model, "--file", "-", "-n", "40", "--ignore-eos", "--greedy"], input="The river ",
                              env=self.environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
        self.assertEqual(done.stdout, "The river " + self.greedy["text"] + "\n")

    def test_no_echo_prints_the_new_text_only(self):
        done = self.ok("generate", self.model, "-p", "The river ", "-n", 40, "--ignore-eos", "--greedy", "--no-echo")
        self.assertEqual(done.stdout, self.greedy["text"] + "\n")

    def test_the_summary_goes_to_standard_error_unless_quiet(self):
        flags = ("generate", self.model, "-p", "The river ", "-n", 5, "--ignore-eos", "--greedy")
        self.assertRegex(self.ok(*flags).stderr, r"\[generate\] prompt \d+ tokens, [\d.]+ tokens/s; 5 new tokens, [\d.]+ tokens/s \(length\)")
        self.assertEqual(self.ok(*flags, "--quiet").stderr, "")

    def test_temperature_zero_is_greedy(self):
        self.assertEqual(self.text_of("--temperature", 0, "--seed", 3)["ids"], self.greedy["ids"])

    def test_neutral_settings_change_nothing(self):
        plain = self.text_of("--seed", 5)
        self.assertEqual(self.text_of("--seed", 5, "--typical-p", 1, "--min-p", 0, "--top-p", 1, "--top-k", 0, "--repetition-penalty", 1,
                                      "--penalty-last-n", 7)["ids"], plain["ids"])

    def test_a_banned_token_does_not_appear(self):
        banned = self.greedy["ids"][3]
        document = self.text_of("--greedy", "--logit-bias", f"{banned}:-inf")
        self.assertNotIn(banned, document["ids"])
        self.assertEqual(document["ids"][:3], self.greedy["ids"][:3])

    def test_a_bias_forces_a_token_by_its_text(self):
        document = self.text_of("--greedy", "--logit-bias", "q:1000")
        self.assertEqual(document["text"], "q" * 40)

    def test_penalties_see_prompt_and_text(self):
        # A penalty of a thousand for each time: within the window no token comes twice, nor any of the prompt's.
        document = self.text_of("--greedy", "--frequency-penalty", 1000, "--penalty-last-n", -1)
        self.assertEqual(len(set(document["ids"])), 40)
        prompt = self.json("tokenizer", "encode", self.model, "-p", "The river ")["ids"]
        self.assertFalse(set(document["ids"]) & set(prompt))

    def test_until_the_context_is_full(self):
        document = self.json("generate", self.model, "-p", "The river ", "-n", -1, "--ignore-eos", "--greedy")
        self.assertEqual(document["prompt_tokens"] + document["generated_tokens"], CONTEXT)
        longer = self.json("generate", self.model, "-p", "The river ", "-n", -1, "--ignore-eos", "--greedy", "--context", 2 * CONTEXT)
        self.assertEqual(longer["prompt_tokens"] + longer["generated_tokens"], 2 * CONTEXT)
        self.assertEqual(longer["ids"][: CONTEXT // 2], document["ids"][: CONTEXT // 2])

    def test_every_end_of_the_generation_config_ends_the_text(self):
        path = self.model / "generation_config.json"
        before = path.read_text()
        try:
            path.write_text(json.dumps({"eos_token_id": [0, self.greedy["ids"][6]]}))
            document = self.json("generate", self.model, "-p", "The river ", "-n", 40, "--greedy")
            first = min(i for i, token in enumerate(self.greedy["ids"]) if token in (0, self.greedy["ids"][6]))
            self.assertEqual(document["ids"], self.greedy["ids"][: first + 1])
            self.assertEqual(document["stop_reason"], "eos")
            self.assertTrue(self.greedy["text"].startswith(document["text"]))  # without the token that ended it
            path.write_text('{"eos_token_id": "</s>"}')
            self.assertIn("generation_config.json", self.refused("generate", self.model, "-p", "The", "-n", 2))
        finally:
            path.write_text(before)

    def test_characters_of_several_bytes_stay_whole_on_the_terminal(self):
        # Every write of the program is valid UTF-8 as long as the text is: the prompt ends within a character's bytes only
        # where the model goes on with the rest, so each token is forced to be a byte of an é.
        e = self.json("tokenizer", "encode", self.model, "-p", "é")["ids"]
        process = self.start("generate", self.model, "-p", "é" * 5, "-n", 1, "--greedy", "--ignore-eos", "--logit-bias", f"{e[0]}:1000",
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        out, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        expected = ("é" * 5).encode() + ("é".encode() if len(e) == 1 else "é".encode()[:1]) + b"\n"
        self.assertEqual(out, expected)

    def test_interrupt_ends_the_text_and_writes_the_result(self):
        out = self.folder / "result.json"
        process = self.start("generate", self.model, "-p", "The river ", "-n", 100000, "--context", 200000, "--ignore-eos", "--json", out,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        shown = b""
        while len(shown) < 300:
            shown += os.read(process.stdout.fileno(), 4096)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=TIMEOUT_SECONDS)
        self.assertEqual(process.returncode, 0, errors)
        document = json.loads(out.read_text())
        self.assertEqual(document["stop_reason"], "interrupt")
        self.assertLess(document["generated_tokens"], 100000)
        self.assertTrue((shown + rest).endswith(b"\n"))
        self.assertIn(b"(interrupt)", errors)


class Int8Cache(ProgramTest):
    """--kv int8 from the command line: text, cache bytes and perplexity."""

    HEAD_DIM, HEADS, LAYERS, PAGE = 8, 4, 2, 64

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.models = {}
        for attention in ("mha", "mfa", "mfa-kr", "mla"):
            cls.models[attention] = cls.shared / attention
            mla = ("--kv-rank", 12, "--rope-dim", 4) if attention == "mla" else ()
            cls.train(cls.models[attention], "--attention", attention, "--heads", cls.HEADS, "--head-dim", cls.HEAD_DIM, *mla, "--steps", 200,
                      "--lr", 0.01)

    def test_bytes_follow_the_formula(self):
        # A number is a byte, and each cached vector of at most 64 numbers has one scale of two bytes.
        vectors = {"mha": [self.HEAD_DIM] * 2 * self.HEADS, "mfa": [self.HEAD_DIM] * 2, "mfa-kr": [self.HEAD_DIM], "mla": [12 + 4]}
        for attention, dims in vectors.items():
            with self.subTest(attention=attention):
                document = self.json("generate", self.models[attention], "-p", "The river ", "-n", 12, "--ignore-eos", "--kv", "int8")
                expected = self.LAYERS * sum(dim + 2 for dim in dims)
                self.assertEqual(document["kv_bytes_per_token"], expected)
                pages = -(-(document["prompt_tokens"] + 12) // self.PAGE)
                self.assertEqual(document["kv_bytes_allocated"], pages * self.PAGE * expected)

    def test_perplexity_is_that_of_f32_within_the_rounding(self):
        # A cached number is off by at most half a step of its vector's largest / 127: 0.23 % of that, rms. Attention's
        # scores and outputs move by no more, so a logit of size 10 by some 0.03, of either sign. Over 12,000 tokens the mean
        # moves by 0.03 / sqrt(12,000) = 3e-4 nats of about two: the bound, 1e-3 of the loss, is six times that.
        for attention, model in self.models.items():
            with self.subTest(attention=attention):
                f32 = self.json("perplexity", model, self.corpus, "--kv", "f32")
                int8 = self.json("perplexity", model, self.corpus, "--kv", "int8")
                self.assertLess(abs(int8["nll_per_token"] / f32["nll_per_token"] - 1), 1e-3)
                self.assertNotEqual(int8["nll_per_token"], f32["nll_per_token"])  # it did go through int8

    def test_divergence_from_itself_and_from_the_int8_cache(self):
        result = self.json("perplexity", self.models["mfa"], self.corpus, "--reference", self.models["mfa"], "--windows", 20)
        self.assertEqual(result["kl_max"], 0)
        self.assertEqual(result["same_top"], 1)
        self.assertEqual(result["reference_perplexity"], result["perplexity"])
        other = self.json("perplexity", self.models["mfa"], self.corpus, "--reference", self.models["mha"], "--windows", 20)
        self.assertGreater(other["kl_mean"], 0)
        self.assertGreaterEqual(other["kl_max"], other["kl_99"])


if __name__ == "__main__":
    unittest.main()
