"""Which profile an agent has where its file names none: told by the program that it runs.

What a shell does with a line beyond running one program is not followed: such a line has no
profile, because nothing can be put behind its command.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from hive.core.profile import Profile

SHELL_WORDS = frozenset(
    """
    alias bg break case cd command continue do done echo elif else esac eval exec exit export
    false fc fg fi for function getopts hash if in jobs kill local printf pwd read readonly return
    select set shift source test then time times trap true type ulimit umask unalias unset until
    wait while
    """.split()  # noqa: SIM905 - a list of forty quoted words is harder to read
)
"""What a shell understands without a program of that name."""

SHELLS = frozenset({"bash", "dash", "fish", "ksh", "sh", "zsh"})
"""Programs that are only spoken to where they were given no work: no script, no command."""

INTERACTIVE = frozenset({"-i", "-l", "-il", "-li", "--interactive", "--login"})
"""What such a shell may be started with."""

_WORD = re.compile(r"""(?:[^\s'"\\]|'[^']*'|"(?:[^"\\$`]|\\["\\])*"|\\[^\n])+""")
_QUOTED = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*"|\\.""", re.DOTALL)
_SHELL_ONLY = re.compile(r"[|&;<>()$`*?\[\]{}\n\r\v\f]|(?:^|[\s=:])~|(?:^|\s)[#!]")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_OF_ENV = {"-": 0, "-i": 0, "--ignore-environment": 0, "-u": 1, "--unset": 1}
"""Options of `env` that only change variables, and how many words follow each."""


def words(argv: Sequence[str]) -> tuple[str, ...] | None:
    """Give the one plain command that `run` is, or None where it needs a shell.

    A list is one as it is. Of a line for the shell, variables before the command are put with
    `env`, and `exec` is left out: a plain command takes the place of its starter anyway.
    """
    if tuple(argv[:2]) != ("sh", "-c") or len(argv) != 3:
        return tuple(argv)
    raw = _raw(argv[2])
    if raw is None:
        return None
    variables = []
    while raw and _ASSIGNMENT.match(raw[0]):
        variables.append(raw.pop(0))
    if raw[:1] == ["exec"]:
        del raw[0]
        if raw and raw[0].startswith("-"):
            return None
    if not raw or raw[0] in SHELL_WORDS or "=" in raw[0]:
        return None
    found = [shlex.split(word)[0] for word in (*variables, *raw)]
    return ("env", *found) if variables else tuple(found)


def guess(argv: Sequence[str], profiles: Mapping[str, Profile]) -> str:
    """Give the profile whose `programs` has what runs, or "" where none has.

    An entry of several words, as `hive worker`, must be how the command begins. The longest one
    counts; of equal ones the last profile's.
    """
    command = _program(words(argv) or ())
    if not command or (command[0] in SHELLS and set(command[1:]) - INTERACTIVE):
        return ""
    found, longest = "", 0
    for name, profile in profiles.items():
        for entry in map(str.split, profile.programs):
            if len(entry) >= longest and entry == command[: len(entry)]:
                found, longest = name, len(entry)
    return found


def _raw(line: str) -> list[str] | None:
    """Give the words of a simple command as they are written, or None for anything else."""
    if _SHELL_ONLY.search(_QUOTED.sub("_", line)):
        return None
    found = list(_WORD.finditer(line))
    between = _WORD.sub("", line)
    return [word.group() for word in found] if not between.strip(" \t") else None


def _program(command: Sequence[str]) -> list[str]:
    """Give the base name of what a command runs, and its arguments; `env` is looked through."""
    left = iter(command)
    first = next(left, "")
    if posixpath.basename(first) == "env":
        first = _after_env(left)
    return [posixpath.basename(first), *left] if first else []


def _after_env(left: Iterator[str]) -> str:
    """Give the program that `env` runs; "" where its options are not understood."""
    for word in left:
        if word in _OF_ENV:
            for _ in range(_OF_ENV[word]):
                next(left, "")
        elif not _ASSIGNMENT.match(word):
            return "" if word.startswith("-") else word
    return ""
