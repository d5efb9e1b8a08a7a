"""How one agent program is started, resumed, spoken to and read: its profile.

These are plain values, as a deploy found them in the profile's file. What is no data is a named
strategy: `wiring` is how it is given hooks and servers, `records` how its own state is read.

In arguments, variables and files these stand for what is only known at a launch: `{session}`,
`{brief}`, `{prelude}`, `{folder}` (the launch's own folder), `{directory}`, `{hive}` (the
absolute path of hive's command), `{port}` (a free port). In [task], where each task is a launch of
its own, that are `{text}` (the task's), `{folder}` (the agent's), `{directory}` and `{hive}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

Permission = Literal["ask", "edits", "auto"]
YEAR = 365 * 86400.0
PERMISSIONS: tuple[Permission, ...] = ("ask", "edits", "auto")


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """How the first prompt is given: with the command line, typed once it is ready, or never."""

    how: Literal["argv", "paste", "none"] = "paste"
    args: tuple[str, ...] = ("{brief}",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """How its conversation is named, so that a later launch goes on with it.

    `chosen`: hive makes up the id and gives it with `new`. `discovered`: it is read from hooks
    or records. `none`: there is nothing to go on with. `go_on` is what a resumed agent is told
    where its last turn was cut off.
    """

    how: Literal["chosen", "discovered", "none"] = "none"
    new: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    go_on: str = "You were restarted in the middle of your work. Go on where you were."


@dataclass(frozen=True, slots=True, kw_only=True)
class Typing:
    """How text is typed into it; times in seconds.

    `form` is the line that is typed: `{mark}` is the message's mark, `{text}` its text.
    What is longer than `longest` characters, or has several lines, is given as a file and a line
    that names it: one called `file` in the launch's folder, else one of its own. `delay` is
    between the paste and Enter, `proof` how long its own evidence of having taken it may take.
    `busy` is what becomes of text that is typed while it works. The keys `clear` empty its composer
    where it puts a prompt that was interrupted back there.
    """

    form: str = "{mark} {text}"
    longest: int = 500
    file: str = ""
    clear: tuple[str, ...] = ()
    delay: float = 0.15
    proof: float = 5.0
    busy: Literal["queue", "steer", "lost"] = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Regular expressions for the last `rows` rows of its screen that are not blank.

    `composer` finds where a person types; its group `draft` is what stands there, `empty` are
    texts there that nobody typed. Faint text is never a draft.
    """

    rows: int = 25
    ready: tuple[str, ...] = ()
    working: tuple[str, ...] = ()
    approval: tuple[str, ...] = ()
    question: tuple[str, ...] = ()
    dialog: tuple[str, ...] = ()
    limited: tuple[str, ...] = ()
    retrying: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    login: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    composer: str = ""
    empty: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """Regular expressions for its terminal title."""

    ready: tuple[str, ...] = ()
    working: tuple[str, ...] = ()
    approval: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """When a turn without any progress is a stall, in seconds, and what is done then.

    After `after` it is looked at again, then every `step` follows the next: nudged, interrupted
    with the keys `interrupt`, restarted with its conversation, given to a person.
    """

    after: float = 600.0
    step: float = 120.0
    nudge: str = "Are you still at it? Go on, or say what keeps you: {hive} report blocked WHY"
    interrupt: tuple[str, ...] = ("Escape",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What is typed to answer an approval where the program has no other channel for it."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """How it does one task and ends, for agents with `mode = "task"`; without `args` it can't.

    `command` comes at once behind the program, `args` behind the arguments of its permission.
    The result is what it writes into `{folder}/result`, else what it printed last.
    """

    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A question of its first start that hive answers beforehand where `trust = true`.

    `by` names how: `args` (with the arguments here), `env` (with the variables), or a strategy
    that writes to the program's own settings.
    """

    name: str
    about: str
    by: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One agent program, as hive knows it.

    `programs` are the names by which it is guessed from a command. `tested` are the versions it
    was tried with, `version` is the command that tells which one is installed. `strip` are
    patterns of variables it must not inherit. `prelude` are the arguments that give it hive's
    instructions; without any they come before its brief. `permission` are the arguments of each
    mode. `account` names whose usage limits it shares. `reach` is how its tools reach hive: from
    a sandbox only by files. `messages` is false for what fetches its messages itself: nothing is
    ever typed into it.
    """

    name: str
    about: str = ""
    programs: tuple[str, ...] = ()
    version: tuple[str, ...] = ()
    tested: tuple[str, ...] = ()
    wiring: str = "none"
    records: str = "none"
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    strip: tuple[str, ...] = ()
    prelude: tuple[str, ...] = ()
    permission: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    brief: Brief = field(default_factory=Brief)
    session: Session = field(default_factory=Session)
    typing: Typing = field(default_factory=Typing)
    screen: Screen = field(default_factory=Screen)
    title: Title = field(default_factory=Title)
    stall: Stall = field(default_factory=Stall)
    keys: Keys = field(default_factory=Keys)
    task: Task = field(default_factory=Task)
    consents: tuple[Consent, ...] = ()
    account: str = ""
    reach: Literal["socket", "spool"] = "socket"
    messages: bool = True

    @property
    def reads(self) -> bool:
        """Whether it reads what it is told: a shell and a worker would run that as a command."""
        return self.messages and (self.tells or self.typing.form != "{text}")

    @property
    def tells(self) -> bool:
        """Whether it tells by itself what it was given: its hooks, or its records."""
        return self.wiring != "none" or self.records != "none"

    @property
    def turns(self) -> bool:
        """Whether it tells better than by its title and its screen whose turn it is."""
        return self.tells and not {self.wiring, self.records} <= {"none", "gemini"}

    @property
    def hooks(self) -> bool:
        """Whether it runs hive's hooks."""
        return self.wiring in {"claude", "codex"}

    @property
    def silent(self) -> bool:
        """Whether it tells nothing of itself before its first prompt."""
        return self.wiring in {"aider", "codex"}

    @property
    def pauses(self) -> bool:
        """Whether it tells of a question in the middle of a turn as it tells of the turn's end."""
        return self.records == "aider"

    def of_worker(self, env: Iterable[tuple[str, str]] = ()) -> Profile:
        """Give the profile of `hive worker` where that starts this program for each task.

        `env` is what the program is to inherit besides its profile's own.
        """
        return Profile(
            name=self.name,
            about=self.about,
            version=self.version,
            tested=self.tested,
            env=(*self.env, *env),
            strip=self.strip,
            brief=Brief(how="none"),
            stall=replace(self.stall, after=YEAR, interrupt=("C-c",)),
            task=self.task,
            account=self.account,
            messages=False,
        )


_PARTS = {
    "brief": Brief,
    "session": Session,
    "typing": Typing,
    "screen": Screen,
    "title": Title,
    "stall": Stall,
    "keys": Keys,
    "task": Task,
}


def to_dict(profile: Profile) -> dict[str, Any]:
    """Give the profile as JSON-ready values, as a deploy sends it and the store keeps it."""
    return asdict(profile)


def from_dict(values: Mapping[str, Any]) -> Profile:
    """Read back what `to_dict` gave, after a trip through JSON; unknown keys are left out."""
    found = _known(Profile, values)
    for key, part in _PARTS.items():
        found[key] = part(**_known(part, values.get(key, {})))
    found["permission"] = {key: tuple(args) for key, args in values.get("permission", {}).items()}
    found["consents"] = tuple(Consent(**_known(Consent, one)) for one in values.get("consents", ()))
    return Profile(**found)


def _known(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {key: _frozen(value) for key, value in values.items() if key in names}


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list | tuple) else value
