"""What the benches share: agents that tell when they really run, other tools, tables of results.

An agent's first act is to write its pid and the time, in one line, to a file of its own: nothing
counts as started before that. Other tools live in an environment of their own, made when first
asked for.
"""

from __future__ import annotations

import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hive.adapters import groups
from tests.conftest import ROOT, Corner, eventually

OTHERS = ROOT / ".venv" / "bench"
PACKAGES = ("libtmux==0.62.0", "supervisor", "tmuxp")
LONG = 600.0


def command(stamps: Path, name: str) -> str:
    """Give a shell command that says that it runs, and then sleeps."""
    script = f"echo $$ $EPOCHREALTIME >> {shlex.quote(str(stamps / name))}; exec sleep 99999"
    return f"exec bash -c {shlex.quote(script)}"


def starts(stamps: Path, name: str) -> list[tuple[int, float]]:
    """Give the pid and the time (epoch seconds) of every start of an agent, oldest first."""
    file = stamps / name
    lines = file.read_text().splitlines() if file.exists() else []
    return [(int(pid), float(at)) for pid, at in (line.split() for line in lines)]


def all_started(stamps: Path, names: Sequence[str], since: float) -> float:
    """Wait until all have started, and give how many seconds after `since` the last one did."""
    eventually(lambda: all((stamps / name).exists() for name in names), timeout=LONG, pause=0.01)
    eventually(lambda: all(starts(stamps, name) for name in names), timeout=LONG)
    return max(starts(stamps, name)[-1][1] for name in names) - since


def fresh(path: Path) -> Path:
    """Make a folder for the stamps of one round."""
    path.mkdir(parents=True)
    return path


def others() -> Path:
    """Give the folder with the programs of the other tools, installed on first use."""
    programs = OTHERS / "bin"
    if not (programs / "supervisord").exists() or not (programs / "tmuxp").exists():
        print(f"\ninstalling {', '.join(PACKAGES)} for comparison")
        subprocess.run([sys.executable, "-m", "venv", str(OTHERS)], check=True)
        pip = [str(programs / "pip"), "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES], check=True)
    return programs


class Supervisord:
    """A supervisord of one corner, whose programs can be exchanged while it runs."""

    def __init__(self, corner: Corner) -> None:
        self._corner = corner
        self._programs = others()
        self._file = corner.path / "supervisord.conf"

    def write(self, programs: Mapping[str, str]) -> None:
        """Write what it should run: a shell command by name."""
        path = self._corner.path
        text = (
            f"[supervisord]\nlogfile={path}/supervisord.log\npidfile={path}/supervisord.pid\n"
            f"nodaemon=true\n[unix_http_server]\nfile={path}/supervisord.sock\n"
            "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory="
            "supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[supervisorctl]\nserverurl=unix://{path}/supervisord.sock\n"
        )
        for name, line in programs.items():
            shell = f"sh -c {shlex.quote(line)}".replace("%", "%%")
            text += f"[program:{name}]\ncommand={shell}\nautorestart=true\nstartsecs=0\n"
            text += "stdout_logfile=NONE\nstderr_logfile=NONE\n"
        self._file.write_text(text)

    def start(self) -> None:
        """Start the daemon, and wait until it answers."""
        line = [str(self._programs / "supervisord"), "-c", str(self._file)]
        null = subprocess.DEVNULL
        self._daemon = subprocess.Popen(line, env=self._corner.env, stdout=null, stderr=null)
        eventually(lambda: self.control("pid").returncode == 0)

    def control(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run supervisorctl."""
        line = [str(self._programs / "supervisorctl"), "-c", str(self._file), *words]
        return subprocess.run(
            line, env=self._corner.env, capture_output=True, text=True, timeout=LONG, check=False
        )

    def stop(self) -> None:
        """End the daemon and what it runs."""
        self.control("shutdown")
        self._daemon.wait(timeout=LONG)


@contextmanager
def supervisord(corner: Corner, programs: Mapping[str, str]) -> Iterator[Supervisord]:
    """Run a supervisord with these programs (a shell command by name)."""
    one = Supervisord(corner)
    one.write(programs)
    one.start()
    yield one
    one.stop()


def timed(act: Callable[[], object]) -> float:
    """Give how many seconds it takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def kernel() -> str:
    """Name the kernel's best means here as HIVE_LIMITS does; "" where there is none."""
    found = groups.find("bench000", {})
    if found.groups:
        found.groups.leave()
    return {name: word for word, name in groups.WORDS.items()}[found.name]


def p90(values: Sequence[float]) -> float:
    """Give the value that nine of ten do not exceed."""
    return sorted(values)[min(len(values) - 1, round(0.9 * (len(values) - 1)))]


def table(title: str, rows: Mapping[str, Sequence[float]], unit: str = "ms") -> None:
    """Print medians, p90 and the ratio to the first row; values are in `unit` as they are."""
    print(f"\n{title}\n{'':34}{'median':>11}{'p90':>11}{'ratio':>8}   n")
    base = statistics.median(next(iter(rows.values())))
    for name, values in rows.items():
        middle = statistics.median(values)
        ratio = f"{middle / base:.1f}x" if base else "-"
        print(f"{name:34}{middle:>8.1f} {unit}{p90(values):>8.1f} {unit}{ratio:>8}{len(values):>4}")


def milliseconds(values: Sequence[float]) -> list[float]:
    """Give seconds as milliseconds."""
    return [value * 1000 for value in values]


def told(what: str, values: Sequence[float]) -> None:
    """Print the median and the p99 of so many seconds, in milliseconds."""
    found = sorted(values)
    p50, p99 = (found[min(len(found) - 1, int(len(found) * share))] for share in (0.5, 0.99))
    print(f"{what:32} p50 {p50 * 1000:7.2f} ms   p99 {p99 * 1000:7.2f} ms   n {len(found)}")
