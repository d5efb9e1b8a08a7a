"""Scopes of a real systemd user session, private to the test, where one can be started.

It runs in a cgroup and a mount namespace of its own. It has the controllers that the machine
gives version 2 of control groups; where it has none, limits are told to it but not held.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from hive.adapters import scopes
from hive.adapters.hierarchies import places
from hive.adapters.scopes import Scopes
from hive.adapters.systemd import Bus
from hive.core.limits import Limits
from hive.errors import HiveError
from tests.conftest import eventually, group_name

SYSTEMD = Path("/lib/systemd/systemd")
AGENT = "Task/frontend/dev-1"
LIMITS = Limits(cpu=0.5, memory=512 << 20)

START = """
set -e
echo $$ >"$GROUP/cgroup.procs"
mount -t tmpfs tmpfs /run/systemd
mkdir /run/systemd/system
mount -t cgroup2 none /sys/fs/cgroup
exec "$SYSTEMD" --user --unit=basic.target --log-target=null
"""

UNITS = {
    "basic.target": "[Unit]\nWants=dbus.socket\nAfter=dbus.socket\n",
    "dbus.socket": "[Socket]\nListenStream=%t/bus\n",
    "dbus.service": (
        "[Unit]\nRequires=dbus.socket\n[Service]\nType=notify\nNotifyAccess=main\n"
        "ExecStart=/usr/bin/dbus-daemon --session --address=systemd: --nofork --nopidfile"
        " --systemd-activation --syslog-only\n"
    ),
}


class Session:
    """A systemd of the test's own, and the processes that are to be put into scopes."""

    def __init__(self, path: Path, group: Path) -> None:
        self.environ = os.environ | {"XDG_RUNTIME_DIR": str(path)}
        self.group = group
        self.bus = Bus(socket=str(path / "bus"))
        self.started: list[subprocess.Popen[str]] = []

    def scopes(self, instance: str = "0123abcd") -> Scopes:
        return Scopes(instance, self.bus, f"{self.group}/hive.slice")

    def run(self, *words: str) -> subprocess.Popen[str]:
        """Start a process inside the session's own group."""
        one = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.environ
        )
        self.started.append(one)
        return one

    def shown(self, unit: str, *names: str) -> list[str]:
        """Ask systemd what it knows of a unit."""
        words = [f"--property={name}" for name in names]
        done = subprocess.run(
            ["systemctl", "--user", "show", unit, *words],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return sorted(done.stdout.split("\n")[:-1])


def mount() -> str:
    """Give where version 2 of control groups is mounted, "" where it is not."""
    if sys.platform != "linux":
        return ""
    found = places(Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text())
    return found[""].mount if "" in found else ""


def hindrance() -> str:
    """Say why no systemd can be started here."""
    programs = ("systemctl", "busctl", "dbus-daemon", "unshare", "mount")
    missing = [one for one in (str(SYSTEMD), *programs) if not shutil.which(one)]
    if missing:
        return f"{missing[0]} is not installed"
    if os.geteuid() != 0:
        return "it takes root"
    if not mount() or not Path("/run/systemd").is_dir():
        return "there is no cgroup v2, or no /run/systemd"
    return ""


@pytest.fixture
def session(short_path: Path) -> Iterator[Session]:
    why = hindrance()
    if why:
        pytest.skip(f"no private systemd: {why}")
    units = short_path / "units"
    units.mkdir()
    for name, text in UNITS.items():
        (units / name).write_text(text)
    group = Path(mount(), f"hive-{group_name()}")
    group.mkdir()
    one = Session(short_path, group)
    try:
        if not (group / "cgroup.kill").exists():
            pytest.skip("no private systemd: this kernel can't end a group at once")
        env = one.environ | {
            "GROUP": str(group),
            "SYSTEMD": str(SYSTEMD),
            "HOME": str(short_path),
            "SYSTEMD_UNIT_PATH": str(units),
        }
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", START]
        boss = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL)
        one.started.append(boss)
        eventually(lambda: (short_path / "bus").exists() or boss.poll() is not None)
        if boss.poll() is not None:
            pytest.skip("no private systemd: this machine does not let one start")
        yield one
    finally:
        for process in one.started:
            process.kill()
            with process:
                pass
        eventually(lambda: gone(group))


def gone(group: Path) -> bool:
    """End all that is in a group, and remove it; False where something is still ending."""
    (group / "cgroup.kill").write_text("1")
    below = sorted((one for one in group.rglob("*") if one.is_dir()), reverse=True)
    try:
        for one in (*below, group):
            one.rmdir()
    except OSError:  # what was killed takes a moment to leave
        return False
    return True


def wrapped(session: Session, groups: Scopes, launch: str, *words: str) -> subprocess.Popen[str]:
    """Start a launch as its pane would."""
    return session.run(*groups.prepare(AGENT, launch, LIMITS).wrap, *words)


def test_a_launch_runs_in_a_scope_with_its_limits_from_its_first_moment(session: Session):
    groups = session.scopes()

    one = wrapped(session, groups, "1-aa", "sh", "-c", "cat /proc/self/cgroup; exec cat", "x")

    lines = iter(one.stdout.readline, "")
    assert (
        next(line for line in lines if line.startswith("0::"))
        .rstrip()
        .endswith("/hive.slice/hive-0123abcd.slice/hive-0123abcd-1-aa.scope")
    )
    eventually(lambda: groups.holds(AGENT, "1-aa") == {one.pid})
    assert session.shown(
        "hive-0123abcd-1-aa.scope",
        *("CPUQuotaPerSecUSec", "MemoryMax", "MemorySwapMax", "TasksMax", "OOMPolicy"),
        *("CollectMode", "Description"),
    ) == [
        "CPUQuotaPerSecUSec=500ms",
        "CollectMode=inactive-or-failed",
        f"Description=hive: {AGENT}",
        f"MemoryMax={512 << 20}",
        "MemorySwapMax=0",
        "OOMPolicy=continue",
        "TasksMax=10000",
    ]


def test_what_a_launch_is_given_reaches_it_unchanged(session: Session):
    words = ("a b", "$$", "'", '"', "*", "", "\n")

    one = wrapped(session, session.scopes(), "1-aa", "printf", "[%s]", *words)

    assert one.communicate(timeout=60)[0] == "".join(f"[{word}]" for word in words)


def test_a_launch_that_fails_runs_once_and_its_code_is_kept(session: Session):
    one = wrapped(session, session.scopes(), "1-aa", "sh", "-c", "echo once; exit 7")

    assert one.communicate(timeout=60)[0] == "once\n"
    assert one.returncode == 7


def test_a_scope_goes_with_its_last_process(session: Session):
    groups = session.scopes()
    one = wrapped(session, groups, "1-aa", "cat")
    eventually(lambda: groups.holds(AGENT, "1-aa"))

    one.stdin.close()

    eventually(lambda: not groups.holds(AGENT, "1-aa"))
    unit = "hive-0123abcd-1-aa.scope"
    eventually(lambda: session.shown(unit, "LoadState") == ["LoadState=not-found"])


@pytest.mark.parametrize("socket_", ["nobody", ""])
def test_a_launch_runs_without_a_scope_where_systemd_is_gone(short_path: Path, socket_):
    if sys.platform != "linux":
        pytest.skip("only Linux has systemd")
    groups = Scopes("0123abcd", Bus(socket=str(short_path / socket_)), str(short_path))
    wrap = groups.prepare(AGENT, "1-aa", LIMITS).wrap

    done = subprocess.run(
        [*wrap, "sh", "-c", "echo ran; exit 3"], capture_output=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (3, b"ran\n", b"")
    assert groups.holds(AGENT, "1-aa") == frozenset()
    assert groups.use(AGENT, "1-aa") is None
    assert groups.kill(AGENT, "1-aa") is False


def test_limits_change_while_it_runs(session: Session):
    groups = session.scopes()
    wrapped(session, groups, "1-aa", "cat")
    eventually(lambda: groups.holds(AGENT, "1-aa"))

    groups.set(AGENT, "1-aa", Limits(cpu=0.25))

    shown = session.shown("hive-0123abcd-1-aa.scope", "CPUQuotaPerSecUSec", "MemoryMax")
    assert shown == ["CPUQuotaPerSecUSec=250ms", "MemoryMax=infinity"]


def test_nothing_is_asked_where_nothing_changed(session: Session):
    groups = session.scopes()
    wrapped(session, groups, "1-aa", "cat")
    eventually(lambda: groups.holds(AGENT, "1-aa"))
    groups.ceiling(2.0, None)
    groups._bus = replace(session.bus, busctl="false")

    groups.set(AGENT, "1-aa", LIMITS)
    groups.ceiling(2.0, None)

    with pytest.raises(HiveError, match="refuses SetUnitProperties"):
        groups.set(AGENT, "1-aa", Limits(cpu=0.25))


def test_running_processes_are_adopted_with_what_descends_from_them(session: Session):
    groups = session.scopes()
    one = session.run("sh", "-c", "sleep 600 & echo; wait")
    one.stdout.readline()
    ended = session.run("true")
    ended.wait(60)

    groups.set(AGENT, "1-aa", LIMITS)
    groups.adopt(AGENT, "1-aa", [one.pid, ended.pid])

    assert len(groups.holds(AGENT, "1-aa")) == 2
    assert one.pid in groups.holds(AGENT, "1-aa")
    shown = session.shown("hive-0123abcd-1-aa.scope", "MemoryMax")
    assert shown == [f"MemoryMax={512 << 20}"]


def test_another_process_is_adopted_into_a_scope_that_is_there(session: Session):
    groups = session.scopes()
    one = wrapped(session, groups, "1-aa", "cat")
    eventually(lambda: groups.holds(AGENT, "1-aa"))
    stray = session.run("cat")

    groups.adopt(AGENT, "1-aa", [stray.pid])

    eventually(lambda: groups.holds(AGENT, "1-aa") == {one.pid, stray.pid})


def test_what_has_ended_is_not_adopted(session: Session):
    groups = session.scopes()
    ended = session.run("true")
    ended.wait(60)

    groups.set(AGENT, "1-aa", LIMITS)
    groups.adopt(AGENT, "1-aa", [ended.pid])

    assert groups.holds(AGENT, "1-aa") == frozenset()


def test_kill_ends_all_that_is_inside_and_nothing_else(session: Session):
    groups = session.scopes()
    one = wrapped(session, groups, "1-aa", "sh", "-c", "setsid sleep 600 & echo; exec cat")
    other = wrapped(session, groups, "1-bb", "cat")
    one.stdout.readline()
    eventually(lambda: len(groups.holds(AGENT, "1-aa")) == 2)
    eventually(lambda: groups.holds(AGENT, "1-bb"))

    assert groups.kill(AGENT, "1-aa") is True

    assert one.wait(60) == -9
    eventually(lambda: not groups.holds(AGENT, "1-aa"))
    assert other.pid in groups.holds(AGENT, "1-bb")


def test_the_use_of_a_launch_is_known_also_when_its_scope_is_gone_until_it_is_tidied(
    session: Session,
):
    groups = session.scopes()
    loop = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo; read x"
    one = wrapped(session, groups, "1-aa", "sh", "-c", loop)
    one.stdout.readline()

    running = groups.use(AGENT, "1-aa")
    one.stdin.close()
    eventually(lambda: not groups.holds(AGENT, "1-aa"))

    assert running is not None
    assert running.cpu > 0
    eventually(lambda: not groups._there("1-aa"))
    assert groups.use(AGENT, "1-aa") == running
    groups.tidy(())
    assert groups.use(AGENT, "1-aa") is None


def test_the_ceiling_is_the_slices_and_goes_with_it(session: Session):
    groups = session.scopes()

    groups.ceiling(2.0, 4 << 30)

    names = ("CPUQuotaPerSecUSec", "MemoryMax", "ActiveState")
    unit = "hive-0123abcd.slice"
    held = ["ActiveState=active", "CPUQuotaPerSecUSec=2s", f"MemoryMax={4 << 30}"]
    free = ["ActiveState=inactive", "CPUQuotaPerSecUSec=infinity", "MemoryMax=infinity"]
    assert eventually(lambda: session.shown(unit, *names)) == held
    groups.leave()
    eventually(lambda: session.shown(unit, *names) == free)


def test_a_slice_in_which_something_runs_is_not_left(session: Session):
    groups = session.scopes()
    one = wrapped(session, groups, "1-aa", "cat")
    eventually(lambda: groups.holds(AGENT, "1-aa"))

    groups.leave()

    eventually(lambda: groups.holds(AGENT, "1-aa") == {one.pid})
    assert one.poll() is None


def test_what_systemd_refuses_is_told(session: Session):
    with pytest.raises(HiveError, match="refuses StopUnit") as caught:
        session.bus.call("StopUnit", "ss", "no-such.slice", "never")

    assert caught.value.fix


def test_a_session_is_used_only_if_it_has_the_controllers(session: Session):
    has = set((session.group / "cgroup.controllers").read_text().split())

    groups, why = scopes.find("0123abcd", session.environ)

    missing = [one for one in ("memory", "cpu") if one not in has]
    assert why == (f"its user manager has no {' and no '.join(missing)} controller" * bool(missing))
    assert bool(groups) is not bool(missing)
    left = lambda: [one.name for one in session.group.glob("hive.slice/*") if one.is_dir()]
    eventually(lambda: left() == [])


def test_without_a_session_the_answer_is_why(short_path: Path):
    if sys.platform != "linux":
        pytest.skip("only Linux has systemd")
    unset = scopes.find("0123abcd", {})
    empty = scopes.find("0123abcd", {"XDG_RUNTIME_DIR": str(short_path)})
    (short_path / "systemd").mkdir()
    with closing(socket.socket(socket.AF_UNIX)) as private:
        private.bind(str(short_path / "systemd" / "private"))
        without = scopes.find("0123abcd", {"XDG_RUNTIME_DIR": str(short_path)})

    assert unset == (None, "no systemd user session: XDG_RUNTIME_DIR is not set")
    assert empty == (None, f"no systemd user session: none runs in {short_path}")
    assert without == (None, f"its user session has no D-Bus: {short_path}/bus is not there")
