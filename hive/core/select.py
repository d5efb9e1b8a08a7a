"""Which agents a person means: `frontend`, `frontend/dev`, `Task/frontend/dev`, `frontend/*`.

The most exact reading wins: an agent, a team, a project, a pool, a pattern. A short name that
exists in several projects is refused rather than guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from hive.core.names import did_you_mean, offer, pool
from hive.errors import WrongInput

LISTING = "`hive status` lists the agents"

_MOST_OFFERED = 4


def select(
    words: Sequence[str], ids: Sequence[str], *, project: str | None = None
) -> tuple[str, ...]:
    """Give the ids that the words mean, each once, in the order of `ids`; no words mean all.

    `project` is where the person is: of several projects its agents are meant. Raises
    WrongInput for a word that means nothing, or agents of several projects.
    """
    if not words:
        return tuple(ids)
    chosen = {name for word in words for name in _meant(word, ids, project)}
    return tuple(name for name in ids if name in chosen)


def _meant(word: str, ids: Sequence[str], project: str | None) -> list[str]:
    for found, whole in _readings(word.strip("/"), ids):
        if not found:
            continue
        if whole:
            return found
        return _in_one_project(word, found, project)
    end = offer(_ending(word, ids, project)) or did_you_mean(word, _known(ids))
    raise WrongInput(
        f"there is no agent or team `{word}`{end}",
        fix=LISTING if ids else "hive deploy",
    )


def _readings(word: str, ids: Sequence[str]) -> list[tuple[list[str], bool]]:
    """Give what the word may mean, the most exact first, and whether it names the project."""
    if not word:
        return []
    exact = [name for name in ids if name == word]
    members = [name for name in ids if name.startswith(f"{word}/")]
    pools = [name for name in ids if pool(name) == word]
    patterns = [name for name in ids if fnmatchcase(name, word)]
    short = [name for name in ids if _short(name) == word]
    teams = [name for name in ids if _short(name).startswith(f"{word}/")]
    short_pools = [name for name in ids if pool(_short(name)) == word]
    short_patterns = [name for name in ids if fnmatchcase(_short(name), word)]
    team_patterns = [name for name in ids if fnmatchcase(name.split("/")[1], word)]
    return [
        (exact, True),
        (short, False),
        (teams, False),
        (members, True),
        (pools, True),
        (short_pools, False),
        (patterns, True),
        (short_patterns, False),
        (team_patterns, False),
    ]


def _in_one_project(word: str, found: list[str], project: str | None) -> list[str]:
    projects = sorted({name.split("/")[0] for name in found})
    if len(projects) == 1:
        return found
    if project in projects:
        return [name for name in found if name.startswith(f"{project}/")]
    listed = ", ".join(f"`{one}`" for one in projects)
    raise WrongInput(
        f"`{word}` is in {len(projects)} projects: {listed}",
        fix=f"name one: {projects[0]}/{word}",
    )


def _short(name: str) -> str:
    return name.split("/", 1)[1]


def _ending(word: str, ids: Sequence[str], project: str | None) -> list[str]:
    """Give the agents and pools of any team called `word`, as they can be said; a few at most."""
    found = {
        whole: None
        for name in ids
        for whole in (name, pool(name))
        if whole.rpartition("/")[2].lower() == word.lower() and whole
    }
    here = [name for name in found if name.split("/")[0] == project] or list(found)
    alone = len({name.split("/")[0] for name in here}) == 1
    return [_short(name) if alone else name for name in here][:_MOST_OFFERED]


def _known(ids: Sequence[str]) -> list[str]:
    """Give every word that would have meant something, the short ones first."""
    words: dict[str, None] = {}
    for name in ids:
        words[_short(name)] = None
        words[name.split("/")[1]] = None
        words[pool(_short(name)) or _short(name)] = None
    for name in ids:
        words[name.split("/")[0]] = None
        words[name] = None
    return list(words)
