"""Where an agent works: from the worktree it is to have, and what git says of its folder, a plot.

What can't have a worktree stays where the file says, and it is said why: a folder that is in no
repository, one whose repository has no commit yet, one that git does not have.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hive.core.rhythm import Plot
from hive.core.spec import Agent
from hive.errors import WrongInput

FOLDER = "worktrees"
"""Where the worktrees lie, in the state directory."""

NO_REPOSITORY = "its folder is in no work tree of git"
UNBORN = "its repository has no commit yet"
OURS = "its folder is in a worktree that hive made"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The worktree that an agent is to have, as its file says; see `rhythm.Plot`."""

    base: str = ""
    copy: tuple[str, ...] = ()
    setup: str = ""
    teardown: str = ""
    ports: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables of the environment that get a value of the agent's own."""
        return (*self.ports, *self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What git says of a folder, for one base that a branch is to begin with.

    `root` is the top folder of the work tree it lies in, linked or not, and `prefix` where the
    folder lies below that ("" or `a/b`). `commit` is what the base means, "" where it means none;
    `there` says whether that commit has the folder. `lacks` is why no work tree can be there.
    """

    root: str = ""
    prefix: str = ""
    commit: str = ""
    there: bool = True
    lacks: str = ""


def home(state: str) -> str:
    """Give the folder of all worktrees of a hive with this state directory."""
    return posixpath.join(state, FOLDER)


def is_ours(folder: str, state: str) -> bool:
    """Whether a folder lies in a worktree that this hive made."""
    return folder.startswith(f"{home(state)}/")


def plotted(agent: Agent, wish: Wish, ground: Ground, state: str) -> tuple[Agent, str]:
    """Give the agent with its plot, and in it; or as it is, and why it can't have one.

    The worktree is one beside that in which its folder lies now, which may be linked itself:
    without a base it begins with what is checked out there. `state` is the state directory.
    Raises WrongInput for a base that the repository does not have.
    """
    why = _lacking(wish, ground, state)
    if why:
        return replace(agent, rhythm=replace(agent.rhythm, push="")), why
    if not ground.commit:
        what = f"`base` names `{wish.base}`, which is no commit of {ground.root}"
        raise WrongInput(what, where=agent.short, fix=f"git -C {ground.root} branch --all")
    plot = Plot(
        repo=ground.root,
        path=posixpath.join(home(state), agent.id),
        branch=f"hive/{agent.short}",
        base=wish.base,
        copy=wish.copy,
        setup=wish.setup,
        teardown=wish.teardown,
        ports=wish.ports,
        names=wish.names,
    )
    directory = posixpath.normpath(posixpath.join(plot.path, ground.prefix))
    return replace(agent, plot=plot, directory=directory), ""


def told(lacking: Mapping[str, str]) -> list[str]:
    """Say who has no worktree and why: a sentence for each reason. `lacking` is by agent's id."""
    who: dict[str, list[str]] = {}
    for agent, why in lacking.items():
        who.setdefault(why, []).append(agent.partition("/")[2])
    return [
        f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} no worktree: {why}"
        for why, names in who.items()
    ]


def _lacking(wish: Wish, ground: Ground, state: str) -> str:
    """Say why there can't be a worktree; "" where there can."""
    if ground.lacks:
        return ground.lacks
    if is_ours(ground.root, state):
        return OURS
    if not ground.commit and not wish.base:
        return UNBORN
    if ground.commit and not ground.there:
        return f"git has no `{ground.prefix}` in {wish.base or 'the last commit'}"
    return ""
