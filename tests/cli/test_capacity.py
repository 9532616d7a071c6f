"""mfa capacity as people run it: shapes, configs of other families, hardware, memory, and what it refuses."""

import json
import pathlib
import unittest

from program import ProgramTest

CONFIGS = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "configs"


class CapacityTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Whatever table of hardware the person who runs this has.
        cls.environment["XDG_CONFIG_HOME"] = str(cls.shared / "config")

    def rows(self, *arguments):
        return self.json("capacity", *arguments)["rows"]

    def test_named_shapes_have_one_row_a_variant(self):
        for shape in ("paper-1b", "paper-7b", "step3"):
            names = [row["attention"] for row in self.rows(shape)]
            self.assertEqual(names, ["mha", "mqa", "gqa", "mla", "mfa", "mfa-kr"])

    def test_every_family_is_counted(self):
        files = sorted(CONFIGS.glob("*.json"))
        self.assertGreater(len(files), 15)
        for row in self.rows(*files, "--context", 8192):
            with self.subTest(name=row["name"]):
                self.assertEqual(row["context"], 8192)
                parts = {part["part"]: part["flops"] for part in row["flops_parts_decode"]}
                self.assertEqual(sum(parts.values()), row["flops_per_token_decode"])
                for part in ("embedding", "classifier", "router", "norms"):
                    self.assertIn(part, parts)
                self.assertLessEqual(row["active_parameters"], row["parameters"])

    def test_report_convention(self):
        row = self.rows(CONFIGS / "step3.json", "--context", 8192, "--convention", "step3-report")[0]
        self.assertEqual(row["kv_bytes_per_token"], 31232)
        self.assertEqual(row["flops_per_kv_byte"], 128)
        prices = {h["name"]: h["usd_per_million_tokens"] for h in row["hardware"] if "usd_per_million_tokens" in h}
        self.assertAlmostEqual(prices["H800"], 0.063, delta=0.002)

    def test_memory_and_own_hardware(self):
        table = self.folder / "machines.json"
        table.write_text(json.dumps({"hardware": [{"name": "desk", "bytes_per_s": 1e10, "flops_f32": 1e12,
                                                   "memory_bytes": 1e9}]}))
        row = self.rows("mfa", "--hardware-file", table, "--hardware", "desk", "--weights", "f32", "--kv", "int8",
                        "--batch", 2)[0]
        [desk] = row["hardware"]
        self.assertEqual(desk["batch"], 2)
        self.assertGreater(desk["sequences"], 100)
        self.assertAlmostEqual(desk["decode_tokens_per_s_limit"], 2 * 1e10 / desk["decode_bytes_per_step"], delta=1)
        self.assertNotIn("usd_per_million_tokens", desk)
        self.assertIn("sequences that fit", self.ok("capacity", "mfa", "--memory", "1GiB").stdout)

    def test_refusals_name_what_is_wrong(self):
        def refused(*arguments):
            return self.check_error(self.run_program("capacity", *arguments), 2)

        unknown = self.folder / "config.json"
        unknown.write_text(json.dumps({"model_type": "mamba2", "hidden_size": 8}))
        self.assertIn("mamba2 cannot be judged", refused(unknown))
        self.assertIn("got H900", refused("mfa", "--hardware", "H900"))
        self.assertIn("--convention, got mine", refused("mfa", "--convention", "mine"))
        self.assertIn("--weights, got q3", refused("mfa", "--weights", "q3"))
        table = self.folder / "bad.json"
        table.write_text('{"hardware": [{"name": "x", "bytes_per_s": 1, "speed": 2}]}')
        self.assertIn("unknown key, got speed", refused("mfa", "--hardware-file", table))


if __name__ == "__main__":
    unittest.main()
