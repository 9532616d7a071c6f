#!/usr/bin/env python3
"""Renders published chat templates with `mfa tokenizer render` and with transformers' own render_jinja_template.

    python template_parity.py MFA_PROGRAM

Templates: ../shared/data/chat_templates and those inside tokenizer_config.json of ../shared/data/tokenizers. Chats:
system, several turns, calls of tools and their results, with and without tools; both must give the same bytes or both
must fail. Exit 77 where transformers, jinja2 or the data are absent.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    from transformers.utils.chat_template_utils import render_jinja_template
    import jinja2
except ImportError:
    print("skipped: transformers or jinja2 is not installed")
    sys.exit(77)

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
if not SHARED.exists() and "MFA_SHARED" in os.environ:
    SHARED = Path(os.environ["MFA_SHARED"]) / "data"


def templates():
    found = {path.name: path.read_text() for path in sorted((SHARED / "chat_templates").glob("*.jinja"))}
    for path in sorted((SHARED / "tokenizers").glob("*/tokenizer_config.json")):
        found[path.parent.name] = json.loads(path.read_text())["chat_template"]
    return found


def tool(name):
    properties = {
        "city": {"type": "string", "description": "a city"},
        "days": {"type": "array", "items": {"type": "number"}},
        "options": {"type": "object", "additionalProperties": {"type": "string"}, "properties": {"k": {"type": "boolean"}}},
    }
    parameters = {"type": "object", "properties": properties, "required": ["city"]}
    returns = {"type": "string", "description": "the weather"}
    return {"type": "function", "function": {"name": name, "description": "Get <it> & \"more\" — é", "parameters": parameters, "return": returns}}


def calls(arguments, *ids):
    return {"role": "assistant", "content": None,
            "tool_calls": [{"id": i, "type": "function", "function": {"name": "get_weather", "arguments": arguments}} for i in ids]}


def chats():
    system = {"role": "system", "content": "You are helpful.\n"}
    user = {"role": "user", "content": " What's the weather in Zürich? 你好 "}
    answer = {"role": "assistant", "content": "<think>hmm\n\n</think>\n\nSunny."}
    more = {"role": "user", "content": "And tomorrow?"}
    result = {"role": "tool", "tool_call_id": "abcdefghi", "name": "get_weather", "content": "{\"t\": 21.5}"}
    second = {**result, "tool_call_id": "bbcdefghi"}
    arguments = {"city": "Zürich", "n": 3, "days": [1, 2.5, -1e-7]}
    found = {
        "user": [user], "system": [system, user], "turns": [user, answer, more], "all": [system, user, answer, more], "ended": [user, answer],
        "empty": [], "wrong order": [answer, user], "reasoning": [user, {**answer, "reasoning_content": "so"}, more],
    }
    for form, given in (("object", arguments), ("text", json.dumps(arguments, ensure_ascii=False))):
        found[f"call {form}"] = [system, user, calls(given, "abcdefghi")]
        found[f"result {form}"] = [system, user, calls(given, "abcdefghi"), result, answer, more]
        found[f"two calls {form}"] = [user, calls(given, "abcdefghi", "bbcdefghi"), result, second, answer, more]
    return found


def expected(template, messages, tools, prompt):
    try:
        return render_jinja_template([messages], tools=tools, chat_template=template, add_generation_prompt=prompt, bos_token="<s>", eos_token="</s>")[0][0]
    except Exception:
        return None


def rendered(program, folder, tools, prompt):
    command = [program, "tokenizer", "render", "--template", folder / "template", "--messages", folder / "messages", "--bos", "<s>", "--eos", "</s>"]
    command += ["--tools", folder / "tools"] if tools else []
    command += [] if prompt else ["--no-generation-prompt"]
    run = subprocess.run(command, capture_output=True)
    if run.returncode == 2:
        assert run.stderr.count(b"\n") == 1, run.stderr
        return None
    assert run.returncode == 0, run
    return run.stdout.decode()


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    if not (SHARED / "chat_templates").exists():
        print(f"skipped: {SHARED} is absent")
        return 77
    tools = [tool("get_weather"), tool("other")]
    count = same = failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "tools").write_text(json.dumps(tools))
        for name, template in templates().items():
            (folder / "template").write_bytes(template.encode())
            for title, messages in chats().items():
                (folder / "messages").write_text(json.dumps(messages))
                for given, prompt in ((None, True), (tools, True), (tools, False)):
                    want = expected(template, messages, given, prompt)
                    got = rendered(sys.argv[1], folder, given, prompt)
                    count += 1
                    failed += want is None
                    same += want == got
                    if want != got:
                        print(f"{name}, {title}, tools {given is not None}:\n  Jinja2 {want!r}\n  mfa    {got!r}")
    print(f"{same} of {count} are equal ({failed} of them fail on both sides)")
    return 0 if same == count else 1


if __name__ == "__main__":
    sys.exit(main())
