"""The front door: which words are answered at once, and what that imports."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from hive.cli import app, hot
from hive.cli.complete import OPTIONS, candidates

HEAVY = {
    "asyncio", "libtmux", "psutil", "pydantic", "rich", "sqlalchemy", "sqlite3", "tomllib",
    "typer", "typing",
}  # fmt: skip

STATUS = {"version": 1, "node": "box", "supervisor": None, "agents": [], "teams": []}


def imported(*words: str) -> set[str]:
    """Run `hive WORDS` in a process of its own; give the packages it imported."""
    show = "import atexit, json, sys, hive.__main__\n"
    show += "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
    show += f"sys.argv = ['hive', *{list(words)!r}]\n"
    show += "raise SystemExit(hive.__main__.main())"
    done = subprocess.run(
        [sys.executable, "-c", show], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


def test_the_table_of_commands_is_the_command_line():
    shown = [one.name for one in app.build().registered_commands if not one.hidden]

    assert list(hot.COMMANDS) == shown


def test_every_command_is_a_line_of_help_that_fits():
    lines = hot.overview().splitlines()

    assert all(len(line) <= 80 for line in lines)
    assert all(any(line[2:20].strip() == name for line in lines) for name in hot.COMMANDS)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["status"], id="status for a person"),
        pytest.param(["status", "--json", "--bogus"], id="an unknown option"),
        pytest.param(["status", "--json", "--help"], id="help"),
        pytest.param(["status", "--json", "--", "a"], id="a double dash"),
        pytest.param(["why", "--json"], id="why of nobody"),
        pytest.param(["why", "a", "b", "--json"], id="why of two"),
        pytest.param(["logs", "a", "--json", "-f"], id="logs that follow"),
        pytest.param(["events", "--json", "-n", "5"], id="some events"),
        pytest.param(["deploy", "--json"], id="a verb that changes something"),
        pytest.param(["limits", "advise", "--json"], id="a command of two words"),
        pytest.param(["limits", "--json", "--", "set"], id="a team with the name of a command"),
    ],
)
def test_what_is_unusual_is_left_to_the_whole_command_line(supervisor, words):
    assert hot.quick(words) is None
    assert supervisor.asked == []


@pytest.mark.parametrize(
    ("words", "verb", "args"),
    [
        pytest.param(["status", "--json"], "status", {"names": []}, id="status"),
        pytest.param(["status", "a", "--json", "b"], "status", {"names": ["a", "b"]}, id="names"),
        pytest.param(["why", "a", "--json"], "why", {"name": "a"}, id="why"),
        pytest.param(["logs", "--json", "a"], "logs", {"name": "a", "lines": 200}, id="logs"),
        pytest.param(["limits", "a", "--json"], "limits", {"names": ["a"]}, id="limits"),
        pytest.param(
            ["events", "--json"],
            "events",
            {"names": [], "after": 0, "limit": 50, "newest": True},
            id="events",
        ),
    ],
)
def test_a_plain_question_goes_straight_to_the_supervisor(supervisor, capsys, words, verb, args):
    supervisor.answers[verb] = STATUS

    assert hot.quick(words) == 0

    assert json.loads(capsys.readouterr().out) == STATUS
    assert supervisor.asked == [(verb, args)]


@pytest.mark.parametrize("words", [["status", "--json"], ["events", "--json"]])
def test_without_a_supervisor_the_store_answers(state, capsys, words):
    assert hot.quick(words) is None

    assert hot.run(words) == 0
    assert json.loads(capsys.readouterr().out)[{"status": "agents"}.get(words[0], words[0])] == []


def test_a_refusal_is_told_with_its_exit_code(supervisor, capsys):
    assert hot.run(["why", "nobody", "--json"]) == 2

    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["what"] == "no answer to `why`"
    assert "next: hive status" in err


def test_nothing_heavy_is_imported_for_a_hot_verb(supervisor):
    supervisor.answers["status"] = STATUS
    supervisor.answers["names"] = {"agents": [], "teams": [], "projects": []}

    for words in (["status", "--json"], ["complete", "bash", "--", "why", ""], ["--help"], []):
        assert imported(*words) & (HEAVY - {"typing"}) == set(), words


@pytest.mark.parametrize("words", [["--version"], ["version"]])
def test_the_version_is_known_at_once(capsys, words):
    assert hot.run(words) == 0
    assert capsys.readouterr().out == "hive 0.1.0\n"


def test_the_options_that_tab_offers_are_those_of_the_commands():
    from typer.main import get_command

    commands = get_command(app.build()).commands
    found = {
        name: {
            option
            for parameter in command.params
            for option in parameter.opts
            if option.startswith("--") and not getattr(parameter, "hidden", False)
        }
        for name, command in commands.items()
        if name in hot.COMMANDS
    }

    assert found == {name: set(options) for name, options in OPTIONS.items()}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        pytest.param(["re"], {"restart", "reset", "resume", "replay"}, id="a command"),
        pytest.param(["--v"], {"--version"}, id="a first option"),
        pytest.param(["deploy", "--t"], {"--team", "--timeout"}, id="an option"),
        pytest.param(["why", "f"], {"frontend/a", "frontend/b"}, id="an agent"),
        pytest.param(["finish", "f"], {"frontend/a", "frontend/b"}, id="an agent alone"),
        pytest.param(["stop", "f"], {"frontend", "frontend/a", "frontend/b"}, id="or a team"),
        pytest.param(["stop", "frontend/a", "frontend/"], {"frontend/b"}, id="none twice"),
        pytest.param(["deploy", "--team", ""], {"frontend"}, id="a team after --team"),
        pytest.param(["init", "--template", "s"], {"solo"}, id="a template"),
        pytest.param(["completion", ""], {"bash", "zsh", "fish"}, id="a shell"),
        pytest.param(["deploy", "--file", ""], set(), id="files are the shell's"),
        pytest.param(["help", "js"], {"json"}, id="a topic"),
        pytest.param(["bogus", ""], set(), id="after an unknown command"),
        pytest.param(["li"], {"limits"}, id="a command of two words by its first"),
        pytest.param(["limits", "s"], {"set"}, id="and by its second"),
        pytest.param(["limits", "f"], {"frontend", "frontend/a", "frontend/b"}, id="or a name"),
        pytest.param(["limits", "set", "frontend/a"], {"frontend/a"}, id="a name after both"),
        pytest.param(["limits", "set", "--mem"], {"--memory", "--memory-soft"}, id="its options"),
        pytest.param(["limits", "--", "s"], set(), id="a name after a double dash"),
        pytest.param(["prof"], {"profile"}, id="a first word that is no command alone"),
        pytest.param(["profile", "show", "co"], {"codex", "copilot"}, id="a profile"),
        pytest.param(["approve", ""], {"A7"}, id="an approval"),
        pytest.param(["answer", ""], {"Q8"}, id="a question"),
        pytest.param(["withdraw", ""], {"m-31"}, id="a message"),
    ],
)
def test_candidates(supervisor, words, found):
    things = [("A7", "frontend/a"), ("Q8", "frontend/b"), ("m-31", "frontend/b"), ("Ada", "Ada")]
    items = [{"id": name, "agent": who} for name, who in things]
    supervisor.answers["inbox"] = {"items": items}
    supervisor.answers["names"] = {"agents": ["frontend/a", "frontend/b"], "teams": ["frontend"]}

    assert set(candidates(words)) == found


def test_without_a_supervisor_no_names_are_offered(state):
    assert candidates(["why", ""]) == {}


def test_every_command_is_offered_and_each_shell_gets_its_form(capsys):
    for shell, line in (
        ("bash", "emergency-cleanup"),
        ("zsh", f"emergency-cleanup:{hot.COMMANDS['emergency-cleanup']}"),
        ("fish", f"emergency-cleanup\t{hot.COMMANDS['emergency-cleanup']}"),
    ):
        assert hot.run(["complete", shell, "--", "emer"]) == 0
        assert capsys.readouterr().out == f"{line}\n"
