#!/usr/bin/env python3
"""Fine-tunes a model with `mfa train --init --chat` and with PyTorch on transformers' model, and compares the losses.

    python fine_tune_parity.py MFA_PROGRAM [MODEL CHAT.jsonl [--threads N …]]

Ten steps in f32 of AdamW at mfa's fine-tuning defaults. mfa writes its batches (--dump-batches); PyTorch takes each
conversation of a row by itself, so that what keeps them apart in our rows is checked as well. Without a model, a tiny
one of each layout is made, with a ChatML template. What is left of the command line goes to `mfa train`. Exit 77
(skipped) without transformers and torch; 1 if a loss differs by more than 1e-3.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
try:
    import torch
    from transformers import AutoModelForCausalLM
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from transformers_parity import write_text

TOLERANCE = 1e-3  # nats a token: what issue and users ask for; f32 in another order differs by some 1e-6
STEPS = 10
BETAS, EPS, CLIP = (0.9, 0.95), 1e-8, 1.0  # mfa train's defaults; no decay, which is the default with --init
MODELS = ["--attention gqa --heads 8 --kv-heads 2", "--attention mha --untied", "--attention mha --window 24",
          "--attention gqa --heads 8 --kv-heads 2 --qkv-bias", "--attention gqa --heads 8 --kv-heads 2 --qk-norm",
          "--attention mla"]
SIZE = "--width 96 --layers 2 --vocab 400 --context 96 --batch 4 --steps 30 --lr 1e-2"
CHAT_ML = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + "
           "'<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")


def conversations(batch):
    """The (ids, targets) of every conversation in a batch that has something to learn."""
    context = batch["context"]
    for row in range(0, len(batch["ids"]), context):
        starts = batch["doc_start"][row:row + context]
        for start in sorted(set(starts)):
            end = context - starts[::-1].index(start)
            targets = batch["targets"][row + start:row + end]
            if any(target >= 0 for target in targets):
                yield batch["ids"][row + start:row + end], targets


def torch_losses(model, batches, rates):
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0, betas=BETAS, eps=EPS, weight_decay=0)
    losses = []
    for step, rate in enumerate(rates, 1):
        scored = sum(target >= 0 for batch in batches[step] for target in batch["targets"])
        total = 0.0
        for batch in batches[step]:
            for ids, targets in conversations(batch):
                logits = model(torch.tensor([ids])).logits[0]
                loss = torch.nn.functional.cross_entropy(logits, torch.tensor(targets), ignore_index=-1,
                                                         reduction="sum") / scored
                loss.backward()
                total += loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total)
    return losses


def check(program, model, chat, folder, flags):
    run(program, "train", "--init", model, "--chat", "--data", chat, "--out", folder / "tuned", "--steps", STEPS,
        "--precision", "f32", "--log-every", 1, "--validate-every", 10**6, "--validation-tokens", 1, "--gemm-peak", 100,
        "--cache", folder / "cache", "--dump-batches", folder / "batches.jsonl", *flags)
    log = [json.loads(line) for line in (folder / "tuned" / "log.jsonl").read_text().splitlines()]
    log = [line for line in log if "loss" in line]
    batches = {}
    for line in (folder / "batches.jsonl").read_text().splitlines():
        batch = json.loads(line)
        batches.setdefault(batch["step"], []).append(batch)
    docs = sum(1 for step in batches.values() for batch in step for _ in conversations(batch))
    theirs = torch_losses(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), batches,
                          [line["lr"] for line in log])
    ours = [line["loss"] for line in log]
    worst = max(abs(a - b) for a, b in zip(ours, theirs))
    print("  mfa     " + " ".join(f"{loss:.5f}" for loss in ours))
    print("  PyTorch " + " ".join(f"{loss:.5f}" for loss in theirs))
    print(f"  {len(ours)} steps, {docs} conversations: losses differ by {worst:.1e} at most")
    return len(ours) == STEPS and worst <= TOLERANCE


def write_chat(path):
    lines = []
    for i in range(200):
        messages = [{"role": "user", "content": f"What is {i} and {i % 7}?"},
                    {"role": "assistant", "content": f"The king said {i + i % 7}."}]
        lines.append(json.dumps({"messages": messages * (1 + i % 3 // 2)}))
    path.write_text("\n".join(lines))


def main():
    if len(sys.argv) < 2 or len(sys.argv) == 3:
        print(__doc__, file=sys.stderr)
        return 2
    program, failed = Path(sys.argv[1]).resolve(), 0
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        if len(sys.argv) > 3:
            return 0 if check(program, Path(sys.argv[2]), Path(sys.argv[3]), scratch, sys.argv[4:]) else 1
        write_text(scratch / "text.txt")
        write_chat(scratch / "chat.jsonl")
        for number, shape in enumerate(MODELS):
            folder = scratch / str(number)
            folder.mkdir()
            run(program, "train", "--data", scratch / "text.txt", "--out", folder / "model", "--gemm-peak", 100,
                "--cache", scratch / "cache", "--precision", "f32", *SIZE.split(), *shape.split())
            (folder / "model" / "chat_template.jinja").write_text(CHAT_ML)
            print(shape)
            failed += not check(program, folder / "model", scratch / "chat.jsonl", folder,
                                ["--batch", "4", "--accumulate", "2", "--lr", "1e-3"])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
