#!/usr/bin/env python3
"""One training step in PyTorch on the shapes of `mfa bench train`: forward, backward, clip to norm 1, fused AdamW.

    python torch_train.py --size 14m|100m --mode eager|compile --precision f32|bf16 [--steps 3]

The model is our mha preset: RMSNorm before each part, rotary positions, SwiGLU, embedding tied to the classifier; MHA,
since that is what PyTorch users train. bf16 is autocast over f32 weights. Prints {"seconds", "tokens_per_s",
"parameters", "gemm_gflop_per_s", "resident_before_bytes"}; seconds is the median of whole steps.
"""
import argparse
import json
import os
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

HEAD_DIM = 64
SHAPES = {
    "14m": {"width": 384, "layers": 6, "context": 512, "batch": 8, "vocab": 8192, "ffn": 1024},
    "100m": {"width": 768, "layers": 12, "context": 1024, "batch": 2, "vocab": 32768, "ffn": 2048},
}


def rotate(x, cos, sin):
    low, high = x.chunk(2, dim=-1)
    return torch.cat((low * cos - high * sin, high * cos + low * sin), dim=-1).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.heads = width // HEAD_DIM
        self.into = nn.Linear(width, 3 * width, bias=False)  # one product for q, k and v: the faster way
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x, cos, sin):
        b, t, width = x.shape
        q, k, v = (part.view(b, t, self.heads, HEAD_DIM).transpose(1, 2) for part in self.into(x).split(width, -1))
        y = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(b, t, width))


class SwiGlu(nn.Module):
    def __init__(self, width, ffn):
        super().__init__()
        self.gate, self.up = nn.Linear(width, ffn, bias=False), nn.Linear(width, ffn, bias=False)
        self.down = nn.Linear(ffn, width, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Decoder(nn.Module):
    def __init__(self, width, layers, context, vocab, ffn, batch):
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.layers = nn.ModuleList(
            nn.ModuleList((nn.RMSNorm(width), Attention(width), nn.RMSNorm(width), SwiGlu(width, ffn))) for _ in range(layers)
        )
        self.norm = nn.RMSNorm(width)
        angles = torch.arange(context)[:, None] * 10000.0 ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, ids, targets):
        x = self.embedding(ids)
        for norm1, attention, norm2, ffn in self.layers:
            x = x + attention(norm1(x), self.cos, self.sin)
            x = x + ffn(norm2(x))
        logits = F.linear(self.norm(x), self.embedding.weight).float()
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def gemm_gflop_per_s(dtype, n=2048):
    a, b = torch.randn(n, n, dtype=dtype), torch.randn(n, n, dtype=dtype)
    best = float("inf")
    for _ in range(6):
        began = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - began)
    return 2 * n**3 / best * 1e-9


def resident_bytes():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=SHAPES, default="14m")
    parser.add_argument("--mode", choices=("eager", "compile"), default="eager")
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--warm-up", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())))
    torch.manual_seed(0)
    before = resident_bytes()
    shape = SHAPES[args.size]
    model = Decoder(**shape)
    weights = list(model.parameters())
    optimizer = torch.optim.AdamW(weights, lr=3e-4, fused=True)
    loss_of = torch.compile(model) if args.mode == "compile" else model
    ids, targets = torch.randint(shape["vocab"], (2, shape["batch"], shape["context"]))

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16"):
            loss = loss_of(ids, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    for _ in range(args.warm_up):
        step()
    times = []
    for _ in range(args.steps):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    seconds = statistics.median(times)
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "seconds": seconds,
                "tokens_per_s": shape["batch"] * shape["context"] / seconds,
                "parameters": sum(w.numel() for w in weights),
                "gemm_gflop_per_s": gemm_gflop_per_s(torch.bfloat16 if args.precision == "bf16" else torch.float32),
                "resident_before_bytes": before,
            }
        )
    )


main()
