"""Profiles from their files: how one goes over another, and how one is written.

A user's file of a name that hive brings along goes over that one, key by key; one that `extends`
another begins with it. What needs several keys is checked when all of them are together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from hive.core import names, profile, tables
from hive.core.mistakes import Mistake, Wrong, placed
from hive.core.profile import Profile
from hive.core.profile_file import OTHER_WORDS, File
from hive.errors import WrongInput

OWN = ("programs", "extends")
"""What a profile that extends another does not take over: these say which one it is."""

_BARE = Profile(name="")


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
        line = _line(name, layers)
        known[name] = _profile(name, _merged(line, layers))
        for wrong in (*_lost(line, layers), *_misfits(known[name])):
            layer = _that_says(own, wrong)
            found += [(layer.file, one) for one in placed([wrong], layer.text)]
    if found:
        raise _refusal(found)
    return known


def written(one: Profile) -> dict[str, Any]:
    """Give the values of a file that says all of a profile; left out is what is empty anyway."""
    return _without_empty(_as_file(one), _as_file(_BARE))


def _line(name: str, layers: Mapping[str, Sequence[Layer]]) -> list[str]:
    """Give a profile and what it extends, one after the other.

    The last one may be no profile, or one that came before.
    """
    line = [name]
    while base := str(_own(layers[line[-1]]).get("extends", "")):
        line.append(base)
        if base not in layers or base in line[:-1]:
            break
    return line


def _lost(line: Sequence[str], layers: Mapping[str, Sequence[Layer]]) -> Iterator[Wrong]:
    """Say what is wrong with what a profile extends, where it is for this one to say."""
    if len(line) == 2 and line[1] not in layers:
        what = f"`extends` names `{line[1]}`, which is no profile"
        yield Wrong(path=("extends",), what=f"{what}{names.did_you_mean(line[1], layers)}")
    if len(line) > 1 and line[0] == line[-1]:
        yield Wrong(path=("extends",), what=f"`extends` goes in a circle: {' → '.join(line)}")


def _merged(line: Sequence[str], layers: Mapping[str, Sequence[Layer]]) -> dict[str, Any]:
    """Give the values of a profile with those of all that it extends below."""
    merged: dict[str, Any] = {}
    for name in reversed([one for one in dict.fromkeys(line) if one in layers]):
        below = {key: value for key, value in merged.items() if key not in OWN}
        merged = _over(below, _own(layers[name]))
    return merged


def _own(layers: Sequence[Layer]) -> dict[str, Any]:
    """Give what the files of one profile say together."""
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = _over(merged, layer.values)
    return merged


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
        what = "`new` must hold `{session}`, because `how` is `chosen`"
        yield Wrong(path=("session", "new"), what=what)
    if one.brief.how == "argv" and not _holds(one.brief.args, "{brief}"):
        yield Wrong(path=("brief", "args"), what="`args` must hold `{brief}`")
    if (one.task.command or one.task.args) and not _holds(one.task.args, "{text}"):
        yield Wrong(path=("task", "args"), what="`args` must hold `{text}`")


def _holds(args: Sequence[str], place: str) -> bool:
    return any(place in one for one in args)


def _that_says(layers: Sequence[Layer], wrong: Wrong) -> Layer:
    """Give the uppermost layer that says anything about what is wrong."""
    saying = [layer for layer in layers if wrong.path[0] in layer.values]
    return (saying or list(layers))[-1]


def _refusal(found: Iterable[tuple[str, Mistake]]) -> WrongInput:
    return WrongInput("\n".join(mistake.told(file) for file, mistake in found))


def _as_file(one: Profile) -> dict[str, Any]:
    """Give a profile's values as they stand in a file."""
    whole = profile.to_dict(one)
    del whole["name"]
    consents = [{**each, "env": dict(each["env"])} for each in whole["consents"]]
    return {**whole, "env": dict(whole["env"]), "consents": consents}


def _without_empty(whole: Mapping[str, Any], bare: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is empty in both; of a table that has none of these keys nothing."""
    found = {
        key: _without_empty(value, bare[key]) if isinstance(value, dict) and bare[key] else value
        for key, value in whole.items()
    }
    return {
        key: value
        for key, value in found.items()
        if value or (bare[key] and not isinstance(value, dict))
    }
