"""The files of a launch: what its pane runs, and how that ended.

The root of a pane is a small launcher that reads `FOLDER/LAUNCH` and writes the exit code to
`FOLDER/LAUNCH.code`. `FOLDER/LAUNCH.held` is the lease of a launch that hive stops now and then:
see `hive.adapters.lease`. The environment travels in the file only: secrets are on no command line.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hive.core.spec import Agent
from hive.errors import HiveError

NEVER_BEGUN = 75
"""The exit code of a pane whose launch file was missing: nothing was reported, nothing ran."""

_HERE = Path(__file__).parent
_PRCTL = {"x86_64": 157, "aarch64": 167, "riscv64": 167, "ppc64le": 171, "s390x": 172}
_OF_THE_TERMINAL = frozenset(
    {"TMUX", "TMUX_PANE", "TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "COLUMNS", "LINES"}
)
_OF_THE_SHELL = frozenset({"PWD", "OLDPWD", "SHLVL", "_"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Berth:
    """Where a launch is put so that the kernel holds its limits.

    `join` are the files of groups that the launcher writes itself into before anything
    runs; `wrap` is a command put in front of the launcher's own (`systemd-run … --`).
    """

    join: tuple[str, ...] = ()
    wrap: tuple[str, ...] = ()


NOWHERE = Berth()
"""The berth of a launch that no kernel holds."""


def environment(
    spec: Agent, extra: Mapping[str, str], inherit: Mapping[str, str]
) -> dict[str, str]:
    """Give an agent's whole environment, but for what its terminal adds."""
    env = {
        key: value
        for key, value in inherit.items()
        if key not in _OF_THE_TERMINAL | _OF_THE_SHELL and not key.startswith("HIVE_")
    }
    return env | {"PWD": spec.directory} | dict(spec.env) | dict(extra)


def prepare(
    folder: Path,
    launch: str,
    spec: Agent,
    extra: Mapping[str, str],
    inherit: Mapping[str, str],
    berth: Berth = NOWHERE,
) -> tuple[str, ...]:
    """Write the launch file, and give the command that tmux is to run.

    `inherit` is the user's environment, `extra` what hive adds to it, `berth` where the kernel
    holds its limits. Raises `HiveError` where the file can't be written, and for a NUL in
    anything.
    """
    env = [f"{key}={value}" for key, value in environment(spec, extra, inherit).items()]
    prctl = _PRCTL.get(platform.machine(), 0) if sys.platform == "linux" else 0
    fields = ["hive 2", str(prctl), spec.directory]
    fields += [str(len(berth.join)), *berth.join, str(len(env)), *env, *spec.argv, "end"]
    if any("\0" in field for field in fields):
        raise HiveError("a NUL character can't be given to a program", where=spec.id)
    file = folder / launch
    try:
        _write(file, os.fsencode("\0".join(fields)))
    except OSError as error:
        raise HiveError(f"can't write it: {error.strerror}", where=str(file)) from error
    return (*berth.wrap, *launcher(file))


def launcher(file: Path, perl: str | None = None) -> tuple[str, ...]:
    """Give the command that runs a launch file; `perl` starts in 2 ms, Python in 20."""
    found = shutil.which("perl") if perl is None else perl
    if found:
        return (found, str(_HERE / "launcher.pl"), str(file))
    return (sys.executable, "-ISE", str(_HERE / "launcher.py"), str(file))


def report(folder: Path, launch: str) -> int | None:
    """Give the exit code a launch reported, -N for signal N; None while it has not."""
    try:
        return int((folder / f"{launch}.code").read_text())
    except (FileNotFoundError, ValueError):
        return None


def forget(folder: Path, keep: Collection[str]) -> None:
    """Delete the files of all launches but these."""
    for file in folder.glob("*"):
        if file.name.partition(".")[0] not in keep:
            with suppress(FileNotFoundError):  # its launcher may be renaming it
                file.unlink()


def _write(file: Path, data: bytes) -> None:
    """Write it whole or not at all, readable for its owner only."""
    draft = file.with_name(f"{file.name}.new")
    with suppress(FileNotFoundError):  # what an earlier writer may have left
        draft.unlink()
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as out:
        out.write(data)
    draft.replace(file)
