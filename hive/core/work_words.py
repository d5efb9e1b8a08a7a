"""The words that a task is asked for with: names, skills, agents, locks, folders.

What is wrong with one is a ValueError, whose text goes after the key's name. Parameters are
filled in when a run begins, so what they make of a word is checked then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from hive.core import locks, names
from hive.core.conditions import templated
from hive.core.tasks import Want
from hive.errors import WrongInput

HOWS = ("stop", "continue")
"""What `on_failure` may be besides a task."""

RESERVED = frozenset({
    "and", "or", "not", "in", "is", "if", "else", "elif", "for", "do", "set", "true", "false",
    "none", "True", "False", "None", "import", "include", "loop", "self", "super", "caller",
    "varargs", "kwargs", "recursive", "stop", "continue",
})  # fmt: skip
"""Words that mean something else where a task or a parameter could be named."""

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_SKILL = re.compile(r"[^\s,|]+")


def identifier(name: str) -> str:
    """Check a name that templates can say: letters, digits and `_`."""
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(
            "may hold only letters, digits and `_`, and begin with a letter: templates name it"
        )
    if name in RESERVED:
        raise ValueError(f"can't be `{name}`, which means something else")
    return name


def skill(name: str) -> str:
    """Check one skill: any word."""
    if not _SKILL.fullmatch(name):
        raise ValueError("must be words without blanks, `,` and `|`")
    return name


def agent(word: str) -> str:
    """Check the word for an agent: `team/name`, or its name where the team is said."""
    for part in word.split("/", 1):
        names.safe(part)
    return word


def folder(text: str) -> str:
    """Check a folder: from the agent's own, or absolute."""
    if text.startswith("~"):
        raise ValueError("must be a folder below its agent's, or an absolute path: not `~`")
    return text


def lock(text: str) -> str:
    """Check the name of a lock: `port:3000`, `shared path:src`."""
    try:
        locks.want(text)
    except WrongInput as error:
        raise ValueError(f"can't be: {error.what}") from None
    return text


def agent_id(word: str, team: str, project: str) -> str:
    """Give the id of the agent that `word` means in `team`; the word itself without a project."""
    if not word or not project:
        return word
    return f"{project}/{word}" if "/" in word or not team else f"{project}/{team}/{word}"


def stray(word: str, team: str) -> str:
    """Say what is wrong with the word for an agent where this team is named, or ""."""
    if "/" not in word:
        return "" if team else f"names `agent` `{word}` without its team: write `team/{word}`"
    own = not team or word.startswith(f"{team}/")
    return "" if own else f"names `agent` `{word}`, which is not of team `{team}`"


def wanted(texts: Iterable[str]) -> tuple[Want, ...]:
    """Read locks. Where parameters are to be filled in, each keeps its text as its name."""
    found = tuple(texts)
    if any(map(templated, found)):
        return tuple(Want(name=one) for one in found)
    return locks.wants(found)


_CHECKS: dict[str, Callable[[str], str]] = {
    "team": names.safe,
    "role": names.safe,
    "jury": names.safe,
    "agent": agent,
    "directory": folder,
}


def filled(key: str, text: str) -> str:
    """Check what parameters made of a text of a job; raises WrongInput."""
    return _said(key, _CHECKS.get(key, str), text) if text else ""


def filled_skills(texts: Iterable[str]) -> tuple[str, ...]:
    """Read skills once their parameters are filled in; an empty one is none."""
    return tuple(dict.fromkeys(_said("skills", skill, one) for one in texts if one))


def _said(key: str, check: Callable[[str], str], text: str) -> str:
    try:
        check(text)
    except ValueError as error:
        raise WrongInput(f"`{key}` {error}, not {text[:40]!r}") from None
    return text
