"""What a trained model does: repeatable text, numbers that agree with independent arithmetic."""

import math
import os
import shutil
import subprocess
import unittest
from pathlib import Path

from program import ProgramTest

CONTEXT, LAYERS, PAGE_TOKENS = 32, 2, 64
VARIANTS = {
    # Numbers that one token leaves in one layer's cache, from the published formulas and the flags below.
    "mha": (("--heads", 4, "--head-dim", 8), 2 * 4 * 8),
    "gqa": (("--heads", 4, "--kv-heads", 2, "--head-dim", 8), 2 * 2 * 8),
    "mqa": (("--heads", 4, "--head-dim", 8), 2 * 8),
    "mla": (("--heads", 4, "--head-dim", 8, "--kv-rank", 12, "--rope-dim", 4), 12 + 4),
    "mfa": (("--heads", 4, "--head-dim", 8), 2 * 8),
    "mfa-kr": (("--heads", 4, "--head-dim", 8), 8),
}


class TrainGenerate(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.models = {}
        for attention, (flags, _) in VARIANTS.items():
            cls.models[attention] = cls.shared / attention
            cls.train(cls.models[attention], "--attention", attention, *flags, "--steps", 10, "--lr", 0.01)

    def generate(self, attention, *flags):
        return self.json("generate", self.models[attention], "-p", "The river ", "-n", 12, "--ignore-eos", *flags)

    def test_greedy_is_repeatable(self):
        for attention in self.models:
            with self.subTest(attention=attention):
                first, again = self.generate(attention, "--greedy"), self.generate(attention, "--greedy", "--seed", 5)
                self.assertEqual(first["ids"], again["ids"])
                self.assertEqual(first["text"], again["text"])
                self.assertEqual(self.generate(attention, "--greedy", "--threads", 1)["ids"], first["ids"])

    def test_sampling_follows_the_seed(self):
        # With 300 tokens and twelve draws from a barely trained model, two of these three seeds giving the same text is
        # less likely than 10^-20.
        texts = [tuple(self.generate("mfa", "--seed", seed)["ids"]) for seed in (1, 2, 3)]
        self.assertEqual(len(set(texts)), 3)
        self.assertEqual(tuple(self.generate("mfa", "--seed", 2)["ids"]), texts[1])

    def test_top_k_of_one_is_greedy(self):
        self.assertEqual(self.generate("mha", "--top-k", 1, "--seed", 9)["ids"], self.generate("mha", "--greedy")["ids"])

    def test_text_on_the_terminal_is_the_text_of_the_document(self):
        document = self.generate("mha", "--greedy")
        shown = self.run_program("generate", self.models["mha"], "-p", "The river ", "-n", 12, "--ignore-eos", "--greedy")
        self.assertEqual(shown.stdout, "The river " + document["text"] + "\n")

    def test_training_is_repeatable(self):
        flags, _ = VARIANTS["mfa"]
        again = self.folder / "again"
        self.train(again, "--attention", "mfa", *flags, "--steps", 10, "--lr", 0.01)
        self.assertEqual((again / "model.safetensors").read_bytes(), (self.models["mfa"] / "model.safetensors").read_bytes())

    def test_another_seed_is_another_model(self):
        flags, _ = VARIANTS["mfa"]
        other = self.folder / "other"
        self.train(other, "--attention", "mfa", *flags, "--steps", 10, "--lr", 0.01, "--seed", 1)
        self.assertNotEqual((other / "model.safetensors").read_bytes(), (self.models["mfa"] / "model.safetensors").read_bytes())

    def test_training_lowers_the_loss(self):
        # A uniform guess costs ln(vocabulary); ten steps at this rate learn at least which tokens are common.
        vocab = self.json("info", self.models["mfa"])["layers"] and 300
        result = self.json("perplexity", self.models["mfa"], self.corpus)
        self.assertLess(result["nll_per_token"], math.log(vocab))

    def test_perplexity_arithmetic(self):
        for attention in self.models:
            with self.subTest(attention=attention):
                r = self.json("perplexity", self.models[attention], self.corpus)
                # Sums of some ten thousand doubles: relative error below 1e-12, and a last digit printed.
                self.assertTrue(math.isclose(r["perplexity"], math.exp(r["nll_per_token"]), rel_tol=1e-12))
                bits = r["nll_per_token"] * r["tokens"] / math.log(2) / r["bytes"]
                self.assertTrue(math.isfinite(r["bits_per_byte"]))
                self.assertTrue(math.isclose(r["bits_per_byte"], bits, rel_tol=1e-12))
                ids = self.json("tokenizer", "encode", self.models[attention], "--file", self.corpus)["ids"]
                self.assertEqual(r["tokens"], len(ids) - 1)
                first = self.ok("tokenizer", "decode", self.models[attention], ids[0]).stdout[:-1]
                self.assertEqual(r["bytes"], self.corpus.stat().st_size - len(first.encode()))

    def test_cache_bytes_follow_the_formula(self):
        for attention, (_, numbers) in VARIANTS.items():
            for kv, size in (("f32", 4), ("bf16", 2)):
                with self.subTest(attention=attention, kv=kv):
                    document = self.generate(attention, "--greedy", "--kv", kv)
                    expected = numbers * size * LAYERS
                    self.assertEqual(document["kv_bytes_per_token"], expected)
                    tokens = document["prompt_tokens"] + 12
                    pages = -(-tokens // PAGE_TOKENS)
                    self.assertEqual(document["kv_bytes_allocated"], pages * PAGE_TOKENS * expected)
            with self.subTest(attention=attention, command="info, capacity"):
                self.assertEqual(self.json("info", self.models[attention])["kv_bytes_per_token"], numbers * 2 * LAYERS)
                row = self.json("capacity", self.models[attention])["rows"][0]
                self.assertEqual(row["kv_bytes_per_token"], numbers * 2 * LAYERS)

    def test_precision_follows_the_file_and_the_cpu(self):
        self.ok("export", self.models["mfa"], self.folder / "bf16", "--format", "hf", "--type", "bf16")
        path = os.environ.get("MFA_CPU_PATH") or ("avx512" if "avx512_bf16" in Path("/proc/cpuinfo").read_text() else "")
        native = "bf16" if path == "avx512" else "f32"
        for model, flags, expected in ((self.folder / "bf16", (), native), (self.models["mfa"], (), "f32"),
                                       (self.folder / "bf16", ("--precision", "f32"), "f32"),
                                       (self.models["mfa"], ("--precision", "bf16"), native)):
            with self.subTest(model=model, flags=flags):
                for command in (("generate", model, "-p", "The river ", "-n", 2), ("perplexity", model, self.corpus)):
                    self.assertEqual(self.json(*command, *flags)["precision"], expected)

    def test_folded_export_says_the_same(self):
        plain = self.json("perplexity", self.models["mfa-kr"], self.corpus)
        self.ok("export", self.models["mfa-kr"], self.folder / "folded", "--format", "hf")
        folded = self.json("perplexity", self.folder / "folded", self.corpus)
        # Folding multiplies two f32 matrices and rounds once more. A logit sums over dims ≤ 300 terms a layer; with 2^-24
        # a rounding, some 1e-5 of its size in all, and the mean over thousands of tokens is closer than one of them.
        self.assertTrue(math.isclose(plain["nll_per_token"], folded["nll_per_token"], rel_tol=1e-4))
        self.assertEqual(plain["tokens"], folded["tokens"])

    @unittest.skipUnless(shutil.which("xxh128sum"), "xxh128sum is not installed")
    def test_manifest_is_what_xxh128sum_checks(self):
        checked = subprocess.run(["xxh128sum", "-c", "MANIFEST"], cwd=self.models["mha"] / "step-10", capture_output=True,
                                 text=True)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.assertEqual(checked.stdout.count(": OK"), 3)


if __name__ == "__main__":
    unittest.main()
