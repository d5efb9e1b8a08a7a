"""Checkpoints: what agents changed is saved by commits, theirs or else hive's.

Nothing is done to a work tree that is not an agent's own. Commits are made in the background, so
that nobody waits for their hooks. Times are epoch seconds.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from hive.adapters import commits
from hive.adapters.commits import Saved
from hive.adapters.errands import Errands
from hive.adapters.git import look
from hive.adapters.store import Event
from hive.core import checkpoint
from hive.core.checkpoint import Chosen, Past, Step
from hive.core.messages import Stage
from hive.core.repository import Changed, Kind, Tree
from hive.core.signs import Turn
from hive.core.spec import Agent
from hive.core.tasks import Task
from hive.errors import HiveError
from hive.evidence import Team
from hive.views import Record, iso

UNSAVED = "unsaved:"
"""The fact under which is kept since when an agent has changes that no commit has."""

_log = logging.getLogger("hive")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What came of an attempt to save: a commit or none, what was left out, and what went wrong."""

    why: str
    saved: Saved | None = None
    chosen: Chosen = field(default_factory=Chosen)
    push: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trouble:
    """What a person should see to: some files were not saved, and why."""

    at: float
    why: str
    files: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether nothing at all could be saved."""
        return not self.files


class Checkpoints:
    """Since when whose work is not saved, and what is done about it."""

    def __init__(
        self,
        team: Team,
        doing: Callable[[], Mapping[str, Task]],
        paused: Callable[[str], str],
    ) -> None:
        self._team = team
        self._doing = doing
        self._paused = paused
        self._errands = Errands()
        facts = team.store.facts(UNSAVED)
        self._past = {agent: _past(json.loads(text)) for agent, text in facts.items()}
        self._saving: set[str] = set()
        self._said: dict[str, str] = {}
        self._troubles: dict[str, _Trouble] = {}
        self.news: list[Event] = []

    def fileno(self) -> int:
        """Give the descriptor that is readable while there is something to go on with."""
        return self._errands.fileno()

    def close(self) -> None:
        """Give back everything."""
        self._errands.close()

    def since(self, agent: str) -> float:
        """Give since when an agent has changes that no commit has (0: it has none)."""
        return self._past.get(agent, Past()).since

    def looked(self, agent: str, tree: Tree | None, now: float) -> float:
        """Do what is due about an agent's changes; gives when to look again (0: as usual)."""
        spec = self._team.wanted[agent].agent
        before = self._past.get(agent, Past())
        past = checkpoint.follow(before, tree, now)
        busy = self._busy(agent)
        found = checkpoint.decide(tree, spec.plot, spec.rhythm, past, busy=busy, now=now)
        if tree is None or self._paused(agent) or agent in self._saving:
            return 0.0
        if found.step is Step.ASK:
            past = self._ask(agent, tree, past, now)
        elif found.step is Step.SAVE:
            self._begin(spec, now)
        if not past.since:
            self._recall(agent, now)
        self._warn(agent, tree, now)
        self._keep(agent, past)
        return found.until

    def step(self, now: float) -> None:
        """Take in what came of the attempts that are over."""
        for done in self._errands.read():
            agent = str(done.key)
            self._saving.discard(agent)
            if agent not in self._team.wanted:
                continue
            if isinstance(done.error, HiveError):
                self._failed(agent, done.error, now)
            elif done.error:
                raise done.error
            elif done.value is not None:
                self._made(agent, done.value, now)

    def items(self) -> list[Record]:
        """List what a person should see to, as `hive inbox` does."""
        return [
            self._item(agent, one)
            for agent, one in sorted(self._troubles.items())
            if self._stands(agent, one)
        ]

    def _stands(self, agent: str, one: _Trouble) -> bool:
        """Whether there is still what a person should see to: also who is stopped may be tidied."""
        if agent not in self._team.wanted:
            return False
        spec = self._team.wanted[agent].agent
        root = Path(spec.plot.path if spec.plot else spec.directory)
        return any(os.path.lexists(root / path) for path in one.files or [""])

    def _warn(self, agent: str, tree: Tree, now: float) -> None:
        """Say once of files that hive does not commit that it does not, and why."""
        plot = self._team.wanted[agent].agent.plot
        if checkpoint.allowed(tree, plot):
            return
        known = self._troubles.get(agent)
        paths = {one.path for one in tree.changed}
        left = [one for one in known.files if one in paths] if known else []
        plain = checkpoint.chosen(tree.changed, {})
        fresh = [one.path for one, _ in plain.refused if one.path not in left]
        if fresh:
            self._left_out(agent, [*left, *fresh], "; ".join(plain.warnings), now)
        elif known and not left and not (known.failed and tree.changed):
            del self._troubles[agent]

    def _left_out(self, agent: str, files: Sequence[str], why: str, now: float) -> None:
        self._troubles[agent] = _Trouble(at=now, why=why, files=tuple(files))
        self._say(agent, f"warning: {why}", now)

    # asking

    def _busy(self, agent: str) -> bool:
        line = self._team.talks.ears.lines.get(agent)
        working = line is not None and line.condition.turn is Turn.WORKING
        return working or (line is not None and agent in self._doing())

    def _ask(self, agent: str, tree: Tree, past: Past, now: float) -> Past:
        """Ask an agent that works; one that can't be spoken to is not waited for."""
        spec = self._team.wanted[agent].agent
        if spec.voice is None or not spec.voice.profile.reads:
            self._begin(spec, now)
            return past
        text = checkpoint.request(checkpoint.unsaved(tree, past), past.since, now)
        self._team.talks.note(agent, text, now)
        self._said[agent] = text
        self._say(agent, "asked to commit its work", now)
        return replace(past, asked=now)

    def _recall(self, agent: str, now: float) -> None:
        """Take a question back that waits still, where it is settled."""
        text = self._said.pop(agent, "")
        if text:
            why = "its work is committed"
            self._team.talks.outbox.recall(agent, [text], why, now, [Stage.QUEUED])

    # saving

    def _begin(self, spec: Agent, now: float) -> None:
        self._recall(spec.id, now)
        task, talks = self._doing().get(spec.id), self._team.talks
        line = talks.ears.lines.get(spec.id)
        said = task.notes[-1] if task and task.notes else line.condition.text if line else ""
        past = self._past.get(spec.id, Past())
        self._saving.add(spec.id)
        born = {**self._team.environ(spec.project), **dict(spec.env)}
        path = {"PATH": born["PATH"]} if "PATH" in born else {}
        self._errands.do(spec.id, partial(_save, spec, task, said, past, path))

    def _made(self, agent: str, made: _Made, now: float) -> None:
        past = self._past.get(agent, Past())
        refused = tuple(one for one, _ in made.chosen.refused)
        known = self._troubles.get(agent)
        fresh = [one.path for one in refused if not known or one.path not in known.files]
        if fresh:
            left = [*(known.files if known else ()), *fresh]
            self._left_out(agent, left, "; ".join(made.chosen.warnings), now)
        elif known and known.failed:
            del self._troubles[agent]
        if made.saved:
            text = f"saved as {made.saved.hash[:10]} ({made.saved.subject})"
            self._say(agent, f"{text}{f'; {made.push}' if made.push else ''}", now)
            past = Past()
        elif made.why:
            self._say(agent, f"not saved: {made.why}", now)
        all_of_them = (*past.refused, *(one for one in refused if one not in past.refused))
        tried = now if made.chosen.files and not made.saved else 0.0
        self._keep(agent, replace(past, tried=tried, refused=all_of_them))

    def _failed(self, agent: str, error: HiveError, now: float) -> None:
        _log.warning("%s: its work could not be saved: %s", agent, error.what)
        self._say(agent, f"not saved: {error.what}", now)
        self._troubles[agent] = _Trouble(at=now, why=error.what)
        self._keep(agent, replace(self._past.get(agent, Past()), tried=now))

    def _keep(self, agent: str, past: Past) -> None:
        if past == self._past.get(agent, Past()):
            return
        self._past[agent] = past
        if past == Past():
            self._team.store.strike(UNSAVED + agent)
        else:
            self._team.store.note(UNSAVED + agent, json.dumps(asdict(past)))

    def _say(self, agent: str, text: str, now: float) -> None:
        self.news.append(Event(agent=agent, kind="checkpoint", text=text, at=now))

    def _item(self, agent: str, one: _Trouble) -> Record:
        short = agent.split("/", 1)[1]
        spec = self._team.wanted[agent].agent if agent in self._team.wanted else None
        return {
            "id": f"{short}:unsaved",
            "kind": "unsaved work",
            "agent": short,
            "asked": "to commit it, or to have git ignore it" if one.files else "to put it right",
            "why": one.why,
            "since": iso(one.at),
            "meanwhile": "the rest is saved as before; this stays in the worktree only",
            "answer": f"git -C {spec.directory} status" if spec else "hive worktree list",
        }


def _save(spec: Agent, task: Task | None, said: str, past: Past, env: Mapping[str, str]) -> _Made:
    """Save what an agent has changed by now; hooks have `env` too. Raises GitError."""
    plot = spec.plot
    tree = look(spec.directory, base=plot.base if plot else "")
    why = checkpoint.allowed(tree, plot)
    if why or tree is None:
        return _Made(why=why)
    changed = [one for one in tree.changed if one not in past.refused]
    chosen = checkpoint.chosen(changed, commits.samples(tree.root, changed))
    if not chosen.files:
        return _Made(why="", chosen=chosen)
    text = checkpoint.message(
        chosen.files,
        agent=spec.short,
        task=task.name if task else "",
        about=task.job.name if task else "",
        said=said,
    )
    saved = commits.save(tree.root, chosen.paths, text, spec.short, env=env)
    push = ""
    if spec.rhythm.push:
        try:
            commits.push(tree.root, spec.rhythm.push, tree.branch)
            push = f"pushed to {spec.rhythm.push}"
        except HiveError as error:
            push = f"not pushed: {error.what}"
    return _Made(why="", saved=saved, chosen=chosen, push=push)


def _past(values: Mapping[str, Any]) -> Past:
    refused = (Changed(**{**one, "kind": Kind(one["kind"])}) for one in values.get("refused", ()))
    return Past(**{**values, "refused": tuple(refused)})
