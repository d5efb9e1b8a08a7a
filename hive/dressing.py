"""What a voice's launch is started with: its folder, its conversation, its brief.

All of it is written before the program starts: the folder first, then the brief's message, so
that a launch which was cut short anywhere is found again by the next.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from hive.adapters import claude_trust, seal
from hive.adapters.itself import command
from hive.adapters.post import Post
from hive.adapters.state import State
from hive.core import sessions
from hive.core.messages import HIVE, Message, Stage
from hive.core.outfit import Order, Outfit
from hive.core.sessions import End
from hive.core.signs import mark
from hive.core.spec import Agent
from hive.core.talk import Talk
from hive.core.voice import Voice
from hive.core.wirings import wire
from hive.errors import HiveError

GIVEN = "given with the command line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dressed:
    """A launch as it is to be started: what runs, what it inherits, and its conversation."""

    spec: Agent
    inherit: Mapping[str, str]
    talk: Talk


class Dressing:
    """Dresses launches, and keeps their folders."""

    def __init__(self, place: State, post: Post) -> None:
        self._place = place
        self._post = post
        self._hive = command()

    def folder(self, launch: str) -> Path:
        """Give a launch's own folder."""
        return self._place.voices / launch

    def tags(self, agent: str, launch: str) -> dict[str, str]:
        """Give the variables by which an agent's tools say who they are."""
        return {
            "HIVE_SEAL": seal.seal(self._place.root, agent, launch),
            "HIVE_FOLDER": str(self.folder(launch)),
        }

    def words(self, spec: Agent, launch: str, text: str) -> list[str] | None:
        """Give the command that does a task or a message of an agent that is started for each.

        None for any other agent.
        """
        if spec.voice is None:
            return None
        folder, hive = str(self.folder(launch)), shlex.join(self._hive)
        found = spec.voice.command(text, folder=folder, directory=spec.directory, hive=hive)
        return None if found is None else list(found)

    def dress(
        self,
        spec: Agent,
        launch: str,
        talk: Talk,
        end: End | None,
        inherit: Mapping[str, str],
        now: float,
    ) -> Dressed:
        """Make all that a launch of this agent is started with.

        `talk` is its conversation until now, `end` how its latest launch ended, `inherit` the
        environment of the person who deployed it. Raises HiveError where it can't be written.
        """
        voice = spec.voice
        if voice is None:
            raise ValueError(f"a plain program wears nothing: {spec.id}")
        session, resume = sessions.choose(voice, talk, end, str(uuid.uuid4()))
        kept = {key: text for key, text in inherit.items() if not _stripped(key, voice)}
        brief = self._brief(spec, voice, talk, launch, resume=resume, now=now)
        order = self._order(spec, launch, (session, resume), brief, kept)
        outfit = wire(order)
        self._write(launch, outfit)
        if voice.trust and any(one.by == "claude" for one in voice.profile.consents):
            claude_trust.accept(spec.directory, kept | dict(spec.env))
        argv = (*spec.argv, *outfit.args, *outfit.last)
        env = (*outfit.env.items(), *spec.env, *order.me.items(), self._path(spec, kept))
        known = replace(
            talk if resume else _anew(talk),
            session=session,
            launch=launch,
            resumed=launch if resume else "",
            brief=sessions.digest(voice.brief),
        )
        return Dressed(spec=replace(spec, argv=argv, env=env), inherit=kept, talk=known)

    def _path(self, spec: Agent, inherit: Mapping[str, str]) -> tuple[str, str]:
        """Have the agent's tools find hive: this one, before any other."""
        known = dict(spec.env).get("PATH") or inherit.get("PATH", os.defpath)
        own = str(Path(self._hive[0]).parent)
        return "PATH", f"{own}{os.pathsep}{known}"

    def tidy(self, launches: Collection[str]) -> None:
        """Drop the folders of all launches but these. Raises OSError where that can't be done."""
        for folder in self._place.voices.glob("*"):
            if folder.name not in launches:
                shutil.rmtree(folder)

    def _order(
        self,
        spec: Agent,
        launch: str,
        conversation: tuple[str, bool],
        brief: str,
        inherit: Mapping[str, str],
    ) -> Order:
        voice = spec.voice
        if voice is None:
            raise ValueError(f"a plain program wears nothing: {spec.id}")
        me = {
            "HIVE_STATE": str(self._place.root),
            "HIVE_AGENT": spec.id,
            "HIVE_LAUNCH": launch,
            "HIVE_TEAM": spec.team,
            "HIVE_ROLE": spec.role,
            "HIVE_PROJECT": spec.project,
            **self.tags(spec.id, launch),
        }
        return Order(
            agent=spec.id,
            launch=launch,
            directory=spec.directory,
            home=dict(spec.env).get("HOME") or inherit.get("HOME", ""),
            folder=str(self.folder(launch)),
            hive=self._hive,
            voice=voice,
            session=conversation[0],
            resume=conversation[1],
            brief=brief,
            me=me,
            port=_free_port() if voice.profile.wiring == "opencode" else 0,
        )

    def _brief(
        self, spec: Agent, voice: Voice, talk: Talk, launch: str, *, resume: bool, now: float
    ) -> str:
        """Have the brief given where it has to be; gives what goes on the command line."""
        told = talk.brief == sessions.digest(voice.brief)
        if not voice.brief or voice.profile.brief.how == "none" or (resume and told):
            return ""
        text = sessions.first_prompt(voice)
        by_argv = voice.profile.brief.how == "argv" and not resume
        new = Message(
            number=0,
            agent=spec.id,
            sender=HIVE,
            text=text,
            created=now,
            since=now,
            kind="brief",
        )
        if by_argv:
            new = replace(
                new, stage=Stage.TYPED, reason=GIVEN, launch=launch, typed=now, enters=1, tries=1
            )
        open_ = [one for one in self._post.open().get(spec.id, []) if one.kind == "brief"]
        if open_:
            known = replace(new, number=open_[0].number, version=open_[0].version)
            (kept,) = self._post.change([(known, "given again: to a new launch")])
        else:
            (kept,) = self._post.add([new], GIVEN if by_argv else "")
        return f"{mark(kept.number)} {text}" if by_argv else ""

    def _write(self, launch: str, outfit: Outfit) -> None:
        folder = self.folder(launch)
        try:
            self._place.voices.mkdir(mode=0o700, exist_ok=True)
            (folder / "spool").mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            for name, text in outfit.files.items():
                fd = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(fd, "w") as file:
                    file.write(text)
        except OSError as error:
            what = f"can't write what it is started with: {error.strerror}"
            raise HiveError(what, where=str(folder)) from error


def _stripped(name: str, voice: Voice) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in voice.profile.strip)


def _anew(talk: Talk) -> Talk:
    """Give the memory of a conversation that begins."""
    return Talk(
        agent=talk.agent,
        version=talk.version,
        spent=talk.spent,
        step=talk.step,
        stepped=talk.stepped,
        why=talk.why,
        restarted=talk.restarted,
    )


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
