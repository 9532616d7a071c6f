#!/usr/bin/env python3
"""One attention layer in PyTorch, each way that a user may write it, on the operands of `mfa bench attention`.

    python torch_attention.py --phase decode|prefill|train --heads 16 --kv-heads 1 --head-dim 256 --context 8192

Prints {"torch", "ways": [{"way", "dtype", "seconds"}]}: medians of one call. decode is one token; prefill and train one
causal sequence, train with the backward pass. A way that PyTorch refuses has "error" in place of seconds.
"""
import argparse
import functools
import glob
import itertools
import json
import os
import statistics
import time

import torch
import torch.nn.functional as F

SECONDS_PER_WAY = 0.7
LEAST_CALLS, MOST_CALLS = 3, 400


def last_level_cache():
    sizes = [open(p).read().strip() for p in glob.glob("/sys/devices/system/cpu/cpu0/cache/index*/size")]
    return max((int(s[:-1]) * {"K": 1 << 10, "M": 1 << 20}[s[-1]] for s in sizes), default=32 << 20)


def timed(way, operands):
    """Median seconds of way(*operands), which rotate so that no call finds its own in the cache."""
    turn = itertools.cycle(operands)
    way(*next(turn))
    times, end = [], time.perf_counter() + SECONDS_PER_WAY
    while len(times) < LEAST_CALLS or (time.perf_counter() < end and len(times) < MOST_CALLS):
        q, k, v = next(turn)
        began = time.perf_counter()
        way(q, k, v)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def products(q, k, v):
    """The heads of each KV head as rows of one product: softmax in f32, as SDPA does it."""
    b, heads, _, dim = q.shape
    rows = q.view(b, k.shape[1], heads // k.shape[1], dim)
    scores = (rows @ k.transpose(-1, -2)).float() * dim**-0.5
    return torch.softmax(scores, -1).to(v.dtype) @ v


def heads_as_rows(q, k, v):
    b, heads, _, dim = q.shape
    return F.scaled_dot_product_attention(q.view(b, k.shape[1], heads // k.shape[1], dim), k, v)


def grouped(q, k, v, causal=False):
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1])


def expanded(q, k, v):
    """Shared keys as a view with stride 0 over the heads: nothing is copied before SDPA sees it."""
    shape = (q.shape[0], k.shape[1], q.shape[1] // k.shape[1], *k.shape[2:])
    k, v = (x.unsqueeze(2).expand(shape).flatten(1, 2) for x in (k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def flex_ways(phase, context):
    """FlexAttention only counts compiled; PyTorch has it forward only on a CPU."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    compiled = torch.compile(flex_attention)
    mask = None
    if phase == "prefill":
        mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, context, context, device="cpu")
    return {"flex_attention": lambda q, k, v: compiled(q, k, v, block_mask=mask, enable_gqa=True)}


def with_backward(way):
    def both(q, k, v):
        way(q, k, v).sum().backward()
        q.grad = k.grad = v.grad = None

    return both


def ways_of(args):
    if args.phase == "decode":
        ways = {"sdpa enable_gqa": grouped, "sdpa heads as rows": heads_as_rows, "matmul softmax matmul": products}
        if args.compile:
            ways["matmul softmax matmul, compiled"] = torch.compile(products)
    else:
        ways = {"sdpa enable_gqa": functools.partial(grouped, causal=True), "sdpa expanded": expanded}
    if args.compile and args.phase != "train":
        ways |= flex_ways(args.phase, args.context)
    return {name: with_backward(way) for name, way in ways.items()} if args.phase == "train" else ways


def operands_of(args, dtype):
    grad = args.phase == "train"
    queries = 1 if args.phase == "decode" else args.context
    once = args.context * args.kv_heads * args.head_dim * dtype.itemsize * 2
    copies = max(2, -(-4 * last_level_cache() // once)) if args.phase == "decode" else 2

    def tensor(heads, tokens):
        return torch.randn(1, heads, tokens, args.head_dim, dtype=dtype, requires_grad=grad)

    return [(tensor(args.heads, queries), *(tensor(args.kv_heads, args.context) for _ in range(2))) for _ in range(copies)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--phase", choices=("decode", "prefill", "train"), default="decode")
    for flag, value in (("--heads", 16), ("--kv-heads", 1), ("--head-dim", 256), ("--context", 8192)):
        parser.add_argument(flag, type=int, default=value)
    parser.add_argument("--dtypes", default="bfloat16,float32")
    parser.add_argument("--compile", action="store_true", help="also FlexAttention and a compiled way")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())))
    torch.manual_seed(0)
    rows = []
    for name in args.dtypes.split(","):
        operands = operands_of(args, getattr(torch, name))
        for way, call in ways_of(args).items():
            row = {"way": way, "dtype": name}
            try:
                with torch.set_grad_enabled(args.phase == "train"):
                    row["seconds"] = timed(call, operands)
            except Exception as e:  # a peer's refusal is a result, whatever its type
                row["error"] = str(e).strip().splitlines()[0][:200]
            rows.append(row)
    print(json.dumps({"torch": torch.__version__, "ways": rows}))


main()
