from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.checkpoint import (
    GRACE,
    HUGE,
    WIDEST,
    Past,
    Step,
    allowed,
    chosen,
    decide,
    follow,
    message,
    request,
    unsaved,
)
from hive.core.repository import Changed, Commit, Kind, Tree
from hive.core.rhythm import Plot, Rhythm

NOW = 100_000.0
RHYTHM = Rhythm(commit=1800)
PLOT = Plot(repo="/r", path="/w", branch="hive/dev-1", base="origin/stable")
FILE = Changed(path="src/login.py", kind=Kind.MODIFIED, bytes=10)
SECRET = Changed(path=".env", kind=Kind.UNTRACKED, bytes=10)
TORN = Changed(path="a.txt", kind=Kind.CONFLICTED, bytes=10)
TREE = Tree(root="/w", linked=True, branch="hive/dev-1", commit="c0ffee", changed=(FILE,))
SINCE = Past(since=NOW - 1800)


@pytest.mark.parametrize(
    ("tree", "plot", "why"),
    [
        pytest.param(TREE, PLOT, "", id="its own worktree and branch"),
        pytest.param(replace(TREE, branch="login"), PLOT, "", id="a branch it made itself"),
        pytest.param(replace(TREE, commit=""), PLOT, "", id="before the first commit"),
        pytest.param(None, PLOT, "no git repository", id="no git at all"),
        pytest.param(TREE, None, "no worktree of its own", id="a shared directory"),
        pytest.param(replace(TREE, root="/r"), PLOT, "works in `/r`", id="it went elsewhere"),
        pytest.param(replace(TREE, linked=False), PLOT, "works in `/w`", id="the user's own tree"),
        pytest.param(replace(TREE, branch=""), PLOT, "on no branch", id="detached"),
        pytest.param(
            replace(TREE, branch="", operation="rebase"), PLOT, "a rebase is not", id="rebase"
        ),
        pytest.param(replace(TREE, operation="am"), PLOT, "an am is not ended", id="am"),
        pytest.param(replace(TREE, branch="main"), PLOT, "`main` is not", id="main"),
        pytest.param(replace(TREE, branch="stable"), PLOT, "`stable` is not", id="the base"),
        pytest.param(
            replace(TREE, branch="x", upstream="origin/x"), PLOT, "`x` is not", id="it follows"
        ),
        pytest.param(
            replace(TREE, upstream="origin/hive/dev-1"), PLOT, "", id="its own, once pushed"
        ),
        pytest.param(
            replace(TREE, changed=(TORN, FILE)), PLOT, "1 file is in conflict: a.txt", id="stash"
        ),
    ],
)
def test_where_hive_may_commit(tree, plot, why):
    reason = allowed(tree, plot)

    assert why in reason and bool(why) == bool(reason)
    decision = decide(tree, plot, RHYTHM, SINCE, busy=False, now=NOW)
    assert (decision.step is Step.SAVE) == (not why)
    assert not why or decision.why == reason


@pytest.mark.parametrize(
    ("past", "busy", "step", "until"),
    [
        pytest.param(Past(), True, "nothing", NOW + 1800, id="just changed"),
        pytest.param(Past(since=NOW - 1799), True, "nothing", NOW + 1, id="not yet due"),
        pytest.param(SINCE, True, "ask", NOW + GRACE, id="due: it is asked"),
        pytest.param(SINCE, False, "save", 0, id="due, and idle: never asked"),
        pytest.param(
            replace(SINCE, asked=NOW - 299), True, "nothing", NOW + 1, id="it was asked just now"
        ),
        pytest.param(replace(SINCE, asked=NOW - 300), True, "save", 0, id="it did not commit"),
        pytest.param(replace(SINCE, asked=NOW - 10), False, "save", 0, id="asked, then idle"),
        pytest.param(
            replace(SINCE, asked=NOW - 9000), True, "ask", NOW + GRACE, id="asked for earlier ones"
        ),
        pytest.param(
            Past(since=NOW - 9000, tried=NOW - 60),
            False,
            "nothing",
            NOW + 1740,
            id="hive tried in vain",
        ),
        pytest.param(
            Past(since=NOW + 9000, asked=NOW + 9000),
            True,
            "nothing",
            NOW + 1800,
            id="the clock was set back",
        ),
    ],
)
def test_when_a_commit_is_due(past, busy, step, until):
    decision = decide(TREE, PLOT, RHYTHM, past, busy=busy, now=NOW)

    assert (decision.step, decision.until) == (step, until)
    assert decision.why


def test_its_own_commit_begins_the_time_anew():
    tree = replace(TREE, commits=(Commit(hash="c", at=NOW - 600, author="a", subject="s"),))

    decision = decide(tree, PLOT, RHYTHM, SINCE, busy=True, now=NOW)

    assert decision.until == NOW + 1200
    assert decision.why == "the next commit is due in 20m"


@pytest.mark.parametrize(
    ("tree", "rhythm", "why"),
    [
        pytest.param(replace(TREE, changed=()), RHYTHM, "nothing is to be committed", id="clean"),
        pytest.param(TREE, Rhythm(commit=0), "commits are off", id="off"),
        pytest.param(
            replace(TREE, changed=(SECRET,)), RHYTHM, "nothing is to be committed", id="refused"
        ),
    ],
)
def test_when_nobody_is_asked_at_all(tree, rhythm, why):
    decision = decide(tree, PLOT, rhythm, SINCE, busy=True, now=NOW)

    assert (decision.step, decision.why, decision.until) == (Step.NOTHING, why, 0)


def test_what_is_remembered_from_look_to_look():
    first = follow(Past(), TREE, NOW)
    told = replace(first, asked=NOW + 1, refused=(FILE,))

    assert first == Past(since=NOW)
    assert follow(first, TREE, NOW + 60) == follow(first, None, NOW + 60) == first
    assert follow(replace(first, asked=1), replace(TREE, changed=()), NOW) == Past()
    assert follow(told, TREE, NOW + 60) == Past(refused=(FILE,))
    other = replace(TREE, changed=(replace(FILE, bytes=11),))
    assert follow(told, other, NOW + 60) == replace(told, refused=())
    assert unsaved(other, told) == other.changed and unsaved(TREE, told) == ()


def _new(path, size=10, kind=Kind.UNTRACKED):
    return Changed(path=path, kind=kind, bytes=size)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (_new("src/a.py"), ""),
        (_new("data.bin", HUGE), ""),
        (_new("data.bin", HUGE + 1), "it is huge (9.5M)"),
        (_new("web/.env"), "name"),
        (_new(".env.local"), "name"),
        (_new(".ENV"), "name"),
        (_new(".env.example"), ""),
        (_new("environment.py"), ""),
        (_new("keys/server.pem"), "name"),
        (_new("id_rsa"), "name"),
        (_new("id_rsa.pub"), ""),
        (_new("credentials.json"), "name"),
        (_new("credentials.py"), ""),
        (_new("a.p12", kind=Kind.MODIFIED), "name"),
        (_new(".netrc"), "name"),
        (_new(".env", 0, Kind.DELETED), ""),
        (TORN, "conflict"),
        (_new("vendor/x", kind=Kind.SUBMODULE), "repository of its own"),
        (_new("node_modules/"), "a tool fetched"),
        (_new("web/node_modules/x/index.js"), "a tool fetched"),
        (_new("node_modules/x/index.js", kind=Kind.MODIFIED), ""),
        (_new("heap/"), "very many files"),
    ],
)
def test_what_is_refused_by_name_kind_and_size(one, why):
    found = chosen([one], {})

    assert found.files == (() if why else (one,))
    assert [why in said for _, said in found.refused] == ([True] if why else [])
    assert len(found.warnings) == len(found.refused)


MIXED = "a8Kd03jfQz71LmXw94TbVc62RyHn5PuEgSo0iZxG"
"""Forty characters that no two keys share; the keys are put together only here."""


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"-----BEGIN RSA PRIVATE KEY-----\n{MIXED}\n", "private key"),
        (f"-----BEGIN OPENSSH PRIVATE KEY-----\\n{MIXED}", "private key"),
        (f"-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\n\n{MIXED}", "private key"),
        (f"key = 'AKIA{MIXED.upper()[:16]}'", "AWS"),
        (f"ghp_{MIXED[:36]}", "GitHub"),
        (f"github_pat_{MIXED}{MIXED}", "GitHub"),
        (f"xoxb-0123456789-{MIXED[:12]}", "Slack"),
        (f"KEY=sk-ant-{'api03-'}{MIXED}", "Anthropic"),
        (f"sk-{MIXED}", "OpenAI"),
        (f"sk-proj-{MIXED}", "OpenAI"),
        (f"AIza{MIXED[:35]}", "Google"),
        ('if line == "-----BEGIN PRIVATE KEY-----":', ""),
        (f"-----BEGIN PUBLIC KEY-----\n{MIXED}", ""),
        (f"-----BEGIN CERTIFICATE-----\n{MIXED}", ""),
        ("key = AKIAIOSFODNN7EXAMPLE", ""),
        (f"ghp_{'x' * 36}", ""),
        (f"task-{MIXED}", ""),
        (".sk-spinner-double-bounce-with-a-very-long-name-indeed {}", ""),
        (f"sha256:{MIXED}{MIXED}", ""),
        ("see ghp_ and sk-ant- tokens", ""),
    ],
)
def test_what_is_refused_for_what_it_holds(text, what):
    for sample in (text, f"\0\n{text}".encode()):
        found = chosen([FILE], {FILE.path: sample})

        assert bool(found.refused) == bool(what)
        assert all(what in why for _, why in found.refused)


def test_a_rename_takes_both_paths():
    moved = Changed(path="b", kind=Kind.RENAMED, bytes=1, before="a")

    assert chosen([moved, FILE], {}).paths == ("b", "a", FILE.path)


changes = st.builds(
    Changed,
    path=st.text(st.characters(blacklist_categories=[]), min_size=1, max_size=20),
    kind=st.sampled_from(Kind),
    bytes=st.integers(0, 2 * HUGE),
)
moments = st.floats(0, 2 * NOW)
pasts = st.builds(Past, since=moments, asked=moments, tried=moments)
trees = st.builds(
    replace,
    st.just(TREE),
    changed=st.lists(changes, max_size=4).map(tuple),
    branch=st.sampled_from(["", "main", "hive/dev-1", "x"]),
    operation=st.sampled_from(["", "merge"]),
    upstream=st.sampled_from(["", "origin/x"]),
    linked=st.booleans(),
)


@given(st.lists(changes, max_size=6), st.dictionaries(st.just("a"), st.binary(max_size=40)))
def test_every_change_is_either_taken_or_refused_with_a_reason(changed, samples):
    found = chosen(changed, samples)

    assert sorted([*found.files, *(one for one, _ in found.refused)], key=repr) == sorted(
        changed, key=repr
    )
    assert all(why for _, why in found.refused)
    assert not any(one.kind in {Kind.CONFLICTED, Kind.SUBMODULE} for one in found.files)
    assert all(one.bytes <= HUGE or one.kind is Kind.DELETED for one in found.files)


@given(trees, st.sampled_from([PLOT, None]), pasts, st.booleans(), moments)
def test_no_idle_agent_is_asked_and_nothing_is_saved_where_it_must_not(tree, plot, past, busy, now):
    decision = decide(tree, plot, RHYTHM, past, busy=busy, now=now)

    assert decision.step is not Step.ASK or busy
    assert decision.step is Step.NOTHING or not allowed(tree, plot)
    assert decision.step is Step.NOTHING or unsaved(tree, past)
    assert decision.until == 0 or decision.until > now


@given(st.booleans(), st.floats(40, 900))
def test_looked_at_again_and_again_work_is_saved_in_time_after_one_question(busy, each):
    past, now, asked = Past(), NOW, 0
    while now <= NOW + RHYTHM.commit + GRACE + 2 * each:
        past = follow(past, TREE, now)
        decision = decide(TREE, PLOT, RHYTHM, past, busy=busy, now=now)
        if decision.step is Step.SAVE:
            break
        if decision.step is Step.ASK:
            past, asked = replace(past, asked=now), asked + 1
        now += each

    assert decision.step is Step.SAVE
    assert asked == (1 if busy else 0)


def test_what_a_commit_says():
    files = [FILE, Changed(path="b\nc", kind=Kind.RENAMED, before="\udce9"), SECRET]

    said = message(
        files,
        agent="frontend/dev-1",
        task="t-12",
        about="Fix the login bug\nand more",
        said="tests pass\nnext: docs",
    )

    assert said == (
        "checkpoint: t-12 Fix the login bug and more (3 files)\n"
        "\n"
        "Changed by frontend/dev-1, saved by hive because nobody had committed it.\n"
        "\n"
        "  modified    src/login.py\n"
        "  renamed     ? -> b c\n"
        "  untracked   .env\n"
        "\n"
        "It last said: tests pass next: docs\n"
        "\n"
        "Agent: frontend/dev-1\n"
        "Task: t-12\n"
        "Checkpoint-By: hive\n"
    )


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=40), st.integers(1, 400))
def test_a_message_is_one_short_line_and_trailers_whatever_is_said(about, said, task, files):
    text = message([FILE] * files, agent="a/b", task=task, about=about, said=said)

    first, empty, *rest = text.splitlines()
    assert first.startswith("checkpoint: ") and len(first) <= WIDEST and not empty
    assert rest[-1] == "Checkpoint-By: hive" and "Agent: a/b" in rest[-3:]
    assert len(rest) < 45
    text.encode()


@pytest.mark.parametrize(
    ("task", "about", "first"),
    [
        ("", "", "checkpoint: 1 file"),
        ("t-1", "", "checkpoint: t-1 (1 file)"),
        ("", "Tidy", "checkpoint: Tidy (1 file)"),
        ("t-1", "word " * 40, f"checkpoint: t-1 {'word ' * 8}word w… (1 file)"),
    ],
)
def test_the_first_line(task, about, first):
    assert message([FILE], agent="a/b", task=task, about=about).splitlines()[0] == first


def test_how_an_agent_is_asked():
    asked = request([FILE, TORN, SECRET, FILE], NOW - 1800, NOW)

    assert asked == (
        "Please commit your work when you are at a good point: 4 changed files (src/login.py, "
        "a.txt, .env and 1 more) for 30m without a commit. In 5m hive saves it as a checkpoint "
        "on your branch."
    )
