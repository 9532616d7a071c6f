"""How many threads a command takes, whatever OpenMP's environment says about where they run."""

import json
import os
import subprocess
import unittest

from program import PROGRAM, TIMEOUT_SECONDS


def threads(*arguments, **environment):
    clean = {key: value for key, value in os.environ.items() if not key.startswith("OMP_")}
    # The machine's limits are measured: a short run, but not an instant one.
    done = subprocess.run([PROGRAM, "info", "--cpu", "--json", "-", *arguments], env={**clean, **environment}, check=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=TIMEOUT_SECONDS)
    return json.loads(done.stdout)["machine"]["threads"]


class Threads(unittest.TestCase):
    def test_binding_does_not_shrink_the_team(self):
        cores = len(os.sched_getaffinity(0))
        self.assertEqual(threads(), cores)
        self.assertEqual(threads(OMP_PROC_BIND="true"), cores)

    def test_openmp_default_and_flag(self):
        self.assertEqual(threads(OMP_NUM_THREADS="1"), 1)
        self.assertEqual(threads("--threads", "3", OMP_NUM_THREADS="1"), 3)


if __name__ == "__main__":
    unittest.main()
