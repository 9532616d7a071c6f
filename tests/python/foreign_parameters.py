#!/usr/bin/env python3
"""Parameters that `mfa capacity` counts in configs of published families, against transformers' own models.

    python foreign_parameters.py MFA_PROGRAM

Each config of tests/fixtures/configs becomes a model without memory (device "meta"), whose parameters are summed, tied
ones once, and with them what is stored but not trained (the routers' correction terms). Both must be equal to the last
parameter. Families that transformers lacks (Step-3, Pangu Pro) are named and left out; MiniMax-M1 is given to it as
`minimax`, Kimi-K2 as `deepseek_v3`, which they are. Exit 77 (skipped) without torch and transformers; 1 on a difference.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

CONFIGS = Path(__file__).resolve().parent.parent / "fixtures" / "configs"


def as_transformers_names_it(config):
    config = dict(config.get("text_config", config))
    kind = config["model_type"]
    if kind == "kimi_k2":
        config["model_type"] = "deepseek_v3"
    if kind == "minimax_m1":
        config["model_type"] = "minimax"
        kinds = ["linear_attention", "full_attention"]
        config["layer_types"] = [kinds[kind] for kind in config.pop("attn_type_list")]
    return config


def count(config):
    kind = config["model_type"]
    settings = AutoConfig.for_model(kind, **{k: v for k, v in config.items() if k not in ("model_type", "architectures")})
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(settings)
    model.tie_weights()
    seen = {id(p): p.numel() for p in model.parameters()}
    stored = sum(b.numel() for name, b in model.named_buffers() if name.endswith("e_score_correction_bias"))
    return sum(seen.values()) + stored


def counted_by_us(program, config):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(config))
        run = subprocess.run([program, "capacity", path, "--json", "-"], capture_output=True, text=True)
    document = json.loads(run.stdout)
    if "error" in document:
        sys.exit(f"{config['model_type']}: {document['error']}")
    return document["rows"][0]["parameters"]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    failed = compared = 0
    for path in sorted(CONFIGS.glob("*.json")):
        config = as_transformers_names_it(json.loads(path.read_text()))
        if config["model_type"] in ("step3_text", "PanguProMoE"):
            print(f"{path.stem}: left out, transformers has no {config['model_type']}")
            continue
        ours, theirs = counted_by_us(sys.argv[1], config), count(config)
        print(f"{path.stem}: {ours:,} {'=' if ours == theirs else f'but transformers {theirs:,}'}")
        compared += 1
        failed += ours != theirs
    print(f"{compared} compared, {failed} differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
