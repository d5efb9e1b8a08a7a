"""What git says of the folders whose agents are to have worktrees; nothing is made here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from hive.adapters.git import git, head_of, look
from hive.core.plots import NO_REPOSITORY, Ground, Wish, plotted
from hive.core.spec import Agent


def planted(
    agents: Iterable[Agent], wishes: Mapping[str, Wish], state: str
) -> tuple[tuple[Agent, ...], dict[str, str]]:
    """Give the agents with their plots, and why some that wish for one have none, by their ids.

    `state` is the state directory. Raises GitError where git can't look, and WrongInput for a
    base that a repository does not have: such an agent must not come to work elsewhere instead.
    """
    state = os.path.realpath(state)
    known: dict[tuple[str, str], Ground] = {}
    found, lacking = [], {}
    for agent in agents:
        wish = wishes.get(agent.id)
        if wish is None:
            found.append(agent)
            continue
        key = (agent.directory, wish.base)
        if key not in known:
            known[key] = ground(*key)
        one, why = plotted(agent, wish, known[key], state)
        found.append(one)
        if why:
            lacking[agent.id] = why
    return tuple(found), lacking


def ground(folder: str, base: str = "") -> Ground:
    """Look at a folder, for a branch that begins with `base`. Raises GitError."""
    tree = look(folder, commits=0)
    if tree is None:
        return Ground(lacks=NO_REPOSITORY)
    prefix = tree.prefix.rstrip("/")
    commit = head_of(folder, base) if base else tree.commit
    there = not prefix or bool(commit and _has(folder, commit, prefix))
    return Ground(root=os.path.realpath(tree.root), prefix=prefix, commit=commit, there=there)


def _has(folder: str, commit: str, path: str) -> bool:
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}:{path}")
    return bool(git(words, folder, codes=(0, 1)))
