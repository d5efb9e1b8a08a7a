"""The facade: every verb, and all that a surface may call.

A verb changes what is wanted, or tells what is so. What is wanted is made so by the keeper's
next tick. Answers are JSON-ready and documented in docs/json.md.
"""

from __future__ import annotations

import inspect
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hive import (
    assignments,
    desk,
    herald,
    jobs,
    leasing,
    pauses,
    replaying,
    views,
    windows,
    yard,
)
from hive import handing as handed
from hive.adapters.store import Event
from hive.allowances import Allowances
from hive.core.diff import Change, apply, compare
from hive.core.select import select
from hive.core.spec import Agent, from_dict
from hive.core.tasks import Task
from hive.core.world import Memory, TeamMemory, Wanted
from hive.desk import Desk
from hive.errors import HiveError, WrongInput
from hive.foreman import VERBS as FOREMAN
from hive.foreman import Foreman, Told
from hive.handing import Handing
from hive.keeper import Keeper
from hive.replaying import Replaying
from hive.windows import Windows
from hive.workshop import Workshop

VERBS = (
    "ping",
    "status",
    "why",
    "events",
    "names",
    "deploy",
    "start",
    "stop",
    "restart",
    "stop_all",
    "reset",
    "limits",
    "set_limits",
    "shut_down",
)

BORN = "environ:"
"""The fact under which a project's environment is kept, as its latest deploy had it."""


class Hive:
    """Everything a person, or a program, can ask of hive on this node."""

    def __init__(self, keeper: Keeper, clock: Callable[[], float], root: Path) -> None:
        self._keeper = keeper
        self._store = keeper.store
        self._clock = clock
        self._up_since = clock()
        self._environs: dict[str, Mapping[str, str]] = {}
        self.asking: Callable[[], int] = lambda: 0
        self.ending = False
        self.changed = False
        keeper.environ = self._environ
        self._allowances = Allowances(keeper)
        self._desk = Desk(
            root=root,
            team=keeper,
            talks=keeper.talks,
            chosen=self._named,
            records=self._records,
            clock=clock,
            caller=self._caller,
            work=lambda: [*self.workshop.items(), *self.foreman.items()],
        )
        self.workshop = Workshop(
            root,
            keeper,
            who=self._desk.who,
            chosen=self._chosen,
            person=self._desk.person,
            clock=clock,
        )
        told = Told(records=self._records, chosen=self._chosen, desk=self._desk)
        self.foreman = Foreman(root, keeper, self.workshop, told, clock)
        keeper.pauses.chosen = self._chosen
        self._verbs = {verb: getattr(part, verb) for part, verbs in self._parts() for verb in verbs}
        keeper.talks.answer = self.answer

    def _parts(self) -> tuple[tuple[object, Sequence[str]], ...]:
        """Give all that has verbs, with them."""
        shop, foreman = self.workshop, self.foreman
        handing = Handing(
            team=self._keeper,
            journal=self._store.journal,
            work=shop.jobs.work,
            chosen=self._chosen,
            who=self._desk.who,
            person=self._desk.person,
            clock=self._clock,
        )
        past = Replaying(
            store=self._store,
            chosen=self._chosen,
            stories=lambda *asked: replaying.stories(shop.jobs.work().queue, *asked),
            clock=self._clock,
        )
        seen = Windows(keeper=self._keeper, chosen=self._chosen, one=self._one, clock=self._clock)
        return (
            (self, VERBS),
            (seen, windows.VERBS),
            (self._desk, desk.VERBS),
            (shop.jobs, jobs.VERBS),
            (shop.assignments, assignments.VERBS),
            (self._keeper.pauses, pauses.VERBS),
            (foreman, FOREMAN),
            (foreman.yard, yard.VERBS),
            (foreman.herald, herald.VERBS),
            (handing, handed.VERBS),
            (past, replaying.VERBS),
        )

    def answer(self, verb: str, args: Mapping[str, Any]) -> Any:
        """Carry out one verb; raises WrongInput for one that does not exist."""
        method = self._verbs.get(verb)
        if method is None:
            raise WrongInput(f"hive has no verb `{verb}`", fix="hive --help lists the commands")
        try:
            inspect.signature(method).bind(**args)
        except TypeError as error:
            raise WrongInput(f"`{verb}` does not take that: {error}") from error
        return method(**args)

    def tick(self) -> tuple[bool, float | None]:
        """Look, plan, act once; gives what `Keeper.tick` gives."""
        self.changed = self._keeper.talks.changed = False
        return self._keeper.tick(self._clock())

    def ping(self) -> dict[str, Any]:
        """Say who answers."""
        return {"pid": os.getpid(), "up_since": views.iso(self._up_since)}

    def status(self, names: Sequence[str] = ()) -> dict[str, Any]:
        """Tell what each agent is, and why."""
        doing = self.workshop.doing()
        agents = [self._record(agent, doing) for agent in self._chosen(names)]
        return views.status(
            node=platform.node(),
            supervisor=self.ping(),
            agents=agents,
            teams=self._keeper.teams,
            strain=self._allowances.strain,
        )

    def why(self, name: str) -> dict[str, Any]:
        """Tell all that is known of one agent: evidence, what comes next, its last death."""
        agent = self._one(name)
        keeper = self._keeper
        project = keeper.wanted[agent].agent.project
        return views.why(
            record=self._record(agent, self.workshop.doing()),
            wanted=keeper.wanted[agent],
            memory=keeper.memory.get(agent, Memory(agent=agent)),
            team=keeper.teams.get(_team(keeper.wanted[agent].agent), TeamMemory(team=project)),
            probes=(keeper.ready.get(agent), keeper.alive.get(agent)),
            deaths=self._store.deaths(agent, 1),
            events=self._store.events(agents=[agent], limit=10, newest=True),
            now=self._clock(),
            limits=keeper.governor.evidence(agent),
            talk=keeper.talks.shown(agent),
        )

    def events(
        self,
        names: Sequence[str] = (),
        after: int = 0,
        limit: int = 50,
        newest: bool = False,
    ) -> dict[str, Any]:
        """Tell what happened, oldest first: after an event's id, or the newest ones."""
        chosen = self._chosen(names) if names else None
        found = self._store.events(after=after, limit=limit, newest=newest, agents=chosen)
        return views.events(found)

    def names(self) -> dict[str, Any]:
        """List what can be named: agents, teams, projects."""
        return views.names([one.agent for one in self._keeper.wanted.values()])

    def deploy(
        self,
        project: str,
        agents: Sequence[Mapping[str, Any]],
        environ: Mapping[str, str],
        teams: Sequence[str] | None = None,
        dry_run: bool = False,
        path: str = "",
        ceiling: Mapping[str, Any] | None = None,
        unplaced: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Make what is wanted equal to the file, and tell each change.

        `unplaced` is why agents that were to have a worktree have none.
        """
        asked = [from_dict(values) for values in agents]
        specs = leasing.lease(self._store, asked, self._keeper.wanted, keep=not dry_run)
        changes = compare(self._keeper.wanted, specs, project=project, teams=teams)
        self._refuse_foreign(specs, changes)
        limits = self._allowances.differs(project, ceiling or {})
        if not dry_run:
            self._remember(project, environ)
            self._allowances.bind(project, ceiling or {})
            self._want(apply(self._keeper.wanted, changes, specs), "deploy", path or "hive deploy")
            updated = {change.agent for change in changes if change.kind == "update"}
            self._keeper.update({spec.id: spec for spec in specs if spec.id in updated})
            self._let_go([one.agent for one in changes if one.kind in {"start", "restart"}])
            self.foreman.deployed(unplaced or {})
        return views.deploy(project, changes, dry_run=dry_run, limits=limits)

    def start(self, names: Sequence[str]) -> dict[str, Any]:
        """Start these agents, whatever stopped them; those that run are left alone."""
        chosen = self._freed(names, "`hive start`")
        return self._again([agent for agent in chosen if not self._runs(agent)], "hive start")

    def restart(self, names: Sequence[str]) -> dict[str, Any]:
        """End these agents and start them anew, at once."""
        return self._again(self._freed(names, "`hive restart`"), "hive restart")

    def stop(self, names: Sequence[str]) -> dict[str, Any]:
        """End these agents gracefully; they stay down until they are started."""
        return self._down(self._named(names), "hive stop")

    def stop_all(self) -> dict[str, Any]:
        """End every agent of every team on this node."""
        self._store.add([Event(agent="", kind="stop-all", text="asked for", at=self._clock())])
        return self._down(list(self._keeper.wanted), "hive stop-all")

    def reset(self, names: Sequence[str] = ()) -> dict[str, Any]:
        """Forget budgets and quarantines of these agents; history is kept."""
        agents = self._chosen(names)
        self._store.reset(agents, self._clock())
        self._keeper.reload()
        self.changed = True
        return views.changed(agents)

    def limits(self, names: Sequence[str] = ()) -> dict[str, Any]:
        """Tell what each agent and all together use, and may use, and what hive does about it."""
        return self._allowances.show(self._chosen(names))

    def set_limits(self, names: Sequence[str], changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change the limits of these agents, or of all together where none is named."""
        self.changed = True
        if not names:
            return self._allowances.change_all(changes)
        wanted, record = self._allowances.changed(self._chosen(names), changes)
        self._want(wanted, "limits", "`hive limits set`")
        return record

    def shut_down(self) -> dict[str, Any]:
        """End the supervisor once it has answered; agents that run are left alone."""
        self.ending = True
        return {}

    def _freed(self, names: Sequence[str], by: str) -> list[str]:
        """Give the agents named, paused no more; a worktree that failed is tried again."""
        chosen = self._kept(names)
        self._keeper.pauses.let_go(chosen, by)
        self.foreman.yard.retry(chosen)
        return chosen

    def _again(self, agents: Sequence[str], verb: str) -> dict[str, Any]:
        wanted = {agent: self._keeper.wanted[agent] for agent in agents}
        self._want(
            {
                agent: replace(
                    one,
                    up=True,
                    generation=one.generation + 1,
                    why=f"restarted by `{verb}`" if self._runs(agent) else f"started by `{verb}`",
                )
                for agent, one in wanted.items()
            },
            verb.rpartition(" ")[2],
            verb,
        )
        self._let_go(agents)
        return views.changed(agents)

    def _down(self, agents: Sequence[str], verb: str) -> dict[str, Any]:
        changes = {
            agent: replace(self._keeper.wanted[agent], up=False, why=f"stopped by `{verb}`")
            for agent in agents
            if self._keeper.wanted[agent].up
        }
        self._want(changes, "stop", verb)
        return views.changed(agents)

    def _want(self, changes: Mapping[str, Wanted], kind: str, why: str) -> None:
        now = self._clock()
        events = [Event(agent=agent, kind=kind, text=why, at=now) for agent in changes]
        self._keeper.want(changes, events)
        self.changed = True

    def _let_go(self, agents: Sequence[str]) -> None:
        """Hold these agents' teams no more: a person asked for starts."""
        self._keeper.let_go([agent.rpartition("/")[0] for agent in agents], self._clock())

    def _refuse_foreign(self, specs: Sequence[Agent], changes: Sequence[Change]) -> None:
        starting = {change.agent for change in changes if change.kind in {"start", "restart"}}
        names = self._keeper.node.foreign([spec for spec in specs if spec.id in starting])
        if names:
            raise HiveError(
                f"tmux has a session `{names[0]}` that is not hive's",
                fix=f"rename it (tmux rename-session -t {names[0]} NEW), or set `session` "
                "of the team",
            )

    def _environ(self, project: str) -> Mapping[str, str]:
        if project not in self._environs:
            self._environs[project] = views.load(self._store.fact(BORN + project)) or os.environ
        return self._environs[project]

    def _remember(self, project: str, environ: Mapping[str, str]) -> None:
        self._store.note(BORN + project, views.dump(environ))
        self._environs[project] = environ

    def _runs(self, agent: str) -> bool:
        memory = self._keeper.memory.get(agent)
        wanted = self._keeper.wanted[agent]
        return bool(memory and memory.live and wanted.up and not memory.deadline)

    def _caller(self) -> str:
        """Give the agent whose process asks; "" for a person's."""
        pid = self.asking()
        trees = self._keeper.node.scan() if pid else {}
        found = (agent for agent, tree in trees.items() if pid in {it.pid for it in tree.current})
        return next(found, "")

    def _records(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        status = self.status()
        return status["agents"], status["teams"]

    def _record(self, agent: str, doing: Mapping[str, Task]) -> dict[str, Any]:
        keeper = self._keeper
        return views.agent_record(
            keeper.wanted[agent],
            keeper.memory.get(agent, Memory(agent=agent)),
            cpu=keeper.node.cores(agent),
            memory_bytes=keeper.governor.bytes_of(agent),
            limit=keeper.governor.doing(agent),
            talk=keeper.talks.shown(agent),
            paused=keeper.pauses.shown(agent),
            task=doing[agent].name if agent in doing else "",
        )

    def _chosen(self, names: Sequence[str]) -> list[str]:
        wanted = self._keeper.wanted
        return list(select(names, sorted(wanted, key=lambda name: wanted[name].agent.place)))

    def _named(self, names: Sequence[str]) -> list[str]:
        """Give the agents named, for what must never be done to all because none was named."""
        if not names:
            raise WrongInput("no agent is named", fix="`hive status` lists them")
        return self._chosen(names)

    def _kept(self, names: Sequence[str]) -> list[str]:
        """Give the agents named that are to stay; what is being removed can't be started."""
        chosen = self._named(names)
        kept = [agent for agent in chosen if not self._keeper.wanted[agent].removed]
        if not kept:
            what = f"`{chosen[0].split('/', 1)[1]}` is being removed: it is no longer in the file"
            raise HiveError(what, fix="put it back into the file, and `hive deploy`")
        return kept

    def _one(self, name: str) -> str:
        chosen = self._chosen([name])
        if len(chosen) != 1:
            shown = ", ".join(agent.split("/", 1)[1] for agent in chosen[:5])
            raise WrongInput(f"`{name}` names {len(chosen)} agents", fix=f"name one: {shown}")
        return chosen[0]


def _team(agent: Agent) -> str:
    return f"{agent.project}/{agent.team}"
