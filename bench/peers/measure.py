"""Runs a program of ours or a peer's as a process of its own, and says what it took: the JSON it printed, its resident
memory, and how much of the machine it really got while it ran."""
import json
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass


@dataclass
class Run:
    result: dict | None  # None: the program failed, and `error` says how
    peak_bytes: int  # of the whole process, start-up included
    steady_peak_bytes: int  # over the last third of its time, when it does nothing but the work measured
    cpu_share: float  # CPU seconds of the process / (wall seconds x threads): well under 1 when others held the cores
    error: str = ""


def environment(threads, peer):
    """The same threads for everybody. Settings of OpenBLAS that serve this machine's numpy would hurt a peer."""
    env = dict(os.environ, OMP_NUM_THREADS=str(threads))
    if peer:
        env.pop("OPENBLAS_CORETYPE", None)
        env.pop("OPENBLAS_L2_SIZE", None)
    return env


def take_peak(pid):
    """The peak resident bytes of a process since the last call: the kernel keeps it, and forgets it when told 5."""
    try:
        with open(f"/proc/{pid}/status") as f:
            peak = next((int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM")), 0)
        with open(f"/proc/{pid}/clear_refs", "w") as f:
            f.write("5")
    except OSError:  # it has just ended
        return 0
    return peak


def run(command, threads, peer, seconds):
    """Runs `command`; the object that it prints is the result. Ends it after `seconds`."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment(threads, peer))
        peaks = []
        # os.wait4, not wait: only it gives the usage of this child alone.
        while True:
            peaks.append(take_peak(process.pid))
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.perf_counter() - began > seconds:
                process.kill()
                os.wait4(process.pid, 0)
                process.returncode = -9
                return Run(None, 0, 0, 0, f"not done after {seconds:.0f} s")
            time.sleep(0.05)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
        out.seek(0), err.seek(0)
        text, errors = out.read().decode(errors="replace"), err.read().decode(errors="replace").strip()
    share = (usage.ru_utime + usage.ru_stime) / (wall * threads)
    if process.returncode:
        return Run(None, 0, 0, share, (errors or text).splitlines()[-1] if errors or text else f"exit {process.returncode}")
    start = text.find("{")
    steady = max(peaks[len(peaks) * 2 // 3 :])
    return Run(json.loads(text[start:]), max(*peaks, usage.ru_maxrss * 1024), steady, share)


def busy_share(interval=1.0):
    """The share of this machine's CPU time that anybody used during `interval` seconds."""

    def ticks():
        fields = [int(x) for x in open("/proc/stat").readline().split()[1:9]]
        return sum(fields), fields[3] + fields[4]  # all; idle and waiting for a disk

    total, idle = ticks()
    time.sleep(interval)
    total2, idle2 = ticks()
    return 1 - (idle2 - idle) / max(1, total2 - total)


def wait_until_quiet(seconds, limit=0.2):
    """Waits at most `seconds` for a second in which the machine is at most `limit` busy; returns the last busy share."""
    deadline = time.perf_counter() + seconds
    while (busy := busy_share()) > limit and time.perf_counter() < deadline:
        time.sleep(1)
    return busy


def median(values):
    return statistics.median(values)


def markdown(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(["---"] + ["---:"] * (len(header) - 1)) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
