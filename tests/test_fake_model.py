"""The fake model: each of its APIs, as the programs that ask it do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import ROOT

SHELL = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}


class Model:
    """A running fake model."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, body: Any = None) -> str:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data)  # noqa: S310 - the address is ours
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return answer.read().decode()

    def refusal(self, path: str, body: Any) -> tuple[int, str]:
        with pytest.raises(urllib.error.HTTPError) as refused:
            self.ask(path, body)
        with refused.value as error:
            return error.code, error.read().decode()

    def log(self) -> list[dict[str, Any]]:
        return json.loads(self.ask("/_log"))


@pytest.fixture(scope="module")
def running() -> Iterator[Model]:
    command = [sys.executable, str(ROOT / "tests" / "fakes" / "model.py")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    yield Model(process.stdout.readline().strip())
    process.kill()
    process.communicate(timeout=20)


@pytest.fixture
def model(running: Model) -> Model:
    running.ask("/_reset", {})
    return running


def anthropic(said: str, *results: str, stream: bool) -> tuple[str, Any]:
    tools = [{"name": "Bash", "input_schema": SHELL}]
    messages = [{"role": "user", "content": [{"type": "text", "text": said}]}]
    for text in results:
        messages.append({"role": "assistant", "content": [{"type": "tool_use", "name": "Bash"}]})
        result = {"type": "tool_result", "content": text}
        messages.append({"role": "user", "content": [result]})
    return "/v1/messages", {"messages": messages, "tools": tools, "stream": stream}


def chat(said: str, *results: str, stream: bool) -> tuple[str, Any]:
    tools = [{"type": "function", "function": {"name": "bash", "parameters": SHELL}}]
    messages = [{"role": "system", "content": "You are"}, {"role": "user", "content": said}]
    messages += [{"role": "tool", "content": text} for text in results]
    return "/v1/chat/completions", {"messages": messages, "tools": tools, "stream": stream}


def responses(said: str, *results: str, stream: bool) -> tuple[str, Any]:
    tools = [{"type": "function", "name": "shell", "parameters": SHELL}]
    content = [{"type": "input_text", "text": said}]
    items: list[Any] = [{"type": "message", "role": "user", "content": content}]
    items += [{"type": "function_call_output", "output": text} for text in results]
    return "/v1/responses", {"input": items, "tools": tools, "stream": stream}


def gemini(said: str, *results: str, stream: bool) -> tuple[str, Any]:
    tools = [{"functionDeclarations": [{"name": "run_shell_command", "parameters": SHELL}]}]
    contents: list[Any] = [{"role": "user", "parts": [{"text": said}]}]
    for text in results:
        response = {"name": "run_shell_command", "response": {"output": text}}
        contents.append({"role": "user", "parts": [{"functionResponse": response}]})
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/v1beta/models/fake:{verb}", {"contents": contents, "tools": tools}


APIS = pytest.mark.parametrize("api", [anthropic, chat, responses, gemini])
STREAM = pytest.mark.parametrize("stream", [False, True])


def text_of(answer: str) -> str:
    """Give the text of an answer: of a whole one, or of a stream put together."""
    lines = re.findall(r"(?m)^data: (\{.*\})$", answer)
    if not lines:
        return "".join(re.findall(r'"(?:text|content)": "((?:[^"\\]|\\.)*)"', answer)).strip()
    found = []
    for line in map(json.loads, lines):
        kind = line.get("type", "")
        delta = line.get("delta")
        if kind == "content_block_delta":
            found.append(delta["text"])
        elif kind == "response.output_text.delta":
            found.append(delta)
        found += [one["delta"].get("content", "") for one in line.get("choices", [])]
        for one in line.get("candidates", []):
            found += [part["text"] for part in one["content"]["parts"]]
    return "".join(found).strip()


@APIS
@STREAM
def test_without_a_directive_it_repeats_what_was_said(model: Model, api, stream):
    assert re.fullmatch(
        r"ECHO\[[0-9a-f]{8}\] hello there", text_of(model.ask(*api("hello there", stream=stream)))
    )
    (asked,) = model.log()
    assert (asked["api"], asked["user"]) == (api.__name__, "hello there")


@APIS
@STREAM
def test_it_calls_the_shell_and_then_goes_on_by_its_script(model: Model, api, stream):
    said = "[hive m-1] FAKE:sh make all;; FAKE:text well done"
    called = model.ask(*api(said, stream=stream)).replace("\\", "")
    assert '"command": "make all"' in called
    assert text_of(model.ask(*api(said, "built", stream=stream))) == "well done"
    assert "TOOLRESULT" in text_of(model.ask(*api(said, "built", "more", stream=stream)))
    assert [one["verb"] for one in model.log()] == ["sh", "text", "text"]


@APIS
def test_it_refuses_as_often_as_it_is_told(model: Model, api):
    said = "FAKE:http 429 x2"
    for _ in range(2):
        status, text = model.refusal(*api(said, stream=True))
        assert status == 429 and "rate limit" in text
    assert text_of(model.ask(*api(said, stream=True))) == "RECOVERED after error"
    status, text = model.refusal(*api("FAKE:toolong", stream=True))
    assert status == 400 and "prompt is too long" in text


@APIS
def test_a_slow_answer_comes_word_by_word(model: Model, api):
    answer = text_of(model.ask(*api("FAKE:slow 0.2 so it is", stream=True)))
    assert answer.startswith("so it is tick0 tick1 ") and answer.endswith("tick19")


@APIS
def test_the_tool_of_a_server_is_called_by_its_name(model: Model, api):
    path, body = api('FAKE:tool mcp__hive__task_done {"id": "m-1"}', stream=False)
    assert '"id": "m-1"' in model.ask(path, body).replace("\\", "")


def test_a_tool_in_a_namespace_is_called_within_it(model: Model):
    path, body = responses('FAKE:tool mcp__hive__task_done {"id": "m-1"}', stream=False)
    inner = [{"name": "task_done", "parameters": {}}]
    body["tools"].append({"type": "namespace", "name": "mcp__hive__", "tools": inner})
    (item,) = json.loads(model.ask(path, body))["output"]
    assert (item["name"], item["namespace"]) == ("task_done", "mcp__hive__")


def test_it_may_break_off(model: Model):
    with pytest.raises(ConnectionError):
        model.ask(*anthropic("FAKE:drop", stream=True))


def test_what_a_program_adds_by_itself_is_not_what_was_said(model: Model):
    path, body = anthropic("real words", stream=False)
    body["messages"].append({"role": "user", "content": "<system-reminder>no</system-reminder>"})
    assert "real words" in text_of(model.ask(path, body))


def test_it_lists_models_and_takes_what_is_no_question(model: Model):
    assert "fake-model" in model.ask("/v1/models")
    assert json.loads(model.ask("/v1/messages/count_tokens", {}))["input_tokens"]
    assert model.log() == []
