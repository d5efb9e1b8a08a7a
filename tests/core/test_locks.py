"""Locks: their names, which are in each other's way, and circles of waits."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.locks import (
    Wait,
    above,
    conflict,
    cycle,
    in_way,
    sentence,
    victim,
    want,
    wants,
)
from hive.core.tasks import Held, Want
from hive.errors import WrongInput

PART = st.sampled_from(["src", "src2", "api", "a", ".git"])
PATHS = st.lists(PART, max_size=4).map("/".join)
NAMES = st.builds("path:{}".format, PATHS.map(lambda path: path or ".")) | st.sampled_from(
    ["port:3000", "db:test", "deploy"]
)
WANTS = st.builds(lambda name, shared: want({"name": name, "shared": shared}), NAMES, st.booleans())


def held(name, task=0, agent="task/back/dev", *, shared=False):
    return Held(
        name=name, shared=shared, task=task, agent=agent, launch="1-a", fence=1 if task else 0, at=5
    )


@pytest.mark.parametrize(
    ("text", "name", "shared"),
    [
        ("port:3000", "port:3000", False),
        ("port:03000", "port:3000", False),
        ("PORT: 80", "port:80", False),
        ("db:Test", "db:Test", False),
        ("deploy", "deploy", False),
        ("  staging.db ", "staging.db", False),
        ("path:src/api", "path:src/api", False),
        ("path:./src//api/", "path:src/api", False),
        ("path:src/../docs", "path:docs", False),
        ("path:.", "path:.", False),
        ("path:src/..", "path:.", False),
        ("path://etc/../var/", "path:/var", False),
        ("path:/", "path:/", False),
        ("path:my files", "path:my files", False),
        ("shared path:src", "path:src", True),
        ("path:src/ (shared)", "path:src", True),
        ("shared deploy", "deploy", True),
        ({"name": "path:src/"}, "path:src", False),
        ({"name": "path:src", "shared": True}, "path:src", True),
    ],
)
def test_how_a_lock_is_written(text, name, shared):
    assert want(text) == Want(name=name, shared=shared)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "`` names no lock"),
        ("shared ", "`shared ` names no lock"),
        ("(shared)", "`(shared)` names no lock"),
        ("shared path:src (shared)", "`shared path:src (shared)` names no lock"),
        ("a\nb", "names no lock"),
        ("x" * 501, "names no lock"),
        ("port:", "does not say which port"),
        ("port:http", "the lock `port:http` is no port"),
        ("port:65536", "is no port"),
        ("port:0000065536", "is no port"),
        ("path:..", "is outside of the project's directory"),
        ("path:src/../../x", "is outside of the project's directory"),
        ("src/api", "the lock `src/api` is neither one word nor `kind:value`"),
        ("two words", "is neither one word"),
        ({"shared": True}, "is no lock"),
        ({"name": "db", "shared": "yes"}, "is no lock"),
        ({"name": "db", "share": True}, "is no lock"),
        ({"name": "db (shared)"}, "names no lock"),
    ],
)
def test_what_is_no_lock_is_refused(text, what):
    with pytest.raises(WrongInput) as error:
        want(text)
    assert what in error.value.what
    assert error.value.fix


def test_a_path_without_its_kind_is_told_how_it_is_written():
    with pytest.raises(WrongInput, match="if it is a path: `path:src/api`"):
        want("src/api")


def test_the_locks_of_a_task_are_in_one_order_and_each_is_there_once():
    found = wants(["port:80", "shared path:b", "path:a (shared)", "path:b/", "shared path:a/."])
    assert [(one.name, one.shared) for one in found] == [
        ("path:a", True),
        ("path:b", False),
        ("port:80", False),
    ]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("path:src", "path:src", True),
        ("path:src", "path:src/api/v1", True),
        ("path:src", "path:src2", False),
        ("path:src/api", "path:src/app", False),
        ("path:.", "path:src", True),
        ("path:.", "path:.git", True),
        ("path:/", "path:/var", True),
        ("path:/var", "path:/var/log", True),
        ("path:/", "path:src", False),
        ("port:80", "port:8080", False),
        ("port:80", "db:80", False),
        ("db:a", "db:a/b", False),
        ("deploy", "deploy", True),
        ("shared path:src", "shared path:src/api", False),
        ("shared path:src", "path:src/api", True),
        ("shared db:test", "shared db:test", False),
    ],
)
def test_which_locks_are_in_each_others_way(one, other, expected):
    assert conflict(want(one), want(other)) is expected
    assert conflict(want(other), want(one)) is expected


def test_the_locks_above_a_path():
    assert above("path:a/b/c") == ("path:a/b", "path:a", "path:.")
    assert above("path:/a/b") == ("path:/a", "path:/")
    assert above("path:.") == above("port:80") == above("deploy") == ()


@given(text=st.text(max_size=30) | st.builds("path:{}".format, st.text("./ab", max_size=12)))
def test_what_is_a_lock_is_read_the_same_again(text):
    try:
        found = want(text)
    except WrongInput:
        return
    assert want(found.name) == Want(name=found.name)
    assert want(f"shared {found.name}") == want(f"{found.name} (shared)")
    assert want({"name": found.name, "shared": found.shared}) == found


@given(one=WANTS, other=WANTS)
def test_two_are_in_each_others_way_if_they_share_anything_and_not_both_only_read(one, other):
    def parts(name):
        kind, _, path = name.partition(":")
        return (kind, *(() if path == "." else posixpath.normpath(path).split("/")))

    mine, its = parts(one.name), parts(other.name)
    many = min(len(mine), len(its)) if one.name.startswith("path:") else max(len(mine), len(its))
    overlap = mine[:many] == its[:many]
    assert conflict(one, other) is (overlap and not (one.shared and other.shared))


def test_who_is_in_the_way():
    there = [
        held("path:src", task=3),
        held("path:docs", shared=True, task=4),
        held("port:80", agent="task/back/qa"),
        held("db:test"),
    ]
    needs = wants(["path:src/api", "shared path:docs", "port:80", "db:test"])
    assert in_way(needs, there) == [there[0], there[2], there[3]]
    assert in_way(needs, there, task=3) == there[2:]
    assert in_way(needs, there, agent="task/back/dev") == [there[0], there[2]]
    assert in_way(needs, there, task=3, agent="task/back/qa") == [there[3]]
    assert in_way((), there) == in_way(needs, []) == []


def wait(who, holder, since=0.0, priority=50, wants="port:80"):
    return Wait(who=who, wants=wants, holder=holder, since=since, priority=priority)


@pytest.mark.parametrize(
    ("waits", "circle"),
    [
        pytest.param([], [], id="nobody waits"),
        pytest.param([("a", "b"), ("b", "c"), ("d", "c")], [], id="a chain"),
        pytest.param([("a", "b"), ("b", "a")], ["a", "b"], id="two"),
        pytest.param([("x", "c"), ("c", "b"), ("b", "a"), ("a", "c")], ["a", "c", "b"], id="three"),
        pytest.param([("a", "a")], ["a"], id="for itself"),
        pytest.param([("a", "b"), ("a", "c"), ("c", "a")], ["a", "c"], id="one of two holders"),
        pytest.param([("a", "b"), ("b", "c"), ("c", "b")], ["b", "c"], id="one waits for a circle"),
    ],
)
def test_waits_in_a_circle(waits, circle):
    found = cycle([wait(*one) for one in waits])
    assert [one.who for one in found] == circle
    assert [one.holder for one in found] == circle[1:] + circle[:1]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=12))
def test_a_circle_is_found_exactly_if_there_is_one(pairs):
    waits = [wait(*one) for one in pairs]
    reach = {who: {other for one, other in pairs if one == who} for who in "abcdef"}
    for _ in "abcdef":
        reach = {who: to.union(*(reach[one] for one in to)) for who, to in reach.items()}
    found = cycle(reversed(waits))
    assert bool(found) is any(who in to for who, to in reach.items())
    assert found == cycle(waits)
    for one, following in zip(found, found[1:] + found[:1], strict=True):
        assert one in waits
        assert one.holder == following.who


def test_whose_wait_is_broken_off_and_why():
    first, second = wait("t-3", "t-4", 10.0, 75), wait("t-4", "t-3", 5.0, 50, "a reply")
    assert victim((first, second)) is second
    assert sentence((first, second)) == (
        "nobody can go on: t-3 waits for port:80 of t-4, t-4 waits for a reply of t-3; "
        "t-4 gives way, as it has the lowest priority"
    )
    young = wait("t-5", "t-6", 20.0, 50)
    assert victim((second, first, young)) is young
    assert "t-5 gives way, as of those with the lowest priority it began to wait last" in sentence(
        (second, first, young)
    )
    alone = wait("task/web/a", "task/web/a", wants="a reply")
    assert sentence((alone,)).endswith(
        "web/a waits for a reply of web/a; web/a gives way, as it waits for itself"
    )
