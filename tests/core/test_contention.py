"""Whom to ask for a lock that others wait for."""

from __future__ import annotations

from hive.core.contention import AGAIN, PATIENCE, nudges
from hive.core.locks import Wait
from hive.core.tasks import Held

NOW = 10_000.0
DEV, QA = "task/back/dev", "task/back/qa"
TASKS = Held(name="path:src", shared=False, task=7, agent=DEV, launch="1-a", fence=2, at=5.0)
OWN = Held(name="port:3000", shared=False, task=0, agent=QA, launch="1-b", fence=0, at=5.0)
HELD = [TASKS, OWN]


def wait(who, wants, holder, waited, priority=50):
    return Wait(who=who, wants=wants, holder=holder, since=NOW - waited, priority=priority)


def test_a_holder_is_asked_after_a_while_and_again_after_a_longer_one():
    one = wait("t-9", "port:3000", QA, PATIENCE)
    text = (
        "t-9 has waited 5m for port:3000; "
        "let go of port:3000 as soon as you can: hive unlock port:3000"
    )
    assert nudges(HELD, [one], NOW - 1, {}) == []
    assert nudges(HELD, [one], NOW, {}) == [(QA, text)]
    assert nudges(HELD, [one], NOW + AGAIN - 1, {QA: NOW}) == []
    assert [agent for agent, _ in nudges(HELD, [one], NOW + AGAIN, {QA: NOW})] == [QA]


def test_a_lock_of_a_task_is_not_to_be_let_go_of_but_the_task_finished():
    (found,) = nudges(HELD, [wait("t-9", "shared path:src/api", "t-7", 360)], NOW, {})
    text = (
        "t-9 has waited 6m for shared path:src/api; your task t-7 has path:src: "
        "finish it soon, or say why not: hive task progress"
    )
    assert found == (DEV, text)


def test_each_holder_is_asked_once_for_all_who_wait_the_most_important_first():
    waits = [
        wait("t-9", "port:3000", QA, 400),
        wait("task/web/pm", "path:src", DEV, 500),
        wait("t-5", "port:3000", QA, 350, priority=100),
    ]
    found = nudges(HELD, waits, NOW, {})
    assert [agent for agent, _ in found] == [QA, DEV]
    assert [line.split()[0] for line in found[0][1].splitlines()] == ["t-5", "t-9"]
    assert found[1][1].startswith("web/pm has waited 8m 20s for path:src; ")


def test_what_is_no_lock_or_is_free_again_is_asked_of_nobody():
    waits = [
        wait("t-9", "a reply", QA, 900),
        wait("t-8", "db:test", QA, 900),
        wait("t-6", "port:3000", DEV, 900),
    ]
    assert nudges(HELD, waits, NOW, {}) == []
