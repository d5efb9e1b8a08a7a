"""The user's files: `hive.toml`, those that it names, and the templates that hive brings along.

Reads them, looks up what the checks need to know of this machine, and tells every mistake at
once. Nothing is written here.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hive.core import dotenv, names
from hive.core.limits import Ceiling
from hive.core.spec import Agent
from hive.errors import WrongInput

if TYPE_CHECKING:
    from hive.core.checks import Program
    from hive.core.escalation import Escalation
    from hive.core.expand import Entry, Named, Place
    from hive.core.fits import Over
    from hive.core.mistakes import Wrong
    from hive.core.model import File
    from hive.core.plots import Wish
    from hive.core.positions import Path as Position
    from hive.core.rules import Rules
    from hive.core.vitals import Vitals
    from hive.core.workflow import Definition

T = TypeVar("T")

NAME = "hive.toml"
_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A file that was read and checked: its agents and teams in the file's order.

    `ceiling` is what its agents together may use, `rules` how its tasks are done, `workflows` are
    those that it has, by name. `wishes` are the worktrees that agents are to have, by id: git is
    not asked yet. `escalation` is how people are told what waits for them. `notes` are no
    mistakes, and yet may surprise.
    """

    project: str
    path: Path
    agents: tuple[Agent, ...]
    teams: tuple[str, ...]
    ceiling: Ceiling
    rules: Rules
    workflows: Mapping[str, Definition]
    wishes: Mapping[str, Wish]
    escalation: Escalation
    notes: tuple[str, ...] = ()


def load(path: Path | None = None) -> Loaded:
    """Read, check and expand a file, or the `hive.toml` here or in the nearest folder above.

    Raises WrongInput with every mistake, or where there is no such file.
    """
    from hive.core import config, expand, mistakes, workflow

    path = _found(path)
    name, text = _called(path), _text(path)
    parsed = config.parse(text, name)
    wrongs: tuple[mistakes.Wrong, ...] = ()
    entries: tuple[expand.Entry, ...] = ()
    if parsed.file is not None:
        home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() fails where there is none
        place = expand.Place(folder=str(path.parent), home=home)
        entries, wrongs = _expanded(parsed.file, place, parsed.lost)
    found = parsed.mistakes(wrongs)
    if parsed.file is None or found:
        raise mistakes.refusal(found, name)
    agents = tuple(agent for entry in entries for agent in entry.agents)
    workflows = workflow.define(parsed.file)
    return Loaded(
        project=parsed.file.project,
        path=path,
        agents=agents,
        teams=tuple(parsed.file.teams),
        ceiling=expand.ceiling(parsed.file),
        rules=expand.rules(parsed.file),
        workflows=workflows,
        wishes={one.id: entry.wish for entry in entries for one in entry.agents if entry.wish},
        escalation=parsed.file.escalation.plain(),
        notes=_notes(workflows, agents) if workflows else (),
    )


def _notes(workflows: Mapping[str, Definition], agents: Iterable[Agent]) -> tuple[str, ...]:
    from hive.core import workflow_checks

    known = tuple(agents)
    each = (workflow_checks.unmatched(one, known) for one in workflows.values())
    return tuple(text for texts in each for text in texts)


def _expanded(
    file: File, place: Place, lost: frozenset[Position]
) -> tuple[tuple[Entry, ...], tuple[Wrong, ...]]:
    """Expand a file with all that it names on this machine, and check it."""
    from hive.adapters import itself, profiles
    from hive.core import checks, expand, voicing

    variables, unread = _read(expand.env_files(file, place), dotenv.parse)
    texts, untold = _read(voicing.texts(file, place), _prose)
    known = voicing.Known(
        profiles=profiles.load(os.environ),
        template=message("prelude"),
        hive=shlex.join(itself.command()),
        texts=texts,
        variables=variables,
    )
    plain = expand.expand(file, place, variables)
    entries, wrongs = voicing.voiced(file, place, plain, known, lost)
    folders = {folder for _, _, folder in expand.levels(file, place)}
    programs = {checks.program(entry.agents[0]) for entry in entries}
    facts = checks.Facts(
        directories=frozenset(filter(os.path.isdir, folders)),
        programs=frozenset(one for one in programs if one and _is_program(one)),
        unread=unread,
        untold=untold,
        machine=_machine() if expand.limited(file) else None,
    )
    return entries, (*wrongs, *checks.check(file, place, entries, facts, lost))


def placed(loaded: Loaded, state: Path) -> tuple[Loaded, dict[str, str]]:
    """Put the agents that are to have worktrees into them, and say by id who can't have one.

    Nothing is made; `state` is hive's state directory. Raises GitError where git can't look, and
    WrongInput for a base that there is not.
    """
    if not loaded.wishes:
        return loaded, {}
    from hive.adapters import grounds

    agents, lacking = grounds.planted(loaded.agents, loaded.wishes, str(state))
    return replace(loaded, agents=agents), lacking


def refuse_ours(loaded: Loaded, state: Path) -> None:
    """Raise WrongInput for a file in a worktree that hive made: all would move into that."""
    from hive.core.plots import is_ours

    if is_ours(os.path.realpath(loaded.path), os.path.realpath(state)):
        what = "this file is a copy in an agent's worktree, where nobody else is to work"
        raise WrongInput(what, where=str(loaded.path), fix="deploy the file that you work with")


def overridden(loaded: Loaded, over: Over) -> Loaded:
    """Put what a command line says in place of what a file does.

    Raises WrongInput, naming the option, for what can't be on this machine or with this file.
    """
    from hive.core import fits

    if over == fits.Over():
        return loaded
    machine = _machine()
    what = fits.refusal(loaded.ceiling, over, machine)
    if what:
        raise WrongInput(what)
    return replace(
        loaded,
        agents=fits.overridden(loaded.agents, over, machine),
        ceiling=replace(loaded.ceiling, cpu=over.cpu or loaded.ceiling.cpu),
    )


def _machine() -> Vitals:
    from hive.adapters.machine import Machine

    machine = Machine()
    try:
        return machine.read()
    finally:
        machine.close()


def schema() -> dict[str, Any]:
    """Give the JSON Schema of `hive.toml`, with a sentence for every key."""
    from hive.core.model import File

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **File.model_json_schema(),
        "title": NAME,
    }


def example() -> str:
    """Give a `hive.toml` with every key, its default and what it means."""
    return _brought("hive.toml.example").read_text("utf-8")


def templates(kind: str = "teams") -> dict[str, str]:
    """Give the name of each template, for `teams` or of `workflows`, and what it is for."""
    return {
        path.stem: path.read_text("utf-8").partition("\n")[0].lstrip("# ")
        for path in sorted(_brought(kind).glob("*.toml"))
    }


def template(name: str, kind: str = "teams") -> str:
    """Give the text of a template; raises WrongInput where there is none of that name."""
    known = templates(kind)
    if name not in known:
        near = names.did_you_mean(name, known)
        raise WrongInput(f"no template `{name}`{near}", fix=f"choose of {', '.join(known)}")
    return (_brought(kind) / f"{name}.toml").read_text("utf-8")


def ready_made(name: str, project: str = "", rules: Rules | None = None) -> Definition:
    """Give the workflow of a template, to be run in a project.

    Raises WrongInput where there is none of that name.
    """
    from hive.core import config, workflow

    table = config.workflows(template(name, "workflows"), f"{name}.toml")[name]
    about = templates("workflows")[name]
    return replace(workflow.definition(name, table, rules=rules, project=project), about=about)


def message(name: str) -> str:
    """Give the text of one of hive's own templates for agents, such as `prelude`."""
    return (_brought("messages") / f"{name}.md").read_text("utf-8")


def _brought(name: str) -> Path:
    """Find what comes with hive: inside the package once installed, beside it in a checkout."""
    inside = _PACKAGE / "templates" / name
    if inside.exists():
        return inside
    beside = _PACKAGE.parent
    return beside / name if name.endswith(".example") else beside / "templates" / name


def _found(path: Path | None) -> Path:
    """Give the file's absolute path; the one of a folder is the `hive.toml` in it.

    A folder called `hive.toml` is given too, to be told as one, unless it is where we are.
    """
    here = _here()
    if path is None:
        for folder in (here, *here.parents):
            one = folder / NAME
            if os.path.isfile(one) or (os.path.isdir(one) and not here.is_relative_to(one)):  # noqa: PTH112, PTH113 - False where it may not be looked at
                return one
        raise WrongInput(f"no `{NAME}` here or in a folder above", where=str(here), fix="hive init")
    whole = Path(os.path.normpath(here / path))
    inside = whole / NAME
    named = whole.name == NAME and whole != here and not os.path.lexists(inside)
    return inside if os.path.isdir(whole) and not named else whole  # noqa: PTH112 - never fails


def _here() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise WrongInput("the current folder is gone", fix="go to another: cd") from None


def _called(path: Path) -> str:
    """Give the file's name as its reader would say it."""
    here = _here()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _text(path: Path) -> str:
    """Read a file of text; raises WrongInput where it can't be."""
    what, fix = "the file is a device, not a text", ""
    try:
        if path.is_file():  # a device or a pipe could go on for ever
            return path.read_bytes().decode("utf-8-sig")
        if path.is_dir():
            what, fix = "this is a folder, not a file", "move it away, or name another file"
        elif not path.exists():
            what, fix = "the file isn't there", "hive init"
    except OSError as error:
        what = f"the file can't be read: {(error.strerror or str(error)).lower()}"
    except UnicodeDecodeError as error:
        what = f"the file is not UTF-8 text: see byte {error.start}"
    raise WrongInput(what, where=_called(path), fix=fix)


def _read(files: Iterable[Named], parse: Callable[[str], T]) -> tuple[dict[str, T], dict[str, str]]:
    """Read the files that a model names: what is in each by its path, and why others can't be."""
    found: dict[str, T] = {}
    wrong: dict[str, str] = {}
    for path in dict.fromkeys(named.target for named in files):
        try:
            found[path] = parse(_text(Path(path)))
        except WrongInput as error:
            wrong[path] = error.what
        except ValueError as error:
            wrong[path] = str(error)
    return found, wrong


def _prose(text: str) -> str:
    """Check a text for an agent; raises ValueError where there is nothing to read in it."""
    if not text.strip():
        raise ValueError("the file is empty")
    if "\0" in text:
        raise ValueError("the file holds a NUL character: it is no text")
    return text


def _is_program(wanted: Program) -> bool:
    """Whether a program is found where its agent will look for it."""
    if "/" in wanted.name:
        return shutil.which(os.path.join(wanted.directory, wanted.name)) is not None  # noqa: PTH118
    path = os.environ.get("PATH", os.defpath) if wanted.path is None else wanted.path
    folders = (os.path.join(wanted.directory, one) for one in path.split(os.pathsep))  # noqa: PTH118
    return shutil.which(wanted.name, path=os.pathsep.join(folders)) is not None
