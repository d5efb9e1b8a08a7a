"""`hive profile list` and `show`: which agent programs hive knows, and how it treats them."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from hive.cli import output
from hive.cli.options import Json
from hive.core import names
from hive.core.profile import Profile, to_dict
from hive.errors import WrongInput

Known = Annotated[str, typer.Argument(metavar="PROFILE", help="A profile: `claude`.")]

Record = dict[str, Any]

OURS = "comes with hive"


def profile_list(json: Json = False) -> None:
    """Tell which profiles there are, and which of their programs are installed."""
    from hive.adapters import profiles

    known = profiles.load(os.environ)
    files = profiles.sources(os.environ)
    versions = profiles.versions(known, os.environ)
    rows: list[Record] = [
        {
            "profile": name,
            "about": one.about,
            "programs": list(one.programs),
            "installed": versions[name],
            "tested": list(one.tested),
            "tried": versions[name] in one.tested,
            "files": [str(path) for path in files[name]],
            "own": not all(map(profiles.shipped, files[name])),
        }
        for name, one in known.items()
    ]
    if json:
        output.as_json({"version": 1, "profiles": rows})
    else:
        _draw(rows)


def profile_show(name: Known, json: Json = False) -> None:
    """Show a profile as a file, where it comes from, and what `trust = true` would answer."""
    from hive.adapters import profiles

    known = profiles.load(os.environ)
    if name not in known:
        near = names.did_you_mean(name, known)
        raise WrongInput(f"no profile `{name}`{near}", fix="hive profile list")
    one, files = known[name], profiles.sources(os.environ)[name]
    consents = [{"name": each.name, "about": each.about, "by": each.by} for each in one.consents]
    if json:
        paths = [str(path) for path in files]
        record = {"version": 1, "profile": to_dict(one), "files": paths, "trust": consents}
        output.as_json(record)
        return
    origins = [f"{path} ({OURS})" if profiles.shipped(path) else str(path) for path in files]
    output.say(f"# profile {name}, from {origins[0]}")
    for origin in origins[1:]:
        output.say(f"# and over that {origin}")
    output.say(f"# to change it, write into {profiles.own(os.environ) / name}.toml")
    for line in _trusted(one):
        output.say(f"# {line}")
    print()
    print(_toml(one), end="")


def _trusted(one: Profile) -> list[str]:
    if not one.consents:
        return ["trust = true would answer nothing: its first start asks nothing"]
    return [
        "trust = true would answer for you:",
        *(f"  {each.name}: {each.about} (by {each.by})" for each in one.consents),
    ]


def _toml(one: Profile) -> str:
    import tomli_w

    from hive.core import profile_layers

    return tomli_w.dumps(profile_layers.written(one))


def _draw(rows: list[Record]) -> None:
    from hive.screen import folded, grid

    table = grid("profile", "installed", "programs", "about")
    for row in rows:
        mark = " *" if row["own"] else ""
        programs = ", ".join(row["programs"])
        table.add_row(f"{row['profile']}{mark}", _installed(row), programs, row["about"])
    output.show(folded(table))
    if any(row["own"] for row in rows):
        output.say("* from your own file: `hive profile show NAME` tells which")


def _installed(row: Record) -> str:
    """Say which version is installed; one that hive was not tried with is marked."""
    if not row["installed"]:
        return "-"
    return row["installed"] if row["tried"] else f"{row['installed']} (not tried)"
