#!/usr/bin/env python3
"""Conversations for fine-tuning from the question sets of the shared data: gsm8k (reasoned arithmetic) and sciq.

    python make_chat.py EVAL_FOLDER OUT.jsonl [COUNT]

A line is {"messages": [...]}. Every third conversation asks twice, and every fourth opens with a system message, so that
several turns of the assistant and both kinds of opening occur. The same on every machine.
"""
import json
import random
import re
import sys
from pathlib import Path


def gsm8k(folder):
    for line in (folder / "gsm8k.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        steps = re.sub(r"<<[^>]*>>", "", item["chain_of_thought"])
        yield item["context"], f"{steps}\nThe answer is {item['answer']}."


def sciq(folder):
    for item in json.loads((folder / "sciq_test.json").read_text(encoding="utf-8")):
        question = re.search(r"question: (.*?)\n", item["instruction"]).group(1)
        number = item["answer"].removeprefix("answer")
        answer = re.search(rf"Answer{number}: (.*)", item["instruction"]).group(1).strip()
        yield question, f"The answer is {answer}."


def main():
    if len(sys.argv) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 2
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    pairs = [*gsm8k(folder), *sciq(folder)]
    random.Random(0).shuffle(pairs)
    lines = []
    while pairs:
        number, messages = len(lines), []
        if number % 4 == 0:
            messages.append({"role": "system", "content": "Answer in short and clear sentences."})
        for _ in range(2 if number % 3 == 0 and len(pairs) > 1 else 1):
            question, answer = pairs.pop()
            messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        lines.append(json.dumps({"messages": messages}, ensure_ascii=False))
    count = int(sys.argv[3]) if len(sys.argv) == 4 else len(lines)
    out.write_text("".join(line + "\n" for line in lines[:count]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
