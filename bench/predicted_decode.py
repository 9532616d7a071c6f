#!/usr/bin/env python3
"""Is the predicted time of a decoded token that of a measured one? All presets behind short and long caches.

usage: predicted_decode.py [MFA] [--size 100m] [--precision auto|bf16|f32] [--kv auto|f32|bf16|int8] [--rounds N]
                           [--contexts 512,16384] [--presets mha,mqa,…] [--json FILE]

A round measures the machine's operations one by one (`mfa info --cpu --measure`, into a table of its own) and then
each model (`mfa bench model`), whose prediction reads that table: nothing is fitted on models. A machine that others
share is half as fast in one minute as in another, so one round says little: of predictions and of measurements the
median over the rounds is taken, and the two are compared. Exit 0 when all ratios lie within 20 %, 1 otherwise."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

MOST = 0.20  # the goal of prediction: |predicted / measured − 1|
PRESETS = "mha,mqa,gqa,mla,mfa,mfa-kr"


def run(*command):
    return json.loads(subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE).stdout)


def main():
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mfa", nargs="?", type=Path, default=root / "build" / "release" / "mfa")
    parser.add_argument("--size", default="100m", help="14m or 100m; all presets matched in parameters")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--kv", default="bf16")
    parser.add_argument("--contexts", default="512,16384")
    parser.add_argument("--presets", default=PRESETS)
    parser.add_argument("--batch", default="1")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5, help="of measuring a model and context")
    parser.add_argument("--json", type=Path, help="write every row of every round to this file")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error(f"--rounds, got {args.rounds}, expected at least 1")

    found = {}  # (preset, context, batch) -> rows
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "hardware.json"
        for turn in range(args.rounds):
            machine = run(args.mfa, "info", "--cpu", "--measure", "--out", table, "--json", "-", "--quiet")["machine"]
            for preset in args.presets.split(","):
                for measured in run(args.mfa, "bench", "model", "--attention", preset, "--size", args.size, "--context",
                                    args.contexts, "--batch", args.batch, "--precision", args.precision, "--kv", args.kv,
                                    "--seconds", args.seconds, "--hardware", "this-cpu", "--hardware-file", table,
                                    "--json", "-", "--quiet")["rows"]:
                    found.setdefault((preset, measured["context"], measured["batch"]), []).append(measured)
            print(f"round {turn + 1} of {args.rounds}", file=sys.stderr)

    first = next(iter(found.values()))[0]
    print(f"{machine['cpu']} ({machine['cpu_path']}), {machine['threads']} threads; {args.size}, "
          f"{first['weights']} weights, {first['kv']} KV; medians of {args.rounds} rounds")
    print(f"{'attention':10}{'context':>9}{'batch':>7}{'measured ms':>13}{'predicted ms':>14}{'ratio':>8}   of each round")
    worst = 0
    for (preset, context, batch), rows in found.items():
        measured, predicted = (median(r[key] for r in rows) for key in ("seconds", "predicted_seconds"))
        ratio = predicted / measured
        worst = max(worst, abs(ratio - 1))
        print(f"{preset:10}{context:9,}{batch:7}{1e3 * measured:13.2f}{1e3 * predicted:14.2f}{ratio:8.3f}   "
              + " ".join(f"{r['predicted_seconds'] / r['seconds']:.2f}" for r in rows))
    print(f"largest miss {100 * worst:.1f} % of {len(found)} (at most {100 * MOST:.0f} %)")
    if args.json:
        args.json.write_text(json.dumps({"machine": machine, "rows": [r for rows in found.values() for r in rows]}, indent=1))
    return 0 if worst <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
