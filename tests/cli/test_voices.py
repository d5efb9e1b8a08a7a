"""What agents say, over a real socket or by file, and the hooks of their programs."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time

import pytest

from hive.adapters import reach
from hive.adapters.spool import Spool
from hive.cli import hook, voices
from hive.errors import HiveError, NotRunning, WrongInput
from tests.conftest import eventually

ME = {"agent": "Task/back/dev", "launch": "l1", "seal": "s"}
WORK_DONE = (
    'when it is done: hive task done t-12-3 --result "WHAT YOU DID"'
    " --confidence C   # how sure you are, 0 to 1"
)
WORK = {"name": "t-12", "lease": "t-12-3", "fence": 3, "from": "a person", "text": "Build it."}
TASK = {"name": "m-31", "from": "back/pm", "text": "Rebase.\n\nThen \x1b[31mtest."}
HEAVY = {
    "argparse", "asyncio", "dataclasses", "fcntl", "libtmux", "pathlib", "psutil", "pydantic",
    "rich", "sqlalchemy", "subprocess", "typer", "typing",
}  # fmt: skip


@pytest.fixture
def agent(state, short_path, monkeypatch):
    """Make this process one that an agent started; give the launch's folder."""
    folder = short_path / "folder"
    (folder / "spool").mkdir(parents=True)
    for key, text in ME.items():
        monkeypatch.setenv(f"HIVE_{key.upper()}", text)
    monkeypatch.setenv("HIVE_FOLDER", str(folder))
    return folder


def asked(supervisor):
    """Give what was asked, without who asks and the ids, which each question must have."""
    found = []
    for verb, given in supervisor.asked:
        args = dict(given)
        assert args.pop("me") == ME
        if verb in reach.LATER | {"lock", "unlock"}:
            assert len(args.pop("uid")) == 32
        found.append((verb, args))
    return found


@pytest.mark.parametrize(
    ("words", "verb", "args", "answer", "printed"),
    [
        pytest.param(
            ["report", "working"],
            "report",
            {"state": "working", "text": ""},
            {},
            ["noted"],
            id="a report",
        ),
        pytest.param(
            ["report", "blocked", "no", "database"],
            "report",
            {"state": "blocked", "text": "no database"},
            {},
            ["noted: a person sees it; end your turn, an answer comes as a message"],
            id="a reason of several words",
        ),
        pytest.param(
            ["ask", "Which?", "--option", "a b", "--option=-c"],
            "ask_human",
            {"text": "Which?", "options": ["a b", "-c"]},
            {"request": "Q8"},
            ["noted as Q8; the answer comes as a message: end your turn"],
            id="a question",
        ),
        pytest.param(
            ["task", "next"],
            "next_task",
            {},
            {"task": None},
            ["nothing waits for you: end your turn, the next message comes by itself"],
            id="nothing to do",
        ),
        pytest.param(
            ["task", "show", "m-31"],
            "show_task",
            {"name": "m-31"},
            {"task": TASK},
            [
                "m-31 from back/pm:",
                "Rebase.",
                "",
                "Then  [31mtest.",
                "",
                'when it is done: hive task done m-31 --result "WHAT YOU DID"',
                'if it can\'t be done: hive task fail m-31 --why "WHY"',
            ],
            id="a message",
        ),
        pytest.param(
            ["task", "next"],
            "next_task",
            {},
            {"task": {**WORK, "check": "make\ttest"}},
            [
                "t-12 from a person:",
                "Build it.",
                "",
                WORK_DONE,
                "hive then checks it with: make    test",
                'if it can\'t be done: hive task fail t-12-3 --why "WHY"',
            ],
            id="a task",
        ),
        pytest.param(
            ["task", "show", "t-12"],
            "show_task",
            {"name": "t-12"},
            {"task": {**WORK, "check": ""}},
            [
                "t-12 from a person:",
                "Build it.",
                "",
                WORK_DONE,
                'if it can\'t be done: hive task fail t-12-3 --why "WHY"',
            ],
            id="a task shown",
        ),
        pytest.param(
            ["task", "progress", "t-12-3", "half", "way"],
            "progress",
            {"text": "half way", "name": "t-12"},
            {},
            ["noted: go on"],
            id="progress of a task",
        ),
        pytest.param(
            ["task", "done", "t-12-3", "built"],
            "task_done",
            {"name": "t-12", "fence": 3, "result": "built", "confidence": None},
            {"task": "t-12", "state": "leased", "why": "its check runs"},
            [
                "t-12 is noted as done: end your turn, the next message comes by itself",
                "its check runs",
            ],
            id="a task done, as it was given",
        ),
        pytest.param(
            ["task", "fail", "t-12", "no", "way"],
            "task_fail",
            {"name": "t-12", "why": "no way"},
            {"task": "t-12"},
            ["t-12 is noted as failed: end your turn, the next message comes by itself"],
            id="a task failed",
        ),
        pytest.param(
            ["task", "split", "--text", "the API", "--text", "the UI"],
            "split_task",
            {"parts": ["the API", "the UI"], "name": ""},
            {"task": "t-12", "parts": ["t-13", "t-14"]},
            ["t-12 waits for its parts: t-13, t-14; end your turn"],
            id="a task split",
        ),
        pytest.param(
            ["lock", "path:src", "--shared"],
            "lock",
            {"name": "path:src", "shared": True},
            {"held": True, "by": "back/dev"},
            ["`path:src` is yours; let go of it: hive unlock path:src"],
            id="a shared lock",
        ),
        pytest.param(
            ["task", "progress", "m-31", "half", "way"],
            "progress",
            {"text": "m-31: half way"},
            {},
            ["noted: go on"],
            id="progress of a message",
        ),
        pytest.param(
            ["task", "progress", "half way"],
            "progress",
            {"text": "half way"},
            {},
            ["noted: go on"],
            id="progress",
        ),
        pytest.param(
            ["task", "done", "m-31", "--result", "rebased", "--confidence", "0.9"],
            "task_done",
            {"name": "m-31", "result": "rebased", "confidence": 0.9},
            {"task": "m-31"},
            ["m-31 is noted as done: end your turn, the next message comes by itself"],
            id="done",
        ),
        pytest.param(
            ["task", "done", "rebased it"],
            "task_done",
            {"name": "", "result": "rebased it", "confidence": None},
            {"task": "m-31"},
            ["m-31 is noted as done: end your turn, the next message comes by itself"],
            id="done, in the simplest words",
        ),
        pytest.param(
            ["task", "fail", "m-31", "--why", "no\nway"],
            "task_fail",
            {"name": "m-31", "why": "no\nway"},
            {"task": "m-31"},
            ["m-31 is noted as failed: end your turn, the next message comes by itself"],
            id="failed",
        ),
        pytest.param(
            ["task", "fail", "--reason", "no way"],
            "task_fail",
            {"name": "", "why": "no way"},
            {"task": "m-31"},
            ["m-31 is noted as failed: end your turn, the next message comes by itself"],
            id="failed, in another word",
        ),
        pytest.param(
            ["lock", "db"],
            "lock",
            {"name": "db"},
            {"held": True, "by": "back/dev"},
            ["`db` is yours; let go of it: hive unlock db"],
            id="a lock",
        ),
        pytest.param(
            ["unlock", "db"],
            "unlock",
            {"name": "db"},
            {"held": False, "by": ""},
            ["`db` is no longer yours"],
            id="a lock let go",
        ),
    ],
)
def test_each_thing_said_is_one_question_and_says_what_is_next(
    agent, supervisor, capsys, words, verb, args, answer, printed
):
    supervisor.answers[verb] = answer

    assert voices.run(words[0], words[1:]) == 0

    assert asked(supervisor) == [(verb, args)]
    assert capsys.readouterr().out.splitlines() == printed

    assert voices.run(words[0], [*words[1:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"version": 1, **answer}


@pytest.mark.parametrize(
    ("words", "what"),
    [
        pytest.param(["report"], "no state is named", id="no state"),
        pytest.param(["report", "finished"], "`finished` is no state", id="a wrong state"),
        pytest.param(["report", "blocked"], "what keeps you", id="blocked without a reason"),
        pytest.param(["report", "done", "--bogus"], "no such option: `--bogus`", id="an option"),
        pytest.param(["ask"], "there is no question", id="no question"),
        pytest.param(["ask", "a", "--option"], "`--option` needs a value", id="no value"),
        pytest.param(["ask", "a", "--wait=1"], "no such option: `--wait`", id="a value too many"),
        pytest.param(["task"], "not said what to do", id="no deed"),
        pytest.param(["task", "begin"], "`begin` can't be done", id="a wrong deed"),
        pytest.param(["task", "show", "31"], "`31` is no message and no task", id="no message"),
        pytest.param(["task", "next", "m-31", "x"], "takes no more words", id="too many words"),
        pytest.param(["task", "progress", "m-1"], "how far you are", id="no progress"),
        pytest.param(["task", "fail", "m-1"], "not said why", id="no reason"),
        pytest.param(["task", "done", "--confidence", "90%"], "from 0 to 1", id="no number"),
        pytest.param(["task", "done", "--confidence", "nan"], "from 0 to 1", id="not a number"),
        pytest.param(["task", "done", "--result-file", "/no/file"], "can't read it", id="no file"),
        pytest.param(["task", "split"], "no part is named", id="no part"),
        pytest.param(["task", "split", "--text", " "], "nothing in a part", id="an empty part"),
        pytest.param(["task", "split", "t-1", "/no/file"], "can't read it", id="no part's file"),
        pytest.param(["lock"], "no lock is named", id="no lock"),
        pytest.param(["unlock", "a", "b"], "one lock at a time", id="two locks"),
    ],
)
def test_a_mistake_is_told_before_anybody_is_asked(agent, supervisor, words, what):
    with pytest.raises(WrongInput) as caught:
        voices.run(words[0], words[1:])

    assert what in caught.value.what
    assert caught.value.fix or caught.value.where
    assert supervisor.asked == []


@pytest.mark.parametrize("verb", sorted(voices.HELP))
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_is_short_and_needs_nobody(state, capsys, verb, option):
    assert voices.run(verb, [option]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"Usage: hive {verb}")
    assert len(lines) <= 20
    assert all(len(line) <= 88 for line in lines)


def test_outside_an_agent_nobody_can_speak_for_one(supervisor):
    with pytest.raises(WrongInput, match="`HIVE_AGENT` is not set"):
        voices.run("report", ["working"])

    assert supervisor.asked == []


def test_a_result_may_come_from_a_file(agent, supervisor, short_path):
    supervisor.answers["task_done"] = {"task": "m-1"}
    (short_path / "result.md").write_text("- one\n- two\n")

    voices.run("task", ["done", "--result-file", "result.md"])

    assert supervisor.asked[0][1]["result"] == "- one\n- two\n"


def test_a_result_may_come_from_stdin(agent, supervisor, monkeypatch):
    supervisor.answers["task_done"] = {"task": "m-1"}
    monkeypatch.setattr("sys.stdin", io.StringIO("- one\n"))

    voices.run("task", ["done", "m-1", "--result", "-"])

    assert supervisor.asked[0][1]["result"] == "- one\n"


def test_parts_come_from_files(agent, supervisor, short_path):
    supervisor.answers["split_task"] = {"task": "t-12"}
    (short_path / "a.md").write_text("# one\n")
    (short_path / "b.md").write_text("# two\n")

    voices.run("task", ["split", "t-12-3", "a.md", "b.md"])

    assert asked(supervisor) == [("split_task", {"name": "t-12", "parts": ["# one\n", "# two\n"]})]


def test_what_was_started_for_one_task_need_not_name_it(agent, supervisor, monkeypatch):
    supervisor.answers = {"task_done": {}, "progress": {}}
    monkeypatch.setenv("HIVE_TASK", "t-12")
    monkeypatch.setenv("HIVE_FENCE", "3")

    voices.run("task", ["progress", "half", "way"])
    voices.run("task", ["done", "built"])
    voices.run("task", ["done", "m-1"])

    assert asked(supervisor) == [
        ("progress", {"text": "half way", "name": "t-12"}),
        ("task_done", {"name": "t-12", "fence": 3, "result": "built", "confidence": None}),
        ("task_done", {"name": "m-1", "result": "", "confidence": None}),
    ]


@pytest.mark.parametrize(
    ("words", "inside", "outside"),
    [
        pytest.param(["next"], True, True, id="next"),
        pytest.param(["--json", "done", "t-1"], True, True, id="done"),
        pytest.param(["split", "a.md"], True, True, id="split"),
        pytest.param(["show", "t-1"], True, False, id="show"),
        pytest.param(["list"], False, False, id="list"),
        pytest.param(["add", "done"], False, False, id="add"),
        pytest.param(["--help"], False, False, id="help"),
        pytest.param([], False, False, id="nothing"),
    ],
)
def test_an_agent_s_own_words_are_told_from_a_person_s(words, inside, outside):
    assert voices.is_mine(words, {"HIVE_AGENT": "Task/back/dev"}) is inside
    assert voices.is_mine(words, {}) is outside


def test_a_lock_that_another_has_is_told(agent, supervisor):
    supervisor.answers["lock"] = {"held": False, "by": "back/pm"}

    with pytest.raises(HiveError, match="`db` is held by back/pm"):
        voices.run("lock", ["db"])


def test_a_lock_may_be_waited_for(agent, supervisor, monkeypatch, capsys):
    monkeypatch.setattr(voices, "FIRST", 0.01)
    no, yes = {"held": False, "by": "back/pm"}, {"held": True, "by": "back/dev"}
    supervisor.answers["lock"] = [no, no, yes]

    assert voices.run("lock", ["db", "--wait"]) == 0

    assert len(supervisor.asked) == 3
    assert len({args["uid"] for _, args in supervisor.asked}) == 3, "each try is one of its own"
    assert "is yours" in capsys.readouterr().out


def test_an_answer_may_be_waited_for(agent, supervisor, monkeypatch, capsys):
    monkeypatch.setattr(voices, "FIRST", 0.01)
    supervisor.answers["ask_human"] = {"request": "Q8"}
    supervisor.answers["reply"] = [
        {"state": "open", "answer": ""},
        {"state": "answered", "answer": "staging\nplease"},
    ]

    assert voices.run("ask", ["Which?", "--wait"]) == 0

    assert capsys.readouterr().out == "staging\nplease\n"
    assert asked(supervisor)[1:] == [("reply", {"request": "Q8"})] * 2


def test_a_question_that_nobody_answers_any_more_is_told(agent, supervisor):
    supervisor.answers["ask_human"] = {"request": "Q8"}
    supervisor.answers["reply"] = {"state": "gone", "answer": ""}

    with pytest.raises(HiveError, match="Q8 is gone"):
        voices.run("ask", ["Which?", "--wait"])


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["report", "done"], id="a report"),
        pytest.param(["ask", "Which?", "--wait"], id="a question"),
        pytest.param(["task", "done", "m-1"], id="a task"),
    ],
)
def test_while_hive_is_away_what_is_said_is_noted(agent, monkeypatch, capsys, words):
    monkeypatch.setattr(voices, "PATIENCE", 0.1)

    assert voices.run(words[0], words[1:]) == 0

    assert capsys.readouterr().out == f"{voices.NOTED}\n"
    assert len(Spool(agent / "spool").questions()) == 1


def test_while_hive_is_away_nothing_can_be_fetched(agent, monkeypatch):
    monkeypatch.setattr(voices, "PATIENCE", 0.1)

    with pytest.raises(NotRunning):
        voices.run("task", ["next"])


def test_an_agent_sends_a_message(agent, supervisor, capsys):
    supervisor.answers["send"] = {"messages": [{"agent": "back/pm", "message": "m-32"}]}

    assert voices.agent_send(["back/pm", "Done. Look at it."]) == 0

    assert asked(supervisor) == [("send", {"names": ["back/pm"], "text": "Done. Look at it."})]
    assert capsys.readouterr().out == "sent to back/pm as m-32\n"


def test_a_text_may_begin_with_a_dash(agent, supervisor):
    supervisor.answers["send"] = {"messages": []}

    assert voices.agent_send(["back/pm", "--", "- one"]) == 0

    assert supervisor.asked[0][1]["text"] == "- one"


@pytest.mark.parametrize(
    "words",
    [
        pytest.param([], id="nothing"),
        pytest.param(["back/pm"], id="no text"),
        pytest.param(["back/pm", "two", "words"], id="several words"),
        pytest.param(["back/pm", "-"], id="from stdin"),
        pytest.param(["--all", "text"], id="an option"),
        pytest.param(["back/pm", "text", "--wait"], id="an option behind"),
        pytest.param(["--help"], id="help"),
    ],
)
def test_what_is_unusual_is_left_to_the_whole_command_line(agent, supervisor, words):
    assert voices.agent_send(words) is None
    assert supervisor.asked == []


def test_what_a_person_sends_is_left_to_the_whole_command_line(supervisor):
    assert voices.agent_send(["back/pm", "text"]) is None
    assert supervisor.asked == []


def start(*words, module="voices", **options):
    """Start a command in a process of its own, with nothing but the standard library."""
    run = f"voices.run({words[0]!r}, {list(words[1:])!r})"
    if module == "hook":
        run = f"hook.run({list(words)!r})"
    code = f"import sys\nfrom hive.cli import {module}\ncode = {run}\n"
    code += "print(sorted(sys.modules), file=sys.stderr)\nraise SystemExit(code)"
    given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code], text=True, **given | options)


@pytest.mark.parametrize(
    ("words", "module"), [(["report", "working"], "voices"), (["Stop"], "hook")]
)
def test_what_agents_say_all_day_imports_next_to_nothing(agent, supervisor, words, module):
    supervisor.answers = {"report": {}, "hook": {"print": "", "wait": None}}

    process = start(*words, module=module)
    _, modules = process.communicate(timeout=60)

    assert process.returncode == 0
    assert not HEAVY & set(modules.replace("'", " ").replace(",", " ").split())
    assert len(supervisor.asked) == 1


# hooks


def hooked(*words, told="", **options):
    """Run `hive hook WORDS` with this on stdin; give its exit code and what it printed."""
    process = start(*words, module="hook", **{"stdin": subprocess.PIPE} | options)
    out, _ = process.communicate(told, timeout=60)
    return process.returncode, out


def log(agent):
    return (agent / "hook-errors.log").read_text()


@pytest.mark.parametrize("how", ["stdin", "argument"])
def test_a_hook_tells_what_happened_and_prints_the_answer(agent, supervisor, how):
    supervisor.answers["hook"] = {"print": '{"decision": "block"}\n', "wait": None}
    payload = {"session_id": "s1", "list": [1, {"a": None}]}
    told = json.dumps(payload)

    found = hooked("Stop", told=told) if how == "stdin" else hooked("Stop", told)

    assert found == (0, '{"decision": "block"}\n')
    assert asked(supervisor) == [("hook", {"event": "Stop", "payload": payload})]
    assert not (agent / "hook-errors.log").exists()


@pytest.mark.parametrize(
    ("told", "payload"),
    [
        pytest.param("", {}, id="nothing"),
        pytest.param("\n", {}, id="blank"),
        pytest.param("[1]", {"value": [1]}, id="no object"),
    ],
)
def test_a_hook_may_tell_little(agent, supervisor, told, payload):
    supervisor.answers["hook"] = {"print": "", "wait": None}

    assert hooked("Stop", told=told) == (0, "")

    assert supervisor.asked[0][1]["payload"] == payload


@pytest.mark.parametrize("told", ["{broken", "[" * 100_000])
def test_what_can_not_be_read_is_noted_and_the_event_is_told(agent, supervisor, told):
    supervisor.answers["hook"] = {"print": "", "wait": None}

    assert hooked("Stop", told=told) == (0, "")

    assert supervisor.asked[0][1]["payload"] == {}
    assert "Stop: " in log(agent)


def test_a_long_text_is_cut_and_still_tells_one_from_another(agent, supervisor):
    supervisor.answers["hook"] = {"print": "", "wait": None}
    for middle in "ab":
        text = "x" * 50_000 + middle + "y" * 50_000
        hooked("Stop", told=json.dumps({"tool": {"input": text}, "short": "é" * 100}))

    one, two = (args["payload"]["tool"]["input"] for _, args in supervisor.asked)
    assert len(one) < 25_000
    assert one.startswith("xxx")
    assert one.endswith("yyy")
    assert "[100001 characters, sha256 " in one
    assert one != two
    assert supervisor.asked[0][1]["payload"]["short"] == "é" * 100


def test_of_too_much_the_plain_facts_are_told(agent, supervisor):
    supervisor.answers["hook"] = {"print": "", "wait": None}

    hooked("Stop", told=json.dumps({"session_id": "s1", "rows": ["x" * 1000] * 2000}))

    assert supervisor.asked[0][1]["payload"] == {"session_id": "s1"}


def test_a_refusal_never_disturbs_the_agent(agent, supervisor):
    assert hooked("Stop", told="{}") == (0, "")

    assert "Stop: WrongInput: no answer to `hook`" in log(agent)
    assert log(agent).count("\n") == 1


def test_an_answer_that_is_none_never_disturbs_the_agent(agent, supervisor):
    supervisor.answers["hook"] = "odd"

    assert hooked("Stop", told="{}") == (0, "")

    assert "Stop: AttributeError" in log(agent)


def test_a_hook_without_an_event_only_notes_it(agent, capsys):
    assert hook.run([]) == 0

    assert capsys.readouterr().out == ""
    assert "no event is named" in log(agent)


def test_outside_an_agent_a_hook_does_nothing(supervisor, capfd):
    assert hook.run(["Stop", "{}"]) == 0

    assert capfd.readouterr() == ("", "")
    assert supervisor.asked == []


def test_a_folder_that_is_gone_never_disturbs_the_agent(agent, monkeypatch, capfd):
    monkeypatch.setenv("HIVE_FOLDER", "/nonexistent")

    assert hook.run(["Stop", "{}"]) == 0

    assert capfd.readouterr() == ("", "")


def test_the_log_of_hooks_never_grows_for_ever(agent):
    (agent / "hook-errors.log").write_text("x" * (hook.LOG_BYTES + 1))

    hook.run([])

    assert log(agent).count("\n") == 1
    assert len(log(agent)) < 200


def test_while_hive_is_away_an_event_is_kept_and_holds_nobody_up(agent, capfd):
    began = time.monotonic()

    assert hook.run(["Stop", '{"session_id": "s1"}']) == 0

    assert time.monotonic() - began < hook.AWAY + 2
    assert capfd.readouterr() == ("", "")
    ((_, verb, args),) = Spool(agent / "spool").questions()
    assert (verb, args["event"], args["payload"]) == ("hook", "Stop", {"session_id": "s1"})


def test_a_program_that_never_tells_is_not_waited_for(agent, supervisor, monkeypatch):
    supervisor.answers["hook"] = {"print": "", "wait": None}
    read, write = os.pipe()

    process = start("Stop", module="hook", stdin=read)

    assert process.wait(timeout=60) == 0
    process.communicate()
    os.close(read)
    os.close(write)
    assert supervisor.asked[0][1]["payload"] == {}


def waiting(supervisor, **options):
    """Start a hook that waits for a verdict; give it once hive has answered."""
    supervisor.answers["hook"] = {"print": "", "wait": "verdict-A7.json"}
    process = start("PermissionRequest", "{}", module="hook", **options)
    eventually(lambda: supervisor.asked)
    return process


@pytest.mark.parametrize("text", ['{"behavior": "allow"}', ""])
def test_a_hook_waits_for_a_persons_verdict(agent, supervisor, text):
    process = waiting(supervisor)
    (agent / "verdict-A7.json").write_text("{")  # not whole yet
    assert process.poll() is None

    (agent / "verdict-A7.json").write_text(json.dumps({"print": text}))

    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, text)


def test_a_verdict_that_nobody_reads_any_more_is_not_waited_for(agent, supervisor):
    read, write = os.pipe()
    process = waiting(supervisor, stdout=write)
    os.close(write)
    assert process.poll() is None

    os.close(read)

    assert process.wait(timeout=60) == 0
    process.communicate()


def test_a_launch_that_is_over_gives_no_verdict(agent, supervisor):
    process = waiting(supervisor)
    assert process.poll() is None

    agent.rename(agent.with_name("gone"))

    assert process.communicate(timeout=60)[0] == ""
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["../secret", ".hidden", "/etc/passwd"])
def test_a_verdict_lies_in_the_launchs_folder(agent, supervisor, name):
    supervisor.answers["hook"] = {"print": "", "wait": name}

    assert hooked("PermissionRequest", told="{}") == (0, "")

    assert "is no verdict's file" in log(agent)


def test_hook_has_help(capsys):
    assert hook.run(["--help"]) == 0

    assert capsys.readouterr().out == hook.HELP
