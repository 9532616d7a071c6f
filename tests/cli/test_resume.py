"""A run that was killed, interrupted or finished goes on bit for bit, or changes nothing."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
import unittest

import program
from program import TIMEOUT_SECONDS, ProgramTest, hashes, text, tiny

STEPS = 12
CHECKPOINT_FILES = ("model.safetensors", "optimizer.safetensors", "trainer.json", "config.json", "tokenizer.json",
                    "tokenizer_config.json", "generation_config.json", "MANIFEST")


class ResumeTest(ProgramTest):
    def kill_after(self, process, seconds, number=signal.SIGKILL):
        """Sends the signal after a while, unless the process was faster; returns its status."""
        try:
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            return process.wait(timeout=TIMEOUT_SECONDS)

    def wait_for(self, process, path):
        """Waits until the process has written the path; False if it ended first."""
        for _ in range(int(TIMEOUT_SECONDS / 0.002)):
            if path.exists():
                return True
            if process.poll() is not None:
                return False
            time.sleep(0.002)
        self.fail(f"{path} did not appear in {TIMEOUT_SECONDS} s")

    def check_same_end(self, run, reference, steps=STEPS):
        """All that decides what the run is: its last checkpoint and its model, byte for byte."""
        last = f"step-{steps}"
        self.assertEqual(sorted(p.name for p in (run / last).iterdir()), sorted(CHECKPOINT_FILES))
        names = [f"{last}/{name}" for name in CHECKPOINT_FILES]
        names += ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"]
        for name in names:
            self.assertEqual((run / name).read_bytes(), (reference / name).read_bytes(), name)
        self.assertEqual([name for name in hashes(run) if ".tmp" in name], [], "temporary files were left behind")


class Killed(ResumeTest):
    """SIGKILL at random moments, many times, then --resume until the run is done."""

    flags = ("--steps", STEPS, "--checkpoint-every", 3, "--accumulate", 2)

    def reference_run(self, name, attention, data):
        """The uninterrupted run and how long it took."""
        out = self.folder / name
        began = time.monotonic()
        self.train(out, "--attention", attention, *self.flags, data=data)
        return out, time.monotonic() - began

    def kill_until_done(self, attention, data, points, seed):
        reference, seconds = self.reference_run("reference", attention, data)
        draw = random.Random(seed)
        killed = 0
        for attempt in range(points):
            out = self.folder / f"run-{attempt}"
            arguments = self.train_arguments(out, "--attention", attention, *self.flags, "--resume", data=data)
            # From the start of the process to a little beyond its end; a second kill hits the resumed process.
            for _ in range(2):
                process = self.start(*arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                status = self.kill_after(process, draw.uniform(0.0, 1.1) * seconds)
                self.assertIn(status, (0, -signal.SIGKILL))
                killed += status != 0
            self.train(out, "--attention", attention, *self.flags, "--resume", data=data)
            self.check_same_end(out, reference)
        return killed

    def check_kills(self, attention, data, points, seed):
        # With the processes' speed unchanged, nearly every draw hits before the end; none at all would mean that the
        # test did not test.
        self.assertGreater(self.kill_until_done(attention, data, points, seed), 0)

    def documents(self):
        path = self.folder / "documents.jsonl"
        lines = [json.dumps({"text": text(30, seed=100 + i)}) for i in range(120)]
        path.write_text("\n".join(lines) + "\n")
        return path

    def test_mha(self):
        self.check_kills("mha", self.corpus, 10 if program.FULL else 2, seed=1)

    def test_mfa_kr_with_documents(self):
        self.check_kills("mfa-kr", self.documents(), 10 if program.FULL else 2, seed=2)

    def test_kill_while_a_checkpoint_is_written(self):
        """The moment that matters most: between the files of a checkpoint, before its manifest."""
        reference, _ = self.reference_run("reference", "mha", self.corpus)
        out = self.folder / "run"
        arguments = self.train_arguments(out, "--attention", "mha", *self.flags, "--resume")
        hit = False
        for step in (3, 6, 9):
            process = self.start(*arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if self.wait_for(process, out / f"step-{step}"):
                process.kill()
                hit = hit or not (out / f"step-{step}" / "MANIFEST").exists()
            process.wait(timeout=TIMEOUT_SECONDS)
        self.train(out, "--attention", "mha", *self.flags, "--resume")
        self.check_same_end(out, reference)
        if not hit:
            self.skipTest("the folders were complete before the signals came; their resumption was tested all the same")


    def test_kill_between_the_files_of_the_model(self):
        """config.json comes last: without it, whichever of the others is missing is written again."""
        reference, _ = self.reference_run("reference", "mha", self.corpus)
        out = self.folder / "run"
        shutil.copytree(reference, out)
        for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json"):
            with self.subTest(missing=name):
                (out / name).unlink()
                (out / "config.json").unlink()
                self.train(out, "--attention", "mha", *self.flags, "--resume")
                self.check_same_end(out, reference)


class Interrupted(ResumeTest):
    def test_sigint_saves_and_resumes(self):
        """Long enough to be caught in the middle; then compared with a run that nobody stopped."""
        steps = 60
        flags = ("--attention", "mfa-kr", "--steps", steps, "--checkpoint-every", 4, "--validate-every", 20)
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                out = self.folder / f"run-{number}"
                process = self.start(*self.train_arguments(out, *flags, "--json", "-"), stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True)
                self.wait_for(process, out / "step-4" / "MANIFEST")
                process.send_signal(number)
                stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
                self.assertEqual(process.returncode, 0, stderr)
                document = json.loads(stdout)
                self.assertEqual(document["interrupted"], document["steps"] < steps)
                stopped_at = document["steps"]
                self.assertTrue((out / f"step-{stopped_at}" / "MANIFEST").exists(), "no checkpoint of the step it stopped at")
                self.train(out, *flags, "--resume")
                reference = self.folder / "reference"
                if not reference.exists():
                    self.train(reference, *flags)
                self.check_same_end(out, reference, steps)

    def test_resume_without_a_checkpoint_starts_at_zero(self):
        flags = ("--attention", "mfa", "--steps", 4)
        self.train(self.folder / "a", *flags)
        self.train(self.folder / "b", *flags, "--resume")
        self.check_same_end(self.folder / "b", self.folder / "a", 4)

    def test_resume_of_a_finished_run_changes_nothing(self):
        out = self.folder / "run"
        flags = ("--steps", 4, "--checkpoint-every", 2)
        first = json.loads(self.train(out, *flags, "--json", "-").stdout)
        with self.unchanged(out):
            again = json.loads(self.train(out, *flags, "--resume", "--json", "-").stdout)
        for key in ("steps", "tokens", "train_loss", "val_loss", "val_bits_per_byte"):
            self.assertEqual(again[key], first[key], key)

    def test_kill_between_the_last_checkpoint_and_the_model(self):
        """A run that is given more steps has an older model beside its last checkpoint until it ends."""
        out, reference = self.folder / "run", self.folder / "reference"
        common = ("--schedule", "constant", "--warmup", 1, "--validate-every", 2)
        self.train(out, "--steps", 4, *common)
        early_model = (out / "model.safetensors").read_bytes()
        self.train(out, "--steps", 6, *common, "--resume")
        self.train(reference, "--steps", 6, *common)
        self.check_same_end(out, reference, 6)
        (out / "model.safetensors").write_bytes(early_model)  # as a kill at that moment leaves it
        self.train(out, "--steps", 6, *common, "--resume")
        self.check_same_end(out, reference, 6)


class Compare(ResumeTest):
    flags = tiny("--steps", 8, "--seeds", 2, "--variants", "mha,mfa-kr", "--decode-context", 64)

    def arguments(self, out):
        return ["compare", "--data", self.corpus, "--out", out, *self.flags, "--json", out.parent / f"{out.name}.json"]

    def test_killed_comparison_goes_on(self):
        whole, out = self.folder / "whole", self.folder / "killed"
        self.ok(*self.arguments(whole))
        finished = out / "mha-seed0" / "result.json"
        process = self.start(*self.arguments(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.assertTrue(self.wait_for(process, finished))
        process.kill()
        process.wait(timeout=TIMEOUT_SECONDS)
        before, stamp = finished.read_bytes(), os.stat(finished).st_mtime_ns
        self.ok(*self.arguments(out))
        self.assertEqual(finished.read_bytes(), before)
        self.assertEqual(os.stat(finished).st_mtime_ns, stamp, "a finished run was done again")
        rows = {name: json.loads((self.folder / f"{name}.json").read_text())["rows"] for name in ("whole", "killed")}
        self.assertEqual(len(rows["whole"]), 2)
        for a, b in zip(rows["whole"], rows["killed"], strict=True):
            # Speeds are measured; all else is computed.
            timed = {"train_tokens_per_s", "decode_tokens_per_s"}
            self.assertEqual({k: v for k, v in a.items() if k not in timed}, {k: v for k, v in b.items() if k not in timed})
        # A third call trains nothing at all.
        results = {p: os.stat(p).st_mtime_ns for p in out.rglob("result.json")}
        self.assertEqual(len(results), 4)
        self.ok(*self.arguments(out))
        self.assertEqual({p: os.stat(p).st_mtime_ns for p in results}, results)


if __name__ == "__main__":
    unittest.main()
