"""What llama_model.py and llama_decode.py share of llama.cpp (PyPI package llama-cpp-python): a model, and steps of its sequences."""
import os

import llama_cpp as llama

CHUNK = 512  # tokens of a prompt at once, llama.cpp's default
KV_TYPES = {"f32": 0, "f16": 1, "bf16": 30}
WAYS = {"flash attention": 1, "products": 0}  # llama.cpp's flash_attn_type


def open_model(path):
    llama.llama_backend_init()
    open_model.quiet = llama.llama_log_callback(lambda level, text, data: None)  # held, since the library calls it later
    llama.llama_log_set(open_model.quiet, None)
    return llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())


class Session:
    """A cache for `sequences`, each of `context` tokens and a prompt's chunk more."""

    def __init__(self, model, context, kv, way, sequences=1):
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
