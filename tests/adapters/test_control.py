from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.adapters import control
from hive.errors import HiveError
from tests.conftest import eventually

NASTY = [
    pytest.param("a\nset -g @pwned 1\nb", id="newlines"),
    pytest.param("a ; set -g @pwned 1", id="semicolon"),
    pytest.param("ends with ;", id="semicolon at the end"),
    pytest.param('"; set -g @pwned 1 ; "', id="double quotes"),
    pytest.param("'; set -g @pwned 1 ; '", id="single quotes"),
    pytest.param("\\", id="a backslash"),
    pytest.param("~root $HOME ${HOME}", id="tilde and dollar"),
    pytest.param("{ set -g @pwned 1 }", id="braces"),
    pytest.param("# no comment", id="hash"),
    pytest.param("%if 1", id="percent"),
    pytest.param("--help", id="dashes"),
    pytest.param("\x1b[31m\t\r\x7f", id="control characters"),
    pytest.param("ü → 🐝", id="beyond ASCII"),
]


@pytest.fixture
def server(bench):
    bench.run("new-session", "-d", "-s", "users", "cat", "-")
    return bench


@pytest.mark.parametrize("text", NASTY)
def test_any_text_arrives_as_it_is_and_runs_nothing(server, text):
    keep = control.line("set-option", "-g", "--", "@kept", text)
    show = control.line("show-options", "-gv", "@kept")
    kept, shown, after = control.run(server.socket, [keep, show, "display-message -p on"], 20)
    assert kept.ok
    assert "\n".join(shown.lines) == text
    assert after.lines == ["on"]
    assert server.run("show-options", "-gqv", "@pwned") == ""


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))))
def test_quoted_text_has_no_newline_and_no_bare_quote(text):
    quoted = control.quote(text)
    assert not set(quoted) & {chr(code) for code in range(32)}
    assert '"' not in quoted[1:-1]


STARVED = """
import resource, sys
from hive.adapters import control
resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))
try:
    control.run(sys.argv[1], ["display-message -p on"], 20)
except control.Silent as error:
    print(error.what)
"""


def test_where_nothing_can_be_run_the_server_is_not_taken_for_gone(server):
    done = subprocess.run(
        [sys.executable, "-c", STARVED, server.socket], capture_output=True, text=True, check=True
    )
    assert done.stdout == "can't run tmux: Too many open files\n"


def test_a_nul_is_refused():
    with pytest.raises(HiveError, match="NUL"):
        control.quote("a\0b")


def test_each_line_has_its_own_reply_and_a_failure_stops_only_its_line(server):
    lines = [
        "display-message -p one",
        "kill-pane -t %77 ; set-option -g @after 1",
        "display-message -p two ; display-message -p three",
        "kill-pane -t %78",
        "display-message -p four",
    ]
    one, failed, two, also, four = control.run(server.socket, lines, 20)
    assert (one.lines, two.lines, four.lines) == (["one"], ["two", "three"], ["four"])
    assert (failed.ok, also.ok) == (False, False)
    assert "%77" in failed.why
    assert "%78" in also.why
    assert server.run("show-options", "-gqv", "@after") == ""


def test_a_large_batch_has_all_its_replies(server):
    replies = control.run(server.socket, [f"display-message -p {n}" for n in range(1500)], 60)
    assert [reply.lines for reply in replies] == [[str(n)] for n in range(1500)]


def test_no_server_is_told_at_once_and_none_is_started(bench):
    with pytest.raises(control.Gone):
        control.run(bench.socket, ["display-message -p on"], 20)
    assert not control.answers(bench.socket, 20)


def test_a_server_is_started_on_demand_without_hives_own_environment(bench, monkeypatch):
    monkeypatch.setenv("TMUX", "/nowhere,1,0")
    monkeypatch.setenv("TMUX_PANE", "%9")
    monkeypatch.setenv("HIVE_AGENT", "Task/front/dev")
    new = "new-session -d -s users cat -"
    assert control.run(bench.socket, [new], 20, home=bench.path, start=True)[0].ok
    names = {line.partition("=")[0] for line in bench.run("show-environment", "-g").splitlines()}
    assert "HOME" in names
    assert not names & {"TMUX", "TMUX_PANE", "HIVE_AGENT"}


def test_a_stopped_server_is_silent_and_answers_again_once_it_goes_on(server):
    pid = int(server.run("display-message", "-p", "#{pid}"))
    os.kill(pid, signal.SIGSTOP)
    try:
        assert control.answers(server.socket, 20)
        with pytest.raises(control.Silent, match=r"within 0\.5 s"):
            control.run(server.socket, ["set-option -g @late 1"], 0.5)
    finally:
        os.kill(pid, signal.SIGCONT)
    answer = control.run(server.socket, ["show-options -gqv @late"], 20)
    assert answer[0].lines == []


def test_a_socket_nobody_listens_on_has_no_server(bench):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(bench.socket)
    assert not control.answers(bench.socket, 20)


def test_a_socket_that_is_out_of_reach_is_not_taken_for_no_server(bench):
    (bench.path / "file").write_text("")
    with pytest.raises(HiveError, match="can't reach tmux"):
        control.answers(str(bench.path / "file" / "s"), 20)


def test_the_default_server_is_named_even_inside_another(monkeypatch, tmp_path):
    monkeypatch.setenv("TMUX", "/nowhere,1,0")
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path))
    assert control.argv("") == ["tmux", "-u", "-L", "default"]
    assert control.argv("work") == ["tmux", "-u", "-L", "work"]
    assert control.argv("/run/s") == ["tmux", "-u", "-S", "/run/s"]
    assert control.path("") == tmp_path / f"tmux-{os.getuid()}" / "default"


def test_a_killed_server_is_gone(server):
    pid = int(server.run("display-message", "-p", "#{pid}"))
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not control.answers(server.socket, 20))
    with pytest.raises(control.Gone):
        control.run(server.socket, ["display-message -p on"], 20)
