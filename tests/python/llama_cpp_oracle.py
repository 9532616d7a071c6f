"""llama.cpp's library, through the PyPI package llama-cpp-python, as an oracle: logits and greedy text, f32 KV."""
import os

import llama_cpp as L
import numpy as np

# The library calls this later: it must live as long as the module.
_QUIET = L.llama_log_callback(lambda level, text, data: None)
L.llama_log_set(_QUIET, None)
L.llama_backend_init()


class Model:
    def __init__(self, path, context=512):
        self.model = L.llama_model_load_from_file(str(path).encode(), L.llama_model_default_params())
        if not self.model:
            raise RuntimeError(f"llama.cpp does not open {path}")
        p = L.llama_context_default_params()
        p.n_ctx = p.n_batch = p.n_ubatch = context
        p.type_k = p.type_v = 0  # f32
        p.flash_attn_type = 0  # its flash attention keeps parts in f16
        p.n_threads = p.n_threads_batch = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count()))
        self.ctx = L.llama_init_from_model(self.model, p)
        self.vocab = L.llama_model_get_vocab(self.model)
        self.size = L.llama_vocab_n_tokens(self.vocab)

    def tokenize(self, text):
        raw = text.encode()
        ids = (L.llama_token * (len(raw) + 8))()
        count = L.llama_tokenize(self.vocab, raw, len(raw), ids, len(ids), False, False)
        return list(ids[:count])

    def logits(self, ids, start=0):
        """[len(ids), vocabulary]; start: the position of ids[0], whose predecessors were given before."""
        batch = L.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, start + i, 1, True
            batch.seq_id[i][0] = 0
        failed = L.llama_decode(self.ctx, batch)
        L.llama_batch_free(batch)
        if failed:
            raise RuntimeError("llama_decode failed")
        return np.ctypeslib.as_array(L.llama_get_logits(self.ctx), (len(ids), self.size)).copy()

    def clear(self):
        L.llama_memory_clear(L.llama_get_memory(self.ctx), True)

    def prompt_logits(self, ids):
        self.clear()
        return self.logits(ids)

    def greedy(self, ids, count):
        """`count` ids, and for each the difference of its logit to the second best."""
        row, out, margins = self.prompt_logits(ids)[-1], [], []
        for i in range(count):
            best = int(row.argmax())
            out.append(best)
            margins.append(float(row[best] - np.partition(row, -2)[-2]))
            if i + 1 < count:
                row = self.logits([best], len(ids) + i)[0]
        return out, margins

    def close(self):
        L.llama_free(self.ctx)
        L.llama_model_free(self.model)
