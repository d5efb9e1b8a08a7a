"""Handoffs: what the next ones must know of what was done, made of facts.

A note says who did what and what came of it, what is committed and what is not, what is still
asked, and how it is run. What is not known is left out. Times are epoch seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from hive.core.messages import HIVE
from hive.core.repository import Kind, Tree
from hive.core.tasks import State, Task
from hive.core.wording import clean, count

LONGEST = 3000
"""How many characters a note has at most."""

ASKED = "asked"
"""Why something is handed over where somebody wanted it so."""

GIVEN = "What was handed over:"
"""How that begins in what an agent is told of its task."""

_SIZES = ((600, 12, 20), (200, 6, 10), (80, 3, 5), (40, 1, 2))
"""Characters of each result, how many commits and files: each smaller than the one before."""

_NAMED = 5
"""How many tasks that failed are named at the beginning."""

_ENDS = "end of a text"
"""What is counted where a text is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of an agent beside its tasks.

    `tree` is its work tree (None: it has none), `trouble` why that can't be looked at. `asks` are
    its questions that nobody has answered, `runs` says what it and its team's programs run.
    """

    tree: Tree | None = None
    trouble: str = ""
    asks: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of one task: its name (`t-12`), what it is called, how it ended ("": not yet).

    `result` is its agent's answer, or why there is none. `check` is the command that checks it.
    """

    task: str
    text: str
    outcome: str
    result: str = ""
    confidence: float | None = None
    check: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What one agent (an id, "" for nobody) leaves to the next ones.

    `commits` are their short hashes and first lines, the newest first; `files` are changed and not
    committed.
    """

    agent: str
    done: tuple[Done, ...] = ()
    branch: str = ""
    commits: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    trouble: str = ""
    asks: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoff:
    """What was handed over: by whom (an agent's id, or hive), to whom, and why.

    `note` is the words of who handed it over, `run` the run (`r-7`) and `phase` the phase of it
    that it is about, if it is about one.
    """

    source: str
    targets: tuple[str, ...] = ()
    note: str = ""
    at: float = 0.0
    why: str = ASKED
    run: str = ""
    phase: str = ""
    facts: tuple[Fact, ...] = ()


Look = Callable[[str], Known]
"""Gives what is known of an agent."""


def facts(tasks: Iterable[Task], look: Look, since: float, agent: str = "") -> tuple[Fact, ...]:
    """Give what the agents of these tasks leave, with commits since then; nobody's comes last.

    `agent` is one of them even without a task.
    """
    by: dict[str, list[Task]] = {agent: []} if agent else {}
    for one in tasks:
        by.setdefault(one.agent, []).append(one)
    nobody = by.pop("", [])
    found = [_fact(name, mine, look(name), since) for name, mine in by.items()]
    return (*found, *([Fact(agent="", done=tuple(map(_done, nobody)))] if nobody else []))


def of_phase(end: Task, tasks: Sequence[Task], look: Look, since: float, now: float) -> Handoff:
    """Give what a phase of a run leaves, whose `end` waited for these tasks."""
    return Handoff(
        source=HIVE,
        at=now,
        why=f"phase {end.key} ended",
        run=f"r-{end.run}",
        phase=end.key,
        facts=facts(tasks, look, since),
    )


def text(handoff: Handoff, limit: int = LONGEST) -> str:
    """Give the note as its readers get it, and what was left out to make it short."""
    head = _head(handoff)
    lines: list[str] = []
    for size in _SIZES:
        left: Counter[str] = Counter()
        lines = _run_so(handoff.facts, size, left)
        lines += [line for one in handoff.facts for line in _told(one, size, left)]
        whole = "\n".join((head, *lines, *_left_out(left)))
        if len(whole) <= limit:
            return whole
    left["more line"] = 0
    while lines:
        lines.pop()
        left["more line"] += 1
        whole = "\n".join((head, *lines, *_left_out(left)))
        if len(whole) <= limit:
            return whole
    return head


def given(task: Task, needs: Iterable[Task], most: int = 1 << 20) -> str:
    """Give what an agent is told to do: its task's words, and what ended phases hand over.

    A command gets its words alone, and so does what would be longer than `most`.
    """
    words = task.words
    ends = [one for one in needs if one.job.kind == "barrier" and one.state is State.DONE]
    notes = [one.result for one in ends if one.result]
    if task.job.kind != "prompt" or not notes:
        return words
    whole = "\n\n".join((words.rstrip("\n"), GIVEN, *notes))
    return whole if len(whole) <= most else words


def to_dict(handoff: Handoff) -> dict[str, Any]:
    """Give a handoff as JSON-ready values."""
    return asdict(handoff)


def from_dict(values: Mapping[str, Any]) -> Handoff:
    """Read back what `to_dict` gave, after a trip through JSON; unknown keys are left out."""
    found = _known(Handoff, values)
    found["facts"] = tuple(
        Fact(**{
            **_known(Fact, one),
            "done": tuple(Done(**_known(Done, each)) for each in one.get("done", ())),
        })
        for one in values.get("facts", ())
    )  # fmt: skip
    return Handoff(**found)


def _known(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    found = {key: value for key, value in values.items() if key in names}
    return {key: tuple(one) if isinstance(one, list) else one for key, one in found.items()}


def _fact(agent: str, tasks: Iterable[Task], known: Known, since: float) -> Fact:
    tree = known.tree or Tree(root="")
    commits = (one for one in tree.commits if one.at >= since)
    changed = (one for one in tree.changed if one.kind is not Kind.SUBMODULE)
    return Fact(
        agent=agent,
        done=tuple(map(_done, tasks)),
        branch=tree.branch,
        commits=tuple(f"{one.hash[:8]} {one.subject}" for one in commits),
        files=tuple(one.path for one in changed),
        trouble=known.trouble,
        asks=known.asks,
        runs=known.runs,
    )


def _done(task: Task) -> Done:
    said = task.notes[-1] if task.notes and not task.outcome else ""
    return Done(
        task=task.name,
        text=task.key or task.job.name,
        outcome=task.outcome,
        result=task.result if task.outcome == "done" else said or task.why,
        confidence=task.confidence,
        check=task.job.check,
    )


def _head(handoff: Handoff) -> str:
    """Say who hands over, in their words; or that a phase is over, and what failed in it."""
    if not handoff.phase:
        said = f": {handoff.note}" if handoff.note else ""
        return f"{_short(handoff.source)} hands over to you{said}"
    every = [done for one in handoff.facts for done in one.done]
    counts = Counter(one.outcome for one in every)
    tally = ", ".join(f"{many} {how}" for how, many in counts.items())
    bad = [_name(one) for one in every if one.outcome in {"failed", "cancelled"}]
    more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    named = f"; not done: {', '.join(bad[:_NAMED])}{more}" if bad else ""
    return f"Phase {handoff.phase} of {handoff.run} is over: {tally or 'it was empty'}{named}"


def _run_so(every: Sequence[Fact], size: tuple[int, int, int], left: Counter[str]) -> list[str]:
    """Write how it is run and checked: of all agents together, each thing once."""
    result, _, many = size
    found = [one for fact in every for one in fact.runs]
    found += [f"check: {one.check}" for fact in every for one in fact.done if one.check]
    each = list(dict.fromkeys(found))
    left["program"] += max(0, len(each) - many)
    lines = [f"- {_cut(one, result, left)}" for one in each[:many]]
    return ["", "How it is run:", *lines] if lines else []


def _told(fact: Fact, size: tuple[int, int, int], left: Counter[str]) -> list[str]:
    """Write what one agent leaves, counting in `left` what there is no room for."""
    result, commits, files = size
    branch = f", on branch {clean(fact.branch)}" if fact.branch else ""
    who = f"{_short(fact.agent)}{branch}" if fact.agent else "Without an agent"
    lines = [f"- {_outcome(one, result, left)}" for one in fact.done]
    if fact.commits:
        lines.append(f"- commits: {_some(fact.commits, commits, 'commit', left)}")
    if fact.files:
        lines.append(f"- changed, not committed: {_some(fact.files, files, 'file', left)}")
    lines += [f"- git can't be asked: {clean(fact.trouble)}"] if fact.trouble else []
    lines += [f"- not answered yet: {_cut(one, result, left)}" for one in fact.asks]
    return ["", f"{who}:" if lines else who, *lines] if lines or branch else []


def _outcome(one: Done, room: int, left: Counter[str]) -> str:
    """Write what became of a task."""
    sure = "" if one.confidence is None else f", {one.confidence:.0%} sure"
    said = f": {_cut(one.result, room, left)}" if one.result else ""
    return f"{_name(one)} {one.outcome or 'not over yet'}{sure}{said}"


def _name(one: Done) -> str:
    return f"{clean(one.text)} ({one.task})"


def _cut(words: str, room: int, left: Counter[str]) -> str:
    """Write words in one line, and no more of them than there is room for."""
    line = clean(" ".join(words.split()))
    if len(line) <= room:
        return line
    left[_ENDS] += 1
    return f"{line[: room - 1].rstrip()}…"


def _some(each: Sequence[str], room: int, thing: str, left: Counter[str]) -> str:
    left[thing] += max(0, len(each) - room)
    return "; ".join(clean(one)[:200] for one in each[:room])


def _left_out(left: Counter[str]) -> list[str]:
    """Say what was left out, if anything was."""
    ends = left[_ENDS]
    said = [count(many, one) for one, many in left.items() if many and one != _ENDS]
    said += [f"the end of {count(ends, 'text')}"] if ends else []
    return ["", f"(left out here: {', '.join(said)})"] if said else []


def _short(agent: str) -> str:
    return agent.partition("/")[2] or agent
