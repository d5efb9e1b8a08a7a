"""The queue on both stores: adding, handing out, moving, reading."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from hive.adapters.queue import Queue, Superseded
from hive.core import transitions
from hive.core.tasks import Claim, Job, New, Report, Run, State, Want
from hive.errors import WrongInput
from tests.postgres import cluster  # noqa: F401 - a fixture

ADA, BOB = "task/web/ada", "task/web/bob"
ODD = "ü \ud800 \0 'x' %s :now {in:x} \\ \n"


@pytest.fixture(scope="module")
def database(request):
    """Give the URL of a database that the tests of this module share."""
    server = request.getfixturevalue("cluster")
    name = server.make()
    yield server.url(name)
    server.drop(name)


@pytest.fixture(params=["sqlite", "postgres"])
def where(request, tmp_path):
    """Give the place of an empty queue."""
    if request.param == "sqlite":
        return str(tmp_path / "work.db")
    url = request.getfixturevalue("database")
    with Queue.open(url) as queue:
        names = "task, need, want, held, step, run, cache, score, schedule, fired"
        queue._base.rows(f"TRUNCATE {names} RESTART IDENTITY")
        queue._base.rows("DELETE FROM fact WHERE key <> 'schema'")
    return url


@pytest.fixture
def queue(where):
    with Queue.open(where) as one:
        yield one


def new(uid, *needs, **given):
    about = {key: given.pop(key) for key in New.__dataclass_fields__ if key in given}
    return New(uid=uid, needs=needs, job=Job(text=uid, **given), **about)


def wants(*names):
    return tuple(Want(name=one.removeprefix("~"), shared=one.startswith("~")) for one in names)


def claim(queue, *tasks, agent=ADA, lease=30.0):
    claims = [Claim(agent=agent, launch="1-a", number=one.number, lease=lease) for one in tasks]
    return queue.claim(claims)


def finish(queue, *tasks):
    """Claim tasks and end them well."""
    leased = claim(queue, *tasks)
    assert len(leased) == len(tasks)
    return queue.change([transitions.done(one, "fine", "it is done", 9.0) for one in leased])


def states(queue, *tasks):
    return " ".join(queue.task(one.number).state for one in tasks)


def told(queue, task):
    return [step.state for step in queue.story(task.number)]


# Adding


def test_tasks_are_numbered_in_order_and_nothing_of_them_is_lost(queue, where):
    job = Job(
        text="write 'it' \n %s :now {in:x} ü",
        skills=("b", "a"),
        priority=75,
        deadline=5.0,
        locks=wants("~path:src", "db:test"),
        params={"version": "1.2"},
        replicas=3,
        when="x == 1",
    )
    first, second = queue.add([New(uid="a", job=job, key="build.api"), new("b")])

    assert [first.number, second.number, first.version] == [1, 2, 1]
    assert first.job == job
    with Queue.open(where) as again:
        assert [again.task(1), again.by_uid("b"), again.task(3)] == [first, second, None]


def test_what_no_store_can_hold_is_replaced_not_refused(queue):
    (one,) = queue.add([New(uid=ODD, idem=ODD, key=ODD, job=Job(text=ODD, team=ODD, project=ODD))])
    assert queue.add([New(uid=ODD, job=Job(text="again"))])[0].number == one.number
    (leased,) = queue.claim(
        [Claim(agent=ODD, launch=ODD, signatures=tuple(queue.signatures()), why=ODD)]
    )
    queue.change([transitions.progressed(leased, ODD, 5.0)])
    (note,) = queue.task(one.number).notes
    assert note.replace("?", "\ud800") == ODD
    assert queue.leased()[0].agent.startswith("ü ? ")


def test_what_was_added_before_is_given_in_its_place(queue):
    one, other = queue.add([new("a", idem="mine"), new("b")])
    again = [new("a", priority=1), new("c", idem="mine"), new("d"), new("d"), new("e", idem="x")]
    found = queue.add([*again, new("f", "e", idem="x")])

    assert [task.number for task in found[:2]] == [1, 1]
    assert found[2] == found[3]
    assert found[4] == found[5]
    assert [found[0], queue.task(2)] == [one, other]
    assert queue.counts() == {"ready": 4}
    assert told(queue, one) == ["ready"]


def test_needs_are_named_by_uid_or_name_and_keep_their_order(queue):
    (old,) = queue.add([new("old")])
    tasks = queue.add([new("last", "b", "t-1", "a", "b"), new("a", "old"), new("b")])

    assert [task.blocked for task in tasks] == [3, 1, 0]
    assert [task.uid for task in queue.needs(tasks[0].number)] == ["b", "old", "a"]
    assert [task.uid for task in queue.needed_by(old.number)] == ["last", "a"]
    assert tasks[0].why == "it needs t-4, t-1, t-3"


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        pytest.param([new("x", "nobody")], "`x` needs `nobody`, which is no task", id="no uid"),
        pytest.param([new("x", "t-77")], "`x` needs `t-77`, which is no task", id="no number"),
        pytest.param([new("x", blocks=(77,))], "`x` is to be a part of `t-77`", id="no parent"),
        pytest.param([new("x", "x")], "wait for each other: `x` needs `x`$", id="itself"),
        pytest.param(
            [new("x", "y"), new("y", "z"), new("z", "x"), new("w", "x")],
            "wait for each other: (`[xyz]` needs ){3}`[xyz]`$",
            id="a circle",
        ),
        pytest.param(
            [new("x", blocks=(1,)), new("y", "b"), new("z", "y", blocks=(1,))],
            "`z` is to be a part of t-1, and needs it",
            id="a part that needs what needs its parent",
        ),
    ],
)
def test_what_could_never_begin_is_refused_and_nothing_is_added(queue, batch, said):
    queue.add([new("a"), new("b", "a")])
    with pytest.raises(WrongInput) as caught:
        queue.add([new("good"), *batch])
    assert re.search(said, caught.value.what)
    assert caught.value.fix.endswith("nothing was added")
    assert queue.counts() == {"ready": 1, "waiting": 1}
    assert queue.by_uid("good") is None


def test_where_a_new_task_stands_at_first(queue):
    ready, held, later, group, when, blocked = queue.add(
        [
            new("a"),
            new("b", held="a person looks at it first"),
            new("c", after=5e9),
            new("d", kind="group"),
            new("e", when="x"),
            new("f", "b"),
        ]
    )
    assert states(queue, ready, held, later, group, when, blocked) == (
        "ready held ready waiting waiting waiting"
    )
    assert held.why == "a person looks at it first"
    assert later.due == 5e9
    assert [task.uid for task in queue.opening()] == ["d", "e"]
    assert queue.signatures() == {ready.job.signature: 1}
    assert told(queue, held) == ["held"]


@pytest.mark.parametrize(
    ("end", "spoiled"),
    [
        pytest.param(lambda t: transitions.done(t, "", "", 9.0), False, id="done"),
        pytest.param(lambda t: transitions.failed(t, "no", None, 9.0), True, id="dead"),
        pytest.param(lambda t: transitions.cancelled(t, "no", 9.0), True, id="cancelled"),
        pytest.param(lambda t: transitions.cancelled(t, "", 9.0, "skipped"), False, id="skipped"),
    ],
)
def test_a_need_that_did_not_end_well_spoils_what_needs_it(queue, end, spoiled):
    need, free = queue.add([new("a"), new("b", on_failure="continue")])
    before, beside = queue.add([new("c", "a"), new("d", "b")])
    queue.change([end(one) for one in claim(queue, need, free)])
    (after,) = queue.add([new("e", "a")])

    state = "waiting" if spoiled else "ready"
    assert states(queue, before, after, beside) == f"{state} {state} ready"
    assert [queue.task(one.number).spoiled for one in (before, after, beside)] == [
        spoiled,
        spoiled,
        False,
    ]
    assert len(queue.opening()) == 2 * spoiled


def test_a_part_is_one_more_need_of_its_parent_which_is_then_not_opened_by_itself(queue):
    parent, after = queue.add([new("parent"), new("after", "parent")])
    (parent,) = claim(queue, parent)
    with queue.batch():
        parts = queue.add(
            [new(uid, blocks=(parent.number,), parent=parent.number) for uid in ("x", "y")]
        )
        (parent,) = queue.change([transitions.divided(parent, "it was split", 5.0)])
    assert (parent.state, parent.blocked, parent.agent) == (State.WAITING, 2, "")
    assert queue.needs(parent.number) == parts
    assert queue.opening() == []
    finish(queue, *parts)
    assert [one.uid for one in queue.opening()] == ["parent"]
    assert states(queue, parent, after) == "waiting waiting"
    assert [one.uid for one in queue.tasks(parent=parent.number)] == ["x", "y"]


def test_thousands_are_added_at_once(queue):
    tasks = queue.add(
        [new("u0"), *(new(f"u{one}", f"u{one - 1}", locks=wants("a")) for one in range(1, 2000))]
    )
    assert [one.number for one in tasks] == list(range(1, 2001))
    assert queue.counts() == {"ready": 1, "waiting": 1999}


# Handing out


def test_the_first_by_rank_is_handed_out(queue):
    low, high, other, _, _ = queue.add(
        [
            new("low", priority=0),
            new("high", priority=100),
            new("other", team="b"),
            new("later", after=5e9),
            new("blocked", "low"),
        ]
    )
    mine = high.job.signature
    assert queue.signatures() == {mine: 2, other.job.signature: 1}
    assert queue.ready([mine]) == [high, low]
    assert queue.ready([mine, other.job.signature, "none"], limit=1) == [high, other]

    both = Claim(agent=ADA, launch="1-a", signatures=(other.job.signature, mine))
    assert queue.claim([replace(both, signatures=("none",))]) == []
    found = queue.claim([both] * 5)
    assert [one.uid for one in found] == ["high", "other", "low"]
    assert queue.signatures() == {}
    assert queue.claim([both]) == claim(queue, low) == []


def test_a_lease_says_who_has_it_until_when_and_under_which_fence(queue):
    (task,) = queue.add([new("a")])
    before = queue.now()
    (leased,) = claim(queue, task, lease=20.0)

    assert (leased.state, leased.agent, leased.launch) == (State.LEASED, ADA, "1-a")
    assert (leased.fence, leased.attempt, leased.version) == (1, 1, 2)
    assert before - 0.1 <= leased.begun == leased.heard == leased.since <= queue.now() + 0.1
    assert leased.until == pytest.approx(leased.begun + 20)
    assert queue.leased() == [queue.task(1)] == [leased]
    (_, step) = queue.story(1)
    assert (step.state, step.agent, step.fence) == ("leased", ADA, 1)
    assert step.why == f"handed to {ADA}"

    queue.change([transitions.given_back(leased, "it never began", 9.0)])
    (again,) = claim(queue, task, agent=BOB)
    assert (again.fence, again.attempt, again.agent) == (2, 1, BOB)


@pytest.mark.parametrize(
    ("held", "wanted", "free"),
    [
        ("db:test", "db:test", False),
        ("db:test", "db:other", True),
        ("~db:test", "~db:test", True),
        ("db:test", "~db:test", False),
        ("path:src", "path:src/api/x", False),
        ("path:src/api", "~path:src", False),
        ("~path:src/api", "~path:src", True),
        ("path:src", "path:srcs", True),
        ("path:.", "path:src", False),
        ("path:src/a", "path:.", False),
        ("path:.", "path:/srv", True),
        ("path:/", "path:/srv", False),
        ("one", "two one", False),
    ],
)
def test_locks_are_taken_all_or_none(queue, held, wanted, free):
    first, second = queue.add([new("a", locks=wants(held)), new("b", locks=wants(*wanted.split()))])
    (first,) = claim(queue, first)
    assert len(claim(queue, second, agent=BOB)) == free
    taken = {(one.name, one.task) for one in queue.locks.held()}
    assert len(taken) == 1 + free

    if not free:
        claims = [Claim(agent=BOB, launch="1-b", signatures=tuple(queue.signatures()))]
        assert queue.claim(claims) == []
        queue.change([transitions.done(first, "", "", 9.0)])
        assert queue.locks.held() == []
        assert len(queue.claim(claims)) == 1
        assert {one.name for one in queue.locks.held()} == {one.name for one in second.job.locks}


def test_who_waits_for_a_lock_lets_others_pass(queue):
    queue.add([new(f"a{one}", locks=wants("x"), priority=100) for one in range(9)])
    queue.add([new("free")])
    claims = [Claim(agent=ADA, launch="1-a", signatures=tuple(queue.signatures()))]
    assert [one.uid for one in queue.claim(claims * 3)] == ["a0", "free"]


@pytest.mark.parametrize("state", [State.FAILED, State.HELD, State.READY, State.WAITING])
def test_a_lease_that_ends_lets_its_locks_go(queue, state):
    (task,) = claim(queue, *queue.add([new("a", locks=wants("x", "y"))]))
    (held, _) = queue.locks.held()
    assert (held.name, held.agent, held.launch, held.fence) == ("x", ADA, "1-a", 1)
    (task,) = queue.change([transitions.progressed(task, "half", 5.0)])
    assert len(queue.locks.held()) == 2
    change = {
        State.FAILED: transitions.failed(task, "no", 9.0, 9.0),
        State.HELD: transitions.held(task, "no", 9.0),
        State.READY: transitions.given_back(task, "no", 9.0),
        State.WAITING: transitions.divided(task, "no", 9.0),
    }[state]
    assert queue.change([change])[0].state == state
    assert queue.locks.held() == []


def test_copies_go_to_different_agents_even_after_they_failed(queue):
    (group,) = queue.add([new("group", kind="group")])
    copies = queue.add([new(uid, parent=group.number, apart=True) for uid in "abc"])
    mine = [Claim(agent=ADA, launch="1-a", signatures=(copies[0].job.signature,))]
    (first,) = queue.claim(mine * 2)
    queue.change([transitions.failed(first, "no", 1.0, 1.0)])
    queue.wake()

    assert claim(queue, copies[1], agent=ADA) == []
    assert queue.held_by([group.number]) == {group.number: {ADA}}
    assert [one.uid for one in queue.claim(mine)] == ["a"]
    assert [one.uid for one in claim(queue, *copies, agent=BOB)] == ["b"]
    assert queue.held_by([group.number]) == {group.number: {ADA, BOB}}


def test_leases_go_on_as_long_as_they_are_ours(queue):
    one, other, gone = claim(queue, *queue.add([new("a"), new("b"), new("c")]), lease=0.0)
    assert [task.uid for task in queue.expired()] == ["a", "b", "c"]
    queue.change([transitions.done(gone, "", "", 9.0)])

    lost = queue.renew([(one.number, 1), (other.number, 2), (gone.number, 1), (77, 1)], lease=60.0)
    assert lost == [other.number, gone.number, 77]
    assert queue.renew([]) == []
    assert [task.uid for task in queue.expired()] == ["b"]
    (after,) = queue.change([transitions.progressed(one, "half", 5.0)])  # read before that
    assert after.until == queue.task(one.number).until > queue.now() + 30


def test_what_failed_wakes_when_its_time_has_come(queue):
    soon, later, ready = queue.add([new("a"), new("b"), new("c", after=6e9)])
    soon, later = claim(queue, soon, later)
    queue.change(
        [
            transitions.failed(soon, "no", 1.0, 1.0),
            transitions.failed(later, "no", 5e9, 1.0),
        ]
    )
    assert queue.signatures() == {}
    assert queue.wake() == 5e9
    assert states(queue, soon, later, ready) == "ready failed ready"
    assert told(queue, soon) == ["ready", "leased", "failed", "ready"]
    assert queue.wake() == 5e9
    queue.change([transitions.cancelled(queue.task(later.number), "", 9.0)])
    assert queue.wake() == 6e9
    queue.change([transitions.cancelled(queue.task(ready.number), "", 9.0)])
    assert queue.wake() is None


# Moves


def test_nothing_of_a_change_is_done_where_one_of_it_came_too_late(queue):
    one, other = claim(queue, *queue.add([new("a", locks=wants("x")), new("b")]))
    (fresh,) = queue.change([transitions.progressed(other, "half", 5.0)])
    steps = len(queue.steps())

    done = [transitions.done(task, "", "", 9.0) for task in (one, other)]
    with pytest.raises(Superseded, match="t-2 was changed meanwhile"):
        queue.change(done)
    assert [queue.task(1), queue.task(2)] == [one, fresh]
    assert len(queue.steps()) == steps
    assert len(queue.locks.held()) == 1
    assert queue.change([]) == []
    with pytest.raises(Superseded):
        queue.change([transitions.done(replace(one, number=77), "", "", 9.0)])


def test_what_is_over_stays_so_unless_it_begins_anew(queue):
    (done,) = finish(queue, *queue.add([new("a")]))
    for state in (State.READY, State.LEASED, State.DONE, State.CANCELLED):
        wrong = replace(transitions.cancelled(replace(done, state=State.READY), "", 9.0))
        with pytest.raises(Superseded):
            queue.change([replace(wrong, after=replace(done, state=state))])
    assert queue.task(1) == done


def test_everything_an_agent_says_is_kept(queue):
    (task,) = claim(queue, *queue.add([new("a")]))
    report = Report(outcome="done", text="ü\0", at=5.0, confidence=0.75)
    (task,) = queue.change([transitions.reported(task, report, 5.0)])
    (task,) = queue.change([transitions.sent_back(task, "its check failed", 6.0)])
    (task,) = queue.change([transitions.progressed(task, "half", 7.0)])
    (task,) = queue.change([transitions.asked_to_end(task, "me")])
    (task,) = queue.change([transitions.reported(task, report, 8.0)])
    assert queue.task(1) == task
    assert (task.report, task.notes, task.rounds, task.asked) == (
        report,
        ("half",),
        1,
        "cancel: me",
    )
    (task,) = queue.change([transitions.failed(task, "no", None, 9.0)])
    assert queue.task(1) == task
    assert (task.failures, task.outcome, task.agent) == (("no",), "failed", ADA)


def test_what_waits_for_a_lock_hides_nobody_behind_it(queue):
    queue.add([new(f"a{number}", locks=wants("db:test", "port:1")) for number in range(9)])
    other, plain = queue.add([new("other", locks=wants("db:other")), new("plain")])
    (signature,) = queue.signatures()
    found = [one.number for one in queue.ready([signature], limit=4)]
    assert found == [1, 2, 3, 4, other.number, plain.number]


def test_who_needs_nothing_more_is_ready_at_once(queue):
    a, b, both, last, template = queue.add(
        [
            new("a"),
            new("b"),
            new("both", "a", "b"),
            new("last", "both"),
            new("t", "a", template=True),
        ]
    )
    finish(queue, a)
    assert (queue.task(both.number).blocked, states(queue, both, template)) == (
        1,
        "waiting waiting",
    )
    assert queue.opening() == [queue.task(template.number)]
    finish(queue, b)
    assert states(queue, both, last) == "ready waiting"
    assert told(queue, both) == ["waiting", "ready"]
    assert queue.task(both.number).version == 2
    finish(queue, both)
    assert states(queue, last) == "ready"


def test_needs_that_end_at_once_are_all_counted(queue):
    *needs, child = queue.add([new("a"), new("b"), new("c"), new("child", "a", "b", "c")])
    finish(queue, *needs)
    assert (states(queue, child), queue.task(child.number).blocked) == ("ready", 0)


def test_a_held_task_is_not_opened_but_its_needs_are_counted(queue):
    need, held = queue.add([new("a"), new("b", "a", held="look")])
    finish(queue, need)
    found = queue.task(held.number)
    assert (found.state, found.blocked, found.version) == (State.HELD, 0, 1)


def test_what_begins_anew_waits_for_its_needs_and_so_do_those_that_need_it(queue):
    a, b, c = queue.add([new("a"), new("b", "a"), new("c", "b")])
    (dead,) = queue.change([transitions.failed(one, "no", None, 9.0) for one in claim(queue, a)])
    (spoiled,) = queue.change([transitions.cancelled(queue.task(b.number), "spoiled", 9.0)])

    (b,) = queue.change([transitions.retried(spoiled, "a person", 10.0)])
    assert (b.state, b.blocked, b.spoiled) == (State.WAITING, 0, True)
    (a,) = queue.change([transitions.retried(dead, "a person", 10.0)])
    assert (a.state, a.attempt, a.failures) == (State.READY, 0, ("no",))
    b, c = queue.task(b.number), queue.task(c.number)
    assert (b.blocked, b.spoiled, c.blocked, c.spoiled) == (1, False, 1, False)
    assert queue.opening() == []
    finish(queue, a)
    finish(queue, queue.task(b.number))
    assert states(queue, c) == "ready"


def test_a_whole_chain_begins_anew_in_one_change(queue):
    a, b, c = queue.add([new("a"), new("b", "a"), new("c", "b")])
    done = [*finish(queue, a), *finish(queue, b), *finish(queue, c)]
    after = queue.change([transitions.retried(one, "again", 10.0) for one in reversed(done)])
    assert [(one.uid, one.state, one.blocked) for one in reversed(after)] == [
        ("a", "ready", 0),
        ("b", "waiting", 1),
        ("c", "waiting", 1),
    ]


def test_what_is_ready_is_not_handed_out_while_a_need_of_it_begins_anew(queue):
    need, child = queue.add([new("a"), new("b", "a")])
    (done,) = finish(queue, need)
    (again,) = queue.change([transitions.retried(done, "again", 10.0)])
    assert claim(queue, child) == []
    assert queue.signatures() == {again.job.signature: 1}
    finish(queue, again)
    assert len(claim(queue, child)) == 1


def test_a_batch_happens_whole_or_not_at_all(queue, where):
    with queue.batch():
        (one,) = queue.add([new("a")])
        with queue.batch():
            claim(queue, one)
    assert states(queue, one) == "leased"

    with pytest.raises(ZeroDivisionError), queue.batch():  # noqa: PT012
        queue.add([new("b")])
        queue.notebook.note("key", "value")
        raise ZeroDivisionError
    with pytest.raises(WrongInput), queue.batch():  # noqa: PT012
        queue.add([new("c")])
        with pytest.raises(WrongInput):
            queue.add([new("d", "nobody")])
    with Queue.open(where) as other:
        assert other.counts() == {"leased": 1}
        assert other.notebook.fact("key") is None
    queue.add([new("e")])
    assert queue.counts() == {"leased": 1, "ready": 1}


# Reading


def test_tasks_are_listed_by_number(queue):
    queue.add([new("a"), new("b", team="t"), new("c", held="x"), new("d", run=7), new("e")])
    claim(queue, *queue.tasks(limit=2))

    def numbers(**which):
        return [one.number for one in queue.tasks(**which)]

    assert numbers() == [1, 2, 3, 4, 5]
    assert numbers(limit=2) == [1, 2]
    assert numbers(limit=2, after=3) == [4, 5]
    assert numbers(limit=2, newest=True) == [4, 5]
    assert numbers(states=["ready", State.HELD], limit=2) == [3, 4]
    assert numbers(states=["ready", State.HELD], limit=2, newest=True) == [4, 5]
    assert numbers(team="t", agent=ADA, launch="1-a", states=["leased"]) == [2]
    assert numbers(run=7) == [4]
    assert numbers(run=0, after=2) == [3, 5]
    assert numbers(agent=BOB) == numbers(parent=1) == []
    assert queue.counts() == {"leased": 2, "ready": 2, "held": 1}
    assert queue.tallies([7]) == {7: {"ready": 1}}


def test_the_steps_of_all_tasks_come_in_order(queue, eventually):
    first, second = queue.add([new("a"), new("b")])
    finish(queue, first)
    eventually(lambda: len(queue.steps()) == 4)  # not before all earlier ones are there
    steps = queue.steps()
    assert [(one.task, one.state) for one in steps] == [
        (1, "ready"),
        (2, "ready"),
        (1, "leased"),
        (1, "done"),
    ]
    assert queue.steps(after=steps[1].id, limit=1) == steps[2:3]
    assert [one.why for one in queue.story(second.number)] == ["nothing is in its way"]


def test_a_run_is_added_once_and_changed_over_its_version(queue):
    run = Run(number=0, uid="r", workflow="release", project="p", params={"v": "1"}, created=5.0)
    run, tasks = queue.add_run(replace(run, definition={"a": [1]}), [new("r:a"), new("r:b", "r:a")])
    assert (run.name, run.version, run.definition) == ("r-1", 1, {"a": [1]})
    assert [one.run for one in tasks] == [1, 1]
    assert queue.add_run(replace(run, number=0), [new("r:a"), new("r:b")]) == (run, tasks)
    assert queue.edges(1) == {2: (1,)}

    after = queue.change_run(replace(run, state="failed", why="no", finished=9.0))
    assert queue.run(1) == after
    with pytest.raises(Superseded, match="r-1"):
        queue.change_run(run)
    other, _ = queue.add_run(replace(run, uid="other"), [])
    assert queue.runs() == [other, after]
    assert queue.runs(states=["running"]) == queue.runs(limit=1) == [other]
    assert queue.run(77) is None


def test_what_is_long_over_is_dropped_unless_somebody_needs_it(queue):
    run = Run(number=0, uid="r", workflow="w", project="p")
    run, of_run = queue.add_run(run, [new("of-run")])
    tasks = queue.add(
        [new("old", locks=wants("x")), new("needed"), new("open", "needed"), new("when", "old")]
    )
    finish(queue, tasks[0], tasks[1], *of_run)
    queue.change([transitions.cancelled(queue.task(tasks[3].number), "", 20.0)])

    assert queue.tidy(before=9.0) == 0
    assert queue.tidy(before=10.0) == 1
    assert [one.uid for one in queue.tasks()] == ["of-run", "needed", "open", "when"]
    assert queue.story(tasks[0].number) == queue.needs(tasks[3].number) == []
    queue.change_run(replace(run, state="done", finished=9.0))
    assert queue.tidy(before=30.0) == 2
    assert queue.runs() == []
    assert queue.add([new("next")])[0].number == 6
