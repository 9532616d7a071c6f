#!/usr/bin/env python3
"""Is the yardstick of `mfa bench` long enough? Its GEMM peaks against those of onednn_peak, in one run, A B A B.

usage: check_peaks.py [BUILD FOLDER] [--rounds N] [--seconds S]
Exit 0 when every peak that mfa prints is at least 0.9 of oneDNN's own, 1 otherwise."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

LEAST = 0.9
KEYS = ("gemm_f32_gflop_per_s", "gemm_bf16_gflop_per_s", "gemm_int8_gop_per_s")
# The smallest bench: only the measurement of the machine matters here.
BENCH = ("bench", "attention", "--heads", "4", "--kv-heads", "1", "--head-dim", "64", "--context", "512", "--json", "-")


def run(*command):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


def main():
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", nargs="?", type=Path, default=root / "build" / "release")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.3, help="a shape and type, in onednn_peak")
    args = parser.parse_args()
    ours, theirs = [], []
    for _ in range(args.rounds):
        theirs.append(run(args.build / "onednn_peak", str(args.seconds)))
        ours.append(run(args.build / "mfa", *BENCH)["machine"])
    print(f"{ours[0]['cpu']}, {ours[0]['threads']} threads, oneDNN {theirs[0]['onednn']}, medians of {args.rounds}")
    good = True
    for key in KEYS:
        mine, own = median(m[key] for m in ours), median(t[key] for t in theirs)
        if mine == 0:
            print(f"{key:24} mfa measures none, oneDNN {own:8.1f}")
            continue
        ratio = mine / own if own > 0 else float("inf")
        good = good and ratio >= LEAST
        print(f"{key:24} mfa {mine:8.1f}  oneDNN {own:8.1f}  ratio {ratio:.2f} (at least {LEAST})")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
