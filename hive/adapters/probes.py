"""Questions to agents, put by a few threads, so that a slow answer holds up nobody.

Answers wait in a queue; a descriptor becomes readable when there are some. The threads know
nothing of time and histories: when to ask, and what to believe, is decided elsewhere.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from hive.adapters.dial import Question, dial
from hive.core.spec import Agent, Probe

Key = tuple[str, str]
"""Whose probe it is, and which: the agent's id, `ready` or `alive`."""

THREADS = 8
PATIENCE = 1.0
"""How many seconds `close` waits for questions that are being put."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one question to one launch; `why` is the evidence."""

    key: Key
    launch: str
    good: bool
    why: str


class Probes:
    """Puts questions in the background and keeps the answers until they are read."""

    def __init__(self) -> None:
        self._questions: queue.SimpleQueue[tuple[Key, str, Question] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._answers: list[Answer] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._readable, self._wake = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._wake, False)

    def ask(
        self,
        key: Key,
        probe: Probe,
        spec: Agent,
        environment: Mapping[str, str],
        screen: Sequence[str] | None,
        launch: str,
    ) -> None:
        """Put one question soon; its answer bears `key` and `launch`.

        `environment` is all that an `exec` probe's command gets, `screen` what the agent's
        window shows, for a `screen` probe.
        """
        question = Question(
            probe=probe, directory=spec.directory, environment=environment, screen=screen
        )
        self._questions.put((key, launch, question))
        if len(self._threads) < THREADS:
            thread = threading.Thread(target=self._work, name="hive-probe", daemon=True)
            self._threads.append(thread)
            thread.start()

    def fileno(self) -> int:
        """Give the descriptor that is readable while there are answers to read."""
        return self._readable

    def read(self) -> list[Answer]:
        """Give the answers that came since the last read."""
        with self._lock:
            if self._answers:
                os.read(self._readable, 1)
            answers, self._answers = self._answers, []
        return answers

    def close(self) -> None:
        """Ask nothing more, end the commands that run, and give back the descriptors."""
        self._closing.set()
        for _ in self._threads:
            self._questions.put(None)
        until = monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, until - monotonic()))
        with self._lock:  # nobody is just writing
            os.close(self._readable)
            os.close(self._wake)

    def _work(self) -> None:
        while (asked := self._questions.get()) is not None:
            key, launch, question = asked
            if self._closing.is_set():
                continue
            good, why = self._dial(key, question)
            self._tell(Answer(key=key, launch=launch, good=good, why=why))

    def _dial(self, key: Key, question: Question) -> tuple[bool, str]:
        try:
            return dial(question, self._closing)
        except Exception as error:  # noqa: BLE001 - even a bug must not leave it unanswered
            _log.exception("the %s probe of %s could not be asked", key[1], key[0])
            return False, f"hive could not ask: {error!r}"

    def _tell(self, answer: Answer) -> None:
        with self._lock:
            if self._closing.is_set():
                return  # nobody reads any more, and the descriptor may be another's
            if not self._answers:
                os.write(self._wake, b"!")
            self._answers.append(answer)
