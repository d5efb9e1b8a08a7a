"""The fake agent that hive is tested against, itself tested: in a terminal, by its ground truth."""

# ruff: noqa: RUF001 - that is how the real one draws it

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from tests import tally
from tests.conftest import ROOT, end, eventually, tagged

TUI = ROOT / "tests" / "fakes" / "tui.py"
SESSION = "11111111-1111-4111-8111-111111111111"
EVENTS = (
    "SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PermissionRequest", "Stop",
    "StopFailure", "SessionEnd",
)  # fmt: skip


class Fake:
    """A fake agent in a tmux server of its own."""

    def __init__(self, path: Path) -> None:
        self.path, self.tag = path, uuid4().hex
        self.home, self.truth, self.told = path / "home", path / "truth", path / "hooks"
        self.home.mkdir()
        self._socket = str(path / "s")
        self._settings = path / "settings.json"
        self.hooks(f"cat >> {self.told}; echo >> {self.told}")

    def hooks(self, command: str, **others: str) -> None:
        """Write the settings: one command for all hooks, but for those named."""
        table = {
            event: [{"hooks": [{"type": "command", "command": others.get(event, command)}]}]
            for event in EVENTS
        }
        self._settings.write_text(json.dumps({"hooks": table}))

    def start(self, *words: str, persona: str = "", session: str = SESSION) -> None:
        """Start it in a pane; `words` stand behind its settings."""
        given = ["--session-id", session] if session else []
        line = shlex.join([str(TUI), "--settings", str(self._settings), *given, *words])
        script = f"FAKE_PERSONA={shlex.quote(persona)} {line}; echo ended $? >> {self.path}/code"
        if Path(self._socket).exists():
            self.tmux("respawn-pane", "-k", script)
            return
        new = ["new-session", "-d", "-x", "80", "-y", "30", script]
        self.tmux("-f", "/dev/null", *new, ";", "set", "-g", "remain-on-exit", "on")

    def tmux(self, *words: str, given: str | None = None) -> str:
        env = os.environ | {
            "HOME": str(self.home), "FAKE_TRUTH": str(self.truth), "TEST_CORNER": self.tag,
            "LC_ALL": "C.UTF-8", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }  # fmt: skip
        command = ["tmux", "-S", self._socket, *words]
        done = subprocess.run(
            command, env=env, cwd=self.path, input=given, capture_output=True, text=True,
            timeout=20, check=True,
        )  # fmt: skip
        return done.stdout.rstrip("\n")

    def keys(self, *names: str) -> None:
        self.tmux("send-keys", *names)

    def paste(self, text: str) -> None:
        self.tmux("load-buffer", "-b", "x", "-", given=text)
        self.tmux("paste-buffer", "-d", "-p", "-r", "-b", "x")

    def say(self, text: str) -> None:
        """Paste, and press Enter once it stands there."""
        self.paste(text)
        self.shows(text[:20])
        self.keys("Enter")

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def shows(self, text: str) -> str:
        """Wait until the screen shows a text."""
        eventually(lambda: text in self.screen(), timeout=20, pause=0.02)
        return self.screen()

    def idle(self) -> None:
        """Wait until it is at its composer, by its own records."""
        eventually(lambda: self.records().get("status") == "idle", timeout=20, pause=0.02)
        self.shows("? for shortcuts")

    def records(self) -> dict[str, Any]:
        """Give its own word of how it stands; {} without one."""
        started = self.told_of("start")
        path = self.home / f".claude/sessions/{started[-1]['pid'] if started else ''}.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def transcript(self, session: str = SESSION) -> list[dict[str, Any]]:
        (path,) = self.home.glob(f".claude/projects/*/{session}.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]

    def heard(self) -> list[str]:
        """Give the names of the events its hooks were run for."""
        lines = self.told.read_text().splitlines() if self.told.exists() else []
        return [json.loads(line)["hook_event_name"] for line in lines if line]

    def wait(self, condition: Callable[[], Any]) -> Any:
        return eventually(condition, timeout=20, pause=0.02)

    def told_of(self, what: str) -> list[dict[str, Any]]:
        return list(tally.facts(self.truth, what=what))

    def pid(self) -> int:
        return self.wait(lambda: self.told_of("start"))[-1]["pid"]

    def code(self) -> str:
        """Wait until it has ended, and give its exit code."""
        path = self.path / "code"
        return self.wait(lambda: path.exists() and path.read_text()).split()[-1]

    def close(self) -> None:
        """End every fake, then the server, which buries them."""
        for pid in {one["pid"] for one in self.told_of("start")}:
            with suppress(ProcessLookupError):  # it ended before
                os.kill(pid, signal.SIGKILL)
            self.wait(lambda pid=pid: not psutil.pid_exists(pid))
        self.tmux("kill-server")


@pytest.fixture
def fake(short_path: Path) -> Iterator[Fake]:
    one = Fake(short_path)
    yield one
    one.close()


def test_a_turn_from_the_prompt_on_its_command_line_to_its_end(fake: Fake):
    fake.start("--mcp-config=x", "--unknown", "--", "[hive m-1] FAKE:sh echo $FAKE_TRUTH")
    fake.idle()
    fake.wait(lambda: fake.heard()[-1:] == ["Stop"])
    assert tally.prompts(fake.truth) == ["[hive m-1] FAKE:sh echo $FAKE_TRUTH"]
    assert tally.count_of("[hive m-1]", fake.truth) == 1
    (ran,) = fake.told_of("ran")
    assert ran["out"].strip() == str(fake.truth)
    assert fake.heard() == ["SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop"]
    kinds = [(one["type"], one["sessionId"]) for one in fake.transcript()]
    assert [kind for kind, _ in kinds] == ["user", "assistant", "user", "assistant", "system"]
    assert {session for _, session in kinds} == {SESSION}
    assert fake.records()["sessionId"] == SESSION
    assert fake.records()["pid"] == fake.pid()


def test_what_is_pasted_comes_whole_and_its_bytes_are_known_with_its_state(fake: Fake):
    fake.start()
    fake.idle()
    text = "two lines\nüñ ❯ and a quote'" + "x" * 900
    fake.paste(text)
    fake.shows("xxxx")
    fake.keys("Enter")
    fake.wait(lambda: tally.prompts(fake.truth) == [text])
    given = tally.bytes_while(fake.truth, states=("composer",))
    assert given == b"\x1b[200~" + text.encode() + b"\x1b[201~\r"
    assert tally.bytes_while(fake.truth) == b""


def test_its_screen_and_title_look_like_claude_codes(fake: Fake):
    fake.start(persona="wrap-paste,suggest=write a test")
    fake.idle()
    rows = fake.screen().splitlines()
    place = next(at for at, row in enumerate(rows) if row.startswith("❯"))
    assert re.fullmatch("─{80}", rows[place - 1]) and re.fullmatch("─{80}", rows[place + 1])
    assert rows[place].endswith("write a test")  # faint: nobody typed it
    assert "\x1b[2mwrite a test" in fake.tmux("capture-pane", "-p", "-e")
    assert fake.tmux("display", "-p", "#{pane_title}") == "✳ Claude Code"
    fake.paste("\n".join("abcde"))
    fake.shows("❯ [Pasted text #1 +4 lines]".replace(" ", "\N{NO-BREAK SPACE}", 1))
    fake.keys("C-u")
    fake.say("FAKE:spin")
    fake.shows("esc to interrupt")
    fake.wait(lambda: fake.tmux("display", "-p", "#{pane_title}")[0] in "⠂⠐")
    fake.keys("Escape")
    fake.shows("Interrupted")
    assert "FAKE:spin" in fake.shows("? for shortcuts")  # nothing was done: it is given back


@pytest.mark.parametrize(("key", "answer", "code"), [("Enter", "yes", ""), ("Escape", "no", "1")])
def test_what_is_typed_at_a_dialog_vanishes_and_enter_is_a_yes(fake: Fake, key, answer, code):
    fake.start(persona="trust-dialog")
    fake.shows("1. Yes, I trust this folder")
    assert not fake.records()
    fake.paste("do this")
    fake.wait(lambda: tally.bytes_while(fake.truth))
    fake.keys(key)
    if code:
        assert fake.code() == code
    else:
        fake.idle()
    assert tally.answers(fake.truth) == [("trust-dialog", answer, "key")]
    assert b"do this" in tally.bytes_while(fake.truth, states=("dialog",))
    assert tally.prompts(fake.truth) == []


def test_no_dialog_where_its_settings_say_that_the_folder_is_trusted(fake: Fake):
    known = {str(fake.path): {"hasTrustDialogAccepted": True}}
    (fake.home / ".claude.json").write_text(json.dumps({"projects": known}))
    fake.start(persona="trust-dialog")
    fake.idle()
    assert tally.answers(fake.truth) == []


@pytest.mark.parametrize(("key", "answer"), [("Enter", "yes"), ("Escape", "no")])
def test_an_approval_takes_enter_as_a_yes(fake: Fake, key, answer):
    fake.start("FAKE:approval rm -rf /;;FAKE:text gone")
    shown = fake.shows("Do you want to proceed?")
    assert "❯ 1. Yes" in shown and "rm -rf /" in shown
    assert fake.records()["status"] == "waiting"
    assert fake.records()["waitingFor"] == "permission prompt"
    fake.paste("lost")
    fake.wait(lambda: tally.bytes_while(fake.truth))
    fake.keys(key)
    fake.idle()
    assert tally.answers(fake.truth) == [("rm -rf /", answer, "key")]
    assert ("Stop" in fake.heard()) == (answer == "yes")  # none fires where it was interrupted
    assert b"lost" in tally.bytes_while(fake.truth, states=("approval",))


def test_a_hook_answers_an_approval_and_its_refusal_is_told_to_the_agent(fake: Fake):
    said = {"hookEventName": "PermissionRequest", "decision": {"behavior": "allow"}}
    no = said | {"decision": {"behavior": "deny", "message": "use staging"}}
    command = "case $(cat) in *fine*) echo '{}' ;; *) echo '{}' ;; esac"
    yes, no = (json.dumps({"hookSpecificOutput": one}) for one in (said, no))
    fake.hooks("true", PermissionRequest=command.format(yes, no))
    fake.start("FAKE:approval fine;;FAKE:approval bad")
    fake.idle()
    assert tally.answers(fake.truth) == [("fine", "yes", "hook"), ("bad", "no", "hook")]
    results = [one["message"]["content"] for one in fake.transcript() if one["type"] == "user"]
    assert [one[0]["content"] for one in results if isinstance(one, list)] == [
        "done",
        "use staging",
    ]


def test_what_is_allowed_beforehand_does_not_ask(fake: Fake):
    fake.start("--allowedTools", "Bash(make *)", "--", "FAKE:approval make all")
    fake.idle()
    assert tally.answers(fake.truth) == []


def test_a_stop_hook_gives_it_the_next_thing_to_do(fake: Fake):
    block = json.dumps({"decision": "block", "reason": "and now this [hive m-2]"})
    fake.hooks(
        f"cat >> {fake.told}; echo >> {fake.told}",
        Stop=f"grep -q '\"stop_hook_active\": true' || echo '{block}'",
    )
    fake.start("first")
    fake.idle()
    assert tally.prompts(fake.truth) == ["first", "Stop hook feedback:\nand now this [hive m-2]"]
    assert fake.heard().count("UserPromptSubmit") == 1


def test_enter_too_soon_behind_a_paste_is_swallowed(fake: Fake):
    fake.start(persona="swallow-enter=60s")
    fake.idle()
    fake.paste("not yet")
    fake.keys("Enter")
    fake.wait(lambda: fake.told_of("swallowed"))
    assert tally.prompts(fake.truth) == []
    assert "not yet" in fake.screen()


@pytest.mark.parametrize("persona", ["slow-start=0.6", "lose-input=0.6"])
def test_what_comes_before_it_is_ready_is_lost(fake: Fake, persona):
    fake.start(persona=persona)
    fake.pid()
    if persona.startswith("lose"):
        fake.shows("? for shortcuts")
    fake.keys("-l", "early")
    fake.wait(lambda: tally.bytes_while(fake.truth, states=("cooked", "starting")) == b"early")
    fake.idle()
    fake.say("late")
    fake.wait(lambda: tally.prompts(fake.truth))
    assert tally.prompts(fake.truth) == ["late"]


def test_a_draft_stands_in_the_way_until_its_writer_takes_it_away(fake: Fake):
    fake.start(persona="draft=dear all@0.5")
    fake.shows("dear all")
    fake.wait(lambda: "dear all" not in fake.screen())
    fake.say("[hive m-3] x")
    fake.wait(lambda: tally.prompts(fake.truth))
    assert tally.mangled(fake.truth) == []


def test_a_draft_becomes_a_part_of_what_is_typed_behind_it(fake: Fake):
    fake.start(persona="draft=dear all@60")
    fake.shows("dear all")
    fake.say("[hive m-3] x")
    assert fake.wait(lambda: tally.mangled(fake.truth)) == ["dear all[hive m-3] x"]


@pytest.mark.parametrize(
    ("persona", "prompts", "turns"),
    [
        ("", ["FAKE:work 0.5", "a", "b"], 2),  # as the real one does: both in one turn
        ("queue", ["FAKE:work 0.5", "a", "b"], 3),
        ("lost", ["FAKE:work 0.5"], 1),
    ],
)
def test_what_is_entered_while_it_works(fake: Fake, persona, prompts, turns):
    fake.start("FAKE:work 0.5", persona=persona)
    fake.shows("esc to interrupt")
    for text in "ab":
        fake.keys("-l", text)
        fake.keys("Enter")
    fake.wait(lambda: len(fake.told_of("enter")) == 2)
    fake.wait(lambda: fake.heard().count("Stop") == turns)
    assert tally.prompts(fake.truth) == prompts
    assert [one["state"] for one in fake.told_of("enter")] == ["working"] * 2


def test_what_is_entered_while_it_works_may_cut_off_its_turn(fake: Fake):
    fake.start("FAKE:work 60", persona="steer")
    fake.shows("esc to interrupt")
    fake.say("rather this")
    fake.idle()
    assert tally.prompts(fake.truth) == ["FAKE:work 60", "rather this"]


@pytest.mark.parametrize(
    ("prompt", "shown", "error", "status"),
    [
        ("FAKE:429 0.2", "Request rejected (429)", "rate_limit", 429),
        ("FAKE:limit 60", "You've hit your session limit · resets", "rate_limit", 429),
        ("FAKE:full", "Context limit reached", "invalid_request", 400),
    ],
)
def test_a_turn_that_ends_in_an_error(fake: Fake, prompt, shown, error, status):
    fake.start(prompt)
    fake.shows(shown)
    fake.wait(lambda: fake.heard()[-1:] == ["StopFailure"])
    (line,) = [one for one in fake.transcript() if one.get("isApiErrorMessage")]
    assert (line["error"], line["apiErrorStatus"]) == (error, status)
    assert "Stop" not in fake.heard()


def test_a_refusal_that_is_over_after_a_while(fake: Fake):
    fake.start("FAKE:retry 0.5;;FAKE:text back")
    fake.shows("Retrying in")
    fake.idle()
    assert "● back" in fake.screen()


def test_hooks_may_come_late_or_twice_or_never_and_records_may_be_missing(fake: Fake):
    fake.start("x", persona="hooks=double")
    fake.idle()
    fake.wait(lambda: fake.heard().count("Stop") == 2)
    assert fake.heard().count("UserPromptSubmit") == 2
    fake.hooks(f"cat >> {fake.path}/other; echo >> {fake.path}/other")
    fake.told = fake.path / "other"
    fake.start("x", persona="hooks=none,no-records,no-title", session="")
    fake.wait(lambda: len(tally.prompts(fake.truth)) == 2)
    fake.shows("? for shortcuts")
    assert fake.heard() == [] and fake.records() == {}
    fake.hooks(f"date +%s.%N >> {fake.path}/when")
    fake.start("x", persona="hooks=late", session="")
    when = fake.path / "when"
    heard = fake.wait(lambda: when.exists() and when.read_text().split())
    assert float(heard[0]) > fake.told_of("prompt")[-1]["at"] + 0.5


def test_a_conversation_goes_on_and_one_that_is_not_there_does_not(fake: Fake):
    fake.start("FAKE:crash")
    assert fake.code() == "137"
    (fake.path / "code").unlink()
    assert fake.told_of("end")[0]["why"] == "crash"
    fake.start("--resume", SESSION, "go on", session="")
    fake.idle()
    told = [json.loads(line) for line in fake.told.read_text().splitlines() if line]
    assert [one["source"] for one in told if "source" in one] == ["startup", "resume"]
    assert {one["sessionId"] for one in fake.transcript()} == {SESSION}
    for words in (["--resume", str(uuid4())], ["--session-id", SESSION]):
        (fake.path / "code").unlink(missing_ok=True)
        fake.start(*words, session="")
        assert fake.code() == "1"
        why = fake.wait(lambda: fake.told_of("end"))[-1]["why"]
        assert re.search("No conversation found|already in use", why)


def test_a_signal_ends_it_properly_unless_it_ignores_that(fake: Fake):
    fake.start()
    fake.idle()
    os.kill(fake.pid(), signal.SIGHUP)
    assert fake.code() == "129"
    assert fake.heard()[-1] == "SessionEnd" and fake.records() == {}
    fake.start(persona="ignore-hup,leave-child", session="")
    fake.wait(lambda: fake.records().get("status") == "idle")
    fake.tmux("respawn-pane", "-k", "exec sleep 601")
    commands = lambda: {command for _, command in tagged("TEST_CORNER", fake.tag)}
    fake.wait(lambda: "sleep 601" in commands())
    assert {one.partition("tui.py")[1] for one in commands()} == {"tui.py", ""}
    assert "sleep 600" in commands()
    end(lambda: [one for one in tagged("TEST_CORNER", fake.tag) if "tmux" not in one[1]])


def test_one_that_hangs_shows_nothing_new_and_does_not_hear(fake: Fake):
    fake.start("FAKE:frozen")
    fake.shows("esc to interrupt")
    fake.wait(lambda: fake.records().get("status") == "busy")
    fake.keys("Escape")
    fake.wait(lambda: tally.bytes_while(fake.truth, states=("working",)) == b"\x1b")
    assert "Interrupted" not in fake.screen()


def test_a_prompt_that_names_a_file_is_done_as_the_file_says(fake: Fake):
    (fake.path / "m-1.md").write_text("Message\n\nFAKE:text read it\n")
    fake.start(f"[hive m-1] Read {fake.path}/m-1.md and do what it says.")
    fake.shows("● read it")


def test_lines_that_are_no_prompts_are_taken_for_commands(fake: Fake):
    fake.start("x")
    fake.idle()
    for text in ("!ls", "/nothing", "/clear"):
        fake.say(text)
        fake.wait(lambda text=text: text in [one["text"] for one in fake.told_of("command")])
    fake.wait(lambda: fake.records()["sessionId"] != SESSION)
    assert tally.prompts(fake.truth) == ["x"]


def test_it_takes_little_of_the_processor_to_start(tmp_path: Path):
    def spent(*words: str) -> float:
        """Give the least processor time of three starts that end at once, in seconds."""
        found = []
        for _ in range(3):
            process = subprocess.Popen(
                [sys.executable, "-SE", *words], env={"HOME": str(tmp_path)}, stdout=subprocess.PIPE
            )
            assert process.stdout
            process.stdout.read()
            process.stdout.close()
            _, code, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(code)
            found.append(used.ru_utime + used.ru_stime)
        return min(found)

    assert spent(str(TUI), "--resume", "none") - spent("-c", "pass") < 0.06
