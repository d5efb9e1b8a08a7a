"""Trying a profile: its real program is started in a hive of its own, and what it shows is told.

A state directory, a tmux server and a working directory are made for it, and removed. So it needs
no second way of starting anything, and touches nothing that runs. Durations are in seconds.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from hive.adapters import channel, profiles
from hive.adapters.state import State
from hive.core.outlook import how
from hive.core.profile import Profile
from hive.core.wording import clean
from hive.errors import HiveError, NotRunning

AGENT = "trial/one"

LOOK = 0.25
"""Seconds between two looks."""

LINGER = 3.0
"""Seconds for which it is looked at once it is ready: what comes late is a signal, too."""

ANSWER = 60.0
"""Seconds that a command of hive gets, beyond what it waits for itself."""

FAR = 40
"""A socket's path can't be long: temporary folders with longer names are not used."""

COMING = frozenset({"starting", "stopping"})
"""The states in which it is not yet known how the start went."""

UP = frozenset({"ready", "working"})
"""The states in which it has come up."""

LATER = "nothing yet; it may come with a first prompt (--prompt)"

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found of one signal: whether it works (None: can't be said), and how soon."""

    signal: str
    ok: bool | None
    text: str
    after: float | None = None

    def record(self) -> Record:
        """Give it as docs/json.md promises."""
        after = None if self.after is None else round(self.after, 3)
        return {"signal": self.signal, "ok": self.ok, "text": self.text, "after": after}


@dataclass(slots=True, kw_only=True)
class Trial:
    """One trial of a profile.

    `run` is the command instead of the profile's program, `environ` what it inherits. A `prompt`
    is given once it is ready, and costs what it costs. `trust` has its first questions answered.
    `tell` gets each step as a sentence.
    """

    profile: Profile
    environ: Mapping[str, str]
    tell: Callable[[str], None]
    run: str = ""
    prompt: str = ""
    trust: bool = False
    patience: float = 60.0
    _folder: Path = field(default_factory=Path)
    _first: dict[str, float] = field(default_factory=dict)
    _began: float = 0.0

    def carry_out(self) -> Record:
        """Start it, look, stop it, and tell what was found. Raises HiveError."""
        program = self._program()
        version, tested = self._version()
        place = None if len(tempfile.gettempdir()) <= FAR else "/tmp"  # noqa: S108 - mkdtemp makes it safe
        self._folder = Path(tempfile.mkdtemp(prefix="hive-trial-", dir=place)).resolve()
        try:
            found = [tested, *self._lived()]
            left = self._cleared()
        finally:
            self._remove()
        said = "; ".join(_said(key, things) for key, things in left.items() if things)
        found.append(Finding(signal="left behind", ok=not _runs(left), text=said or "nothing"))
        return {
            "version": 1,
            "profile": self.profile.name,
            "program": program,
            "installed": version or None,
            "tested": list(self.profile.tested),
            "prompted": bool(self.prompt),
            "ok": all(one.ok is not False for one in found),
            "signals": [one.record() for one in found],
            "left": left,
        }

    def _program(self) -> str:
        """Give what is run. Raises HiveError where the profile names nothing, or it is not here."""
        if self.run:
            return self.run
        if not self.profile.programs:
            fix = f'hive profile test {self.profile.name} --run "COMMAND"'
            raise HiveError(f"the profile `{self.profile.name}` names no program", fix=fix)
        path = self.environ.get("PATH", os.defpath)
        for program in self.profile.programs:
            if shutil.which(program.split()[0], path=path):
                return program
        listed = ", ".join(f"`{one}`" for one in self.profile.programs)
        raise HiveError(
            f"{listed} is not on your PATH", fix="install it, or add its folder to PATH"
        )

    def _version(self) -> tuple[str, Finding]:
        """Ask which version is installed, and say whether hive was tried with it."""
        if not self.profile.version:
            return "", Finding(signal="version", ok=None, text="its profile can't ask for it")
        version = profiles.installed(self.profile, self.environ)
        if version in {"", profiles.UNKNOWN}:
            asked = shlex.join(self.profile.version)
            return "", Finding(signal="version", ok=None, text=f"`{asked}` does not tell it")
        if version in self.profile.tested:
            return version, Finding(signal="version", ok=True, text=f"{version}, tested with hive")
        known = ", ".join(self.profile.tested) or "none"
        text = f"{version} was not tested with hive; tested: {known}"
        return version, Finding(signal="version", ok=None, text=text)

    def _lived(self) -> list[Finding]:
        """Have it live from its start to its end, and give what was found."""
        self._write()
        self.tell(f"starting `{self._program()}` in {self._folder}")
        self._hive("deploy", "--no-wait")
        record = self._watched()
        found = _heard(record, self.profile, self._after, prompted=False)
        if self.prompt and record["agent"]["state"] in UP:
            self.tell("giving it the prompt")
            told = self._prompted()
            record = self._looked()
            again = _heard(record, self.profile, self._after, prompted=True)
            found = [found[0], found[1], told, *again[2:]]
        self.tell("stopping it")
        return [*found, self._ended()]

    def _write(self) -> None:
        """Write the file of a team of one, whose directory is a repository, as most are."""
        work = self._folder / "work"
        work.mkdir()
        if shutil.which("git"):
            subprocess.run(["git", "init", "-q", str(work)], env=dict(self.environ), check=True)
        run = json.dumps(self._program())
        lines = [
            'project = "Trial"',
            "[tmux]",
            f"socket = {json.dumps(str(self._folder / 'tmux.sock'))}",
            "[limits]",
            "admission = false",
            "[teams.trial]",
            'directory = "work"',
            "[teams.trial.agents.one]",
            f"run = {run}",
            f"profile = {json.dumps(self.profile.name)}",
            f"trust = {str(self.trust).lower()}",
            'restart = { policy = "never" }',
        ]
        (self._folder / "hive.toml").write_text("\n".join(lines) + "\n", "utf-8")

    def _watched(self) -> Record:
        """Look until it is known how the start went, and a moment longer; give the last look."""
        last, until = time.monotonic() + self.patience, 0.0
        while True:
            record = self._looked()
            now = time.monotonic()
            if not until and record["agent"]["state"] not in COMING:
                until = now + LINGER
            if now > (until or last):
                return record
            time.sleep(LOOK)

    def _looked(self) -> Record:
        record: Record = channel.ask(str(self._state.socket), "why", {"name": AGENT})
        now = time.time()
        for one in record["evidence"]:
            if one["source"] == "process" and one["time"] and not self._began:
                self._began = _at(one["time"])
            self._first.setdefault(one["source"], _at(one["time"]) if one["time"] else now)
        if record["agent"]["state"] in UP:
            self._first.setdefault("ready", _at(record["agent"]["since"]))
        return record

    def _after(self, source: str) -> float | None:
        """Say how long after its start a signal was first there."""
        first = self._first.get(source)
        return None if first is None or not self._began else max(0.0, first - self._began)

    def _prompted(self) -> Finding:
        """Give it the prompt as a message, and say what came of it."""
        words = ("send", AGENT, self.prompt, "--wait", "--timeout", f"{self.patience:g}s", "--json")
        record = self._hive(*words, patience=self.patience)
        if "messages" not in record:
            return Finding(signal="prompt", ok=False, text=record["error"]["what"].split("\n")[0])
        (one,) = record["messages"]
        if one["stage"] != "answered":
            return Finding(signal="prompt", ok=False, text=f"{one['stage']}: {one['reason']}")
        taken = _at(one["submitted"]) - _at(one["typed"]) if one["typed"] else 0.0
        text = f"answered; proof that it arrived: {one['proof']}, {taken:.1f}s after it was typed"
        return Finding(signal="prompt", ok=True, text=text)

    def _ended(self) -> Finding:
        """Have it stopped as any agent is, and say how it ended."""
        began = time.monotonic()
        self._hive("stop", AGENT)
        took = time.monotonic() - began
        end = self._looked()["certificate"]
        if end is None:
            return Finding(signal="exit", ok=False, text="it did not end", after=took)
        text = clean(how(end["code"], end["cause"]))
        return Finding(signal="exit", ok=end["code"] != -9, text=text, after=took)

    def _cleared(self) -> Record:
        """Stop everything, and give what is left all the same, with the files it wrote here."""
        left: Record = self._hive("stop-all")["left"]
        work = self._folder / "work"
        found = (path.relative_to(work) for path in work.rglob("*") if path.is_file())
        files = sorted(str(path) for path in found if path.parts[0] != ".git")
        return {**left, "files": files}

    def _remove(self) -> None:
        """End by force what still runs of it, and remove its folder."""
        if (self._folder / "state").exists():
            self._hive("emergency-cleanup")
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _state(self) -> State:
        return State(self._folder / "state")

    def _hive(self, *words: str, patience: float = 0.0) -> Record:
        """Run a command of hive in the trial's own world, and give what it answers."""
        done = subprocess.run(
            [sys.executable, "-m", "hive", *words, *([] if "--json" in words else ["--json"])],
            env={**self.environ, "HIVE_STATE": str(self._state.root)}, cwd=self._folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=patience + 2 * ANSWER, check=False,
        )  # fmt: skip
        try:
            record: Record = json.loads(done.stdout.splitlines()[-1])
        except (ValueError, IndexError):
            what = f"`hive {words[0]}` failed: {done.stderr.strip()[-500:]}"
            raise NotRunning(what, fix="hive doctor") from None
        error = record.get("error")
        if error and words[0] == "deploy":
            raise HiveError(f"`hive deploy` failed: {error['what']}", fix="hive doctor")
        return record


def _heard(
    record: Record, profile: Profile, after: Callable[[str], float | None], *, prompted: bool
) -> list[Finding]:
    """Say which signals of its state work, by what `hive why` tells of it."""
    agent = record["agent"]
    texts = {one["source"]: one["text"] for one in reversed(record["evidence"])}
    up = agent["state"] in UP
    why = f"{agent['state']}: {agent['reason']}"
    if not up and agent.get("sub") == "dialog":
        why += "; --trust has hive answer those that it knows"
    expected = {
        "hook": profile.hooks,
        "records": profile.records != "none" and profile.turns,
        "title": bool(profile.title.ready or profile.title.working),
        "screen": bool(profile.screen.ready or profile.screen.composer),
    }
    found = [
        Finding(
            signal="process",
            ok=agent["pid"] is not None,
            text=texts.get("process", "it was not started"),
        ),
        Finding(signal="ready", ok=up, text=why, after=after("ready") if up else None),
    ]
    for source, due in expected.items():
        if source in texts:
            text = texts[source]
            found.append(Finding(signal=source, ok=True, text=text, after=after(source)))
        elif due:
            text = "nothing was heard" if prompted else LATER
            found.append(Finding(signal=source, ok=False if prompted else None, text=text))
    return [*found, *_session(agent, profile, prompted=prompted)]


def _session(agent: Record, profile: Profile, *, prompted: bool) -> list[Finding]:
    """Say whether its conversation has a name, so that it can be gone on with."""
    if profile.session.how == "none":
        return []
    name = agent.get("session_id")
    if name:
        return [Finding(signal="session", ok=True, text=f"{name}, {profile.session.how}")]
    text = "its conversation has no name" if prompted else LATER
    return [Finding(signal="session", ok=False if prompted else None, text=text)]


def _runs(left: Mapping[str, Any]) -> bool:
    """Whether anything is left that runs; files are only worth knowing."""
    return any(left[key] for key in left if key != "files")


def _said(key: str, found: list[Any]) -> str:
    named = [
        f"{one['pid']} {one['command']}" if isinstance(one, dict) else str(one) for one in found
    ]
    return f"{key}: {', '.join(named[:5])}{' …' if len(named) > 5 else ''}"


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
