"""Speaking: who is meant, which text, what is refused before anything is asked, what is printed."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from typing import Any

import pytest
import typer

from hive.cli import hot, letters, output
from hive.errors import WrongInput
from hive.views import iso
from tests.conftest import ROOT

SINCE = iso(1_700_000_000.0)
WHO = {"HIVE_AGENT": "Task/backend/pm", "HIVE_LAUNCH": "1-a", "HIVE_SEAL": "5ea1"}


def message(number: int = 31, **changes: Any) -> dict[str, Any]:
    record = {
        "message": f"m-{number}", "agent": "backend/dev", "from": "a person", "kind": "task",
        "text": "Please rebase", "stage": "queued", "reason": "working", "since": SINCE,
        "proof": "", "outcome": "", "result": "", "confidence": None,
    }  # fmt: skip
    return record | changes


def sent(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1, "messages": list(messages or [message()])}


def story(**changes: Any) -> dict[str, Any]:
    following = {"text": "waits", "time": None}
    return {"version": 1, "message": message(**changes), "story": [], "next": following}


def decided(name: str = "A7", state: str = "allowed", answer: str = "") -> dict[str, Any]:
    kind = {"A": "approval", "Q": "question"}[name[0]]
    request = {
        "id": name, "kind": kind, "agent": "backend/dev", "asked": "Bash: make", "state": state,
        "answer": answer, "since": SINCE, "answered": SINCE, "next": "",
    }  # fmt: skip
    return {"version": 1, "request": request}


class Pipe(io.TextIOWrapper):
    """A standard input that holds these bytes, and may say that it is a terminal."""

    def __init__(self, data: bytes = b"", *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(data), "utf-8")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(letters, "POLL", 0.01)
    monkeypatch.setattr(sys, "stdin", Pipe(terminal=True))
    for name in WHO:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("words", "teams", "everybody", "found"),
    [
        pytest.param(["a/b", "hi"], [], False, (["a/b"], ["hi"]), id="an agent"),
        pytest.param(["a/b"], [], False, (["a/b"], []), id="the text comes from elsewhere"),
        pytest.param(["hi"], ["a", "b"], False, (["a", "b"], ["hi"]), id="teams"),
        pytest.param(["hi"], [], True, (["*"], ["hi"]), id="everybody"),
        pytest.param([], ["a"], False, (["a"], []), id="a team, and no text"),
    ],
)
def test_who_is_meant_and_what_is_the_text(words, teams, everybody, found):
    assert letters.addressed(words, teams, everybody=everybody) == found


@pytest.mark.parametrize(
    ("words", "teams", "everybody", "what"),
    [
        pytest.param([], [], False, "nobody is named", id="nobody"),
        pytest.param(["a"], ["b"], True, "`--all` and `--team`", id="everybody and a team"),
        pytest.param(["a", "Please", "do"], [], False, "the text is 2 words", id="no quotes"),
        pytest.param(["a/b", "hi"], ["a"], False, "the text is 2 words", id="a name too many"),
    ],
)
def test_who_is_not_clearly_meant_is_refused(words, teams, everybody, what):
    with pytest.raises(WrongInput) as caught:
        letters.addressed(words, teams, everybody=everybody)

    assert caught.value.what.startswith(what)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("text", "what"),
    [
        pytest.param("", "the text is empty", id="nothing"),
        pytest.param(" \n\t ", "the text is empty", id="only blanks"),
        pytest.param("é" * (1 << 19) + "x", "the text is longer than 1.0M", id="too long"),
        pytest.param("a\udcff", "the text is not UTF-8", id="bytes that are no text"),
    ],
)
def test_a_text_that_can_not_be_sent_is_refused(text, what):
    with pytest.raises(WrongInput) as caught:
        letters.checked(text)

    assert caught.value.what == what


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("two\nlines\r\n\tand a tab", "", id="layout is no control"),
        pytest.param("x" * (1 << 20), "", id="as long as it may be"),
        pytest.param("a\x1b[2Jb", "1 control character will be left out", id="escape"),
        pytest.param("\x03\x7f\x9b", "3 control characters will be left out", id="several"),
    ],
)
def test_what_will_be_left_out_is_said(text, said, capsys):
    assert letters.checked(text) == text

    err = capsys.readouterr().err
    assert said in err and bool(said) == bool(err)


def test_a_message_is_sent_and_its_receipt_printed(supervisor, capsys):
    supervisor.answers["send"] = sent()

    assert hot.run(["send", "backend/dev", "Please rebase"]) == 0

    ((verb, args),) = supervisor.asked
    assert verb == "send" and args.pop("uid")
    assert args == {"names": ["backend/dev"], "text": "Please rebase", "me": None}
    assert capsys.readouterr().out.splitlines() == [
        "m-31 to backend/dev: queued: working",
        "`hive why m-31` tells how it goes on",
    ]


def test_every_send_is_one_of_its_own(supervisor):
    supervisor.answers["send"] = sent()

    for _ in range(2):
        assert hot.run(["send", "backend/dev", "again"]) == 0

    first, second = [args["uid"] for _, args in supervisor.asked]
    assert first != second


def test_json_is_the_receipts(supervisor, capsys):
    supervisor.answers["send"] = sent(message(31), message(32))

    assert hot.run(["send", "--team", "backend", "hi", "--json"]) == 0

    assert json.loads(capsys.readouterr().out) == supervisor.answers["send"]
    assert supervisor.asked[0][1]["names"] == ["backend"]


def test_an_agent_says_who_it_is(supervisor, monkeypatch):
    supervisor.answers["send"] = sent()
    for name, text in WHO.items():
        monkeypatch.setenv(name, text)

    assert hot.run(["send", "--all", "hi"]) == 0

    assert supervisor.asked[0][1]["names"] == ["*"]
    assert supervisor.asked[0][1]["me"] == {
        "agent": "Task/backend/pm",
        "launch": "1-a",
        "seal": "5ea1",
    }


def test_who_has_no_seal_is_a_person(monkeypatch):
    monkeypatch.setenv("HIVE_AGENT", "Task/web/server")

    assert letters.me() is None


def test_an_agent_in_a_sandbox_leaves_its_message_in_its_folder(state, monkeypatch, capsys):
    spool = state.parent / "launch" / "spool"
    spool.mkdir(parents=True)
    monkeypatch.setattr(letters, "AWAY", 0.05)
    for name, text in {**WHO, "HIVE_FOLDER": str(spool.parent)}.items():
        monkeypatch.setenv(name, text)

    assert hot.run(["send", "--team", "backend", "hi", "--json"]) == 0

    told = capsys.readouterr()
    assert json.loads(told.out) == {"version": 1, "noted": True, "messages": []}
    assert "noted in a file" in told.err
    (question,) = spool.glob("*.q")
    asked = json.loads(question.read_text())
    assert asked["verb"] == "send" and asked["args"]["names"] == ["backend"]


@pytest.mark.parametrize("words", [["-"], []], ids=["a dash", "no word"])
def test_a_text_can_come_from_a_pipe(supervisor, monkeypatch, words):
    supervisor.answers["send"] = sent()
    monkeypatch.setattr(sys, "stdin", Pipe("Zeile ä\nzwei\n".encode()))

    assert hot.run(["send", "backend/dev", *words]) == 0

    assert supervisor.asked[0][1]["text"] == "Zeile ä\nzwei\n"


def test_a_text_can_come_from_a_file(supervisor, state):
    supervisor.answers["send"] = sent()
    (state.parent / "brief.md").write_text("# Do it\n", "utf-8")

    assert hot.run(["send", "backend/dev", "--file", "brief.md"]) == 0

    assert supervisor.asked[0][1]["text"] == "# Do it\n"


@pytest.mark.parametrize(
    ("words", "stdin", "what"),
    [
        pytest.param(["a/b"], Pipe(terminal=True), "there is no text", id="no text"),
        pytest.param(["a/b"], Pipe(b""), "the text is empty", id="an empty pipe"),
        pytest.param(["a/b", "-"], Pipe(b"a\xff"), "is not UTF-8", id="a pipe of bytes"),
        pytest.param(["a/b"], Pipe(b"x" * (1 << 21)), "longer than 1.0M", id="a large pipe"),
        pytest.param(["a/b", "hi", "--file", "x"], Pipe(), "a text and a `--file`", id="both"),
        pytest.param(["a/b", "--file", "none"], Pipe(), "can't read it", id="no file"),
        pytest.param(["a/b", "--file", "."], Pipe(), "can't read it", id="a folder"),
        pytest.param(["a/b", "hi", "--timeout", "5"], Pipe(), "`--timeout` must be", id="a time"),
        pytest.param([], Pipe(), "nobody is named", id="nobody"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(
    supervisor, capsys, monkeypatch, words, stdin, what
):
    monkeypatch.setattr(sys, "stdin", stdin)

    assert hot.run(["send", *words]) == 2

    assert what in capsys.readouterr().err
    assert supervisor.asked == []


def test_an_unknown_name_is_refused_by_the_supervisor(supervisor, capsys):
    supervisor.unknown = "there is no agent or team `bakend`; did you mean `backend`?"

    assert hot.run(["send", "bakend", "hi"]) == 2
    assert "did you mean `backend`?" in capsys.readouterr().err


def test_nobody_to_send_through_is_exit_code_3(state, capsys):
    assert hot.run(["send", "backend/dev", "hi"]) == 3
    assert "no supervisor answers" in capsys.readouterr().err


DONE = {"stage": "answered", "reason": "its turn is over", "result": "Rebased.\nAll is well."}


def test_the_answer_is_waited_for_and_is_all_that_is_on_stdout(supervisor, capsys):
    supervisor.answers["send"] = sent()
    supervisor.answers["message"] = [story(), story(stage="submitted", reason="ok"), story(**DONE)]

    assert hot.run(["send", "backend/dev", "Please rebase", "--wait"]) == 0

    told = capsys.readouterr()
    assert told.out == "Rebased.\nAll is well.\n"
    assert told.err.splitlines() == [
        "m-31 to backend/dev: queued: working",
        "m-31 to backend/dev: submitted: ok",
        "m-31 to backend/dev: answered: its turn is over",
    ]
    assert supervisor.asked[1] == ("message", {"name": "m-31"})


def test_waiting_gives_json_once_with_all_that_became_of_it(supervisor, capsys):
    supervisor.answers["send"] = sent()
    supervisor.answers["message"] = [story(), story(**DONE)]

    assert hot.run(["send", "backend/dev", "hi", "--wait", "--json"]) == 0

    told = capsys.readouterr()
    assert json.loads(told.out)["messages"] == [message(**DONE)]
    assert told.err == ""


@pytest.mark.parametrize(
    "end",
    [
        pytest.param({"stage": "failed", "reason": "no evidence"}, id="undelivered"),
        pytest.param({"stage": "withdrawn"}, id="taken back"),
        pytest.param({**DONE, "outcome": "failed"}, id="the agent failed at it"),
    ],
)
def test_what_was_not_done_is_exit_code_1(supervisor, end):
    supervisor.answers["send"] = sent()
    supervisor.answers["message"] = story(**end)

    assert hot.run(["send", "backend/dev", "hi", "--wait"]) == 1


def test_no_answer_in_time_is_exit_code_4_and_hive_goes_on(supervisor, capsys):
    supervisor.answers["send"] = sent()
    supervisor.answers["message"] = story(reason="draft in the composer")

    assert hot.run(["send", "backend/dev", "hi", "--wait", "--timeout", "50ms"]) == 4

    err = capsys.readouterr().err
    assert "hive goes on with it:\n    m-31 to backend/dev: queued: draft in the composer" in err
    assert "next: hive why m-31" in err


def test_ctrl_c_ends_the_waiting_only(supervisor, monkeypatch, capsys):
    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    supervisor.answers["send"] = sent()
    monkeypatch.setattr(letters.time, "sleep", interrupted)

    with pytest.raises(typer.Exit) as caught:
        letters.send(["backend/dev", "hi"], wait=True)

    assert caught.value.exit_code == output.INTERRUPTED
    assert "hive goes on with it" in capsys.readouterr().err


def test_the_inbox_is_told(supervisor, capsys):
    item = {
        "id": "A7", "kind": "approval", "agent": "backend/dev", "asked": "Bash: make",
        "why": "because", "since": SINCE, "meanwhile": "it waits", "answer": "hive approve A7",
    }  # fmt: skip
    supervisor.answers["inbox"] = {"version": 1, "items": [item]}

    assert hot.run(["inbox"]) == 0
    shown = capsys.readouterr().out
    assert hot.run(["inbox", "--json"]) == 0

    assert "asked      Bash: make" in shown and "hive approve A7" in shown
    assert json.loads(capsys.readouterr().out)["items"] == [item]


@pytest.mark.parametrize(
    ("words", "verb", "args"),
    [
        pytest.param(
            ["approve", "A7"], "decide", {"name": "A7", "allow": True, "text": ""}, id="approve"
        ),
        pytest.param(
            ["approve", "a7"], "decide", {"name": "A7", "allow": True, "text": ""}, id="small"
        ),
        pytest.param(
            ["deny", "A7"], "decide", {"name": "A7", "allow": False, "text": ""}, id="deny"
        ),
        pytest.param(
            ["deny", "A7", "use staging"],
            "decide",
            {"name": "A7", "allow": False, "text": "use staging"},
            id="deny, and why",
        ),
        pytest.param(
            ["answer", "Q8", "staging"], "answer", {"name": "Q8", "text": "staging"}, id="answer"
        ),
    ],
)
def test_a_word_is_passed_on_and_what_became_of_it_is_told(supervisor, capsys, words, verb, args):
    supervisor.answers[verb] = decided(args["name"], "denied", "so it is")

    assert hot.run(words) == 0
    assert capsys.readouterr().out == f"{args['name']} of backend/dev: denied: so it is\n"
    assert hot.run([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == supervisor.answers[verb]

    assert supervisor.asked == [(verb, args)] * 2


@pytest.mark.parametrize("words", [["approve", "A7"], ["deny", "A7"], ["answer", "Q8", "yes"]])
def test_an_agent_can_not_answer_for_a_person(supervisor, state, words):
    tagged = {**os.environ, **WHO, "HIVE_STATE": str(state)}
    hive = shlex.join([sys.executable, "-m", "hive", *words])
    bare = f"env -u HIVE_SEAL -u HIVE_AGENT -u HIVE_LAUNCH {hive}; exit $?"

    done = subprocess.run(
        ["sh", "-c", bare], env=tagged, cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip

    assert done.returncode == 1, done.stderr
    assert "`backend/pm` can't answer for a person" in done.stderr
    assert supervisor.asked == []


def test_an_answer_comes_with_a_receipt(supervisor, capsys):
    supervisor.answers["answer"] = decided("Q8", "answered", "yes") | {"messages": [message()]}

    assert hot.run(["answer", "Q8", "yes"]) == 0

    assert capsys.readouterr().out.splitlines() == [
        "Q8 of backend/dev: answered: yes",
        "m-31 to backend/dev: queued: working",
        "`hive why m-31` tells how it goes on",
    ]


def test_an_answer_can_come_from_a_pipe(supervisor, monkeypatch):
    supervisor.answers["answer"] = decided("Q8", "answered")
    monkeypatch.setattr(sys, "stdin", Pipe(b"staging"))

    assert hot.run(["answer", "Q8", "-"]) == 0

    assert supervisor.asked == [("answer", {"name": "Q8", "text": "staging"})]


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        pytest.param(["approve", "7"], "`7` is not an approval", "hive inbox", id="a number"),
        pytest.param(["approve", "m-7"], "`m-7` is not an approval", "hive inbox", id="a message"),
        pytest.param(
            ["approve", "Q8"], "a question, not an approval", "hive answer Q8", id="a question"
        ),
        pytest.param(
            ["answer", "A7", "x"],
            "an approval, not a question",
            "hive approve A7",
            id="an approval",
        ),
        pytest.param(["answer", "Q8", " "], "the text is empty", "TEXT", id="no answer"),
        pytest.param(["deny", "A7", " "], "the text is empty", "TEXT", id="blanks"),
        pytest.param(["withdraw", "A7"], "`A7` is not a message", "m-31", id="not a message"),
    ],
)
def test_what_names_the_wrong_thing_is_refused(supervisor, capsys, words, what, fix):
    assert hot.run(words) == 2

    err = capsys.readouterr().err
    assert what in err and fix in err
    assert supervisor.asked == []


def test_a_message_is_taken_back(supervisor, capsys):
    supervisor.answers["withdraw"] = sent(message(stage="withdrawn", reason="by a person"))

    assert hot.run(["withdraw", "m-31"]) == 0

    assert capsys.readouterr().out == "m-31 to backend/dev: withdrawn: by a person\n"
    assert supervisor.asked == [("withdraw", {"name": "m-31"})]


@pytest.mark.parametrize(
    ("name", "verb", "record", "shown"),
    [
        pytest.param("m-31", "message", story(), "m-31 to backend/dev, from a person", id="story"),
        pytest.param("A7", "request", decided(), "A7  approval  backend/dev", id="approval"),
        pytest.param("Q8", "request", decided("Q8"), "Q8  question  backend/dev", id="question"),
    ],
)
def test_why_tells_all_of_a_letter(supervisor, capsys, name, verb, record, shown):
    supervisor.answers[verb] = record

    assert letters.why_letter(name, json=False)
    assert shown in capsys.readouterr().out
    assert letters.why_letter(name, json=True)
    assert json.loads(capsys.readouterr().out) == record

    assert supervisor.asked == [(verb, {"name": name})] * 2


@pytest.mark.parametrize("name", ["backend/dev", "m-", "m-x", "A", "B7", "a7", "am-3", "A7/dev"])
def test_what_is_no_letter_is_left_to_others(supervisor, name):
    assert not letters.why_letter(name, json=False)
    assert supervisor.asked == []
