#!/usr/bin/env python3
"""Checks fixtures/reference_model.py, which all golden files come from, against transformers' own architectures.

usage: check_reference.py      Exit: 0 equal, 1 different, 77 without torch or transformers (skipped).
transformers computes norms and rotary tables in float32 even in a double model: each rounds at 6e-8, two layers hold a
dozen such steps, and softmax passes errors of scores on without growth. TOLERANCE is ten times their sum."""

import sys
from pathlib import Path

try:
    import torch
    import transformers
    from transformers import AutoConfig, AutoModelForCausalLM
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fixtures"))
from make_model_fixtures import alike, initial, make_cases, tokens_of  # noqa: E402
from reference_model import Model  # noqa: E402

TOLERANCE = 1e-5


def rope_parameters(rope):
    if rope["scaling"] == "none":
        return {"rope_type": "default", "rope_theta": rope["theta"]}
    names = {"scaling": "rope_type", "theta": "rope_theta", "original_context": "original_max_position_embeddings"}
    used = {"theta", "scaling", "factor"}
    if rope["scaling"] == "yarn":
        used |= {"original_context", "beta_fast", "beta_slow", "attention_factor", "mscale", "mscale_all_dim"}
    if rope["scaling"] == "llama3":
        used |= {"original_context", "low_freq_factor", "high_freq_factor"}
    return {names.get(key, key): rope[key] for key in used if rope[key] != 0}


def foreign_config(model_type, config):
    first = config["layers"][0]
    a = first["attention"]
    foreign = dict(
        vocab_size=config["vocab"], hidden_size=config["width"], intermediate_size=first["ffn"],
        num_hidden_layers=len(config["layers"]), num_attention_heads=a["n_heads"], num_key_value_heads=a["kv_heads"],
        max_position_embeddings=32, rms_norm_eps=config["norm_eps"], tie_word_embeddings=config["tied"],
        rope_parameters=rope_parameters(a["rope"]), attn_implementation="eager", bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    if model_type == "deepseek_v3":
        return {
            **foreign, "q_lora_rank": a["q_rank"] or None, "kv_lora_rank": a["kv_rank"], "rope_interleave": False,
            "qk_nope_head_dim": a["head_dim"], "qk_rope_head_dim": a["rope_dim"], "v_head_dim": a["value_dim"],
            "first_k_dense_replace": len(config["layers"]), "num_nextn_predict_layers": 0,
        }  # fmt: skip
    foreign["head_dim"] = a["head_dim"]
    if model_type == "llama":
        foreign |= {"attention_bias": a["o_bias"], "mlp_bias": config["ffn_bias"]}
    if model_type == "mistral":
        foreign["sliding_window"] = first["window"] or None
    return foreign


def cases():
    golden = make_cases()
    for name in ("mha_rope", "gqa_rope", "mqa_rope", "gqa_all_biases", "mha_untied"):
        yield "llama", name, golden[name]
    for name in ("linear", "yarn", "yarn_factor", "llama3"):
        yield "llama", "gqa_rope_" + name, golden["gqa_rope_" + name]
    yield "mistral", "gqa_window", golden["gqa_window"]
    yield "mistral", "heads that do not divide the width", alike("mqa", n_heads=5, head_dim=6, value_dim=6)
    yield "qwen2", "gqa_qkv_bias", golden["gqa_qkv_bias"]
    yield "qwen3", "gqa_qk_norm", golden["gqa_qk_norm"]
    for name in ("mla_rope", "mla_dense_query", "mla_rope_yarn"):
        # transformers builds the norms of MLA's latents with eps 1e-6, whatever the config says.
        yield "deepseek_v3", name, {**golden[name], "norm_eps": 1e-6}


def difference(model_type, name, config):
    """max |ours − theirs| / max |theirs| over the logits of one sequence."""
    reference = Model(config)
    p = {key: initial(key, shape) for key, shape in reference.shapes().items()}
    ids = torch.tensor(tokens_of("tokens " + name, 12, config["vocab"]))[None]
    theirs = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **foreign_config(model_type, config)))
    theirs = theirs.double().eval()
    missing, unexpected = theirs.load_state_dict(p, strict=False)
    missing = [key for key in missing if not (config["tied"] and key == "lm_head.weight")]
    if missing or unexpected:
        raise SystemExit(f"{model_type} {name}: missing {missing}, unexpected {unexpected}")
    theirs.tie_weights()
    with torch.no_grad():
        expected = theirs(ids).logits
    return float((reference.logits(p, ids) - expected).abs().max() / expected.abs().max())


def main():
    worst = 0.0
    for model_type, name, config in cases():
        error = difference(model_type, name, config)
        worst = max(worst, error)
        print(f"{model_type:12} {name:36} {error:.2e}")
    print(f"transformers {transformers.__version__}: worst {worst:.2e}, tolerance {TOLERANCE:.0e}")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
