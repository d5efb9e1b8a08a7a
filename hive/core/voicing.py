"""From the keys of the file that say how an agent is spoken to, to its voice.

An agent has one where its file names a profile, or its program is one that a profile knows. What
files say (briefs, templates) and which profiles there are comes as `Known`; whatever is wrong is
told with its place. Keys of [defaults] are for those that can use them: they are never a mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hive.core import guess, names, prelude, spec, wirings
from hive.core.expand import Entry, Named, Place, Variables, levels
from hive.core.judge import is_shell
from hive.core.mistakes import Wrong, shown
from hive.core.positions import Path
from hive.core.prelude import Mate
from hive.core.profile import Profile
from hive.core.voice import Server, Voice
from hive.errors import WrongInput

if TYPE_CHECKING:  # pydantic takes a tenth of a second to import
    from hive.core import model

OWN_SERVER = "hive"
"""The name of hive's own server, which every agent has anyway."""

LONGEST_BRIEF = 100_000
"""So many bytes of a brief go with a command line: Linux takes 128 KiB in one argument."""

KEYS = ("brief", "prelude", "mcp", "permission", "trust", "account", "mode")
"""The keys of an agent that only one with a profile can have."""

WORKER = ("hive", "worker", "--prompts")
"""What runs in the window of an agent whose program is started for each task."""

_PLAIN = "write `run` as a list of words, or move its shell line into a script"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What voices are made with.

    `profiles` are all there are, by name. `texts` are the contents of the files that the model
    names, by absolute path; `variables` those of .env files. `template` is hive's own prelude,
    `hive` its command as it stands in a shell's line.
    """

    profiles: Mapping[str, Profile]
    template: str
    hive: str
    texts: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, Variables] = field(default_factory=dict)


def texts(file: model.File, place: Place) -> list[Named]:
    """Give every file with a brief or a template that the file names, in order."""
    return [
        Named(path=(*path, key), target=place.under(folder, named))
        for path, table, folder in levels(file, place)
        for key in ("brief", "prelude")
        if (named := getattr(table, key, None)) and (key == "prelude" or is_path(named))
    ]


def is_path(text: str) -> bool:
    """Whether a brief is the path of a file; all else is the brief itself."""
    if "\n" in text:
        return False
    return text.endswith((".md", ".txt")) or ("/" in text and not any(map(str.isspace, text)))


def voiced(
    file: model.File,
    place: Place,
    entries: Sequence[Entry],
    known: Known,
    lost: frozenset[Path] = frozenset(),
) -> tuple[tuple[Entry, ...], tuple[Wrong, ...]]:
    """Give the entries with the voices of their agents, and all that is wrong with those.

    `lost` are the places of what was left out of the file because it is wrong in itself. Where a
    file can't be read its text is taken for empty: `checks` tells that.
    """
    around = _Around(
        file=file,
        place=place,
        known=known,
        folders={path: folder for path, _, folder in levels(file, place)},
        mates={team: tuple(_mates(entries, team)) for team in file.teams},
    )
    wrongs = [*_servers_named(file, place, lost)]
    found = []
    for entry in entries:
        if {entry.path, (*entry.path, "run"), (*entry.path, "profile")} & lost:
            found.append(entry)
            continue
        cast, wrong = _cast(around, entry)
        found.append(cast)
        wrongs += wrong
    return tuple(found), tuple(dict.fromkeys(wrongs))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """What the voices of one file are made with."""

    file: model.File
    place: Place
    known: Known
    folders: Mapping[Path, str]
    mates: Mapping[str, tuple[Mate, ...]]


def _mates(entries: Sequence[Entry], team: str) -> Iterator[Mate]:
    for entry in entries:
        if entry.team == team:
            yield from (Mate(name=agent.short, role=agent.role) for agent in entry.agents)


def _servers_named(file: model.File, place: Place, lost: frozenset[Path]) -> Iterator[Wrong]:
    """Find servers that are named and not there, and one that has the name of hive's own."""
    if OWN_SERVER in file.mcp:
        what = f"`{OWN_SERVER}` is the name of hive's own server; choose another"
        yield Wrong(path=("mcp", OWN_SERVER), what=what)
    for path, table, _ in levels(file, place):
        for name in getattr(table, "mcp", ()):
            if name in file.mcp or {("mcp",), ("mcp", name)} & lost:
                continue
            end = names.did_you_mean(name, file.mcp) or f"; define it as [mcp.{shown(name)}]"
            end = ": every agent has it anyway" if name == OWN_SERVER else end
            what = f"`mcp` names `{name}`, which is no server of this file{end}"
            yield Wrong(path=(*path, "mcp"), what=what)


def _cast(around: _Around, entry: Entry) -> tuple[Entry, list[Wrong]]:
    """Give an entry with its voices, and what is wrong with them."""
    profiles, table = around.known.profiles, entry.table
    name = table.profile or guess.guess(table.run, profiles)
    words = guess.words(table.run)
    if not name:
        return entry, [*_unused(entry, plain=words is not None)]
    if name not in profiles:
        end = names.did_you_mean(name, profiles) or ": see `hive profile list`"
        what = f"`profile` names `{name}`, which is no profile{end}"
        return entry, [Wrong(path=(*entry.path, "profile"), what=what)]
    if words is None:
        what = f"`run` must be a plain command, so that hive can give it arguments: {_PLAIN}"
        return entry, [Wrong(path=(*entry.path, "run"), what=what)]
    profile = profiles[name]
    if _is_headless(around, entry, profile):
        return _for_tasks(around, entry, profile, words)
    voice, wrongs = _voice(around, entry, profile)
    agents = []
    for agent in entry.agents:
        taught, wrong = _taught(around, entry, agent, profile)
        wrongs += wrong
        voiced_agent = replace(agent, argv=words, voice=replace(voice, prelude=taught))
        agents.append(replace(voiced_agent, stop=_stop(around, entry, profile, agent.stop)))
    return replace(entry, agents=tuple(agents)), wrongs


def _is_headless(around: _Around, entry: Entry, profile: Profile) -> bool:
    """Whether the program is started for each task; one of [defaults] is for those that can."""
    _, mode = _nearest(around, entry, "mode")
    return mode == "task" and bool(profile.task.args)


def _for_tasks(
    around: _Around, entry: Entry, profile: Profile, words: tuple[str, ...]
) -> tuple[Entry, list[Wrong]]:
    """Give an entry whose agents are workers, which start the program anew for each task."""
    voice, wrongs = _voice(around, entry, profile)
    consents = profile.consents if voice.trust else ()
    env = [pair for one in consents for pair in one.env]
    env += wirings.alone(profile.wiring, voice.permission).items()
    voice = replace(
        voice,
        profile=profile.of_worker(env),
        servers=(),
        headless=(
            *words,
            *profile.task.command,
            *(word for one in consents for word in one.args),
            *profile.permission.get(voice.permission, ()),
            *profile.task.args,
        ),
    )
    agents = [replace(agent, argv=WORKER, voice=voice) for agent in entry.agents]
    return replace(entry, agents=tuple(agents)), wrongs


def _unused(entry: Entry, *, plain: bool) -> Iterator[Wrong]:
    """Find the first key that only an agent with a profile can have."""
    for key in KEYS:
        if key in entry.table.model_fields_set:
            told = "set `profile` (see `hive profile list`)" if plain else _PLAIN
            what = f"`{key}` needs a profile, and `run` does not tell which: {told}"
            yield Wrong(path=(*entry.path, key), what=what)
            return


def _voice(around: _Around, entry: Entry, profile: Profile) -> tuple[Voice, list[Wrong]]:
    """Give the voice that all agents of an entry share, and what is wrong with it."""
    headless = _is_headless(around, entry, profile)
    brief, wrongs = _brief(around, entry, "argv" if headless else profile.brief.how)
    _, servers = _nearest(around, entry, "mcp")
    _, permission = _nearest(around, entry, "permission")
    _, trust = _nearest(around, entry, "trust")
    voice = Voice(
        profile=profile,
        brief=brief,
        servers=tuple(_servers(around, servers)) if profile.wiring != "none" else (),
        permission=permission if permission in profile.permission else "ask",
        trust=trust,
        account=entry.table.account or profile.account or profile.name,
    )
    return voice, [*wrongs, *_ungivable(entry, profile, headless=headless)]


def _ungivable(entry: Entry, profile: Profile, *, headless: bool) -> Iterator[Wrong]:
    """Find what an agent's own keys say and its profile has no way to give."""
    own = entry.table.model_fields_set
    if "mode" in own and entry.table.mode == "task" and not headless:
        what = f"`mode` `task` is none of a `{profile.name}`: its profile has no [task]"
        yield Wrong(path=(*entry.path, "mode"), what=f"{what} (`hive help agents`)")
    if "brief" in own and profile.brief.how == "none" and not headless:
        what = f"`brief` can't be given to a `{profile.name}`: nothing is typed into it first"
        yield Wrong(path=(*entry.path, "brief"), what=what)
    if entry.table.mcp and "mcp" in own and (headless or profile.wiring == "none"):
        why = "it is started for each task" if headless else "hive knows no way to"
        what = f"`mcp` can't be given to a `{profile.name}`: {why}"
        yield Wrong(path=(*entry.path, "mcp"), what=what)
    if "prelude" in own and headless:
        what = f"`prelude` can't be given to a `{profile.name}`: it is started for each task"
        yield Wrong(path=(*entry.path, "prelude"), what=f"{what}, and told its `brief` before")
    mode = entry.table.permission
    if "permission" in own and mode != "ask" and mode not in profile.permission:
        known = " and ".join(f"`{one}`" for one in dict.fromkeys(("ask", *profile.permission)))
        what = f"`permission` `{mode}` is none of a `{profile.name}`; it has {known}"
        yield Wrong(path=(*entry.path, "permission"), what=what)


def _stop(around: _Around, entry: Entry, profile: Profile, stop: spec.Stop) -> spec.Stop:
    """Give how an agent is asked to end: a shell at its prompt takes no notice of TERM."""
    said = around.file.defaults.stop.model_fields_set | entry.table.stop.model_fields_set
    if not is_shell(profile) or {"signal", "keys"} & said:
        return stop
    return replace(stop, signal="HUP")


def _brief(around: _Around, entry: Entry, how: str) -> tuple[str, list[Wrong]]:
    """Give the first prompt of an entry's agents, and what is wrong with it."""
    path, said = _nearest(around, entry, "brief")
    if said is None or how == "none":
        return "", []
    target = around.place.under(around.folders[path[:-1]], said)
    text = around.known.texts.get(target, "") if is_path(said) else said
    size = len(text.encode(errors="replace"))
    if how == "argv" and size > LONGEST_BRIEF:
        what = f"`brief` has {size} bytes, more than a command line takes ({LONGEST_BRIEF})"
        return "", [Wrong(path=path, what=f"{what}: put most of it into a file that it names")]
    return text, []


def _taught(
    around: _Around, entry: Entry, agent: spec.Agent, profile: Profile
) -> tuple[str, list[Wrong]]:
    """Give what hive teaches an agent, and what is wrong with the template of it."""
    if not (profile.prelude or profile.wiring != "none" or profile.brief.how != "none"):
        return "", []
    path, named = _nearest(around, entry, "prelude")
    target = around.place.under(around.folders[path[:-1]], named) if named else ""
    facts = prelude.Facts(
        agent=agent.short,
        role=agent.role,
        team=agent.team,
        project=agent.project,
        hive=around.known.hive,
        mates=tuple(one for one in around.mates[entry.team] if one.name != agent.short),
    )
    text = around.known.texts.get(target, "") if named else around.known.template
    try:
        return prelude.render(text, facts, target or prelude.NAME), []
    except WrongInput as error:
        what = f"`prelude` {error.where}: {error.what}; {error.fix}"
        return "", [Wrong(path=path, what=what)]


def _servers(around: _Around, wanted: Sequence[str]) -> Iterator[Server]:
    """Give the servers of these names; a name that none has is told elsewhere."""
    for name in dict.fromkeys(wanted):
        table = around.file.mcp.get(name)
        if table is None:
            continue
        env: dict[str, str] = {}
        for one in table.env_file:
            path = around.place.under(around.place.folder, one)
            env.update(around.known.variables.get(path, ()))
        env.update(table.env)
        yield Server(
            name=name,
            command=table.command or (),
            env=tuple(env.items()),
            url=table.url or "",
            headers=tuple(table.headers.items()),
        )


def _nearest(around: _Around, entry: Entry, key: str) -> tuple[Path, Any]:
    """Give the place and the value of a key: the agent's own, or that of [defaults]."""
    own = key in entry.table.model_fields_set
    path: Path = entry.path if own else ("defaults",)
    return (*path, key), getattr(entry.table if own else around.file.defaults, key)
