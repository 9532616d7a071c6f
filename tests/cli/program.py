"""What the tests of the command line share: running the program, small texts, hashes of folders."""

import contextlib
import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["MFA_PROGRAM"]
# The long forms of some tests (20 kill points, the benchmark): ctest -L full.
FULL = os.environ.get("MFA_FULL") == "1"
# Nothing here takes a minute of one core; a busy machine may be twenty times slower.
TIMEOUT_SECONDS = 600

WORDS = ("the a of and to in was river stone house light dark wind water green small old new tree song run sleep bird "
         "fish king road hill under over between morning evening winter garden letter mountain").split()

# A model that trains twenty steps in well under a second. The team has one thread: work this small gains nothing from
# more, and on a busy machine waits for them. The machine's peak is given, since measuring it takes longer than training.
SHAPE = {"--width": 32, "--layers": 2, "--vocab": 300, "--context": 32, "--batch": 4, "--threads": 1, "--gemm-peak": 100}


def tiny(*flags):
    """The flags of a tiny run, without those of the shape that `flags` gives itself, and then `flags`."""
    shape = [str(part) for flag, value in SHAPE.items() if flag not in flags for part in (flag, value)]
    return [*shape, "--quiet", *map(str, flags)]


def text(words, seed):
    """Sentences drawn from the word list, the same on every machine."""
    draw = random.Random(seed)
    sentences, left = [], words
    while left > 0:
        n = min(left, draw.randint(4, 12))
        sentences.append(" ".join(draw.choice(WORDS) for _ in range(n)).capitalize() + ".\n")
        left -= n
    return "".join(sentences)


def hashes(folder):
    """Relative path → SHA-256 of every file below a folder; a folder that does not exist has none."""
    root = pathlib.Path(folder)
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(root.rglob("*")) if p.is_file()}


class ProgramTest(unittest.TestCase):
    """A temporary folder for each class and one for each test; the token cache is the class's own."""

    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="mfa-cli-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.environment = dict(os.environ, XDG_CACHE_HOME=str(cls.shared / "cache"))
        cls.corpus = cls.shared / "corpus.txt"
        cls.corpus.write_text(text(4000, seed=1))

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.shared))

    @classmethod
    def start(cls, *arguments, **options):
        """Starts the program and returns the process."""
        return subprocess.Popen([PROGRAM, *map(str, arguments)], env=cls.environment, stdin=subprocess.DEVNULL, **options)

    @classmethod
    def run_program(cls, *arguments, stdout=subprocess.PIPE):
        return subprocess.run([PROGRAM, *map(str, arguments)], env=cls.environment, stdin=subprocess.DEVNULL, stdout=stdout,
                              stderr=subprocess.PIPE, text=True, errors="replace", timeout=TIMEOUT_SECONDS)

    @classmethod
    def train_arguments(cls, out, *more, data=None):
        return ["train", "--data", data or cls.corpus, "--out", out, *tiny(*more)]

    @classmethod
    def train(cls, out, *more, data=None):
        """A training run that must succeed."""
        done = cls.run_program(*cls.train_arguments(out, *more, data=data))
        if done.returncode != 0:
            raise AssertionError(f"training failed with {done.returncode}: {done.stderr}")
        return done

    def ok(self, *arguments):
        done = self.run_program(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def json(self, *arguments):
        """The document that a successful command prints with --json -; nothing but it may be on standard output."""
        done = self.ok(*arguments, "--json", "-")
        document = json.loads(done.stdout)  # refuses anything before or behind the document
        self.assertIsInstance(document, dict)
        return document

    def check_error(self, done, status):
        """One line on standard error, as people and scripts expect it; returns that line."""
        self.assertEqual(done.returncode, status, f"standard error: {done.stderr}")
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertTrue(done.stderr.endswith("\n"))
        self.assertRegex(lines[0], r"^error: \[[^\]]+\] .")
        return lines[0]

    def refused(self, *arguments, status=2):
        """Runs a command that must fail with one line; returns that line."""
        return self.check_error(self.run_program(*arguments, "--quiet"), status)

    @contextlib.contextmanager
    def unchanged(self, folder):
        """What happens inside must leave every file below the folder as it was, and add none."""
        before = hashes(folder)
        yield
        self.assertEqual(hashes(folder), before, f"{folder} was changed")
