"""The files of a launch by which aider tells what was typed into it, and what it answered."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from hive.core.aider import BACK, HISTORY, TALK, back, given, said
from hive.core.signs import Sign

_MOST = 1 << 18
"""Bytes at the end of its talk with the model in which its answer is looked for."""

_FULL = 1 << 20
"""Bytes from which on that file, which has all of each request, is begun anew."""


class AiderRecords:
    """What one launch has written down, read on from where it was read last."""

    def __init__(
        self,
        launch: str,
        env: Mapping[str, str],
        directory: str,  # noqa: ARG002 - every program's reader is made alike
        began: float,  # noqa: ARG002
    ) -> None:
        self._launch = launch
        self._history = Path(env["HIVE_FOLDER"]) / HISTORY
        self._back = Path(env["HIVE_FOLDER"]) / BACK
        self._talk = Path(env["HIVE_FOLDER"]) / TALK
        self._offset = 0
        self._told = 0.0

    def read(
        self,
        now: float,  # noqa: ARG002 - every program's reader is asked alike
        *,
        pids: Collection[int],  # noqa: ARG002
        session: str,  # noqa: ARG002
    ) -> tuple[Sign, ...]:
        """Give the signs of what was written since the last read.

        Raises OSError where there is something that can't be read.
        """
        return (*self._typed(), *self._returned())

    def files(self) -> tuple[str, ...]:
        """Give the files that tell of something new when they change; none while it searches."""
        return (os.fspath(self._history), os.fspath(self._back))

    def close(self) -> None:
        """Give back nothing: no descriptor is kept."""

    def _typed(self) -> tuple[Sign, ...]:
        try:
            if self._history.stat().st_size <= self._offset:
                return ()
            with self._history.open("rb") as file:
                file.seek(self._offset)
                whole = file.read()
                at = os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return ()  # nothing was typed yet
        self._offset += len(whole)
        return given(whole.decode(errors="replace"), self._launch, at)

    def _returned(self) -> tuple[Sign, ...]:
        try:
            at = self._back.stat().st_mtime
        except FileNotFoundError:
            return ()  # it has answered nothing yet
        if at <= self._told:
            return ()
        self._told = at
        return (back(self._launch, at, self._answer()),)

    def _answer(self) -> str:
        """Give what it answered last. The file is only appended to, and opened for each entry."""
        try:
            with self._talk.open("rb+") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _MOST))
                talk = file.read().decode(errors="replace")
                if size > _FULL:
                    file.truncate(0)
        except FileNotFoundError:
            return ""  # it has not asked its model yet
        return said(talk)
