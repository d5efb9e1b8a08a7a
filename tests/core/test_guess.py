"""Which profile an agent has where its file names none."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hive.core.guess import guess, words
from hive.core.profile import Profile

CALM = settings(
    deadline=None, derandomize=True, max_examples=300, suppress_health_check=list(HealthCheck)
)
PROFILES = {
    one.name: one
    for one in (
        Profile(name="claude", programs=("claude",)),
        Profile(name="shell", programs=("bash", "sh")),
        Profile(name="tool", programs=("hive",)),
        Profile(name="worker", programs=("hive worker",)),
        Profile(name="generic"),
        Profile(name="old", programs=("codex",)),
        Profile(name="new", programs=("codex",)),
    )
}
SHOW = 'x() { for one; do printf "%s\\0" "$one"; done; }; x '
"""A shell's line that shows what a shell makes of the words behind it."""


def line(text: str) -> tuple[str, ...]:
    return ("sh", "-c", text)


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        pytest.param(("a", "$b c"), ("a", "$b c"), id="a list is as it is"),
        pytest.param(("sh", "-c", "a", "b"), ("sh", "-c", "a", "b"), id="a list for the shell"),
        pytest.param(line(" claude  -p\t'a b' "), ("claude", "-p", "a b"), id="words"),
        pytest.param(line("""a "b 'c'" d\\ e '' "\\"" """), ("a", "b 'c'", "d e", "", '"'), id="q"),
        pytest.param(line("a b#c x=~y"), None, id="a tilde behind ="),
        pytest.param(line("a b#c x!"), ("a", "b#c", "x!"), id="signs that mean nothing there"),
        pytest.param(line("exec claude"), ("claude",), id="exec"),
        pytest.param(line("A=1 claude b=2"), ("env", "A=1", "claude", "b=2"), id="a variable"),
        pytest.param(line("A='1 2' exec claude"), ("env", "A=1 2", "claude"), id="and exec"),
        pytest.param(line("env A=1 claude"), ("env", "A=1", "claude"), id="env"),
        pytest.param(line("exec env A=1 claude"), ("env", "A=1", "claude"), id="exec env"),
        pytest.param(line("'A=1' claude"), None, id="a program whose name holds ="),
        pytest.param(line("A=1"), None, id="no program"),
        pytest.param(line("exec"), None, id="exec alone"),
        pytest.param(line("exec -a x claude"), None, id="an option of exec"),
        pytest.param(line("exec A=1 claude"), None, id="exec of a variable"),
        pytest.param(line("cd /x"), None, id="what only a shell does"),
        *(
            pytest.param(line(f"claude {end}"), None, id=end)
            for end in [
                *("| x", "&& x", "; x", "&", "> x", "$X", '"$X"', "`x`", "*", "[a]", "a?", "~/x"),
                *("# x", "{a,b}", "(x)", "\nx", "'", '"', "\\", '"\\a"', "a\rb", "! x"),
            ]
        ),
    ],
)
def test_the_plain_command(argv, found):
    assert words(argv) == found


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        pytest.param(("claude",), "claude", id="a program"),
        pytest.param(("/usr/bin/claude", "--x"), "claude", id="by its path"),
        pytest.param(line("claude --model opus"), "claude", id="in a line"),
        pytest.param(line("A=1 exec claude"), "claude", id="behind a variable"),
        pytest.param(line("env -i -u B A=1 claude"), "claude", id="behind env"),
        pytest.param(line("env -S 'x' claude"), "", id="an option of env that is not known"),
        pytest.param(line("env"), "", id="env alone"),
        pytest.param(line("cd x && claude"), "", id="a shell's line"),
        pytest.param(line("claude | tee log"), "", id="a pipe"),
        pytest.param(line("claude2"), "", id="another program"),
        pytest.param(line("python x.py claude"), "", id="an argument"),
        pytest.param(("bash",), "shell", id="a shell"),
        pytest.param(line("exec /bin/bash -il"), "shell", id="a login shell"),
        pytest.param(line("bash x.sh"), "", id="a script"),
        pytest.param(line("bash -c 'sleep 1'"), "", id="a command"),
        pytest.param(("sh", "-c", "sleep 1", "x"), "", id="a command with arguments"),
        pytest.param(("hive", "worker"), "worker", id="two words"),
        pytest.param(line("/x/hive worker --slow"), "worker", id="two words and more"),
        pytest.param(line("hive status"), "tool", id="one of them"),
        pytest.param(("codex",), "new", id="the last of two"),
        pytest.param((), "", id="nothing"),
        pytest.param(("",), "", id="no name"),
    ],
)
def test_the_profile_is_that_of_the_program(argv, name):
    assert guess(argv, PROFILES) == name


@CALM
@given(some.text(alphabet="ab '\"\\$`*?[]{}()~#!&|;<>=\t\n\r-:%", max_size=12))
def test_the_words_of_a_plain_command_are_those_that_a_shell_finds(text):
    found = words(line(f"x {text}"))
    if found is not None:
        done = subprocess.run(
            ["sh", "-c", SHOW + text], capture_output=True, text=True, timeout=30, check=True
        )
        assert done.stdout == "".join(f"{word}\0" for word in found[1:])
