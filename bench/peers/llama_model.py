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
import statistics
import time

import llama_cpp as llama

from llama_session import KV_TYPES, WAYS, Session, open_model


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
    model = open_model(args.model)
    rows = []
    for way in WAYS:
        session = Session(model, args.context, args.kv, way, args.batch)
        if args.prompt:
            seconds, tokens = prompt_seconds(session, args.context, 3), args.context
        else:
            seconds, tokens = decode_seconds(session, args.context, args.batch, 32), args.batch
        session.close()
        rows.append({"way": f"{way}, {args.kv} KV", "seconds": seconds, "tokens_per_s": tokens / seconds})
    print(json.dumps({"llama_cpp_python": llama.__version__, "ways": rows}))


main()
