"""Loads for the queue, and for queues of other tools: run as a program, also by others' Pythons.

`queue_loads.py LOAD JSON` prints what it found, as JSON. Every load is shared by processes that
begin at once; each has a connection of its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from typing import Any

FORK = get_context("fork")
PROJECT, TEAM = "Task", "back"

Share = Callable[[int, Callable[[], None]], Any]
"""The work of one process: its number, and what it calls when it is ready to begin."""


def together(count: int, share: Share) -> tuple[float, list[Any]]:
    """Have so many processes do it at once; gives how many seconds it took, and what each gave."""
    barrier, answers = FORK.Barrier(count + 1), FORK.SimpleQueue()

    def run(number: int) -> None:
        answers.put(share(number, barrier.wait))

    processes = [FORK.Process(target=run, args=(number,)) for number in range(count)]
    for process in processes:
        process.start()
    barrier.wait()
    began = time.perf_counter()
    found = [answers.get() for _ in processes]
    spent = time.perf_counter() - began
    for process in processes:
        process.join()
    return spent, found


# hive


def _added(where: str, count: int) -> str:
    from hive.adapters.queue import Queue
    from hive.core.tasks import Job, New

    job = Job(text="do it", project=PROJECT, team=TEAM)
    with Queue.open(where) as queue:
        for first in range(0, count, 10_000):
            batch = range(first, min(count, first + 10_000))
            queue.add([New(uid=f"u{number}", job=job) for number in batch])
    return job.signature


def hive(where: str, tasks: int, processes: int, batch: int) -> dict[str, Any]:
    """Claim and finish tasks: so many that are done, and as many new ones, in one transaction."""
    from hive.adapters.queue import Queue
    from hive.core.tasks import Claim
    from hive.core.transitions import done

    signature = _added(where, tasks)

    def share(number: int, ready: Callable[[], None]) -> int:
        claim = Claim(agent=f"{PROJECT}/{TEAM}/a{number}", launch="l1", signatures=(signature,))
        count = 0
        with Queue.open(where, patience=60) as queue:
            ready()
            found = queue.claim([claim] * batch)
            while found:
                now, count = queue.now(), count + len(found)
                with queue.batch():
                    queue.change([done(task, "1", "its agent says so", now) for task in found])
                    found = queue.claim([claim] * batch)
        return count

    spent, counts = together(processes, share)
    assert sum(counts) == tasks, counts
    return {"rate": tasks / spent}


def finishing(where: str, processes: int, each: int, rest: bool) -> dict[str, Any]:
    """Have as many processes finish tasks, all at once; gives how long each took, in seconds.

    With `rest` all begin each of their tasks at once; else one goes on as soon as it can.
    """
    from hive.adapters.queue import Queue
    from hive.core.tasks import Claim, Task
    from hive.core.transitions import done

    signature = _added(where, processes * each)
    agents = [f"{PROJECT}/{TEAM}/a{number}" for number in range(processes)]
    with Queue.open(where) as queue:
        for agent in agents:
            claim = Claim(agent=agent, launch="l1", signatures=(signature,), lease=600.0)
            assert len(queue.claim([claim] * each)) == each

    line = FORK.Barrier(processes)

    def share(number: int, ready: Callable[[], None]) -> list[float]:
        def finish(task: Task) -> float:
            if rest:
                line.wait()
            return _timed(lambda: queue.change([done(task, "1", "so", queue.now())]))

        with Queue.open(where, patience=60) as queue:
            mine = queue.tasks(agent=agents[number], limit=each)
            ready()
            return [finish(task) for task in mine]

    _, found = together(processes, share)
    return {"seconds": [one for times in found for one in times]}


def big(where: str, queued: int, rounds: int) -> dict[str, Any]:
    """Claim, and list, where very many wait."""
    from hive.adapters.queue import Queue
    from hive.core.tasks import Claim

    adding = time.perf_counter()
    signature = _added(where, queued)
    adding = time.perf_counter() - adding
    claim = Claim(agent=f"{PROJECT}/{TEAM}/a", launch="l1", signatures=(signature,), lease=600.0)
    with Queue.open(where) as queue:
        claims = [_timed(lambda: queue.claim([claim])) for _ in range(rounds)]
        looks = [_timed(lambda: queue.ready(list(queue.signatures()), limit=50)) for _ in range(20)]
        pages = [_timed(lambda: (queue.tasks(limit=50), queue.counts())) for _ in range(20)]
    return {"adding": adding, "claims": claims, "looks": looks, "pages": pages}


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


# others


def huey(where: str, tasks: int, processes: int) -> dict[str, Any]:
    """Take and execute tasks with huey; one is gone from its queue as soon as it is taken."""
    from huey import SqliteHuey

    def opened() -> tuple[Any, Any]:
        queue = SqliteHuey(filename=where, fsync=True, timeout=60)
        return queue, queue.task(name="work")(lambda number: number + 1)

    _, work = opened()
    for number in range(tasks):
        work(number)

    def share(_number: int, ready: Callable[[], None]) -> int:
        queue, _ = opened()
        count = 0
        ready()
        while (task := queue.dequeue()) is not None:
            queue.execute(task)
            count += 1
        return count

    spent, counts = together(processes, share)
    assert sum(counts) == tasks, counts
    return {"rate": tasks / spent}


def procrastinate(where: str, tasks: int, processes: int) -> dict[str, Any]:
    """Run tasks with procrastinate's own worker, without its waiting and listening."""
    from procrastinate import App, PsycopgConnector

    logging.getLogger("procrastinate").setLevel(logging.ERROR)

    def opened() -> tuple[Any, Any]:
        app = App(connector=PsycopgConnector(conninfo=where, min_size=1, max_size=2))

        @app.task(name="work")
        async def work(number: int) -> int:
            return number + 1

        return app, work

    async def prepare() -> None:
        app, work = opened()
        async with app.open_async():
            await app.schema_manager.apply_schema_async()
            for first in range(0, tasks, 1000):
                batch = range(first, min(tasks, first + 1000))
                await work.batch_defer_async(*({"number": number} for number in batch))

    async def work_all(ready: Callable[[], None]) -> None:
        app, _ = opened()
        async with app.open_async():
            ready()
            await app.run_worker_async(
                wait=False, listen_notify=False, install_signal_handlers=False
            )

    async def finished() -> int:
        app, _ = opened()
        async with app.open_async():
            return len(list(await app.job_manager.list_jobs_async(status="succeeded")))

    asyncio.run(prepare())
    spent, _ = together(processes, lambda _number, ready: asyncio.run(work_all(ready)))
    count = asyncio.run(finished())
    assert count == tasks, count
    return {"rate": tasks / spent}


LOADS: dict[str, Callable[..., dict[str, Any]]] = {
    one.__name__: one for one in (hive, finishing, big, huey, procrastinate)
}


def main(words: Sequence[str]) -> None:
    """Run the load that the first word names, with what the second says."""
    print(json.dumps(LOADS[words[0]](**json.loads(words[1]))))


if __name__ == "__main__":
    main(sys.argv[1:])
