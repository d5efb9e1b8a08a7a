"""Who edits the same files, and what may be merged or dropped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.merging import (
    Clash,
    Collision,
    Losses,
    collisions,
    conflict,
    lost,
    may_drop,
    may_merge,
)
from hive.core.repository import Changed, Commit, Kind, Tree

ONE = Commit(hash="1" * 40, at=1.0, author="ada", subject="add a login")
TWO = Commit(hash="2" * 40, at=2.0, author="bob", subject="a way out")


def tree(root, *paths, common="/r/.git", before=""):
    changed = tuple(Changed(path=one, kind=Kind.MODIFIED, before=before) for one in paths)
    return Tree(root=root, common=common, changed=changed)


@pytest.mark.parametrize(
    ("trees", "touched", "found"),
    [
        ({}, {}, []),
        ({"a": tree("/a", "x")}, {}, []),
        ({"a": tree("/a", "x"), "b": tree("/b", "y")}, {}, []),
        ({"b": tree("/b", "x", "y"), "a": tree("/a", "y", "x")}, {}, [("x", "ab"), ("y", "ab")]),
        ({"a": tree("/a", "x"), "b": tree("/b")}, {"b": {"x"}}, [("x", "ab")]),
        ({"a": tree("/a"), "b": tree("/b")}, {"a": {"x"}, "b": {"x"}}, [("x", "ab")]),
        ({"a": tree("/a", "x", before="y"), "b": tree("/b", "y")}, {}, [("y", "ab")]),
        ({"a": tree("/a", "x"), "b": tree("/b", "x", common="/other/.git")}, {}, []),
        ({"a": tree("/a", "x"), "b": tree("/a", "x")}, {}, []),
        ({"a": tree("/a", "x", common=""), "b": tree("/b", "x", common="")}, {}, []),
    ],
)
def test_files_that_two_worktrees_of_one_repository_changed_collide(trees, touched, found):
    expected = tuple(
        Collision(path=path, agents=tuple(agents), common="/r/.git") for path, agents in found
    )
    assert collisions(trees, touched) == expected


NAMES = st.sampled_from("abcd")
PATHS = st.frozensets(st.sampled_from("uvwxyz"), max_size=4)


@given(st.dictionaries(NAMES, PATHS), st.dictionaries(NAMES, PATHS))
def test_a_collision_names_just_those_who_changed_the_file(uncommitted, committed):
    trees = {one: tree(f"/{one}", *sorted(uncommitted.get(one, ()))) for one in "abcd"}
    found = collisions(trees, committed)
    whole = {one: set(uncommitted.get(one, ())) | committed.get(one, set()) for one in "abcd"}
    assert [one.path for one in found] == sorted({one.path for one in found})
    for path in "uvwxyz":
        agents = tuple(one for one in "abcd" if path in whole[one])
        assert [one.agents for one in found if one.path == path] == [agents] * (len(agents) > 1)


@pytest.mark.parametrize(
    ("on", "into", "losses", "said"),
    [
        ("b", "main", Losses(), ""),
        ("b", "main", Losses(commits=(ONE,), stashes=("s",), unmerged=1), ""),
        ("b", "", Losses(), "nobody said into which branch"),
        ("b", "b", Losses(), "into itself"),
        ("", "main", Losses(), "on no branch"),
        ("x", "main", Losses(), "on `x`, not on its own branch `b`"),
        ("", "main", Losses(operation="rebase"), "a rebase was begun"),
        ("b", "main", Losses(uncommitted=("f",)), "1 file (f) not committed"),
        ("b", "main", Losses(uncommitted=tuple("fghi")), "4 files (f, g, h and 1 more)"),
    ],
)
def test_only_what_is_clean_and_on_its_own_branch_is_merged(on, into, losses, said):
    why = may_merge(branch="b", on=on, losses=losses, into=into)
    assert said in why and bool(said) == bool(why)


@pytest.mark.parametrize(
    ("losses", "plain", "forced"),
    [
        (Losses(), True, True),
        (Losses(unmerged=3), True, True),
        (Losses(unpushed=3), True, True),
        (Losses(uncommitted=("f",)), False, True),
        (Losses(operation="merge"), False, True),
        (Losses(commits=(ONE,)), False, True),
        (Losses(stashes=("s",)), False, True),
        (Losses(inside=("sub",)), False, False),
    ],
)
def test_what_would_be_lost_is_dropped_by_force_only_and_never_what_no_bundle_holds(
    losses, plain, forced
):
    assert (not may_drop(losses, force=False), not may_drop(losses, force=True)) == (plain, forced)
    assert losses.any != plain


def test_what_would_be_lost_is_named():
    found = Losses(uncommitted=("f",), commits=(ONE,), stashes=("s", "t"), onto="main")
    assert lost(found) == (
        "1 file (f) not committed; 1 commit (11111111 add a login) neither in `main` nor on a "
        "remote; 2 stashes (s, t)"
    )
    assert lost(Losses()) == "nothing"


def test_a_conflict_names_its_files_and_both_sides():
    clashes = [Clash(path="f", ours=ONE, theirs=TWO), Clash(path="g", theirs=TWO)]
    assert conflict(clashes, "main") == (
        "2 files can't be merged into `main`: f: `main` has 11111111 add a login, the agent "
        "22222222 a way out; g: `main` has nothing, the agent 22222222 a way out"
    )
    assert conflict([clashes[0]] * 5, "main").endswith("; and 2 files more")
