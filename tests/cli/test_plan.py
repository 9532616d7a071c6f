"""mfa plan: what it prints is what mfa capacity counts, what it writes trains, and what cannot be is said."""

import unittest
import xml.etree.ElementTree as ElementTree

import program
from program import ProgramTest
from test_json_keys import CAPACITY_ROW

# Figures of both commands for one spec; those that are no whole numbers are computed alike too.
SHARED = ("attention", "parameters", "active_parameters", "attention_parameters", "kv_bytes_per_token", "slsd", "frh", "ter",
          "flops_per_token_prefill", "flops_per_token_decode", "flops_per_token_train")
TINY = ("--width", 32, "--layers", 2, "--vocab", 300, "--context", 64)


class Plan(ProgramTest):
    def test_rows_have_the_keys_of_capacity(self):
        plan = self.json("plan", *TINY)
        self.assertEqual(plan["command"], "plan")
        self.assertGreater(len(plan["rows"]), 2)
        for row in plan["rows"] + [plan["chosen"]]:
            for key, kind in CAPACITY_ROW.items():
                self.assertIsInstance(row[key], kind, key)
        ters = [row["ter"] for row in plan["rows"]]
        self.assertEqual(ters, sorted(ters, reverse=True))
        self.assertEqual(set(plan["variants"]), {"mha", "mqa", "gqa", "mla", "mfa", "mfa-kr"})  # fpba only when named

    def test_what_is_written_is_what_was_planned_and_trains(self):
        for number, (variant, more) in enumerate([("mfa", ["--q-norm"]), ("mfa-kr", []), ("mla", []), ("gqa", []),
                                                  ("mha", ["--share-cache", 2]), ("fpba", [])]):
            config = self.folder / f"{variant}.json"
            plan = self.json("plan", *TINY, "--variants", variant, *more, "--out", config)
            row = self.json("capacity", config, "--context", 64)["rows"][0]
            for key in SHARED:
                self.assertEqual(plan["chosen"][key], row[key], f"{variant}: {key}")
            if number < 3:
                done = self.ok("train", "--data", self.corpus, "--out", self.folder / variant, "--config", config, "--steps",
                               2, "--batch", 2, "--threads", 1, "--gemm-peak", 100, "--quiet")
                self.assertEqual(done.returncode, 0)
                self.assertEqual(self.json("info", self.folder / variant)["parameters"], row["parameters"])

    def test_the_full_grid_answers_in_two_seconds(self):
        plan = self.json("plan", "--width", 2048, "--layers", 20, "--vocab", 65536, "--grid", "full")
        self.assertGreaterEqual(plan["specs_counted"], 100000)
        # A third of a second of one quiet core; a machine that is busy with other tests may be far slower.
        self.assertLess(plan["seconds"], 2 if program.FULL else 60)

    def test_the_same_twice(self):
        first, again = (self.json("plan", *TINY, "--top", 0) for _ in range(2))
        first["seconds"] = again["seconds"] = 0
        self.assertEqual(first, again)

    def test_rows_can_be_picked(self):
        rows = self.json("plan", *TINY, "--top", 0)["rows"]
        self.assertEqual([row["row"] for row in rows], list(range(1, len(rows) + 1)))
        picked = self.json("plan", *TINY, "--pick", len(rows))["chosen"]
        self.assertEqual(picked, rows[-1])
        self.assertIn(f"expected 1 to {len(rows)}", self.refused("plan", *TINY, "--pick", len(rows) + 1))

    def test_plots_are_xml_with_every_variant(self):
        plot = self.folder / "plan.svg"
        self.ok("plan", "--width", 256, "--layers", 2, "--plot", plot)
        text = " ".join(ElementTree.parse(plot).getroot().itertext())
        for word in ("mha", "mqa", "gqa", "mla", "mfa", "mfa-kr", "KV bytes a token", "US$ a million", "parameters", "chosen"):
            self.assertIn(word, text)

    def test_impossible_budgets_name_the_bound_and_the_nearest(self):
        cases = [(("--kv-bytes", 3), "the smallest cache is"), (("--min-ter", 10**9), "the highest TER is"),
                 (("--parameters", "9T"), "--parameters, got 9T"), (("--parameters", "1B"), "the nearest to 1,000,000,000"),
                 (("--batch", 2**20, "--context", 2**26), "the least memory is"),
                 (("--head-dim", 7), "RoPE pairs dims"), (("--heads", "8..4"), "--heads, got 8..4"),
                 (("--variants", "mfa,nope"), "nope"), (("--hold", "mlp"), "--hold, got mlp"),
                 (("--pick", "best"), "--pick, got best"), (("--hardware", "TPU9"), "TPU9"),
                 (("--objectives", "cost"), "--objectives"), (("--ffn-ratio", "4..2"), "--ffn-ratio"),
                 (("--out", self.folder / "none" / "c.json"), "none")]
        for flags, expected in cases:
            given = [part for part in zip(TINY[::2], TINY[1::2]) if part[0] not in flags]
            line = self.refused("plan", *[word for part in given for word in part], *flags)
            self.assertIn(expected, line)
        self.assertIn("neither --width nor --parameters", self.refused("plan"))


if __name__ == "__main__":
    unittest.main()
