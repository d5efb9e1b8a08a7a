"""What could keep hive from working here, each with what to do about it.

It looks and changes nothing. A finding is good, bad, or a note that asks for nothing.
"""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hive.adapters import channel, emergency, groups, profiles, scan, traps
from hive.adapters.machine import Machine
from hive.adapters.state import SOCKET_BYTES, State, holder
from hive.core.limits import reserve_of
from hive.core.wording import count, size
from hive.errors import HiveError, TimedOut, WrongInput

ANSWER = 5.0
"""Seconds a supervisor gets to answer before it is taken for hung."""

SPACE = 50 << 20
"""Bytes that should be free for the store and the log."""

FILES = 256
"""Open files below which a node of many agents may run out: one is needed for each process."""


_HINTS = (
    ("no systemd user session", "run hive in a systemd user session (`loginctl enable-linger`)"),
    ("its user session has no D-Bus", "install dbus-user-session, and log in again"),
    (
        "its user manager has no",
        "delegate cpu and memory: `systemctl edit user@.service`, Delegate=cpu memory pids",
    ),
)
"""What gives a better means of holding limits, by what stands in its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at: `ok` is None for a note; `fix` is what to do next."""

    ok: bool | None
    what: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Patient:
    """What is examined."""

    state: State
    environ: Mapping[str, str]
    answer: float


def examine(state: State, environ: Mapping[str, str], *, answer: float = ANSWER) -> list[Finding]:
    """Look at everything; what can't be looked at is a finding, too.

    `answer` is how many seconds the supervisor and each tmux server get.
    """
    patient = _Patient(state=state, environ=environ, answer=answer)
    found: list[Finding] = []
    for look in _LOOKS:
        try:
            found += look(patient)
        except HiveError as error:
            found.append(Finding(ok=False, what=error.what, fix=error.fix))
        except OSError as error:
            what = f"can't look at {error.filename}: {error.strerror}"
            found.append(Finding(ok=False, what=what, fix="make it readable for you"))
    return found


def _platform(patient: _Patient) -> Iterator[Finding]:
    good = sys.version_info >= (3, 11)
    what = f"python {platform.python_version()}"
    yield Finding(ok=good, what=what, fix="" if good else "install Python 3.11 or newer")
    if sys.platform == "linux":
        seen = Path("/proc/self/stat").exists() and hasattr(os, "pidfd_open")
        fix = "" if seen else "mount /proc, and use Linux 5.3 or newer"
        yield Finding(ok=seen, what=f"linux {platform.release()}, /proc and pidfds", fix=fix)
    else:
        what = f"{platform.system()}: without /proc, processes are read through psutil"
        yield Finding(ok=None, what=what, fix="nothing to do; looking costs a little more")
    found = shutil.which("perl", path=patient.environ.get("PATH"))
    yield Finding(ok=True, what=f"agents are started by {found or sys.executable}")


def _tmux(patient: _Patient) -> Iterator[Finding]:
    program = shutil.which("tmux", path=patient.environ.get("PATH"))
    if program is None:
        yield Finding(ok=False, what="tmux is not installed", fix="install tmux 3.2a or newer")
        return
    version = _tmux_version(program)
    if version is None:
        yield Finding(ok=None, what=f"{program} does not tell its version", fix="tmux -V")
        return
    good = version >= traps.OLDEST
    fix = "" if good else f"install tmux {traps.OLDEST} or newer"
    yield Finding(ok=good, what=f"tmux {version}, {program}", fix=fix)
    utempter = b"utempter" in Path(program).read_bytes()
    for trap in traps.traps(version, utempter=utempter):
        yield Finding(ok=None, what=f"tmux {version}: {trap.what}", fix=trap.answer)


def _tmux_version(program: str) -> traps.Version | None:
    try:
        done = subprocess.run(
            [program, "-V"], capture_output=True, text=True, timeout=ANSWER, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    return traps.parse(done.stdout)


def _configuration(patient: _Patient) -> Iterator[Finding]:
    """Look into the user's tmux configuration for what surprises."""
    home = patient.environ.get("HOME", "")
    config = patient.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    for path in (Path("/etc/tmux.conf"), Path(home, ".tmux.conf"), Path(config, "tmux/tmux.conf")):
        if path.is_file():
            for number, option, does, advice in traps.surprises(path.read_text(errors="replace")):
                yield Finding(ok=None, what=f"{path}:{number}: `{option}` {does}", fix=advice)


def _servers(patient: _Patient) -> Iterator[Finding]:
    """Look whether the tmux servers that agents live on answer."""
    name = scan.instance(patient.state)
    known, _ = emergency.known_sockets(patient.state)
    found = scan.panes(name, scan.sockets(known), patient.answer)
    for why in found.hung:
        fix = "wake it (kill -CONT PID) or end it (kill PID); hive starts its agents again"
        yield Finding(ok=False, what=why, fix=fix)
    if name and not found.hung:
        yield Finding(ok=True, what=f"tmux shows {count(len(found.found), 'window')} of hive's")


def _path(patient: _Patient) -> Iterator[Finding]:
    """Look whether agents and people who type `hive` get this one."""
    ours = _own_script()
    found = shutil.which("hive", path=patient.environ.get("PATH"))
    if found is None:
        fix = f"put its folder into PATH: {ours.parent}" if ours else f"{sys.executable} -m hive"
        yield Finding(ok=None, what="`hive` is not on PATH, so agents can't call it", fix=fix)
    elif ours and not ours.samefile(found):
        what = f"another `hive` is first on PATH: {found}; this one is {ours}"
        yield Finding(ok=False, what=what, fix=f"put {ours.parent} before it, or remove it")
    else:
        yield Finding(ok=True, what=f"`hive` is {found}")


def _own_script() -> Path | None:
    """Find the script of the hive that runs: what was called, or what pip installed."""
    called = Path(sys.argv[0])
    if called.name == "hive" and called.is_file():
        return called.absolute()
    installed = Path(sysconfig.get_path("scripts"), "hive")
    return installed if installed.is_file() else None


def _directory(patient: _Patient) -> Iterator[Finding]:
    state = patient.state
    long = len(os.fsencode(state.socket))
    if long > SOCKET_BYTES:
        what = f"the socket's path has {long} bytes, {SOCKET_BYTES} is the most: {state.socket}"
        yield Finding(ok=False, what=what, fix="set `HIVE_STATE` to a shorter path")
    if not os.path.lexists(state.root):
        what = f"{state.root} is not there yet"
        yield Finding(ok=None, what=what, fix="`hive deploy` makes it")
        return
    yield _private(state.root, 0o700)
    for path in (state.db, state.lock, state.socket, state.log):
        if os.path.lexists(path):
            finding = _private(path, 0o600)
            if not finding.ok:
                yield finding
    free = shutil.disk_usage(state.root).free
    good = free >= SPACE
    fix = "" if good else f"free some space, {size(SPACE)} at least"
    yield Finding(ok=good, what=f"{size(free)} free for {state.root}", fix=fix)


def _private(path: Path, mode: int) -> Finding:
    """Look whether a file or folder is the user's own and nobody else's."""
    found = path.lstat()
    kind = "folder" if stat.S_ISDIR(found.st_mode) else "file"
    if stat.S_ISLNK(found.st_mode):
        return Finding(ok=False, what=f"{path} is a symlink", fix="put the real thing there")
    if found.st_uid != os.geteuid():
        what = f"{path} belongs to another user (uid {found.st_uid})"
        return Finding(ok=False, what=what, fix="set `HIVE_STATE` to a directory of your own")
    if stat.S_IMODE(found.st_mode) & 0o077:
        what = f"others may look into {path} ({stat.S_IMODE(found.st_mode):04o})"
        return Finding(ok=False, what=what, fix=f"chmod {mode:o} {path}")
    if not os.access(path, os.R_OK | os.W_OK):
        return Finding(ok=False, what=f"{path} is not writable", fix=f"chmod {mode:o} {path}")
    return Finding(ok=True, what=f"{path} is a {kind} of yours alone")


def _queue(patient: _Patient) -> Iterator[Finding]:
    where = patient.state.queue()
    if where == str(patient.state.work) and not patient.state.work.exists():
        return
    from hive.adapters.queue import Queue

    with Queue.open(where) as queue:
        many = count(sum(queue.counts().values()), "task")
        yield Finding(ok=True, what=f"the queue of work opens, {many}: {queue.where}")


def _supervisor(patient: _Patient) -> Iterator[Finding]:
    state = patient.state
    found = scan.processes(state)
    try:
        pid = channel.ask(str(state.socket), "ping", {}, timeout=patient.answer)["pid"]
    except channel.Unreachable:
        yield from _without_supervisor(state, found)
    except TimedOut:
        yield Finding(
            ok=False,
            what=f"the supervisor hangs: it did not answer for {patient.answer:g} s",
            fix=f"see {state.log}; hive stop-all, or if that hangs too: hive emergency-cleanup",
        )
    else:
        what = f"the supervisor answers, pid {pid}, with {count(len(found.guards), 'guard')}"
        fix = "" if found.guards else "it is started again within seconds; look once more"
        yield Finding(ok=bool(found.guards), what=what, fix=fix)


def _without_supervisor(state: State, found: scan.Processes) -> Iterator[Finding]:
    """Tell why no supervisor answers, and whether one should."""
    by = holder(state)
    if by:
        what = f"pid {by.pid or 'unknown'} holds the lock, but no supervisor answers"
        yield Finding(ok=False, what=what, fix="look once more, then: hive emergency-cleanup")
    elif found.supervisors:
        pids = ", ".join(str(one.pid) for one in found.supervisors)
        what = f"a supervisor is being started again and again, or just now: pid {pids}"
        yield Finding(ok=False, what=what, fix=f"look once more; {state.log} says why")
    elif found.others:
        pids = ", ".join(str(one.pid) for one in found.others[:5])
        what = f"agents run without a supervisor: pid {pids}"
        yield Finding(
            ok=False, what=what, fix="hive deploy takes them over; hive stop-all ends them"
        )
    else:
        yield Finding(ok=True, what="no supervisor runs, and none is needed")


def _leftovers(patient: _Patient) -> Iterator[Finding]:
    """Look for files that no process uses any more."""
    state = patient.state
    if emergency.is_dead(state.socket):
        what = f"nobody listens on {state.socket}"
        yield Finding(ok=None, what=what, fix="nothing to do: the next `hive deploy` replaces it")
    busy = bool(scan.processes(state).all)
    files = list(state.launches.iterdir()) if state.launches.is_dir() and not busy else []
    if files:
        what = f"{count(len(files), 'file')} of launches that are over in {state.launches}"
        yield Finding(ok=None, what=what, fix="nothing to do: the next `hive deploy` removes them")


def _store(patient: _Patient) -> Iterator[Finding]:
    db = patient.state.db
    if not db.exists():
        return
    from hive.adapters.store import Store
    from hive.adapters.storefile import check

    wrong = check(db)
    if wrong:
        fix = "hive emergency-cleanup puts it aside; hive deploy makes a new one"
        yield Finding(ok=False, what=f"the store is damaged: {wrong}", fix=fix)
        return
    with Store.open(db) as store:
        many = count(len(store.wanted()), "agent")
    yield Finding(ok=True, what=f"the store is whole, {size(db.stat().st_size)}, {many}")


def _limits(_patient: _Patient) -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    good = soft == resource.RLIM_INFINITY or soft >= FILES
    fix = "" if good else f"ulimit -n {FILES if hard < 1024 else 1024}"
    yield Finding(ok=good, what=f"{soft} open files at most", fix=fix)


def _means(patient: _Patient) -> Iterator[Finding]:
    """Tell by which means agents are held inside their limits, and what would give a better one."""
    name, better = _found_means(patient)
    if name == groups.PORTABLE:
        what = f"hive holds agents inside their limits without the kernel's help: {name}"
    else:
        what = f"the kernel holds agents inside their limits: {name}"
    fix = _better(better)
    yield Finding(ok=None if name == groups.PORTABLE else True, what=what, fix=fix)


def _found_means(patient: _Patient) -> tuple[str, str]:
    """Give the means that the supervisor uses, or would use, and why it is no better one."""
    try:
        record = channel.ask(str(patient.state.socket), "limits", {}, timeout=patient.answer)
    except (channel.Unreachable, TimedOut, WrongInput):  # no supervisor can say it
        found = groups.find(scan.instance(patient.state) or "doctor", patient.environ)
        return found.name, found.better
    return record["means"]["name"], record["means"]["better"]


def _better(why: str) -> str:
    """Turn why no better means is used into what would give it."""
    if why and sys.platform != "linux":
        return "nothing to do: the kernel's means are Linux's"
    booted = Path("/run/systemd/system").is_dir()
    hints = [hint for sign, hint in _HINTS if booted and sign in why]
    return "; ".join([*hints, *([f"for a better means: {why}"] if why else [])])


def _memory(_patient: _Patient) -> Iterator[Finding]:
    """Look whether there is memory for agents, and whether the kernel tells when it gets short."""
    machine = Machine()
    seen = machine.read()
    machine.close()
    reserve = reserve_of(seen.memory)
    what = f"{size(seen.available)} of {size(seen.memory)} memory is free"
    if seen.available < 2 * reserve:
        fix = f"end something: below {size(reserve)}, or what [limits] says, no agent starts"
        yield Finding(ok=None, what=f"only {what}", fix=fix)
    else:
        yield Finding(ok=True, what=what)
    if sys.platform == "linux" and seen.memory_stall is None:
        what = "the kernel does not tell how long work waits for memory: /proc/pressure is missing"
        fix = "boot with `psi=1`; until then hive goes by free memory and load"
        yield Finding(ok=None, what=what, fix=fix)


def _logout(_patient: _Patient) -> Iterator[Finding]:
    """Look whether systemd ends what a user left running when they log out."""
    places = [Path("/etc/systemd/logind.conf"), *Path("/etc/systemd/logind.conf.d").glob("*.conf")]
    text = "\n".join(path.read_text(errors="replace") for path in places if path.is_file())
    told = re.findall(r"^\s*KillUserProcesses\s*=\s*(\w+)", text, re.MULTILINE)
    if told and told[-1].lower() in {"yes", "true", "1", "on"}:
        what = "systemd ends your processes when you log out (KillUserProcesses)"
        yield Finding(
            ok=None, what=what, fix="to leave hive alone overnight: loginctl enable-linger"
        )


def _programs(patient: _Patient) -> Iterator[Finding]:
    """Look which agent programs are installed, and whether hive was tried with them."""
    try:
        known = profiles.load(patient.environ)
    except WrongInput as error:
        what, fix = f"the profiles can't be read: {error.what}", "put that right"
        yield Finding(ok=False, what=what, fix=error.fix or fix)
        return
    found = {
        name: version
        for name, version in profiles.versions(known, patient.environ).items()
        if version
    }
    tried = [
        f"{name} {version}" for name, version in found.items() if version in known[name].tested
    ]
    if tried:
        yield Finding(ok=True, what=f"agent programs: {', '.join(tried)}")
    for name, version in found.items():
        if version not in known[name].tested:
            told = version if version != profiles.UNKNOWN else "does not tell its version, which"
            what = f"{name} {told} is none that hive was tried with"
            yield Finding(ok=None, what=what, fix=f"to see what works: hive profile test {name}")


_LOOKS: tuple[Callable[[_Patient], Iterator[Finding]], ...] = (
    _platform,
    _tmux,
    _configuration,
    _path,
    _directory,
    _limits,
    _means,
    _memory,
    _logout,
    _programs,
    _store,
    _queue,
    _supervisor,
    _servers,
    _leftovers,
)
