"""Worktrees from the command line: what is asked for, waited for, refused and shown."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from hive.cli import worktrees
from hive.errors import HiveError, WrongInput

ONE = {
    "agent": "t/dev", "id": "p/t/dev", "wanted": "down", "path": "/w/dev", "branch": "hive/t/dev",
    "repo": "/r", "doing": "", "trouble": "", "stays": "", "state": "ready", "reason": "",
    "base": "1" * 40, "into": "main", "uncommitted": ["new"], "operation": "", "commits": [],
    "unmerged": 0, "unpushed": 0, "stashes": [], "inside": [], "lost": "1 file (new) not committed",
}  # fmt: skip
MERGED = {
    "agent": "t/dev", "branch": "hive/t/dev", "into": "main", "commit": "2" * 40, "commits": 2,
    "files": 1, "check": "",
}  # fmt: skip


def job(verb, state="done", *, said="", result=None, error=None):
    return {
        "version": 1, "job": "w-1", "verb": verb, "agent": "t/dev", "state": state, "said": said,
        "since": "", "result": result, "error": error,
    }  # fmt: skip


def run(*words):
    app = typer.Typer()
    for name in ("list_", "diff", "merge", "drop", "finish"):
        app.command(name.rstrip("_"))(getattr(worktrees, name))
    return CliRunner().invoke(app, words, catch_exceptions=False)


def test_a_list_is_what_was_looked_at_just_now(supervisor):
    supervisor.answers = {
        "worktrees": {"version": 1, "job": "w-1", "worktrees": []},
        "worktree_job": [job("look", "running"), job("look", result={"worktrees": [ONE]})],
    }
    done = run("list", "t/dev")
    assert "t/dev" in done.stdout and "1 file not committed" in done.stdout
    assert supervisor.asked[0] == ("worktrees", {"names": ["t/dev"]})
    assert json.loads(run("list", "--json").stdout) == {"version": 1, "worktrees": [ONE]}


def test_a_finish_is_waited_for_and_says_that_nothing_checked_it(supervisor):
    result = {"merged": MERGED, "dropped": None, "stays": ""}
    running = job("finish", "running", said="git merges hive/t/dev into main")
    supervisor.answers = {
        "finish": {"version": 1, "job": "w-1"},
        "worktree_job": [running, job("finish", result=result)],
    }
    done = run("finish", "t/dev", "--into", "main")
    assert "merged into main: 2 commits, 1 file; no `--check` was run" in done.stdout
    asked = {"name": "t/dev", "into": "main", "check": "", "keep": False}
    assert supervisor.asked[0] == ("finish", asked)
    assert "hive is at it" in run("finish", "t/dev", "--no-wait").stdout


def test_what_a_job_met_is_told_as_if_it_were_done_here(supervisor):
    error = {"code": 1, "what": "1 file can't be merged", "where": "", "fix": "do it"}
    supervisor.answers = {
        "worktree_merge": {"version": 1, "job": "w-1"},
        "worktree_job": job("merge", "failed", error=error),
    }
    with pytest.raises(HiveError, match="1 file can't be merged\n  next: do it"):
        run("merge", "t/dev")


def test_force_says_what_would_be_lost_and_asks(supervisor):
    supervisor.answers = {
        "worktrees": {"version": 1, "job": "w-1", "worktrees": []},
        "worktree_job": job("look", result={"worktrees": [ONE]}),
    }
    with pytest.raises(WrongInput, match="add --yes"):
        run("drop", "t/dev", "--force")
    assert "worktree_drop" not in dict(supervisor.asked)


def test_a_forced_drop_says_which_command_brings_all_back(supervisor):
    result = {
        "agent": "t/dev", "path": "/w/dev", "branch": "hive/t/dev", "branch_deleted": True,
        "bundle": "/b/x.bundle", "restore": "git fetch /b/x.bundle a:a", "lost": "1 file",
        "warnings": [],
    }  # fmt: skip
    supervisor.answers = {
        "worktrees": {"version": 1, "job": "w-1", "worktrees": []},
        "worktree_drop": {"version": 1, "job": "w-2"},
        "worktree_job": [job("look", result={"worktrees": [ONE]}), job("drop", result=result)],
    }
    done = run("drop", "t/dev", "--force", "--yes")
    assert "git fetch /b/x.bundle a:a" in done.stdout
    assert ("worktree_drop", {"name": "t/dev", "force": True}) in supervisor.asked
