"""The verbs that need no supervisor, answered from the store while none runs.

Reading never starts anything, and a store that does not exist yet is simply empty. What is told
is what the last supervisor knew; `"supervisor": null` says so. Writing refuses while one runs.
"""

from __future__ import annotations

import json
import platform
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hive import accounts, leasing, letters, pauses, views
from hive.accounts import Account
from hive.adapters import procs
from hive.adapters.emergency import dated, files_of, move_aside
from hive.adapters.ledger import Ledger
from hive.adapters.machine import Machine
from hive.adapters.state import NodeLock, State
from hive.adapters.store import Event, Store
from hive.adapters.storefile import Damaged
from hive.core.accounting import Sample
from hive.core.advice import advise
from hive.core.diff import compare
from hive.core.limits import Ceiling, Total, together
from hive.core.limits import from_dict as ceiling_from
from hive.core.messages import Stage, parsed
from hive.core.select import select
from hive.core.shown import Shown
from hive.core.spec import from_dict
from hive.core.talk import Talk
from hive.core.world import Memory, TeamMemory, Wanted
from hive.errors import HiveError, NotRunning, WrongInput

NOBODY = "no supervisor runs"
"""Why nothing is typed, and nothing done next."""


RHYTHM = frozenset({"checkins", "standup", "handoffs", "notices", "replay"})
"""What is asked of the rhythm, and can be answered from what was written down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the store holds."""

    wanted: Mapping[str, Wanted] = field(default_factory=dict)
    memory: Mapping[str, Memory] = field(default_factory=dict)
    teams: Mapping[str, TeamMemory] = field(default_factory=dict)
    talks: Mapping[str, Talk] = field(default_factory=dict)
    queues: Mapping[str, int] = field(default_factory=dict)
    paused: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    def of(self, agent: str) -> Memory:
        return self.memory.get(agent, Memory(agent=agent))

    def shown(self, agent: str) -> Shown | None:
        """Give what was last known of an agent's conversation; None for a plain program."""
        voice, talk = self.wanted[agent].agent.voice, self.talks.get(agent)
        if voice is None or talk is None:
            return None
        return Shown(
            condition=talk.condition,
            profile=voice.profile.name,
            session=talk.session,
            closed=NOBODY,
            queue=self.queues.get(agent, 0),
            next=(f"nothing: {NOBODY}; `hive deploy` starts one", None),
            tokens=talk.tokens,
            cost=sum(talk.spent.values()),
        )


class Offline:
    """What the store of one hive answers.

    Every method raises `HiveError` where the store can't be read.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._clock = time.time

    def status(self, names: Sequence[str] = ()) -> dict[str, Any]:
        """Tell what each agent was when it was last looked at."""
        known = self._known()
        return views.status(
            node=platform.node(),
            supervisor=None,
            agents=[_record(known, agent) for agent in _chosen(known, names)],
            teams=known.teams,
        )

    def why(self, name: str) -> dict[str, Any]:
        """Tell all that is remembered of one agent."""
        known = self._known()
        agent = _one(known, name)
        wanted = known.wanted[agent]
        team = f"{wanted.agent.project}/{wanted.agent.team}"
        with self._store() as store:
            return views.why(
                record=_record(known, agent),
                wanted=wanted,
                memory=known.of(agent),
                team=known.teams.get(team, TeamMemory(team=team)),
                probes=(None, None),
                deaths=store.deaths(agent, 1) if store else (),
                events=store.events(agents=[agent], limit=10, newest=True) if store else (),
                now=self._clock(),
                talk=known.shown(agent),
            )

    def message(self, name: str) -> dict[str, Any]:
        """Tell a message's whole story."""
        found = parsed(name)
        with self._store() as store:
            kept = store.post.message(found[1]) if store and found and found[0] == "m" else None
            if store is None or kept is None:
                raise WrongInput(f"there is no message `{name}`", fix="hive events")
            following = letters.outlook(kept, NOBODY)
            return letters.story(kept, store.post.story(kept.number), following)

    def request(self, name: str) -> dict[str, Any]:
        """Tell all of a request."""
        found = parsed(name)
        with self._store() as store:
            kept = store.post.request(found[1]) if store and found and found[0] != "m" else None
        if kept is None:
            raise WrongInput(f"there is no request `{name}`", fix="hive inbox")
        return letters.decided(kept)

    def rhythm(self, verb: str, **args: Any) -> dict[str, Any]:
        """Answer one of the verbs of `RHYTHM`, as far as it was written down."""
        from hive import offline_rhythm

        known = self._known()
        with self._store() as store:
            asked = offline_rhythm.Asked(
                state=self._state,
                store=store,
                chosen=lambda names: _chosen(known, names),
                offline=self,
                now=self._clock(),
            )
            answer: dict[str, Any] = getattr(asked, verb)(**args)
            return answer

    def inbox(self) -> dict[str, Any]:
        """Tell what waited for a person when it was last looked at."""
        from hive.yardwork import LOT, UNMERGED, unmerged

        status = self.status()
        with self._store() as store:
            kept = unmerged(store.facts(LOT), store.facts(UNMERGED)) if store else []
            open_ = store.post.requests() if store else []
            failed = store.post.messages(stages=[Stage.FAILED.value], limit=50) if store else []
        items = letters.items(open_, failed, status["agents"], status["teams"])
        return letters.inbox([*items, *kept])

    def events(
        self,
        names: Sequence[str] = (),
        after: int = 0,
        limit: int = 50,
        newest: bool = False,
    ) -> dict[str, Any]:
        """Tell what happened, oldest first: after an event's id, or the newest ones."""
        chosen = _chosen(self._known(), names) if names else None
        with self._store() as store:
            if store is None:
                return views.events(())
            return views.events(
                store.events(after=after, limit=limit, newest=newest, agents=chosen)
            )

    def logs(self, name: str, lines: int = 200) -> dict[str, Any]:
        """Give the last lines of the agent's last certificate; its window is not asked."""
        agent = _one(self._known(), name)
        with self._store() as store:
            deaths = store.deaths(agent, 1) if store else []
        if not deaths:
            return views.logs(agent, "certificate", self._clock(), [])
        return views.logs(agent, "certificate", deaths[0].at, deaths[0].screen.split("\n")[-lines:])

    def names(self) -> dict[str, Any]:
        """List what can be named: agents, teams, projects."""
        return views.names([one.agent for one in self._known().wanted.values()])

    def limits(self, names: Sequence[str] = ()) -> dict[str, Any]:
        """Tell what each agent and all together may use; what they do use nobody looks at."""
        known = self._known()
        return accounts.limits(
            node=platform.node(),
            vitals=None,
            total=self._total(known),
            means=("", ""),
            strain=(0, "", "", 0.0),
            agents=[
                Account(wanted=known.wanted[agent], memory=known.of(agent))
                for agent in _chosen(known, ())
            ],
            chosen=_chosen(known, names),
        )

    def advise(self, names: Sequence[str] = ()) -> dict[str, Any]:
        """Recommend limits for these agents from what was seen of them."""
        known, now = self._known(), self._clock()
        agents = _chosen(known, names)
        history = self._history(agents)
        return accounts.advice(
            [
                advise(
                    known.wanted[agent].agent,
                    history.get(agent, ()),
                    ooms=known.of(agent).ooms,
                    seen=known.of(agent).seen,
                    now=now,
                )
                for agent in agents
            ]
        )

    def deploy(
        self,
        project: str,
        agents: Sequence[Mapping[str, Any]],
        environ: Mapping[str, str] | None = None,  # noqa: ARG002 - of use to a real deploy
        teams: Sequence[str] | None = None,
        dry_run: bool = False,
        path: str = "",  # noqa: ARG002
        ceiling: Mapping[str, Any] | None = None,
        unplaced: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Tell each change that a deploy would make; raises NotRunning for a real one."""
        if not dry_run:
            raise NotRunning("no supervisor answers", fix="`hive deploy` starts it")
        wanted = self._known().wanted
        specs = [from_dict(values) for values in agents]
        with self._store() as store:
            specs = leasing.lease(store, specs, wanted, keep=False)
        changes = compare(wanted, specs, project=project, teams=teams)
        before, after = self._ceiling(project), ceiling_from(ceiling or {})
        return views.deploy(project, changes, dry_run=True, limits=before != after)

    def reset(self, names: Sequence[str] = ()) -> dict[str, Any]:
        """Forget budgets and quarantines of these agents; raises `Locked` while another acts."""
        agents = _chosen(self._known(), names)
        if agents:
            with self._alone() as store:
                store.reset(agents, self._clock())
        return views.changed(agents)

    def stop_all(self) -> bool:
        """Want every agent down; say whether any was running when it was last looked at.

        Raises `Locked` while another acts.
        """
        known = self._known()
        up = {agent: one for agent, one in known.wanted.items() if one.up}
        if up:
            down = {
                agent: replace(one, up=False, why="stopped by `hive stop-all`")
                for agent, one in up.items()
            }
            now, text = self._clock(), "hive stop-all, while no supervisor ran"
            said = [Event(agent=agent, kind="stop", text=text, at=now) for agent in down]
            with self._alone() as store:
                store.want(down, events=said)
        return any(one.live for one in known.memory.values())

    def start_afresh(self) -> Path:
        """Put the store aside as a backup and begin with an empty one; gives the backup's path.

        What agents were seen to use is forgotten without one. Raises HiveError while agents run,
        `Locked` while a supervisor does.
        """
        fix = "hive stop-all"
        running = procs.pids_with(str(self._state.root))
        if running:
            what = f"agents still run: pid {', '.join(map(str, sorted(running)[:5]))}"
            raise HiveError(what, where=str(self._state.root), fix=fix)
        with self._locked():
            backup = dated(self._state.db, "backup")
            try:
                with Store.open(self._state.db) as store:
                    store.backup(backup)
            except Damaged:
                move_aside(self._state.db, backup)
            else:
                for path in files_of(self._state.db):
                    path.unlink()
            for path in files_of(self._state.usage):
                path.unlink()
            if self._state.work.exists():
                move_aside(self._state.work, dated(self._state.work, "backup"))
        return backup

    def sockets(self) -> set[str]:
        """Name the tmux servers that agents are wanted or remembered on."""
        known = self._known()
        wanted = {one.agent.socket for one in known.wanted.values()}
        return wanted | {one.socket for one in known.memory.values()}

    def longest_grace(self) -> float:
        """Give the seconds that the most patient agent gets to end."""
        return max((one.agent.stop.grace for one in self._known().wanted.values()), default=0.0)

    @contextmanager
    def _store(self) -> Iterator[Store | None]:
        """Open the store for reading; None where there is none yet."""
        if not self._state.db.exists():
            yield None
            return
        with Store.open(self._state.db) as store:
            yield store

    def _history(self, agents: Sequence[str]) -> Mapping[str, Sequence[Sample]]:
        """Give all that is kept of what these agents used."""
        if not self._state.usage.exists():
            return {}
        with Ledger(self._state.usage) as ledger:
            return ledger.history(agents, since=0.0)

    @contextmanager
    def _alone(self) -> Iterator[Store]:
        """Open the store for writing, with the lock that a supervisor would hold."""
        with self._locked(), Store.open(self._state.db) as store:
            yield store

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._state.prepare()
        lock = NodeLock(self._state)
        lock.take()
        try:
            yield
        finally:
            lock.release()

    def _total(self, known: _Known) -> Total:
        """Give what all agents together may use, as their latest deploys said."""
        machine = Machine()
        vitals = machine.read()
        machine.close()
        projects = {one.agent.project for one in known.wanted.values()}
        ceilings = [self._ceiling(project) for project in projects]
        return together(ceilings, cores=vitals.cores, memory=vitals.memory)

    def _ceiling(self, project: str) -> Ceiling:
        """Give what a project's latest deploy, or `hive limits set`, said of all agents."""
        with self._store() as store:
            fact = store.fact(accounts.BOUND + project) if store else None
        return ceiling_from(json.loads(fact or "{}"))

    def _known(self) -> _Known:
        with self._store() as store:
            if store is None:
                return _Known()
            return _Known(
                wanted=store.wanted(),
                memory=store.memory(),
                teams=store.teams(),
                talks=store.post.talks(),
                queues=Counter(
                    one.agent for one in store.post.messages(stages=[Stage.QUEUED.value])
                ),
                paused=pauses.written(store.facts(pauses.PAUSED)),
            )


def _record(known: _Known, agent: str) -> dict[str, Any]:
    return views.agent_record(
        known.wanted[agent],
        known.of(agent),
        cpu=None,
        memory_bytes=None,
        talk=known.shown(agent),
        paused=known.paused.get(agent),
    )


def _chosen(known: _Known, names: Sequence[str]) -> list[str]:
    wanted = known.wanted
    return list(select(names, sorted(wanted, key=lambda name: wanted[name].agent.place)))


def _one(known: _Known, name: str) -> str:
    chosen = _chosen(known, [name])
    if len(chosen) != 1:
        shown = ", ".join(views.short(agent) for agent in chosen[:5])
        raise WrongInput(f"`{name}` names {len(chosen)} agents", fix=f"name one: {shown}")
    return chosen[0]
