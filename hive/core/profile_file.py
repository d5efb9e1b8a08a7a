"""Profiles as files: their keys, how one goes over another, and how one is written.

A file has the keys of `core.profile.Profile`, all but `name`, which is the file's own. A user's
file of a name that hive brings along goes over that one; one that `extends` another begins with
it. So each layer is checked alone, and what needs several keys is checked when all is together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from hive.core import names, profile, tables, values
from hive.core.mistakes import Mistake, Wrong, placed
from hive.core.profile import Profile
from hive.core.values import Duration, Env, Table, Text, Texts, Time
from hive.errors import WrongInput

Wiring = Literal["none", "claude", "codex", "opencode", "gemini", "aider"]
Records = Literal["none", "claude", "codex"]

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

OWN = ("programs", "extends")
"""What a profile that extends another does not take over: these say which one it is."""

_IN_BRACES = re.compile(r"\{([A-Za-z_]+)\}")

_PROFILE = Profile(name="")
_BRIEF = profile.Brief()
_SESSION = profile.Session()
_TYPING = profile.Typing()
_SCREEN = profile.Screen()
_TITLE = profile.Title()
_STALL = profile.Stall()
_KEYS = profile.Keys()


def words(value: object) -> tuple[str, ...]:
    """Read words of a command line: a list of texts, of which some may be empty."""
    good = isinstance(value, list) and all(isinstance(one, str) for one in value)
    if not isinstance(value, list) or not good:
        raise ValueError("must be a list of words in quotes")
    return tuple(filled(one) for one in value)


def filled(text: str) -> str:
    """Check a text that is filled at a launch: no near miss of what stands in braces there."""
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    for found in _IN_BRACES.findall(text):
        near = "" if found in PLACES else names.nearest(found, PLACES)
        if near:
            raise ValueError(f"holds `{{{found}}}`; did you mean `{{{near}}}`?")
    return text


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
Patterns = Annotated[tuple[str, ...], BeforeValidator(patterns)]
Filled = Annotated[str, AfterValidator(filled)]
FilledEnv = Annotated[Env, AfterValidator(lambda env: {key: filled(env[key]) for key in env})]
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

    form: Annotated[str, AfterValidator(form)] = _TYPING.form
    longest: Count = _TYPING.longest
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
    composer: Annotated[str, AfterValidator(composer)] = _SCREEN.composer
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
    consents: list[Consent] = Field(default_factory=list)
    account: str = _PROFILE.account
    reach: Literal["socket", "spool"] = _PROFILE.reach
    messages: bool = _PROFILE.messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One file: of which profile, how it is called, and what it says."""

    name: str
    file: str
    text: str
    values: Mapping[str, Any]


def read(name: str, text: str, file: str) -> Layer:
    """Read the text of a profile's file; raises WrongInput with every mistake in it."""
    source = tables.source(text, file)
    found = [*source.repeated]
    try:
        names.safe(name)
    except ValueError as error:
        found.append(Mistake(line=1, where="", what=f"the file's name {error}"))
    try:
        File.model_validate(source.values)
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
        found += placed(tables.wrongs(mistakes, File, OTHER_WORDS), source.text)
    if found:
        raise _refusal((file, one) for one in found)
    return Layer(name=name, file=file, text=text, values=source.values)


def assemble(layers: Mapping[str, Sequence[Layer]]) -> dict[str, Profile]:
    """Give every profile from its layers, the first of each at the bottom.

    Raises WrongInput with every mistake that shows only when they are together.
    """
    found: list[tuple[str, Mistake]] = []
    known = {}
    for name, own in layers.items():
        merged, wrongs = _merged(name, layers, ())
        known[name] = _profile(name, merged)
        for wrong in (*wrongs, *_misfits(known[name])):
            layer = _that_says(own, wrong)
            found += [(layer.file, one) for one in placed([wrong], layer.text)]
    if found:
        raise _refusal(found)
    return known


def written(one: Profile) -> dict[str, Any]:
    """Give the values of a file that says all of a profile: what is empty by default is left out."""
    whole = _as_file(asdict(one))
    bare = _as_file(asdict(_PROFILE))
    return _without_empty(whole, bare)


def _merged(
    name: str, layers: Mapping[str, Sequence[Layer]], via: tuple[str, ...]
) -> tuple[dict[str, Any], list[Wrong]]:
    """Give the values of a profile and of all that it extends, and what is wrong with `extends`."""
    merged: dict[str, Any] = {}
    for layer in layers[name]:
        merged = _over(merged, layer.values)
    base, way = merged.get("extends", ""), (*via, name)
    if not base:
        return merged, []
    if base not in layers:
        near = names.did_you_mean(base, layers)
        what = f"`extends` names `{base}`, which is no profile{near}"
        return merged, [Wrong(path=("extends",), what=what)]
    if base in way:
        what = f"`extends` goes in a circle: {' → '.join((*way, base))}"
        return merged, [Wrong(path=("extends",), what=what)] if base == way[0] else []
    under, wrongs = _merged(base, layers, way)
    kept = {key: value for key, value in under.items() if key not in OWN}
    return _over(kept, merged), wrongs if via else [
        wrong for wrong in wrongs if wrong.what.startswith("`extends` goes")
    ]


def _over(under: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Give both together, key by key; lists and plain values of the one above take the place."""
    found = dict(under)
    for key, value in above.items():
        old = found.get(key)
        both = isinstance(value, dict) and isinstance(old, dict)
        found[key] = _over(old, value) if both and isinstance(old, dict) else value
    return found


def _profile(name: str, merged: Mapping[str, Any]) -> Profile:
    read = File.model_validate(merged).model_dump(exclude={"extends"})
    permission = {mode: args for mode, args in read["permission"].items() if args is not None}
    consents = [{**one, "env": list(one["env"].items())} for one in read["consents"]]
    whole = {"name": name, "permission": permission, "consents": consents}
    return profile.from_dict({**read, **whole, "env": list(read["env"].items())})


def _misfits(one: Profile) -> Iterator[Wrong]:
    """Find keys that do not go together."""
    if one.session.how == "chosen" and not _holds(one.session.new, "{session}"):
        what = "`how` is `chosen`, so `new` must hold `{session}`"
        yield Wrong(path=("session", "how"), what=what)
    if one.brief.how == "argv" and not _holds(one.brief.args, "{brief}"):
        yield Wrong(path=("brief", "args"), what="`args` must hold `{brief}`")


def _holds(args: Sequence[str], place: str) -> bool:
    return any(place in one for one in args)


def _that_says(layers: Sequence[Layer], wrong: Wrong) -> Layer:
    """Give the uppermost layer that says anything about what is wrong."""
    saying = [layer for layer in layers if wrong.path[0] in layer.values]
    return (saying or list(layers))[-1]


def _refusal(found: Iterator[tuple[str, Mistake]] | list[tuple[str, Mistake]]) -> WrongInput:
    return WrongInput("\n".join(mistake.told(file) for file, mistake in found))


def _as_file(whole: Mapping[str, Any]) -> dict[str, Any]:
    """Give a profile's values as they stand in a file."""
    found = {key: value for key, value in whole.items() if key != "name"}
    consents = [{**one, "env": dict(one["env"])} for one in whole["consents"]]
    return {**found, "env": dict(whole["env"]), "consents": consents}


def _without_empty(whole: Mapping[str, Any], bare: Mapping[str, Any]) -> dict[str, Any]:
    emptied: Callable[[str, Any], bool] = lambda key, value: not value and value == bare[key]  # noqa: E731
    found: dict[str, Any] = {}
    for key, value in whole.items():
        if isinstance(value, dict) and isinstance(bare.get(key), dict) and key in _TABLES:
            found[key] = _without_empty(value, bare[key])
        elif not emptied(key, value):
            found[key] = value
    return {key: value for key, value in found.items() if value != {}}


_TABLES = ("brief", "session", "typing", "screen", "title", "stall", "keys")
