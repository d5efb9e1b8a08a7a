"""Adding tasks to the queue: what they need is looked up, and nothing is added twice."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter

from hive.adapters.queue_base import Base
from hive.adapters.queue_claims import STEP, step_row
from hive.adapters.queue_rows import ADD_TASK, COLUMNS, adding, lock_rows, new_task, task_of, words
from hive.core.tasks import OVER, New, State, Task, parsed
from hive.errors import WrongInput

_ADD_NEED = "INSERT INTO need (task, needs, place) VALUES (:task, :needs, :place)"
_ADD_WANT = (
    "INSERT INTO want (task, name, shared, above, root)"
    " VALUES (:task, :name, :shared, :above, :root)"
)
_ADD_PART = (
    "INSERT INTO need (task, needs, place) SELECT CAST(:task AS bigint), CAST(:needs AS bigint),"
    " count(*) FROM need WHERE task = :task"
)
_BLOCK = "UPDATE task SET blocked = blocked + 1, plain = FALSE WHERE number = :task"
_NEEDED = "SELECT number, uid, state, spoils FROM task WHERE {} ORDER BY number {share}"
_ABOVE = (
    "WITH RECURSIVE up(number) AS ({list:needs} UNION"
    " SELECT n.needs FROM need n JOIN up ON n.task = up.number)"
    " SELECT number FROM up WHERE number {in:blocks} ORDER BY number LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Known:
    """The tasks that are there and that a batch names: their states, and how they are called."""

    over: dict[int, bool] = field(default_factory=dict)
    spoiling: set[int] = field(default_factory=set)
    uids: dict[str, int] = field(default_factory=dict)


def add(base: Base, new: Sequence[New], now: float) -> list[Task]:
    """Add tasks, and give each as it is: those of a known uid or key as they were found.

    Only while writing. Raises WrongInput where one needs what is not there, or itself.
    """
    new = [_clean(one) for one in new]
    there = _there(base, new)
    firsts: dict[tuple[str, str], New] = {}
    same: dict[str, str] = {}
    fresh = []
    for one in new:
        if one.uid in there:
            continue
        twin = firsts.get(("uid", one.uid)) or (firsts.get(("key", one.idem)) if one.idem else None)
        if twin is not None:  # in a batch, too, the first one of a uid or a key is the task
            same[one.uid] = twin.uid
            continue
        firsts |= {("uid", one.uid): one, ("key", one.idem): one}
        fresh.append(one)
    found = there | (_added(base, fresh, there, same, now) if fresh else {})
    return [found[same.get(one.uid, one.uid)] for one in new]


def _clean(one: New) -> New:
    needs = tuple(map(words, one.needs))
    return replace(one, uid=words(one.uid), idem=words(one.idem), needs=needs)


def _there(base: Base, new: Sequence[New]) -> dict[str, Task]:
    """Find what was added before, by the uids of what is asked for."""
    ask = f"SELECT {COLUMNS}, idem FROM task WHERE "
    uids = json.dumps([one.uid for one in new])
    found = {row[1]: task_of(row) for row in base.rows(f"{ask} uid {{among:uids}}", {"uids": uids})}
    keys = [one.idem for one in new if one.idem]
    if keys:
        values = {"keys": json.dumps(keys)}
        rows = base.rows(f"{ask} idem <> '' AND idem {{among:keys}}", values)
        by_key = {row[-1]: task_of(row) for row in rows}
        found |= {one.uid: by_key[one.idem] for one in new if one.idem in by_key}
    return found


def _added(
    base: Base, new: Sequence[New], there: Mapping[str, Task], same: Mapping[str, str], now: float
) -> dict[str, Task]:
    numbers = dict(zip((one.uid for one in new), base.numbers("task", len(new)), strict=True))
    named = {uid: one.number for uid, one in there.items()} | numbers
    named |= {uid: named[twin] for uid, twin in same.items()}
    known = _known(base, new, named, set(numbers.values()))
    named = known.uids | named
    needs = {numbers[one.uid]: _needs(one, named, known) for one in new}
    _refuse_cycles(base, new, numbers, needs)
    groups = {uid: numbers[one.uid] for one in new if one.job.kind == "group" for uid in one.needs}
    new = [
        replace(one, parent=groups.get(one.uid, one.parent)) if one.apart else one for one in new
    ]
    tasks = {one.uid: _task(one, numbers[one.uid], needs, known, now) for one in new}
    made = list(tasks.values())
    rows = [adding(tasks[one.uid], one.idem) for one in new]
    base.each(ADD_TASK, rows)
    base.each(STEP, [step_row(one, one.why) for one in made])
    base.each(
        _ADD_NEED,
        [
            {"task": number, "needs": other, "place": place}
            for number, others in needs.items()
            for place, other in enumerate(others)
        ],
    )
    base.each(_ADD_WANT, [row for one in made for row in lock_rows(one.number, one.job.locks)])
    parts = [
        {"task": parent, "needs": numbers[one.uid]}
        for one in new
        for parent in sorted(set(one.blocks))
    ]
    base.each(_ADD_PART, parts)
    base.each(_BLOCK, parts)
    return tasks


def _known(
    base: Base, new: Sequence[New], named: Mapping[str, int], fresh: Collection[int]
) -> Known:
    """Look up the tasks that are there and that these need or block."""
    wanted = {word for one in new for word in one.needs}
    numbers = {named[word] for word in wanted & named.keys()}
    strange = wanted - named.keys()
    numbers |= {number for word in strange if (number := parsed(word)) is not None}
    numbers |= {parent for one in new for parent in one.blocks}
    uids = [word for word in strange if parsed(word) is None]
    found = Known()
    asked = []
    if numbers - set(fresh):
        asked.append(("number {in:them}", json.dumps(sorted(numbers - set(fresh)))))
    if uids:
        asked.append(("uid {among:them}", json.dumps(sorted(uids))))
    for which, them in asked:
        statement = _NEEDED.replace("{}", which)
        for number, uid, state, spoils in base.rows(statement, {"them": them}):
            found.over[number] = state in OVER
            found.uids[uid] = number
            if spoils:
                found.spoiling.add(number)
    for one in new:
        if lost := [number for number in one.blocks if number not in found.over]:
            raise _unknown(one, f"t-{lost[0]}", "is to be a part of")
    found.over.update(dict.fromkeys(fresh, False))
    return found


def _needs(one: New, named: Mapping[str, int], known: Known) -> list[int]:
    """Give the numbers of what it needs, each once, in the order they were named."""
    found = []
    for word in one.needs:
        number = named.get(word)
        if number is None:
            number = parsed(word)
        if number is None or number not in known.over:
            raise _unknown(one, word, "needs")
        found.append(number)
    return list(dict.fromkeys(found))


def _refuse_cycles(
    base: Base, new: Sequence[New], numbers: Mapping[str, int], needs: Mapping[int, Sequence[int]]
) -> None:
    """Refuse tasks that would wait for each other for ever."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        called = {numbers[one.uid]: one.key or one.job.name for one in new}
        circle = [f"`{called[number]}`" for number in reversed(error.args[1])]
        what = f"these tasks wait for each other: {' needs '.join(circle)}"
        raise WrongInput(what, fix="leave out one of these needs; nothing was added") from error
    for one in new:
        if not one.blocks:
            continue
        values = {
            "needs": json.dumps(sorted(_closure(numbers[one.uid], needs))),
            "blocks": json.dumps(sorted(one.blocks)),
        }
        for (number,) in base.rows(_ABOVE, values):
            what = f"`{one.job.name}` is to be a part of t-{number}, and needs it"
            raise WrongInput(what, fix="leave out that need; nothing was added")


def _closure(number: int, needs: Mapping[int, Sequence[int]]) -> set[int]:
    """Give all that a new task needs, and what new ones of these need."""
    found: set[int] = set()
    left = [number]
    while left:
        for other in needs.get(left.pop(), ()):
            if other not in found:
                found.add(other)
                left.append(other)
    return found


def _task(
    one: New, number: int, needs: Mapping[int, Sequence[int]], known: Known, now: float
) -> Task:
    """Give the new task, where it stands at first."""
    open_ = [other for other in needs[number] if not known.over[other]]
    spoiled = not known.spoiling.isdisjoint(needs[number])
    if one.held:
        state, why = State.HELD, one.held
    elif open_:
        state, why = State.WAITING, f"it needs {_listed(open_)}"
    elif spoiled or not one.job.plain:
        state, why = State.WAITING, "all it needs is over"
    else:
        state, why = State.READY, "nothing is in its way"
    stands = {"state": state, "why": why, "blocked": len(open_), "spoiled": spoiled}
    return new_task(one, number, now, due=one.job.after, **stands)


def _listed(numbers: Iterable[int]) -> str:
    names = [f"t-{number}" for number in numbers]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _unknown(one: New, word: str, how: str) -> WrongInput:
    what = f"`{one.key or one.job.name}` {how} `{word}`, which is no task"
    return WrongInput(what, fix="`hive task list` names those there are; nothing was added")
