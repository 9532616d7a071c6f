#!/usr/bin/env python3
"""Attention time of llama.cpp while decoding, through its library in the PyPI package llama-cpp-python.

    python llama_decode.py --heads 16 --head-dim 256 --context 8192 [--kv f16|f32|bf16] [--model FILE.gguf]

llama.cpp runs models, not layers. So the model is random, with one KV head, and as thin as can be beside its attention;
one layer's attention takes (a token at this depth - a token at depth 1) / layers. The cost of an almost empty cache, some
microseconds, is thereby left out in llama.cpp's favour. Prints {"llama_cpp_python", "ways": [{"way", "seconds", "token_seconds",
"token_seconds_empty"}]}; seconds is one token, one layer.
"""
import argparse
import json
import os
import statistics
import tempfile
import time

import llama_cpp as llama
import numpy as np

from llama_session import KV_TYPES, WAYS, Session, open_model

WIDTH, FFN, VOCAB = 256, 256, 512


def write_model(path, layers, heads, head_dim):
    import gguf

    random = np.random.default_rng(0)
    out = gguf.GGUFWriter(path, "llama")
    out.add_vocab_size(VOCAB)
    out.add_tokenizer_model("no_vocab")
    out.add_context_length(1 << 17)
    out.add_block_count(layers)
    out.add_embedding_length(WIDTH)
    out.add_feed_forward_length(FFN)
    out.add_head_count(heads)
    out.add_head_count_kv(1)
    out.add_key_length(head_dim)
    out.add_value_length(head_dim)
    out.add_rope_dimension_count(head_dim)
    out.add_layer_norm_rms_eps(1e-6)
    out.add_file_type(1)
    shapes = {"token_embd": (VOCAB, WIDTH), "output": (VOCAB, WIDTH)}
    for i in range(layers):
        shapes |= {
            f"blk.{i}.attn_q": (heads * head_dim, WIDTH),
            f"blk.{i}.attn_k": (head_dim, WIDTH),
            f"blk.{i}.attn_v": (head_dim, WIDTH),
            f"blk.{i}.attn_output": (WIDTH, heads * head_dim),
            f"blk.{i}.ffn_gate": (FFN, WIDTH),
            f"blk.{i}.ffn_up": (FFN, WIDTH),
            f"blk.{i}.ffn_down": (WIDTH, FFN),
        }
    for name, shape in shapes.items():
        out.add_tensor(f"{name}.weight", (random.standard_normal(shape) * shape[1] ** -0.5).astype(np.float16))
    for name in ["output_norm"] + [f"blk.{i}.{part}_norm" for i in range(layers) for part in ("attn", "ffn")]:
        out.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def token_seconds(session, depth, tokens):
    llama.llama_memory_clear(session.memory, True)
    session.prompt(depth)
    times = []
    for i in range(tokens):
        began = time.perf_counter()
        session.step([(depth + i, 0, True)])
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def main():
    parser = argparse.ArgumentParser()
    for flag, value in (("--heads", 16), ("--head-dim", 256), ("--context", 8192), ("--layers", 1), ("--tokens", 32)):
        parser.add_argument(flag, type=int, default=value)
    parser.add_argument("--kv", choices=KV_TYPES, default="f16")
    parser.add_argument("--model", help="where the random model is, or is to be written")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = args.model or os.path.join(folder, "random.gguf")
        if not os.path.exists(path):
            write_model(path, args.layers, args.heads, args.head_dim)
        model = open_model(path)
        rows = []
        for way in WAYS:
            session = Session(model, args.context, args.kv, way)
            empty = token_seconds(session, 1, args.tokens)
            full = token_seconds(session, args.context - args.tokens, args.tokens)
            session.close()
            rows.append(
                {
                    "way": f"{way}, {args.kv} KV",
                    "seconds": (full - empty) / args.layers,
                    "token_seconds": full,
                    "token_seconds_empty": empty,
                }
            )
        print(json.dumps({"llama_cpp_python": llama.__version__, "ways": rows}))


main()
