"""What 20 worktrees of a large repository cost, beside plain `git worktree add`: time and disk."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hive.adapters.git import git
from hive.adapters.plots import Stand
from hive.adapters.worktrees import prepare
from hive.core.rhythm import Plot

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

FILES, FOLDERS, TREES, ROUNDS = 10_000, 100, 20, 3
LINES = 40
"""How many lines each file has: about 2 kB."""


def repository(path: Path) -> Path:
    path.mkdir()
    git(["init", "-q", "-b", "main"], str(path))
    for number in range(FILES):
        file = path / f"d{number % FOLDERS}" / f"f{number}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"line of file {number}, and some more text in it\n" * LINES)
    who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    git(["add", "-A"], str(path), patience=600)
    git([*who, "commit", "-q", "-m", "all"], str(path), patience=600)
    git(["repack", "-a", "-d", "-q"], str(path), patience=600)
    return path


def of_hive(repo: Path, path: Path, name: str) -> None:
    plot = Plot(repo=str(repo), path=str(path), branch=f"hive/{name}")
    done = prepare(plot, os.environ, lambda _text: None, agent=f"p/t/{name}")
    assert done.state is Stand.READY


def of_git(repo: Path, path: Path, name: str) -> None:
    git(["worktree", "add", "-q", "-b", f"git/{name}", str(path)], str(repo), patience=600)


def disk(path: Path) -> int:
    return int(subprocess.check_output(["du", "-sk", str(path)], text=True).split()[0])


def measured(
    repo: Path, folder: Path, make: Callable[[Path, Path, str], None]
) -> tuple[list[float], int]:
    """Make so many worktrees; gives the seconds that each took, and how many kB all of them."""
    before, taken = disk(repo / ".git"), []
    for number in range(TREES):
        began = time.perf_counter()
        make(repo, folder / str(number), f"{folder.name}-{number}")
        taken.append(time.perf_counter() - began)
    return taken, disk(folder) + disk(repo / ".git") - before


def test_worktrees_of_a_large_repository(tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo")
    ways = {"git worktree add": of_git, "hive": of_hive}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    kilobytes: dict[str, list[int]] = {name: [] for name in ways}
    for turn in range(ROUNDS):
        for name, make in list(ways.items())[:: 1 - 2 * (turn % 2)]:  # in turn the first
            folder = tmp_path / f"{make.__name__}-{turn}"
            folder.mkdir()
            taken, kept = measured(repo, folder, make)
            seconds[name].append(sum(taken))
            kilobytes[name].append(kept)
            shutil.rmtree(folder)
            git(["worktree", "prune"], str(repo))
    print(f"\n{TREES} worktrees of {FILES} files, medians of {ROUNDS} rounds")
    times = {name: statistics.median(one) for name, one in seconds.items()}
    sizes = {name: statistics.median(one) / 1024 for name, one in kilobytes.items()}
    for name in ways:
        each = times[name] / TREES * 1000
        print(f"  {name:18} {times[name]:7.2f} s  {each:6.0f} ms each  {sizes[name]:8.1f} MB")
    plain, ours = ways
    print(f"  ratio: time {times[ours] / times[plain]:.2f}, disk {sizes[ours] / sizes[plain]:.3f}")
