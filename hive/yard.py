"""Where agents work: their worktrees, made before they start, merged back and dropped when asked.

Nothing here waits: git and commands run in the background, and what came of them is taken in by
`read`. One thing at a time is done in a worktree, and one merge at a time in a repository.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from hive import yardwork
from hive.adapters.merges import Conflicted, Unproven
from hive.adapters.shell import Stop
from hive.adapters.state import State
from hive.adapters.store import Event, Store
from hive.adapters.worktrees import Say
from hive.chores import Chore, Chores
from hive.core.merging import some
from hive.core.select import select
from hive.core.world import Memory, Wanted
from hive.errors import HiveError, WrongInput
from hive.preparing import Preparing
from hive.views import iso, short
from hive.yardwork import LOT, UNMERGED, Lot, Record, Trouble, failure, flat, item, said

_log = logging.getLogger("hive")

AGAIN = 600.0
"""Seconds until it is looked again whether the worktree of a removed agent may go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What the yard asks of the rest of hive.

    `environ` gives what commands of a project inherit, `check` the command that says whether an
    agent's work is done ("" for none), `busy` why an agent is not idle ("" where it is). `person`
    refuses what only a person may ask for.
    """

    environ: Callable[[str], Mapping[str, str]] = lambda _project: os.environ
    check: Callable[[str], str] = lambda _agent: ""
    busy: Callable[[str], str] = lambda _agent: ""
    person: Callable[[], None] = lambda: None


class Yard:
    """The worktrees of this node's agents."""

    def __init__(
        self, place: State, store: Store, clock: Callable[[], float], around: Around | None = None
    ) -> None:
        self._bundles = place.root / "bundles"
        self._store = store
        self._clock = clock
        self._around = around or Around()
        self._chores = Chores(clock)
        self._lots = {
            agent: yardwork.from_text(agent, text) for agent, text in store.facts(LOT).items()
        }
        self._unmerged = {
            agent: Trouble(**json.loads(text)) for agent, text in store.facts(UNMERGED).items()
        }
        self._wanted: Mapping[str, Wanted] = {}
        self._memory: Mapping[str, Memory] = {}
        self._preparing = Preparing(self._chores, clock)
        self._looks: dict[str, Record] = {}
        self._stays: dict[str, tuple[str, float]] = {}
        self.news: list[Event] = []

    # the rhythm

    def step(self, wanted: Mapping[str, Wanted], memory: Mapping[str, Memory], now: float) -> None:
        """Have the worktrees made that agents wait for, and those dropped that nobody needs."""
        self._wanted, self._memory = wanted, memory
        for agent, one in wanted.items():
            plot = one.agent.plot
            if plot and one.up and not one.removed:
                self._look_after(one)
            elif (chore := self._chores.of(agent)) and chore.verb == "prepare":
                chore.stop.set()
        for agent in list(self._lots):
            if self._left(agent) and not self._chores.of(agent):
                self._tidy(agent, now)

    def _look_after(self, one: Wanted) -> None:
        agent = one.agent
        environ = {**self._around.environ(agent.project), **dict(agent.env)}
        lot = self._preparing.look_after(one, environ, live=self._live(agent.id))
        if lot is not None and agent.id not in self._lots:
            self._keep(lot)  # a hive that is killed meanwhile leaves nothing unknown

    def _left(self, agent: str) -> bool:
        """Whether nobody is to work in a worktree any more."""
        one = self._wanted.get(agent)
        if one is not None and one.agent.plot is not None and not one.removed:
            return False
        moved = one is not None and not one.removed
        memory = self._memory.get(agent)
        elsewhere = moved and memory is not None and one and memory.generation >= one.generation
        return not self._live(agent) or bool(elsewhere)

    def _live(self, agent: str) -> bool:
        memory = self._memory.get(agent)
        return memory is not None and memory.live

    def _tidy(self, agent: str, now: float) -> None:
        """Drop the worktree of an agent that is gone, if nothing is lost with it."""
        if agent in self._stays and now - self._stays[agent][1] < AGAIN:
            return
        self._drop(agent, "tidy", force=False)

    def _drop(self, agent: str, verb: str, *, force: bool) -> Chore:
        lot, to = self._lots[agent], self._bundle(agent)
        environ = self._environ(lot)

        def work(say: Say, stop: Stop) -> Record:
            return yardwork.dropped(lot, to, environ, say, stop, force=force)

        return self._chores.add(verb, agent, work)

    @property
    def unready(self) -> dict[str, str]:
        """Say of each agent whose worktree does not stand ready how far it is."""
        return {
            agent: self._preparing.why(agent)
            for agent, one in self._wanted.items()
            if (plot := one.agent.plot) and one.up and not one.removed
            if not self._preparing.ready(agent, plot)
        }

    def fileno(self) -> int:
        """Give the descriptor that is readable while there is something to read."""
        return self._chores.fileno()

    def read(self) -> None:
        """Take in what was done."""
        taking = {"prepare": self._prepared, "look": self._looked}
        for chore in self._chores.read():
            if chore.error is not None and not isinstance(chore.error, HiveError):
                _log.error("a bug ends `%s`", chore.verb, exc_info=chore.error)
            taking.get(chore.verb, self._ended)(chore)

    def retry(self, agents: Collection[str]) -> None:
        """Try again to make the worktrees of these agents (ids)."""
        self._preparing.retry(agents)

    def items(self) -> list[Record]:
        """List what of the worktrees waits for a person."""
        unready = self.unready
        failed = [one for one in self._preparing.troubles() if one.agent in unready]
        return [self._item(one) for one in (*failed, *self._unmerged.values())]

    def _item(self, one: Trouble) -> Record:
        wanted = self._wanted.get(one.agent)
        voice = wanted.agent.voice if wanted else None
        speaks = voice is not None and voice.profile.reads
        return item(one, self._lot(one.agent).plot.path, speaks=speaks)

    def close(self) -> None:
        """End what is under way; it is gone on with by the next hive."""
        self._chores.close()

    def _prepared(self, chore: Chore) -> None:
        done = self._preparing.taken_in(chore, self._wanted.get(chore.agent))
        if done.lot:
            self._keep(done.lot)
        for text in done.told:
            self._tell(chore.agent, text)

    def _looked(self, chore: Chore) -> None:
        if chore.error is None:
            self._looks.update(chore.result)

    def _ended(self, chore: Chore) -> None:
        """Take in what came of a merge, a finish or a drop."""
        agent = chore.agent
        if isinstance(chore.error, Conflicted | Unproven):
            into = chore.error.into
            one = Trouble(
                agent=agent,
                why=str(chore.error.what),
                at=self._clock(),
                into=into,
                unproven=isinstance(chore.error, Unproven),
            )
            self._unmerged[agent] = one
            self._store.note(UNMERGED + agent, json.dumps(asdict(one)))
        if chore.verb == "tidy" and chore.error is not None:
            self._stay(agent, said(chore.error))
        elif chore.error is not None:
            self._tell(agent, f"{chore.verb} failed: {flat(said(chore.error))}")
        if chore.error is None:
            self._done(agent, chore)

    def _done(self, agent: str, chore: Chore) -> None:
        merged, dropped = chore.result.get("merged"), chore.result.get("dropped")
        if chore.verb == "merge":
            merged = chore.result
        elif chore.verb in {"drop", "tidy"}:
            dropped = chore.result
        if merged or dropped:
            self._settle(agent)
        if merged:
            many = some([merged["commit"][:8]], "commit")
            self._tell(agent, f"its work is merged into `{merged['into']}`: {many}")
        if dropped:
            self._forget(agent)
            kept = f"; to have all back: {dropped['restore']}" if dropped["restore"] else ""
            self._tell(agent, f"its worktree is dropped{kept}")

    # verbs

    def worktrees(self, names: Sequence[str] = ()) -> Record:
        """List worktrees as they were last looked at; they are looked at anew by a job."""
        agents = self._chosen(names)
        lots = [self._lot(agent) for agent in agents]

        chore = self._chores.add("look", "", partial(yardwork.look_at_all, lots))
        return {
            "version": 1,
            "job": chore.name,
            "worktrees": [self._record(agent) for agent in agents],
        }

    def worktree_diff(self, name: str, stat: bool = False) -> Record:
        """Have told what was changed in a worktree since it branched off."""
        lot = self._lot(self._one(name))
        return self._begun(
            self._chores.add("diff", "", lambda _say, _stop: yardwork.diff(lot, stat=stat))
        )

    def worktree_merge(self, name: str, into: str = "", check: str = "") -> Record:
        """Have an agent's work merged back, if it is clean, passes its check and fits."""
        agent = self._idle(name)
        return self._begun(self._merge(agent, into, check, "merge", drop=False))

    def finish(self, name: str, into: str = "", check: str = "", keep: bool = False) -> Record:
        """Have an agent's work merged back; its worktree goes where nobody needs it any more."""
        agent = self._idle(name)
        one = self._wanted.get(agent)
        needed = one is not None and one.up and not one.removed
        drop = not (keep or needed or self._live(agent))
        return self._begun(self._merge(agent, into, check, "finish", drop=drop))

    def worktree_drop(self, name: str, force: bool = False) -> Record:
        """Have a worktree dropped; with `force` what would be lost is kept in a bundle first."""
        if force:
            self._around.person()
        agent = self._one(name)
        one = self._wanted.get(agent)
        if self._live(agent) or (one is not None and one.up and not one.removed):
            what = f"`{short(agent)}` works in it"
            raise HiveError(what, fix=f"hive stop {short(agent)}")
        if agent not in self._lots:
            self._keep(self._lot(agent))
        return self._begun(self._drop(agent, "drop", force=force))

    def worktree_job(self, job: str) -> Record:
        """Tell how far a job is, and what came of it."""
        chore = self._chores.get(job)
        if chore is None:
            what = f"there is no job `{job}`: hive was started again meanwhile, or it is long over"
            raise WrongInput(what, fix="hive worktree list")
        error = chore.error
        return {
            "version": 1,
            "job": chore.name,
            "verb": chore.verb,
            "agent": short(chore.agent) if chore.agent else "",
            "state": chore.state,
            "said": chore.said,
            "since": iso(chore.began or chore.at),
            "result": self._result(chore),
            "error": failure(error) if error else None,
        }

    def _result(self, chore: Chore) -> Record | None:
        if not chore.over or chore.error:
            return None
        if chore.verb == "look":
            return {"worktrees": [self._record(agent) for agent in chore.result]}
        return {} if chore.verb == "prepare" else dict(chore.result)

    def _begun(self, chore: Chore) -> Record:
        return {"version": 1, "job": chore.name}

    def _merge(self, agent: str, into: str, check: str, verb: str, *, drop: bool) -> Chore:
        lot, to = self._lot(agent), self._bundle(agent)
        environ, check = self._environ(lot), check or self._around.check(agent)

        def work(say: Say, stop: Stop) -> Record:
            merged = yardwork.merged(lot, into, check, environ, say, stop)
            if verb == "merge":
                return merged
            return yardwork.tidied(lot, to, environ, say, stop, merged=merged, drop=drop)

        return self._chores.add(verb, agent, work, alone={f"merge {lot.plot.repo}"})

    # who has which

    def _record(self, agent: str) -> Record:
        lot, one, chore = self._lot(agent), self._wanted.get(agent), self._chores.of(agent)
        wanted = "removed" if self._left(agent) else "up" if one and one.up else "down"
        stays = self._stays[agent][0] if agent in self._stays else ""
        return {
            "agent": short(agent),
            "id": agent,
            "wanted": wanted,
            "path": lot.plot.path,
            "branch": lot.plot.branch,
            "repo": lot.plot.repo,
            "doing": f"{chore.verb}: {chore.said}".removesuffix(": ") if chore else "",
            "trouble": self._preparing.trouble(agent),
            "stays": stays,
            **(self._looks.get(agent) or {"state": None}),
        }

    def _chosen(self, names: Sequence[str]) -> list[str]:
        own = {agent for agent, one in self._wanted.items() if one.agent.plot}
        return list(select(names, sorted(own | self._lots.keys())))

    def _one(self, name: str) -> str:
        known = self._chosen([])
        each = select([name], sorted({*self._wanted, *self._lots}))
        found = [one for one in each if one in known]
        if not found:
            raise WrongInput(f"`{name}` has no worktree", fix="set `worktree = true`; hive deploy")
        if len(found) != 1:
            raise WrongInput(f"`{name}` names {len(found)} agents", fix="hive worktree list")
        return found[0]

    def _idle(self, name: str) -> str:
        """Give the agent, whose work nobody changes just now; raises HiveError where it works."""
        agent = self._one(name)
        why = self._around.busy(agent) if self._live(agent) else ""
        if why:
            fix = f"wait until it is idle, or: hive stop {short(agent)}"
            raise HiveError(f"`{short(agent)}` is at work: {why}", fix=fix)
        return agent

    def _lot(self, agent: str) -> Lot:
        if agent in self._lots:
            return self._lots[agent]
        spec = self._wanted[agent].agent
        if spec.plot is None:
            raise HiveError(f"`{short(agent)}` has no worktree", fix="hive worktree list")
        return Lot(agent=agent, plot=spec.plot, env=dict(spec.env))

    def _environ(self, lot: Lot) -> dict[str, str]:
        return {**self._around.environ(lot.project), **lot.env}

    def _bundle(self, agent: str) -> Path:
        moment = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y%m%d-%H%M%S")
        return self._bundles / f"{agent.replace('/', '-')}-{moment}.bundle"

    def _keep(self, lot: Lot) -> None:
        if self._lots.get(lot.agent) != lot:
            self._lots[lot.agent] = lot
            self._store.note(LOT + lot.agent, yardwork.to_text(lot))

    def _forget(self, agent: str) -> None:
        for known in (self._lots, self._looks, self._stays):
            known.pop(agent, None)
        self._preparing.forget(agent)
        self._store.strike(LOT + agent)

    def _settle(self, agent: str) -> None:
        if self._unmerged.pop(agent, None):
            self._store.strike(UNMERGED + agent)

    def _stay(self, agent: str, why: str) -> None:
        if agent not in self._stays or self._stays[agent][0] != why:
            self._tell(agent, f"its worktree stays: {why}")
        self._stays[agent] = (why, self._clock())

    def _tell(self, agent: str, text: str) -> None:
        self.news.append(Event(agent=agent, kind="worktree", text=text, at=self._clock()))


VERBS: tuple[str, ...] = (
    "worktrees",
    "worktree_diff",
    "worktree_merge",
    "worktree_drop",
    "worktree_job",
    "finish",
)
"""What is answered here."""
