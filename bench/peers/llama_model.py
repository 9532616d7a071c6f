#!/usr/bin/env python3
"""A whole model in llama.cpp, through its library in the PyPI package llama-cpp-python: decoding, or a prompt.

    python llama_model.py MODEL.gguf --context 2048 [--batch 16] [--kv f16|f32|bf16]
    python llama_model.py MODEL.gguf --context 512 --prompt

The work of `mfa bench model MODEL.gguf --context N --batch N` and of its `--prompt N`: a step that gives each of the
sequences one token, which is the last of --context; or one sequence's whole prompt. Prints {"llama_cpp_python", "ways": [{"way",
"seconds", "tokens_per_s"}]}; seconds is the median of single steps.
"""
import argparse
import json
import os
import statistics
import time

import llama_cpp as llama

CHUNK = 512  # tokens of a prompt at once, llama.cpp's default
KV_TYPES = {"f32": 0, "f16": 1, "bf16": 30}
WAYS = {"flash attention": 1, "products": 0}  # llama.cpp's flash_attn_type


class Session:
    def __init__(self, model, context, sequences, kv, way):
        p = llama.llama_context_default_params()
        p.n_ctx, p.n_batch, p.n_ubatch, p.n_seq_max = (context + CHUNK) * sequences, CHUNK, CHUNK, sequences
        p.n_threads = p.n_threads_batch = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count()))
        p.type_k = p.type_v = KV_TYPES[kv]
        p.flash_attn_type = WAYS[way]
        p.kv_unified = sequences == 1  # else each sequence would look through the others' cache
        self.context = llama.llama_init_from_model(model, p)
        if not self.context:
            raise SystemExit(f"llama.cpp refuses {kv} KV with {way}")
        self.memory = llama.llama_get_memory(self.context)
        self.batch = llama.llama_batch_init(CHUNK, 0, 1)

    def step(self, rows):
        """rows: (position, sequence, wants logits); the tokens do not matter."""
        b = self.batch
        b.n_tokens = len(rows)
        for i, (position, sequence, wants) in enumerate(rows):
            b.token[i], b.pos[i], b.n_seq_id[i], b.logits[i] = 10 + position % 400, position, 1, wants
            b.seq_id[i][0] = sequence
        if llama.llama_decode(self.context, b):
            raise SystemExit("llama_decode failed")
        llama.llama_synchronize(self.context)

    def prompt(self, tokens, sequence=0):
        for first in range(0, tokens, CHUNK):
            self.step([(i, sequence, i == tokens - 1) for i in range(first, min(tokens, first + CHUNK))])

    def close(self):
        llama.llama_batch_free(self.batch)
        llama.llama_free(self.context)


def timed(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def prompt_seconds(session, tokens, repeats):
    times = []
    for _ in range(repeats + 1):
        llama.llama_memory_clear(session.memory, True)
        times.append(timed(lambda: session.prompt(tokens)))
    return statistics.median(times[1:])


def decode_seconds(session, context, sequences, repeats):
    for s in range(sequences):
        session.prompt(context - 1, s)
    times = []
    for _ in range(repeats + 2):
        times.append(timed(lambda: session.step([(context - 1, s, True) for s in range(sequences)])))
        for s in range(sequences):
            llama.llama_memory_seq_rm(session.memory, s, context - 1, -1)
    return statistics.median(times[2:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--prompt", action="store_true")
    parser.add_argument("--kv", choices=KV_TYPES, default="f16")
    args = parser.parse_args()
    llama.llama_backend_init()
    quiet = llama.llama_log_callback(lambda level, text, data: None)  # held here, since the library calls it later
    llama.llama_log_set(quiet, None)
    model = llama.llama_model_load_from_file(args.model.encode(), llama.llama_model_default_params())
    rows = []
    for way in WAYS:
        session = Session(model, args.context, args.batch, args.kv, way)
        if args.prompt:
            seconds, tokens = prompt_seconds(session, args.context, 3), args.context
        else:
            seconds, tokens = decode_seconds(session, args.context, args.batch, 32), args.batch
        session.close()
        rows.append({"way": f"{way}, {args.kv} KV", "seconds": seconds, "tokens_per_s": tokens / seconds})
    print(json.dumps({"llama_cpp_python": llama.__version__, "ways": rows}))


main()
