#!/usr/bin/env python3
"""Compares `mfa perplexity --score last-half` with llama.cpp's library on the same GGUF file and text.

    python perplexity_parity.py MFA_PROGRAM [MODEL.gguf] [--text FILE] [--windows N] [--context N]

Without MODEL the environment variable MFA_TEST_GGUF names it (SmolLM2-135M-Instruct's Q4_1 file was used). The text is
shared/data/text/wikitext2_raw_test.txt beside the source tree. llama.cpp multiplies quantized weights with activations
rounded to 8 bits, we expand the weights: hence 0.5 %, which a wrong window, BOS or rope exceeds many times over.
Exit 77 (skipped) without llama-cpp-python, model or text; 1 on a difference.
"""
import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path

try:
    import llama_cpp as L
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

TOLERANCE = 0.005


def llama_perplexity(path, text, context, windows):
    """exp of the mean −log p over the second half of each window, as llama.cpp's own tool counts: BOS, if the model
    wants it, stands before the text and in place of each window's first token."""
    model = L.llama_model_load_from_file(str(path).encode(), L.llama_model_default_params())
    p = L.llama_context_default_params()
    p.n_ctx = p.n_batch = p.n_ubatch = context
    p.n_threads = p.n_threads_batch = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count()))
    p.type_k = p.type_v = 0  # f32
    ctx = L.llama_init_from_model(model, p)
    vocab, memory = L.llama_model_get_vocab(model), L.llama_get_memory(ctx)
    size, raw = L.llama_vocab_n_tokens(vocab), text.read_bytes()
    ids = (L.llama_token * (len(raw) + 8))()
    count = L.llama_tokenize(vocab, raw, len(raw), ids, len(ids), True, False)
    total = scored = 0
    half = context // 2
    for w in range(min(windows, count // context)):
        window = list(ids[w * context : (w + 1) * context])
        if L.llama_vocab_get_add_bos(vocab):
            window[0] = L.llama_vocab_bos(vocab)
        L.llama_memory_clear(memory, True)
        batch = L.llama_batch_init(context, 0, 1)
        batch.n_tokens = context
        for i, token in enumerate(window):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, i >= half
            batch.seq_id[i][0] = 0
        if L.llama_decode(ctx, batch):
            raise SystemExit("llama_decode failed")
        out = np.ctypeslib.as_array(L.llama_get_logits(ctx), (context - half, size))[:-1].astype(np.float64)
        L.llama_batch_free(batch)
        top = out.max(1, keepdims=True)
        target = ids[w * context + half + 1 : (w + 1) * context]
        total += float((np.log(np.exp(out - top).sum(1)) + top[:, 0] - out[np.arange(len(target)), target]).sum())
        scored += len(target)
    return math.exp(total / scored), scored


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("model", nargs="?", default=os.environ.get("MFA_TEST_GGUF", ""))
    parser.add_argument("--text", type=Path, default=Path(__file__).resolve().parents[3] / "shared/data/text/wikitext2_raw_test.txt")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--windows", type=int, default=100 if os.environ.get("MFA_FULL") == "1" else 8)
    args = parser.parse_args()
    for path in (args.model, args.text):
        if not path or not Path(path).exists():
            print(f"skipped: no {path or 'model (MFA_TEST_GGUF)'}")
            return 77
    quiet = L.llama_log_callback(lambda level, text, data: None)  # kept: the library calls it later
    L.llama_log_set(quiet, None)
    theirs, scored = llama_perplexity(args.model, args.text, args.context, args.windows)
    done = subprocess.run([args.program, "perplexity", args.model, args.text, "--context", str(args.context), "--windows", str(args.windows),
                           "--score", "last-half", "--precision", "f32", "--kv", "f32", "--quiet", "--json", "-"], capture_output=True, text=True)
    if done.returncode != 0:
        print(done.stderr)
        return 1
    ours = json.loads(done.stdout)
    difference = ours["perplexity"] / theirs - 1
    print(f"llama.cpp {theirs:.4f} ({scored} tokens), mfa {ours['perplexity']:.4f} ({ours['tokens']} tokens): {difference:+.3%}")
    return 0 if ours["tokens"] == scored and abs(difference) <= TOLERANCE else 1


sys.exit(main())
