"""The keys of a profile's file: their types and what each refuses.

They are those of `core.profile.Profile`, which says what they mean; only its `name` is the file's
own. A file is checked alone, before it goes over another: so every key may be left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from hive.core import names, profile, values
from hive.core.profile import Profile
from hive.core.values import Duration, Table, Text, Texts, Time

Wiring = Literal["none", "claude", "codex", "opencode", "gemini", "aider"]
Records = Literal["none", "claude", "codex", "opencode", "gemini", "aider"]

WIRINGS: tuple[Wiring, ...] = get_args(Wiring)
"""The strategies that give a program hooks and servers, by name."""

RECORDS: tuple[Records, ...] = get_args(Records)
"""The strategies that read a program's own records, by name."""

PLACES = ("session", "brief", "prelude", "folder", "directory", "hive", "port")
"""What stands in braces for what is known at a launch alone."""

OTHER_WORDS = {
    "approve": "allow",
    "base": "extends",
    "before": "extends",
    "blocked": "approval",
    "busy_input": "busy",
    "command": "programs args",
    "description": "about",
    "dialogs": "consents",
    "environment": "env",
    "env_strip": "strip",
    "extend": "extends",
    "go_on_with": "go_on",
    "headless": "task",
    "hooks": "wiring",
    "idle": "ready",
    "inherit": "extends",
    "max_chars": "longest",
    "method": "by how",
    "mode": "how",
    "paste_delay": "delay",
    "pattern": "ready",
    "program": "programs",
    "reject": "deny",
    "sandbox": "reach",
    "submit": "typing",
    "tail_lines": "rows",
    "tested_versions": "tested",
    "transcript": "records",
    "trust": "consents",
    "usage": "limited",
    "version_cmd": "version",
    "versions": "tested",
}
"""What others call our keys."""

OF_TASK = ("text", "folder", "directory", "hive")
"""What stands there in [task], where every task is a launch of its own."""

_IN_BRACES = re.compile(r"\{([A-Za-z_]+)\}")

_PROFILE = Profile(name="")
_BRIEF = profile.Brief()
_SESSION = profile.Session()
_TYPING = profile.Typing()
_SCREEN = profile.Screen()
_TITLE = profile.Title()
_STALL = profile.Stall()
_KEYS = profile.Keys()
_TASK = profile.Task()


def words(value: object, *, places: Sequence[str] = PLACES) -> tuple[str, ...]:
    """Read words of a command line: a list of texts, of which some may be empty."""
    good = isinstance(value, list) and all(isinstance(one, str) for one in value)
    if not isinstance(value, list) or not good:
        raise ValueError("must be a list of words in quotes")
    return tuple(filled(one, places=places) for one in value)


def _alone(text: str) -> str:
    """Check the name of a file in the launch's folder; "" for none."""
    if "/" in text or text.startswith("."):
        raise ValueError("must be the name of a file, not a path")
    return text


def filled(text: str, *, places: Sequence[str] = PLACES) -> str:
    """Check a text that is filled at a launch: no near miss of what stands in braces there."""
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    for found in _IN_BRACES.findall(text):
        near = "" if found in places else names.nearest(found, places)
        if near:
            raise ValueError(f"holds `{{{found}}}`; did you mean `{{{near}}}`?")
    return text


def task_words(value: object) -> tuple[str, ...]:
    """Read words of the command line of one task."""
    read = words(value, places=OF_TASK)
    for one in read:
        lost = [found for found in _IN_BRACES.findall(one) if found in {*PLACES} - {*OF_TASK}]
        if lost:
            known = ", ".join(f"`{{{place}}}`" for place in OF_TASK)
            raise ValueError(f"holds `{{{lost[0]}}}`, which no task has; it may hold {known}")
    return read


def patterns(value: object) -> tuple[str, ...]:
    """Read one regular expression or a list of them."""
    return tuple(values.pattern(one) for one in values.texts(value))


def composer(value: str) -> str:
    """Check the expression that finds the composer: its group `draft` is what stands there."""
    if value and "draft" not in re.compile(values.pattern(value)).groupindex:
        raise ValueError("must have a group `(?P<draft>…)`: what stands in the composer")
    return value


def form(value: str) -> str:
    """Check the line that is typed: it must hold the text."""
    if "{text}" not in value:
        raise ValueError("must hold `{text}`, and should hold `{mark}`")
    return value


Words = Annotated[tuple[str, ...], BeforeValidator(words)]
TaskWords = Annotated[tuple[str, ...], BeforeValidator(task_words)]
Patterns = Annotated[tuple[str, ...], BeforeValidator(patterns)]
FilledEnv = dict[
    Annotated[str, AfterValidator(values.variable)],
    Annotated[str, AfterValidator(values.content), AfterValidator(filled)],
]
Form = Annotated[str, AfterValidator(form)]
Composer = Annotated[str, AfterValidator(composer)]
Count = Annotated[int, Field(ge=1, le=100_000)]


class Permission(Table):
    """The arguments of each mode."""

    ask: Words | None = None
    edits: Words | None = None
    auto: Words | None = None


class Brief(Table):
    """How the first prompt is given."""

    how: Literal["argv", "paste", "none"] = _BRIEF.how
    args: Words = _BRIEF.args


class Session(Table):
    """How its conversation is named."""

    how: Literal["chosen", "discovered", "none"] = _SESSION.how
    new: Words = _SESSION.new
    resume: Words = _SESSION.resume
    go_on: Text = _SESSION.go_on


class Typing(Table):
    """How text is typed into it."""

    form: Form = _TYPING.form
    longest: Count = _TYPING.longest
    file: Annotated[str, AfterValidator(_alone)] = _TYPING.file
    clear: Texts = _TYPING.clear
    delay: Duration = _TYPING.delay
    proof: Time = _TYPING.proof
    busy: Literal["queue", "steer", "lost"] = _TYPING.busy


class Screen(Table):
    """What its screen shows."""

    rows: Count = _SCREEN.rows
    ready: Patterns = _SCREEN.ready
    working: Patterns = _SCREEN.working
    approval: Patterns = _SCREEN.approval
    question: Patterns = _SCREEN.question
    dialog: Patterns = _SCREEN.dialog
    limited: Patterns = _SCREEN.limited
    retrying: Patterns = _SCREEN.retrying
    full: Patterns = _SCREEN.full
    login: Patterns = _SCREEN.login
    model: Patterns = _SCREEN.model
    composer: Composer = _SCREEN.composer
    empty: Patterns = _SCREEN.empty


class Title(Table):
    """What its terminal title shows."""

    ready: Patterns = _TITLE.ready
    working: Patterns = _TITLE.working
    approval: Patterns = _TITLE.approval


class Stall(Table):
    """When a turn is a stall, and what is done then."""

    after: Time = _STALL.after
    step: Time = _STALL.step
    nudge: Annotated[Text, AfterValidator(filled)] = _STALL.nudge
    interrupt: Texts = _STALL.interrupt


class Keys(Table):
    """What is typed to answer an approval."""

    allow: Texts = _KEYS.allow
    deny: Texts = _KEYS.deny


class Task(Table):
    """How it does one task and ends."""

    command: TaskWords = _TASK.command
    args: TaskWords = _TASK.args


class Consent(Table):
    """A question of its first start that hive answers where the user trusts it to."""

    name: Text
    about: Text
    by: Text
    args: Words = ()
    env: FilledEnv = Field(default_factory=dict)


class File(Table):
    """A whole profile file; every key may be left out."""

    extends: str = ""
    about: str = _PROFILE.about
    programs: Texts = _PROFILE.programs
    version: Words = _PROFILE.version
    tested: Texts = _PROFILE.tested
    wiring: Wiring = "none"
    records: Records = "none"
    args: Words = _PROFILE.args
    env: FilledEnv = Field(default_factory=dict)
    strip: Texts = _PROFILE.strip
    prelude: Words = _PROFILE.prelude
    permission: Permission = Field(default_factory=Permission)
    brief: Brief = Field(default_factory=Brief)
    session: Session = Field(default_factory=Session)
    typing: Typing = Field(default_factory=Typing)
    screen: Screen = Field(default_factory=Screen)
    title: Title = Field(default_factory=Title)
    stall: Stall = Field(default_factory=Stall)
    keys: Keys = Field(default_factory=Keys)
    task: Task = Field(default_factory=Task)
    consents: list[Consent] = Field(default_factory=list)
    account: str = _PROFILE.account
    reach: Literal["socket", "spool"] = _PROFILE.reach
    messages: bool = _PROFILE.messages
