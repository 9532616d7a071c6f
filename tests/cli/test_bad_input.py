"""Bad input ends in one clear line and the right exit status, and leaves earlier files as they were."""

import json
import os
import pathlib
import shutil
import struct
import subprocess
import unittest

from program import ProgramTest, hashes, tiny

CHECKPOINT_FILES = ("model.safetensors", "optimizer.safetensors", "trainer.json", "MANIFEST")


class BadData(ProgramTest):
    """Training data."""

    def refused_data(self, data, *more):
        out = self.folder / "out"
        line = self.refused(*self.train_arguments(out, "--steps", 2, *more, data=data))
        self.assertFalse(out.exists(), "nothing may be written before the data are known to be good")
        return line

    def written(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def test_missing_file(self):
        self.assertIn("nowhere.txt", self.refused_data(self.folder / "nowhere.txt"))

    def test_empty_file(self):
        self.assertIn("empty.txt", self.refused_data(self.written("empty.txt", b"")))

    def test_binary_file(self):
        self.assertIn("image.bin", self.refused_data(self.written("image.bin", b"\x89PNG\0\0\0\0" * 100)))

    def test_folder_without_text(self):
        folder = self.folder / "pictures"
        folder.mkdir()
        (folder / "a.bin").write_bytes(b"\0" * 5000)
        (folder / "b.txt").write_bytes(b"")
        self.assertIn("pictures", self.refused_data(folder))

    def test_three_bytes(self):
        self.assertIn("3 bytes", self.refused_data(self.written("abc.txt", b"abc")))

    def test_shorter_than_the_context(self):
        path = self.written("short.txt", b"a few words only, forty bytes of text...")
        line = self.refused(*self.train_arguments(self.folder / "out", "--steps", 2, "--context", 4096, data=path))
        self.assertIn("expected at least", line)

    def test_json_line_without_text(self):
        path = self.written("d.jsonl", b'{"text": "fine"}\n{"body": "not fine"}\n')
        self.assertIn("d.jsonl:2", self.refused_data(path))

    def test_json_line_that_is_no_json(self):
        self.assertIn("d.jsonl:1", self.refused_data(self.written("d.jsonl", b'{"text": \n')))

    def test_tokenizer_that_is_no_json(self):
        path = self.written("tokenizer.json", b"{ not json")
        self.assertIn("tokenizer.json", self.refused_data(self.corpus, "--tokenizer", path))

    def test_one_repeated_byte_trains(self):
        out = self.folder / "out"
        done = self.train(out, "--steps", 3, "--tokenizer", "bytes", data=self.written("a.txt", b"a" * 4000))
        self.assertEqual(done.stderr, "")
        self.assertTrue((out / "model.safetensors").exists())


class BadUsage(ProgramTest):
    """Flags and values."""

    def test_command_line(self):
        data = ["--data", self.corpus, "--out", self.folder / "out"]
        for arguments in (
            [], ["no-such-command"], ["train"], ["train", "--data", self.corpus], ["train", "--out", self.folder / "out"],
            ["train", *data, "--no-such-flag"], ["train", *data, "--steps"], ["train", *data, "--steps", "ten"],
            ["train", *data, "--steps", "-5"], ["train", *data, "--steps", "1", "--tokens", "1"],
            ["train", *data, "--batch", "0"], ["train", *data, "--lr", "nan"], ["train", *data, "--lr", "-1"],
            ["train", *data, "--checkpoint-every", "-3"], ["train", *data, "--seed", "-1"],
            ["train", *data, "--held-out", "nan"], ["train", *data, "--threads", "0"],
            ["generate"], ["generate", self.folder / "nowhere", "-p", "x"], ["perplexity", self.folder],
            ["capacity"], ["capacity", "nowhere"], ["info"], ["info", self.folder / "nowhere"], ["export", self.folder],
            ["tokenizer"], ["tokenizer", "encode"], ["bench"], ["bench", "train", "--size", "huge"],
            ["bench", "attention", "--heads", "16,x"], ["bench", "attention", "--attention", "mfa,mha"],
            ["bench", "attention", "--kv", "bf16,int4"], ["bench", "attention", "--heads", "4,5", "--kv-heads", "2"],
            ["bench", "attention", "--phase", "sleep"],
            ["bench", "attention", "--phase", "train", "--kv", "f32,bf16"], ["bench", "attention", "--context", "0"],
        ):
            with self.subTest(arguments=[str(a) for a in arguments]):
                quiet = ["--quiet"] if arguments[:1] == ["train"] else []  # notes on the text would come before the error
                self.check_error(self.run_program(*arguments, *quiet), 2)
        self.assertFalse((self.folder / "out").exists())

    def test_unknown_names(self):
        out = self.folder / "out"
        for flag in ("--attention", "--position", "--norm", "--precision", "--schedule", "--init-kind", "--gate-init",
                     "--rope-scaling", "--reuse", "--reuse-at"):
            with self.subTest(flag=flag):
                line = self.refused(*self.train_arguments(out, flag, "wrong"))
                self.assertIn("wrong", line)
                self.assertFalse(out.exists())
        self.assertIn("wrong", self.refused("compare", "--data", self.corpus, "--out", out, *tiny("--variants", "mha,wrong")))
        self.assertIn("wrong", self.refused("capacity", "mfa", "--kv", "wrong"))

    def test_absurd_sizes(self):
        out = self.folder / "out"
        for flags in (("--width", 10**9), ("--width", -32), ("--width", 0), ("--width", 10**30), ("--layers", 10**9),
                      ("--layers", -1), ("--layers", 0), ("--heads", 2**32), ("--head-dim", 2**31), ("--q-rank", 2**31),
                      ("--ffn", 2**32), ("--vocab", 10**9), ("--vocab", 5), ("--context", 2**32), ("--context", -1),
                      ("--batch", 2**40), ("--accumulate", 2**40), ("--batch", 2**40, "--context", 2**25),
                      ("--width", 2**20, "--layers", 10**5), ("--head-dim", 7), ("--share-cache", 0)):
            with self.subTest(flags=flags):
                self.refused(*self.train_arguments(out, "--attention", "mfa", "--steps", 2, *flags))
                self.assertEqual(hashes(out), {})
        for flags in (("--width", 10**9), ("--layers", 10**9), ("--context", 2**32), ("--width", -1)):
            with self.subTest(command="capacity", flags=flags):
                self.refused("capacity", "mfa", *flags)

    def test_heads_that_kv_heads_do_not_divide(self):
        flags = ("--attention", "gqa", "--heads", 6, "--kv-heads", 4)
        self.assertIn("multiple", self.refused(*self.train_arguments(self.folder / "out", *flags)))
        self.assertIn("multiple", self.refused("capacity", "gqa", "--heads", 6, "--kv-heads", 4))


class BadModel(ProgramTest):
    """Damaged and disagreeing model folders."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.trained = cls.shared / "trained"
        cls.train(cls.trained, "--steps", 2, "--attention", "gqa", "--heads", 4, "--kv-heads", 2, "--head-dim", 8)

    def setUp(self):
        super().setUp()
        self.model = self.folder / "model"
        self.model.mkdir()
        for path in self.trained.iterdir():
            if path.is_file() and path.name != "log.jsonl":
                shutil.copy(path, self.model)

    def edit_config(self, **fields):
        path = self.model / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    def all_refuse(self, word):
        """Every command that opens the model says `word`, and changes nothing."""
        with self.unchanged(self.folder):
            for arguments in (["generate", self.model, "-p", "The", "-n", 2],
                              ["perplexity", self.model, self.corpus],
                              ["export", self.model, self.folder / "exported"]):
                with self.subTest(command=arguments[0]):
                    self.assertIn(word, self.refused(*arguments))

    def test_the_model_itself_is_good(self):
        self.ok("generate", self.model, "-p", "The", "-n", 2, "--greedy")

    def test_no_config(self):
        (self.model / "config.json").unlink()
        self.all_refuse("config.json")

    def test_config_that_is_no_json(self):
        (self.model / "config.json").write_text('{"model_type": "llama",\n\n oops')
        self.all_refuse("config.json")

    def test_config_of_another_kind(self):
        self.edit_config(model_type="rwkv7")
        self.all_refuse("rwkv7")

    def test_config_with_uneven_heads(self):
        self.edit_config(num_key_value_heads=3)
        self.all_refuse("multiple")

    def test_config_with_absurd_sizes(self):
        for field in ("hidden_size", "num_hidden_layers", "intermediate_size", "vocab_size", "max_position_embeddings"):
            for value in (-1, 0, 2**62, 1.5, "many", None, []):
                with self.subTest(field=field, value=value):
                    if field == "max_position_embeddings" and value is None:
                        continue  # the one field that may be missing
                    before = (self.model / "config.json").read_text()
                    self.edit_config(**{field: value})
                    self.refused("generate", self.model, "-p", "The", "-n", 2)
                    (self.model / "config.json").write_text(before)

    def test_config_that_does_not_fit_the_weights(self):
        self.edit_config(intermediate_size=96)
        self.all_refuse("shape")

    def test_no_weights(self):
        (self.model / "model.safetensors").unlink()
        self.all_refuse("safetensors")

    def test_weights_cut_short(self):
        path = self.model / "model.safetensors"
        whole = path.read_bytes()
        for size in (0, 4, 8, 100, len(whole) // 2, len(whole) - 1):
            with self.subTest(size=size):
                path.write_bytes(whole[:size])
                self.assertIn("model.safetensors", self.refused("generate", self.model, "-p", "The", "-n", 2))

    def test_weights_with_a_lying_header(self):
        path = self.model / "model.safetensors"
        whole = path.read_bytes()
        for length in (2**63, 2**64 - 1, len(whole)):
            with self.subTest(length=length):
                path.write_bytes(struct.pack("<Q", length) + whole[8:])
                self.assertIn("header", self.refused("generate", self.model, "-p", "The", "-n", 2))

    def test_no_tokenizer(self):
        (self.model / "tokenizer.json").unlink()
        self.assertIn("has no tokenizer", self.refused("generate", self.model, "-p", "The"))
        self.ok("generate", self.model, "--ids", "1,2", "-n", 2)  # ids need none

    def test_unreadable_tokenizer(self):
        for content in (b"", b"{", b"[]", b"{}", b'{"model": {"type": "BPE"}}', b"\xff\xfe"):
            with self.subTest(content=content):
                (self.model / "tokenizer.json").write_bytes(content)
                self.assertIn("tokenizer.json", self.refused("generate", self.model, "-p", "The"))
                self.assertIn("tokenizer.json", self.refused("tokenizer", "encode", self.model, "-p", "The"))

    def test_tokenizer_of_another_vocabulary(self):
        big = self.folder / "big"
        self.ok("tokenizer", "train", "--data", self.corpus, "--vocab", 400, "--out", big)
        shutil.copy(big / "tokenizer.json", self.model)
        line = self.refused("perplexity", self.model, self.corpus)
        self.assertIn("expected 0 to 299", line)

    def test_ids_out_of_range(self):
        for ids in ("300", "-1", "0,1,299,300", "2147483647"):
            with self.subTest(ids=ids):
                self.assertIn(f"got {ids.split(',')[-1]}", self.refused("generate", self.model, f"--ids={ids}", "-n", 2))
        self.refused("generate", self.model, "--ids=99999999999999", "-n", 2)
        self.refused("tokenizer", "decode", self.model, 300)

    def test_prompt_longer_than_the_context(self):
        line = self.refused("generate", self.model, "--ids", ",".join(["1"] * 33), "-n", 1)
        self.assertIn("33", line)
        self.assertIn("at most 32", line)

    def test_sampler_out_of_range(self):
        for flags in (("--temperature", "nan"), ("--temperature", -1), ("--top-k", -1), ("--top-p", 0),
                      ("--top-p", 1.5), ("--min-p", 2), ("-n", -2), ("--kv", "int3"), ("--typical-p", 0),
                      ("--repetition-penalty", 0), ("--frequency-penalty", "nan"), ("--penalty-last-n", -2), ("--logit-bias", "5"),
                      ("--logit-bias", "300:1"), ("--logit-bias", "river stone house:1"), ("--logit-bias", "5:inf"), ("--stop", ""), ("--precision", "f8")):
            with self.subTest(flags=flags):
                self.refused("generate", self.model, "-p", "The", *flags)

    def test_perplexity_of_nothing(self):
        (self.folder / "empty.txt").write_text("")
        (self.folder / "one.txt").write_text("a")
        self.assertIn("empty", self.refused("perplexity", self.model, self.folder / "empty.txt"))
        self.assertIn("too short", self.refused("perplexity", self.model, self.folder / "one.txt"))

    def test_export_into_a_folder_that_is_not_empty(self):
        with self.unchanged(self.folder):
            self.refused("export", self.model, self.model)


class BadPlace(ProgramTest):
    """Folders and disks that do not take what is written. The tests may run as root, whom permissions do not bind."""

    def test_file_in_the_way(self):
        (self.folder / "out").write_text("not a folder")
        with self.unchanged(self.folder):
            self.assertIn("cannot make the folder", self.refused(*self.train_arguments(self.folder / "out", "--steps", 2)))
            self.refused(*self.train_arguments(self.folder / "out" / "deeper", "--steps", 2))

    def test_result_that_cannot_be_written(self):
        self.refused("capacity", "mfa", "--json", self.folder / "no" / "such" / "folder.json")
        self.refused("capacity", "mfa", "--json", self.folder)

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_full_device(self):
        with open("/dev/full", "w") as full:
            for arguments in (["capacity", "mfa"], ["capacity", "mfa", "--json", "-"]):
                with self.subTest(arguments=arguments):
                    self.check_error(self.run_program(*arguments, "--quiet", stdout=full), 1)
        self.refused("capacity", "mfa", "--json", "/dev/full", status=1)

    def mount(self, options):
        """A small file system at self.folder/"disk", or a skipped test where mounting is not allowed."""
        disk = self.folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("cannot mount a small file system here")
        self.addCleanup(subprocess.run, ["umount", str(disk)], check=True)
        return disk

    def test_read_only_disk(self):
        disk = self.mount("size=1m,ro")
        self.assertIn("Read-only", self.refused(*self.train_arguments(disk / "out", "--steps", 2)))

    def test_full_disk_keeps_the_last_checkpoint(self):
        disk = self.mount("size=2m")
        out = disk / "out"
        self.train(out, "--steps", 4, "--checkpoint-every", 2)
        filler = disk / "filler"
        with self.assertRaises(OSError), open(filler, "wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)
        saved = {name: digest for name, digest in hashes(out).items() if name.startswith("step-")}
        resumed = self.train_arguments(out, "--steps", 6, "--checkpoint-every", 2, "--resume", "--schedule", "constant")
        refused = self.run_program(*resumed)  # the schedule differs: refused before anything is written
        self.check_error(refused, 2)
        line = self.refused(*self.train_arguments(out, "--steps", 6, "--checkpoint-every", 2, "--resume"), status=1)
        self.assertIn("No space left", line)
        after = hashes(out)
        self.assertEqual({name: after.get(name) for name in saved}, saved)
        self.assertEqual([name for name in after if ".tmp" in name], [])
        filler.unlink()
        self.train(out, "--steps", 6, "--checkpoint-every", 2, "--resume")
        self.assertTrue((out / "step-6" / "MANIFEST").exists())

    def test_run_folder_is_not_overwritten(self):
        out = self.folder / "out"
        self.train(out, "--steps", 2)
        with self.unchanged(out):
            self.assertIn("--resume", self.refused(*self.train_arguments(out, "--steps", 4)))
        # Nor a model whose checkpoints are not there: it may be anyone's.
        for checkpoint in out.glob("step-*"):
            shutil.rmtree(checkpoint)
        with self.unchanged(out):
            self.refused(*self.train_arguments(out, "--steps", 4))
            self.refused(*self.train_arguments(out, "--steps", 4, "--resume"))


class BadCheckpoint(ProgramTest):
    """A damaged checkpoint is named, and nothing is touched."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.whole = cls.shared / "whole"
        cls.train(cls.whole, "--steps", 4, "--checkpoint-every", 2)

    def setUp(self):
        super().setUp()
        self.run_folder = self.folder / "run"
        shutil.copytree(self.whole, self.run_folder)

    def resume_refused(self, name):
        with self.unchanged(self.run_folder):
            line = self.refused(*self.train_arguments(self.run_folder, "--steps", 8, "--resume"))
        self.assertIn(str(pathlib.Path("step-4") / name), line)

    def test_cut_in_half(self):
        for name in CHECKPOINT_FILES:
            with self.subTest(file=name):
                path = self.run_folder / "step-4" / name
                whole = path.read_bytes()
                path.write_bytes(whole[:len(whole) // 2])
                self.resume_refused(name)
                path.write_bytes(whole)

    def test_one_flipped_bit(self):
        for name in CHECKPOINT_FILES:
            for place in (0.0, 0.5, 0.999):
                with self.subTest(file=name, place=place):
                    path = self.run_folder / "step-4" / name
                    whole = path.read_bytes()
                    at = int(place * len(whole))
                    path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1:])
                    self.resume_refused(name)
                    path.write_bytes(whole)

    def test_missing_file(self):
        for name in CHECKPOINT_FILES[:3]:
            with self.subTest(file=name):
                path = self.run_folder / "step-4" / name
                whole = path.read_bytes()
                path.unlink()
                self.resume_refused(name)
                path.write_bytes(whole)

    def test_manifest_of_nonsense(self):
        for content in (b"", b"\0" * 100, b"nothing\n" * 3, b"\xff" * 4000):
            with self.subTest(content=content[:8]):
                (self.run_folder / "step-4" / "MANIFEST").write_bytes(content)
                self.resume_refused("MANIFEST")

    def test_the_one_before_can_be_resumed(self):
        (self.run_folder / "step-4" / "model.safetensors").write_bytes(b"")
        self.resume_refused("model.safetensors")
        shutil.rmtree(self.run_folder / "step-4")
        self.train(self.run_folder, "--steps", 4, "--checkpoint-every", 2, "--resume")
        for name in CHECKPOINT_FILES:
            self.assertEqual((self.run_folder / "step-4" / name).read_bytes(), (self.whole / "step-4" / name).read_bytes())

    def test_other_recipe(self):
        for flags in (("--lr", 0.5), ("--batch", 3), ("--seed", 7), ("--width", 64), ("--attention", "mha")):
            with self.subTest(flags=flags), self.unchanged(self.run_folder):
                self.refused(*self.train_arguments(self.run_folder, "--steps", 8, "--resume", *flags))


class Divergence(ProgramTest):
    def test_loss_that_is_no_number_stops_the_run(self):
        out = self.folder / "out"
        # The learning rate rises over 30 steps of warmup: the first checkpoints are good, then the weights overflow.
        flags = ("--steps", 30, "--warmup", 30, "--lr", 1e6, "--decay", 10, "--clip", 0, "--checkpoint-every", 1)
        line = self.refused(*self.train_arguments(out, *flags), status=1)
        self.assertRegex(line, r"not a number at step \d+")
        self.assertRegex(line, r"the checkpoint of step \d+ is untouched")
        self.assertFalse((out / "model.safetensors").exists(), "a run that failed must not look like a model")
        saved = {name: digest for name, digest in hashes(out).items() if name.startswith("step-")}
        self.assertIn("MANIFEST", {pathlib.Path(name).name for name in saved})
        # Going on reads the checkpoint, fails at the same step with the same words, and leaves it as it was.
        self.assertEqual(self.refused(*self.train_arguments(out, "--resume", *flags), status=1), line)
        after = hashes(out)
        self.assertEqual({name: after.get(name) for name in saved}, saved)


if __name__ == "__main__":
    unittest.main()
