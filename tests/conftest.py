"""What every test may ask for, and the check that a whole run leaves nothing behind.

Everything a run starts bears TEST_RUN in its environment, and everything a corner starts also
TEST_CORNER: so it is found and ended whoever its parent is by then. All files a run makes are in
one short folder (a socket's path can't be long), and so is tmux's default socket: no test can
reach the tmux server of the person who runs it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import psutil
import pytest
import tomli_w

from hive.adapters import hierarchies

ROOT = Path(__file__).resolve().parent.parent
WORKER = "exec(eval(sys.stdin.readline()))"
"""What the command of a worker of pytest-xdist shows: it is no leftover."""

ROOMY = {"admission": False}

T = TypeVar("T")
Found = list[tuple[int, str]]


def eventually(condition: Callable[[], T], timeout: float = 60, pause: float = 0.05) -> T:
    """Wait until `condition()` is true and give its value; fail after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s; the last value was {value!r}")
        time.sleep(pause)
    return value


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., Any]:
    return eventually


def tagged(name: str, value: str) -> Found:
    """Find the living processes started with this variable: pid and command of each."""
    found = []
    for process in psutil.process_iter(["environ", "cmdline", "status"]):
        seen = process.info
        if (seen["environ"] or {}).get(name) == value and seen["status"] != psutil.STATUS_ZOMBIE:
            found.append((process.pid, " ".join(seen["cmdline"] or ())))
    return found


def end(find: Callable[[], Found], timeout: float = 30) -> None:
    """End what `find` gives until two looks in a row give nothing, supervisors first."""
    calm, until = 0, time.monotonic() + timeout
    while calm < 2:  # one look may miss a process that is just becoming another program
        found = find()
        calm = 0 if found else calm + 1
        for pid, _ in sorted(found, key=lambda one: "hive" not in one[1]):
            with suppress(ProcessLookupError):  # it ended by itself
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > until:
            raise AssertionError(f"these can't be ended: {found}")
        time.sleep(0.05)


def kernel_groups(pattern: str) -> list[Path]:
    """Find the kernel's groups named so, where a hive started here could have made them."""
    mounts, member = Path("/proc/self/mountinfo"), Path("/proc/self/cgroup")
    if not mounts.exists():
        return []
    known = hierarchies.places(os.fsdecode(mounts.read_bytes()), os.fsdecode(member.read_bytes()))
    folders = {
        folder
        for place in known.values()
        for folder in (Path(place.own), *Path(place.own).parents)
        if folder.is_relative_to(place.mount)
    }
    return sorted(path for folder in folders for path in folder.glob(pattern))


def group_name() -> str:
    """Give an instance's name for groups of a test's own; the run looks whether they are gone."""
    return f"test-{os.environ['TEST_RUN'][:8]}-{uuid4().hex[:8]}"


class Corner:
    """A private world for the whole tool: its own home, state, tmux server and environment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tag = uuid4().hex
        self.file = path / "hive.toml"
        self.home = path / "home"
        self.state = path / "state"
        self.socket = path / "tmux.sock"
        for folder in (self.home, path / "tmux"):
            folder.mkdir()
        self.env = self._environment()
        self._started: list[subprocess.Popen[str]] = []

    def _environment(self) -> dict[str, str]:
        strange = ("HIVE_", "TMUX", "XDG_", "PYTEST_", "LC_", "PYTHONUNBUFFERED")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(strange)}
        return kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "HIVE_STATE": str(self.state),
            "HIVE_LIMITS": "portable",
            "TMUX_TMPDIR": str(self.path / "tmux"),
            "TEST_CORNER": self.tag,
            "NO_COLOR": "1",
            "COLUMNS": "120",
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
        }

    def run(
        self, *words: str, timeout: float = 90, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run `hive WORDS` as a command of its own; `options` go to `subprocess.run`."""
        given = {"cwd": self.path, "env": self.env, "stdin": subprocess.DEVNULL} | options
        if "input" in given:
            del given["stdin"]
        command = [sys.executable, "-m", "hive", *words]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False, **given
        )

    def start(self, *words: str, stdout: Any = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start `hive WORDS` and go on; both outputs come together."""
        process = subprocess.Popen(
            [sys.executable, "-m", "hive", *words],
            cwd=self.path,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._started.append(process)
        return process

    def hive(self, *words: str, code: int = 0) -> str:
        """Run `hive WORDS`, expect this exit code, give what it prints on both outputs."""
        done = self.run(*words)
        text = done.stdout + done.stderr
        assert done.returncode == code, self._told(words, done.returncode, text)
        return text

    def _told(self, words: Iterable[str], code: int, text: str) -> str:
        """Say what a command that failed printed, and what the supervisor wrote until then."""
        log = self.state / "supervisor.log"
        lines = log.read_text(errors="replace").splitlines()[-60:] if log.exists() else ["none"]
        return "\n".join([f"hive {' '.join(words)}: {code}", text, "supervisor.log:", *lines])

    def json(self, *words: str) -> Any:
        """Run `hive WORDS --json` and give what it answers; its exit code may be any."""
        done = self.run(*words, "--json")
        try:
            return json.loads(done.stdout)
        except ValueError:
            text = done.stdout + done.stderr
            raise AssertionError(f"hive {' '.join(words)} --json gave no JSON:\n{text}") from None

    def write(self, teams: Mapping[str, Mapping[str, Any]], **top: Any) -> Path:
        """Write `hive.toml`: project `Task`, this corner's tmux server, these teams.

        A team is its table, or just its agents. Nobody waits for room on a busy machine unless
        `limits` says so.
        """
        tmux = {"socket": str(self.socket)}
        tables = {name: one if "agents" in one else {"agents": one} for name, one in teams.items()}
        self.file.write_text(
            tomli_w.dumps(
                {"project": "Task", "tmux": tmux, "limits": ROOMY, **top, "teams": tables}
            )
        )
        return self.file

    def agents(self) -> dict[str, dict[str, Any]]:
        """Give what `hive status` says of each agent, by `team/name`."""
        return {one["agent"]: one for one in self.json("status")["agents"]}

    def agent(self, name: str) -> dict[str, Any]:
        """Give what `hive status` says of the agent `team/name`."""
        return self.agents()[name]

    def tmux(self, *words: str) -> str:
        """Run a tmux command on the corner's server; "" where there is no server."""
        command = ["tmux", "-S", str(self.socket), *words]
        done = subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=30, check=False
        )
        return done.stdout.rstrip("\n")

    def processes(self) -> Found:
        """Find every process this corner started that still lives: pid and command of each."""
        return tagged("TEST_CORNER", self.tag)

    def groups(self) -> list[Path]:
        """Find the groups in which the kernel holds this corner's launches."""
        name = self.state / "instance"
        return kernel_groups(f"hive-{name.read_text().strip()}*") if name.exists() else []

    def close(self) -> None:
        """End everything this corner started, hive or not; it must have left no group."""
        end(self.processes)
        for process in self._started:
            process.communicate(timeout=30)
        left = self.groups()
        for group in left:
            for path in (*group.glob("*/"), group):
                eventually(partial(hierarchies.removed, str(path)))
        assert not left, "its supervisor was not to use the kernel's groups, or to remove them"


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Give a folder with a path short enough for sockets; it is removed at the end."""
    path = Path(tempfile.mkdtemp(dir=os.environ["TEST_FOLDER"], prefix=""))
    yield path
    _remove(path)


@pytest.fixture
def corner(short_path: Path) -> Iterator[Corner]:
    """Give a private world for `hive`; whatever was started in it is ended."""
    one = Corner(short_path)
    yield one
    one.close()


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return  # it has the environment of the run that started it
    for name in [name for name in os.environ if name.startswith(("HIVE_", "TMUX"))]:
        del os.environ[name]
    folder = tempfile.mkdtemp(prefix="hv-", dir="/tmp")
    os.environ["TEST_RUN"] = uuid4().hex
    os.environ["TEST_FOLDER"] = folder
    os.environ["TMUX_TMPDIR"] = folder


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        _remove(Path(os.environ["TEST_FOLDER"]))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):
        return  # other workers still run: the one that started them looks at the end
    leftovers = _leftovers()
    session.config.stash[LEFT] = leftovers
    if leftovers:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        end(_still_there)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    left = config.stash.get(LEFT, [])
    if left:
        terminalreporter.section("LEFT BEHIND: the run fails", red=True)
    for line in left:
        terminalreporter.line(line)


LEFT = pytest.StashKey[list[str]]()


def _still_there() -> Found:
    found = tagged("TEST_RUN", os.environ["TEST_RUN"])
    return [(pid, command) for pid, command in found if WORKER not in command]


def _leftovers() -> list[str]:
    """Say what the run has left: processes, after a time to end by themselves, and files."""
    with suppress(AssertionError):  # then they are named below
        eventually(lambda: not _still_there(), timeout=30)
    left = [f"process {pid}: {command}" for pid, command in _still_there()]
    left += [f"group {path}" for path in kernel_groups(f"hive-test-{os.environ['TEST_RUN'][:8]}*")]
    folder = Path(os.environ["TEST_FOLDER"])
    servers = folder / f"tmux-{os.getuid()}"
    left += [f"folder {path}" for path in folder.iterdir() if path != servers]
    if (servers / "default").exists():
        left.append("a test started the default tmux server")
    return left


def _remove(path: Path) -> None:
    """Remove a folder, even where a test took away the right to look into it."""
    for folder in [path, *(one for one in path.rglob("*") if one.is_dir())]:
        if not folder.is_symlink():
            folder.chmod(0o700)
    shutil.rmtree(path)
