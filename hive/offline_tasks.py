"""The verbs about work that need no supervisor, done with the queue itself.

An agent's word on its task is written down while no supervisor runs: the next one believes it, or
checks it first. People may add and read tasks, and change what no agent has. All answers are those
of `hive.jobs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, cast

from hive.adapters import seal
from hive.adapters.channel import ask
from hive.adapters.queue import Queue, Superseded
from hive.adapters.state import State as Place
from hive.adapters.state import locate
from hive.core.lines import clean
from hive.core.tasks import Change, Report, State, Task, parsed
from hive.core.transitions import cut, progressed, reported
from hive.errors import HiveError, WrongInput

if TYPE_CHECKING:
    from hive.runs import Runs
    from hive.work import Work

TRIES = 5
"""How often a change is tried that others are faster with."""

Me = Mapping[str, str]
Record = dict[str, Any]


def asked(verb: str, args: Mapping[str, Any], environ: Mapping[str, str]) -> Record | None:
    """Do one of the verbs of `reach.DIRECT`; None where that is no matter of the queue."""
    if verb == "add_tasks":
        return OfflineTasks(locate(environ)).add_tasks(**args)
    return spoken(verb, args, environ)


def spoken(verb: str, args: Mapping[str, Any], environ: Mapping[str, str]) -> Record | None:
    """Do what an agent says of its task; None where that is no matter of the queue.

    Raises WrongInput for an agent that can't prove who it is, and HiveError for a late answer: of
    a task that is not the agent's any more.
    """
    place, name = locate(environ), args.get("name", "")
    if name and parsed(name) is None:
        return None
    me = args["me"]
    if not seal.good(place.root, me["agent"], me["launch"], me["seal"]):
        what = f"`{me['agent']}` can't prove who it is"
        raise WrongInput(what, fix="run this from inside the agent's window")
    queue = _opened(place)
    if queue is None:
        return None
    with queue:
        teller = _Teller(queue=queue, place=place, me=me)
        number = parsed(name) or teller.only()
        return getattr(teller, verb)(number, args) if number else None


def _opened(place: Place) -> Queue | None:
    """Open the queue for an agent; None where there is none that it can write."""
    where = place.queue()
    if "://" not in where and not Path(where).exists():
        return None
    try:
        return Queue.open(where)
    except WrongInput:
        raise
    except HiveError:
        return None  # what it says is left where the supervisor finds it


@dataclass(frozen=True, slots=True, kw_only=True)
class _Teller:
    """What one launch of an agent says of its tasks."""

    queue: Queue
    place: Place
    me: Me

    def only(self) -> int:
        """Give the one task it has; 0 where it is not sure that this is meant."""
        agent, launch = self.me["agent"], self.me["launch"]
        found = self.queue.tasks(states=[State.LEASED], agent=agent, launch=launch, limit=2)
        return found[0].number if len(found) == 1 and not self._letters() else 0

    def _letters(self) -> bool:
        """Whether it has begun a message that gives it no task."""
        from hive.adapters.store import Store

        if not self.place.db.exists():
            return False
        with Store.open(self.place.db) as store:
            mine = store.post.open().get(self.me["agent"], ())
        return any(one.launch and not one.lease for one in mine)

    def task_done(self, number: int, args: Mapping[str, Any]) -> Record:
        """Note that it says that its task is done."""
        confidence = args.get("confidence")
        if confidence is not None and not 0 <= confidence <= 1:
            raise WrongInput(f"confidence must be from 0 to 1, not {confidence:g}")
        return self._report(number, args, "done", args.get("result", ""), confidence)

    def task_fail(self, number: int, args: Mapping[str, Any]) -> Record:
        """Note that it says that its task can't be done."""
        return self._report(number, args, "failed", args["why"])

    def progress(self, number: int, args: Mapping[str, Any]) -> Record:
        """Note how far it is."""
        text = clean(args["text"])
        task = self._changed(number, args, lambda task, now: progressed(task, text, now))
        return {"agent": task.agent.split("/", 1)[-1]}

    def show_task(self, number: int, args: Mapping[str, Any]) -> Record:
        """Show its task."""
        from hive import taskviews
        from hive.runs import Runs

        task = self._mine(number, args)
        return {"task": taskviews.for_agent(task, Runs(self.queue).words(task))}

    def split_task(self, number: int, args: Mapping[str, Any]) -> Record:
        """Have its task wait for these parts."""
        from hive.runs import Runs

        task, queue = self._mine(number, args), self.queue
        texts = [clean(one) for one in args["parts"]]
        before = {one.number for one in queue.needs(number)}
        Runs(queue).split(task, texts, queue.now())
        made = [one.name for one in queue.needs(number) if one.number not in before]
        return {"task": task.name, "parts": made}

    def _report(
        self,
        number: int,
        args: Mapping[str, Any],
        outcome: Literal["done", "failed"],
        text: str,
        confidence: float | None = None,
    ) -> Record:
        said = Report(outcome=outcome, text=clean(text), at=0.0, confidence=confidence)
        task = self.queue.task(number)
        if task is None or not self._said(task, args, said):
            self._changed(
                number, args, lambda task, now: reported(task, replace(said, at=now), now)
            )
        return {"task": f"t-{number}"}

    def _said(self, task: Task, args: Mapping[str, Any], said: Report) -> bool:
        """Whether this very lease has said just this before: then it was believed meanwhile."""
        before = task.report
        if before is None or not self._holds(task, args):
            return False
        return (before.outcome, before.text) == (said.outcome, cut(said.text))

    def _holds(self, task: Task, args: Mapping[str, Any]) -> bool:
        """Whether it is this launch that has it, or that had it last, under this fence."""
        holder = (task.agent, task.launch, args.get("fence") or task.fence)
        return holder == (self.me["agent"], self.me["launch"], task.fence)

    def _mine(self, number: int, args: Mapping[str, Any]) -> Task:
        """Give its task; raises HiveError where it is not its own any more."""
        task = self.queue.task(number)
        if task is None:
            raise WrongInput(f"there is no task `t-{number}`", fix="end your turn")
        if task.state is State.LEASED and self._holds(task, args):
            return task
        what = f"{task.name} is not yours any more: {_whose(task, self.me)}"
        raise HiveError(what, fix="stop working on it, and end your turn")

    def _changed(
        self, number: int, args: Mapping[str, Any], move: Callable[[Task, float], Change]
    ) -> Task:
        """Make a move of its task, over whatever others do with it meanwhile."""
        for _ in range(TRIES - 1):
            with suppress(Superseded):
                return self._moved(number, args, move)
        return self._moved(number, args, move)

    def _moved(
        self, number: int, args: Mapping[str, Any], move: Callable[[Task, float], Change]
    ) -> Task:
        change = move(self._mine(number, args), self.queue.now())
        after = self.queue.change([change])[0]
        with suppress(HiveError):  # it looks by itself; one that was just started looks sooner so
            ask(str(self.place.socket), "poke", {}, timeout=0.05)
        return after


def _whose(task: Task, me: Me) -> str:
    """Say what became of a task that this launch has lost."""
    if task.state is not State.LEASED:
        return f"it is {task.state} ({task.why})"
    if task.agent != me["agent"]:
        return f"{task.agent.split('/', 1)[-1]} has it now ({task.lease})"
    return f"it was given out again, as {task.lease}"


class OfflineTasks:
    """What the queue of one hive answers to people.

    Every method takes and gives what that of `hive.jobs.Jobs` does. Raises `HiveError` where the
    queue can't be used.
    """

    def __init__(self, place: Place) -> None:
        self._place = place

    def add_tasks(self, **args: Any) -> Record:
        """Add tasks, all or none: they are handed out once a supervisor runs."""
        self._place.prepare()
        with Queue.open(self._place.queue()) as queue:
            return self._answer(queue, "add_tasks", args)

    def tasks(self, **args: Any) -> Record:
        """List tasks."""
        return self._asked("tasks", args)

    def dead(self, **args: Any) -> Record:
        """List the dead letters, and why each."""
        return self._asked("dead", args)

    def task(self, **args: Any) -> Record:
        """Tell all that is known of one task."""
        return self._asked("task", args)

    def locks(self) -> Record:
        """Tell who holds which lock."""
        return self._asked("locks", {})

    def workflow(self, **args: Any) -> Record:
        """Tell all of a run."""
        return self._asked("workflow", args)

    def workflows(self, **args: Any) -> Record:
        """List the latest runs."""
        return self._asked("workflows", args)

    def schedules(self) -> Record:
        """List what is begun by the clock."""
        return self._asked("schedules", {})

    def retry_tasks(self, **args: Any) -> Record:
        """Begin tasks anew that are over; raises HiveError for one that an agent has."""
        return self._free("retry_tasks", args)

    def cancel_tasks(self, **args: Any) -> Record:
        """End tasks undone that no agent has; raises HiveError for one that an agent has."""
        return self._free("cancel_tasks", args)

    def hold_tasks(self, **args: Any) -> Record:
        """Have tasks wait for a person."""
        return self._asked("hold_tasks", args)

    def release_tasks(self, **args: Any) -> Record:
        """Let held tasks go on."""
        return self._asked("release_tasks", args)

    def _free(self, verb: str, args: Mapping[str, Any]) -> Record:
        """Change tasks that no agent has: what runs for one only a supervisor can end."""
        with self._queue() as queue:
            for name in args["names"]:
                task = queue.task(parsed(name) or 0)
                if task and task.state is State.LEASED:
                    what = f"{task.name} is with {task.agent.split('/', 1)[-1]}: only hive ends it"
                    raise HiveError(what, fix="hive deploy   # it starts the supervisor")
            return self._answer(queue, verb, args)

    def _asked(self, verb: str, args: Mapping[str, Any]) -> Record:
        with self._queue() as queue:
            return self._answer(queue, verb, args)

    @contextmanager
    def _queue(self) -> Iterator[Queue]:
        """Open the queue; an empty one for a moment where there is none, and nothing is made."""
        where = self._place.queue()
        with ExitStack() as stack:
            if "://" not in where and not Path(where).exists():
                where = f"{stack.enter_context(TemporaryDirectory())}/work.db"
            yield stack.enter_context(Queue.open(where))

    def _answer(self, queue: Queue, verb: str, args: Mapping[str, Any]) -> Record:
        from hive.jobs import Jobs
        from hive.lockkeeping import Lockkeeping
        from hive.runs import Runs

        bare = _Bare(queue=queue, runs=Runs(queue))
        jobs = Jobs(
            work=lambda: cast("Work", bare),
            locking=lambda: Lockkeeping(queue, lambda _agent, _text: None),
            chosen=self._chosen,
            roles=lambda _role: [],
            person=self._person,
            bind=lambda _project, _rules, _workflows: None,
        )
        answer: Record = getattr(jobs, verb)(**args)
        return answer

    def _person(self) -> None:
        from hive.adapters import scan

        if agent := scan.inside(self._place):
            what = f"`{agent.split('/', 1)[-1]}` is an agent: only a person may ask for that"
            raise WrongInput(what, fix="have a person do it, outside of the agents' windows")

    def _chosen(self, names: Sequence[str]) -> list[str]:
        """Give the agents that names mean, as the last supervisor knew them."""
        from hive.adapters.store import Store
        from hive.core.select import select

        known: Sequence[str] = ()
        if self._place.db.exists():
            with Store.open(self._place.db) as store:
                known = sorted(store.wanted())
        return list(select(names, known))


@dataclass(slots=True, kw_only=True)
class _Bare:
    """The part of `hive.work.Work` that needs no agents."""

    queue: Queue
    runs: Runs
    waits: Mapping[int, str] = field(default_factory=dict)
    changed: bool = False

    def refused(self, _task: Task) -> tuple[dict[str, str], dict[str, str]]:
        """Say nothing of agents: nobody looks at them."""
        return {}, {}
