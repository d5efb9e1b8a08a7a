"""A supervisor's socket with canned answers, for what is on this side of it."""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hive.adapters.listener import Listener
from hive.errors import WrongInput


class Answering:
    """Answers on a real socket as the supervisor does; `answers` is by verb, `asked` in order.

    A list is answered one by one, its last for ever; a verb without an answer is refused, with
    the words of `unknown` if it has any.
    """

    def __init__(self, state: Path) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.unknown = ""
        self._selector = selectors.DefaultSelector()
        self._listener = Listener(state / "hive.sock", self._answer)
        self._listener.register(self._selector)
        self._over = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        """Stop answering, as if there were no supervisor; a second time changes nothing."""
        self._over = True
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        while not self._over:
            for key, events in self._selector.select(0.02):
                key.data.handle(key, events)

    def _answer(self, verb: str, args: dict[str, Any]) -> Any:
        self.asked.append((verb, args))
        if verb not in self.answers:
            raise WrongInput(self.unknown or f"no answer to `{verb}`", fix="hive status")
        answer = self.answers[verb]
        if not isinstance(answer, list):
            return answer
        return answer.pop(0) if len(answer) > 1 else answer[0]


@pytest.fixture
def state(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a state directory in which no supervisor runs; this process takes it for its own."""
    folder = short_path / "state"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("HIVE_STATE", str(folder))
    monkeypatch.chdir(short_path)
    assert os.environ["HIVE_STATE"] == str(folder)
    return folder


@pytest.fixture
def supervisor(state: Path) -> Iterator[Answering]:
    """Give a socket that answers in that state directory."""
    answering = Answering(state)
    yield answering
    if not answering._over:
        answering.close()
