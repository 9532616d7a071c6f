"""The keys of --json and their types: a contract that scripts rely on."""

import json
import pathlib
import unittest

import program
from program import ProgramTest, tiny

TRAIN = {"steps": int, "tokens": int, "train_loss": float, "val_loss": float, "val_bits_per_byte": float,
         "tokens_per_s": float, "gemm_share": float, "seconds": float}
COMPARE_ROW = {"attention": str, "parameters": int, "kv_bytes_per_token": int, "kv_bytes_per_token_allocated": int,
               "slsd": (int, float), "frh": (int, float), "ter": (int, float), "seeds": int, "val_loss": list, "val_loss_mean": float,
               "val_loss_sd": float, "train_tokens_per_s": float, "decode_tokens_per_s": float}
CAPACITY_ROW = {"name": str, "attention": str, "parameters": int, "active_parameters": int, "attention_parameters": int,
                "kv_bytes_per_token": int, "slsd": (int, float), "frh": (int, float), "ter": (int, float), "flops_per_token_prefill": (int, float),
                "flops_per_token_decode": (int, float), "flops_per_token_train": (int, float)}
GENERATE = {"ids": list, "text": str, "prompt_tokens": int, "generated_tokens": int, "prefill_tokens_per_s": float,
            "decode_tokens_per_s": float, "precision": str, "kv_bytes_per_token": int, "kv_bytes_allocated": int}
PERPLEXITY = {"perplexity": float, "nll_per_token": float, "bits_per_byte": float, "tokens": int, "bytes": int,
              "context": int, "precision": str}
INFO = {"architecture": str, "parameters": int, "active_parameters": int, "layers": list, "weight_types": dict,
        "weight_bytes": int, "kv_bytes_per_token": int, "tokenizer": str, "chat_template": (str, type(None))}
EXPORT = {"out": str, "tensors": int, "bytes": int}
MACHINE = {"cpu": str, "cpu_path": str, "threads": int, "native_precision": str, "read_gb_per_s": (int, float),
           "gemm_f32_gflop_per_s": (int, float), "gemm_bf16_gflop_per_s": (int, float),
           "gemm_int8_gop_per_s": (int, float)}
BENCH_ROW = {"work": str, "shape": str, "seconds": float, "gb_per_s": float, "gflop_per_s": float, "flop_per_byte": float,
             "roofline_share": float, "tokens_per_s": float}


class JsonKeys(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = cls.shared / "model"
        cls.trained = json.loads(cls.train(cls.model, "--steps", 12, "--attention", "mfa-kr", "--json", "-").stdout)

    def check_types(self, found, expected, where):
        for key, kind in expected.items():
            self.assertIn(key, found, where)
            self.assertIsInstance(found[key], kind, f"{where}: {key}")
            self.assertNotIsInstance(found[key], bool, f"{where}: {key}")

    def check_document(self, document, command, expected):
        self.check_types(document, {"mfa_version": str, "command": str, **expected}, command)
        self.assertEqual(document["command"], command)
        self.assertRegex(document["mfa_version"], r"^\d+\.\d+\.\d+$")
        self.assertNotIn("error", document)

    def test_train(self):
        self.check_document(self.trained, "train", TRAIN)
        self.assertEqual(self.trained["steps"], 12)
        self.assertEqual(self.trained["tokens"], 12 * 4 * 32)

    def test_compare(self):
        document = self.json("compare", "--data", self.corpus, "--out", self.folder / "c",
                             *tiny("--steps", 6, "--seeds", 2, "--variants", "mha,mfa-kr", "--decode-context", 64))
        self.check_document(document, "compare", {"rows": list})
        self.assertEqual([row["attention"] for row in document["rows"]], ["mha", "mfa-kr"])
        for row in document["rows"]:
            self.check_types(row, COMPARE_ROW, row["attention"])
            self.assertEqual(len(row["val_loss"]), row["seeds"])
            for loss in row["val_loss"]:
                self.assertIsInstance(loss, float)

    def test_generate(self):
        document = self.json("generate", self.model, "-p", "The ", "-n", 5, "--ignore-eos")
        self.check_document(document, "generate", GENERATE)
        self.assertEqual(document["generated_tokens"], 5)
        self.assertEqual(len(document["ids"]), 5)
        for token in document["ids"]:
            self.assertIsInstance(token, int)

    def test_perplexity(self):
        self.check_document(self.json("perplexity", self.model, self.corpus), "perplexity", PERPLEXITY)

    def test_capacity(self):
        document = self.json("capacity", "paper-1b", self.model, "mla")
        self.check_document(document, "capacity", {"rows": list})
        self.assertGreaterEqual(len(document["rows"]), 8)  # six variants of the paper's shape, the model, the preset
        for row in document["rows"]:
            self.check_types(row, CAPACITY_ROW, row.get("name"))

    def test_tokenizer_encode(self):
        document = self.json("tokenizer", "encode", self.model, "-p", "The river")
        self.check_document(document, "tokenizer", {"ids": list})
        self.assertGreater(len(document["ids"]), 0)
        self.assertEqual(self.json("tokenizer", "encode", self.model, "-p", "")["ids"], [])
        decoded = self.ok("tokenizer", "decode", self.model, *document["ids"])
        self.assertEqual(decoded.stdout, "The river\n")

    def test_info(self):
        document = self.json("info", self.model)
        self.check_document(document, "info", INFO)
        self.assertEqual(document["architecture"], "MfaCppForCausalLM")
        self.assertEqual(len(document["layers"]), 2)

    def test_export(self):
        document = self.json("export", self.model, self.folder / "hf", "--format", "hf")
        self.check_document(document, "export", EXPORT)
        self.assertEqual(document["bytes"], (self.folder / "hf" / "model.safetensors").stat().st_size)

    @unittest.skipUnless(program.FULL, "measures the machine: part of the full tests")
    def test_bench_train(self):
        document = self.json("bench", "train", "--size", "14m", "--attention", "mfa", "--steps", 1, "--threads", 1)
        self.check_document(document, "bench", {"machine": dict, "rows": list})
        self.check_types(document["machine"], MACHINE, "machine")
        self.check_types(document["rows"][0], BENCH_ROW, "rows[0]")

    @unittest.skipUnless(program.FULL, "measures the machine: part of the full tests")
    def test_bench_attention_of_several_shapes(self):
        document = self.json("bench", "attention", "--heads", "4,8", "--head-dim", 64, "--context", 500,
                             "--attention", "mfa,mfa-kr", "--kv", "f32", "--seconds", 0.02)
        self.check_document(document, "bench", {"machine": dict, "rows": list})
        rows = document["rows"]
        for row, heads, attention in zip(rows, (4, 4, 8, 8), ("f32 KV", "f32 KV, key reuse") * 2, strict=True):
            self.check_types(row, {**BENCH_ROW, "relative_seconds": float}, "row")
            self.assertEqual(row["shape"], f"decode {heads} heads x 64, 1 KV head, context 500, {attention}")
            self.assertAlmostEqual(row["relative_seconds"], row["seconds"] / rows[0]["seconds"])

    @unittest.skipUnless(program.FULL, "measures the machine: part of the full tests")
    def test_bench_model_and_its_prediction(self):
        table = self.folder / "hardware.json"
        table.write_text('{"hardware": [{"name": "other", "bytes_per_s": 1e9}]}')
        measured = self.json("info", "--cpu", "--measure", "--name", "mine", "--out", table)
        self.check_document(measured, "info", {"machine": dict, "hardware": dict, "out": str})
        self.assertEqual([row["name"] for row in json.loads(table.read_text())["hardware"]], ["other", "mine"])
        document = self.json("bench", "model", "--attention", "mfa-kr", "--width", 64, "--layers", 2, "--vocab", 300,
                             "--context", "200,1000", "--batch", "1,3", "--seconds", 0.05, "--hardware", "mine",
                             "--hardware-file", table)
        self.check_document(document, "bench", {"machine": dict, "rows": list})
        self.check_types(document["machine"], MACHINE, "machine")
        self.assertEqual([(row["batch"], row["context"]) for row in document["rows"]],
                         [(1, 200), (1, 1000), (3, 200), (3, 1000)])
        for row in document["rows"]:
            self.check_types(row, {**BENCH_ROW, "predicted_seconds": float}, "row")
        rows = self.json("capacity", "mha", self.model, "--hardware", "mine", "--hardware-file", table)["rows"]
        for row in rows:
            self.assertEqual(row["predicted_decode"][0]["hardware"], "mine")
            self.assertGreater(row["predicted_decode"][0]["seconds"], 0)

    def test_measured_rank(self):
        document = self.json("capacity", self.model, "--measured-rank")
        rank = document["rows"][0]["measured_rank"]
        self.check_types(rank, {"tolerance": float, "ter_qk": (int, float), "ter_vo": (int, float), "heads": list},
                         "measured_rank")
        for head in rank["heads"]:
            self.assertLessEqual(head["qk_stable_rank"], head["qk_rank"] * 1.000001)
            self.assertLessEqual(head["qk_rank"], head["qk_rank_bound"])
        self.check_error(self.run_program("capacity", "mha", "--measured-rank"), 2)

    def test_json_file_leaves_text_on_stdout(self):
        target = self.folder / "result.json"
        done = self.ok("perplexity", self.model, self.corpus, "--json", target)
        self.assertTrue(done.stdout.startswith("perplexity "))
        self.check_document(json.loads(target.read_text()), "perplexity", PERPLEXITY)

    def test_failure_is_one_document_too(self):
        missing = self.folder / "missing"
        for arguments in (["train", "--data", missing, "--out", self.folder / "o"], ["generate", missing, "-p", "x"],
                          ["perplexity", self.model, missing], ["capacity", missing], ["info", missing],
                          ["tokenizer", "encode", missing, "-p", "x"], ["export", missing, self.folder / "o"],
                          ["compare", "--data", missing, "--out", self.folder / "o"], ["bench", "train", "--size", "none"],
                          ["generate", "--no-such-flag"]):
            with self.subTest(command=arguments[0]):
                done = self.run_program(*arguments, "--json", "-", "--quiet")
                line = self.check_error(done, 2)
                document = json.loads(done.stdout)
                self.assertEqual(document["command"], arguments[0])
                self.assertIsInstance(document["mfa_version"], str)
                self.assertEqual("error: " + document["error"], line)

    def test_a_device_is_written_not_replaced(self):
        # A rename over /dev/null would replace the device with a file, for every program of the machine.
        for device in ("/dev/null", "/dev/stdout"):
            self.ok("capacity", "mfa", "--json", device)
        with open("/dev/null", "rb") as null:
            self.assertEqual(null.read(), b"")
        self.assertTrue(pathlib.Path("/dev/null").is_char_device())


if __name__ == "__main__":
    unittest.main()
