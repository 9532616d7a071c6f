#!/usr/bin/env python3
"""Ours against PyTorch and llama.cpp: same shapes, same threads, same run, in turn (A B A B ...), ratios of medians.

    run_all.py --mfa build/release/mfa --python VENV/bin/python --out results.json [--rounds 5]
               [--only train|training-attention|prefill|decode|model ...] [--sizes 14m 100m] [--model FILE.gguf]

Each contender is a process of its own, one round after the other. Everything measured is kept in --out as it
comes, and a later run adds to it. The tables go to stdout as markdown. --table only prints them.
"""
import argparse
import datetime
import json
import os
import sys

from measure import run, wait_until_quiet
from tables import render

HERE = os.path.dirname(os.path.abspath(__file__))
SECTIONS = ("train", "training-attention", "prefill", "decode", "model")


class Contender:
    """A command, and how to read {name: seconds} and what else is worth keeping from the JSON that it prints."""

    def __init__(self, name, command, peer, row=0):
        self.name, self.command, self.peer, self.row = name, command, peer, row

    def rows(self, result):
        if "rows" in result:  # ours
            row = result["rows"][self.row]
            return [{"name": self.name, "ours": True} | {k: row[k] for k in KEEP if k in row}]
        ways = result.get("ways") or [result | {"way": ""}]
        return [{"name": " ".join(x for x in (self.name, w["way"], w.get("dtype", "")) if x)} | w for w in ways]


KEEP = ("seconds", "gflop_per_s", "gb_per_s", "gemm_share", "roofline_share", "tokens_per_s", "parameters", "activation_bytes")


def ours(args, name, *words, row=0):
    return Contender(name, [args.mfa, "bench", *map(str, words), "--threads", str(args.threads), "--quiet", "--json", "-"], False, row)


def script(args, name, file, *words):
    return Contender(name, [args.python, os.path.join(HERE, file), *map(str, words)], True)


def train_case(args, size, bf16):
    steps = ("--steps", args.steps)
    yield ours(args, "mfa.cpp mha", "train", "--size", size, "--attention", "mha", *steps)
    yield ours(args, "mfa.cpp mfa", "train", "--size", size, "--attention", "mfa", *steps)
    for precision in ("f32", "bf16") if bf16 or args.all_precisions else ("f32",):
        for mode in ("eager", "compile"):
            yield script(args, f"PyTorch {mode} {precision}", "torch_train.py", "--size", size, "--mode", mode, "--precision", precision, *steps)


def layer_case(args, phase, heads, context, llama):
    shape = ("--heads", heads, "--head-dim", 256, "--context", context)
    yield ours(args, "mfa.cpp", "attention", "--phase", phase, "--kv-heads", 1, *shape)
    yield script(args, "PyTorch", "torch_attention.py", "--phase", phase, "--kv-heads", 1, *shape, *["--compile"] * args.compile)
    if phase == "decode" and llama and context <= args.llama_context:
        yield script(args, "llama.cpp", "llama_decode.py", *shape, "--layers", 1)


def model_cases(args):
    name = os.path.basename(args.model)
    for tokens in (512, 2048):
        prompt = ours(args, "mfa.cpp", "model", args.model, "--context", 1, "--prompt", tokens, row=1)  # behind the decoding
        yield f"{name}, a prompt of {tokens} tokens", [prompt, script(args, "llama.cpp", "llama_model.py", args.model, "--context", tokens, "--prompt")]
    for batch, context in ((1, 512), (1, 2048), (16, 512)):
        shape = (args.model, "--context", context, "--batch", batch)
        yield f"{name}, a token for each of {batch}, behind {context}", [ours(args, "mfa.cpp", "model", *shape), script(args, "llama.cpp", "llama_model.py", *shape)]


def cases(args, bf16, llama):
    shapes = {
        "training-attention": [("train", 16, 1024)],
        "prefill": [("prefill", 16, 2048)],
        "decode": [("decode", h, c) for h in args.heads for c in args.contexts],
    }
    for section in args.only:
        if section == "train":
            for size in args.sizes:
                yield section, f"training step, {size}", list(train_case(args, size, bf16))
        if section == "model" and args.model and llama:
            for case, contenders in model_cases(args):
                yield section, case, contenders
        for phase, heads, context in shapes.get(section, ()):
            yield section, f"{heads} heads x 256, one KV head, {context} tokens", list(layer_case(args, phase, heads, context, llama))


def has_llama(args):
    found = run([args.python, "-c", "import llama_cpp, gguf; print('{}')"], args.threads, True, 120)
    if found.result is None:
        print(f"llama.cpp is left out: {found.error}", file=sys.stderr)
    return found.result is not None


def machine_of(args):
    info = run([args.mfa, "info", "--cpu", "--threads", str(args.threads), "--json", "-"], args.threads, False, 120)
    if info.result is None:
        raise SystemExit(f"{args.mfa} info --cpu failed: {info.error}")
    return info.result.get("machine", info.result)


def measure_round(args, contenders, kept, keep):
    for contender in contenders:
        busy = wait_until_quiet(args.wait_quiet)
        did = run(contender.command, args.threads, contender.peer, args.seconds_per_run)
        if did.result is None:
            kept.append({"name": contender.name, "error": did.error})
            keep()
            print(f"  {contender.name}: {did.error}", file=sys.stderr)
            continue
        for row in contender.rows(did.result):
            row |= {"peak_bytes": did.peak_bytes, "steady_peak_bytes": did.steady_peak_bytes}
            row |= {"cpu_share": did.cpu_share, "busy_before": busy}
            kept.append(row)
            print(f"  {row['name']}: {row.get('seconds', row.get('error'))}", file=sys.stderr, flush=True)
        keep()


def save(path, document):
    with open(path + ".part", "w") as f:
        json.dump(document, f, indent=1)
    os.replace(path + ".part", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mfa", default="build/release/mfa")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has torch, and perhaps llama_cpp and gguf")
    parser.add_argument("--out", default="peers.json")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="timed training steps of one process")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--sizes", nargs="+", choices=("14m", "100m"), default=("14m", "100m"))
    parser.add_argument("--heads", nargs="+", type=int, default=(16, 64), help="of decode")
    parser.add_argument("--contexts", nargs="+", type=int, default=(8192, 32768), help="of decode")
    parser.add_argument("--model", help="a GGUF file that both open, for the section model; without it that is left out")
    parser.add_argument("--llama-context", type=int, default=8192, help="longest cache for llama.cpp: filling it costs its square")
    parser.add_argument("--compile", action="store_true", help="also PyTorch's compiled attention (FlexAttention)")
    parser.add_argument("--all-precisions", action="store_true", help="bf16 training in PyTorch also where the CPU emulates it")
    parser.add_argument("--seconds-per-run", type=float, default=900)
    parser.add_argument("--wait-quiet", type=float, default=0, help="seconds to wait for an idle machine before each run")
    parser.add_argument("--table", action="store_true", help="only print the tables of --out")
    args = parser.parse_args()
    document = json.load(open(args.out)) if os.path.exists(args.out) else {"sections": {}}
    if not args.table:
        document["machine"] = machine_of(args)
        document["date"] = datetime.date.today().isoformat()
        bf16, llama = document["machine"]["native_precision"] == "bf16", {"decode", "model"} & set(args.only) and has_llama(args)
        plan = list(cases(args, bf16, llama))
        for number in range(args.rounds):
            for section, case, contenders in plan:
                print(f"round {number + 1}: {section}, {case}", file=sys.stderr, flush=True)
                kept = document["sections"].setdefault(section, {}).setdefault(case, [])
                measure_round(args, contenders, kept, lambda: save(args.out, document))
    print(render(document))


main()
