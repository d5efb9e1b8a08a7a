"""Every error a user can put right, with its exit code.

An error says what is wrong, where, and what to do next. Anything else that is raised is a bug
and keeps its traceback.
"""

from __future__ import annotations


class HiveError(Exception):
    """Something failed that the user can put right.

    `what` is a lower-case sentence, names in backticks; `where` is a file and line or a name;
    `fix` is what to do next, a command where there is one.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        """One text for a person: where, what, and on a line of its own what next."""
        first = f"{self.where}: {self.what}" if self.where else self.what
        return f"{first}\n  next: {self.fix}" if self.fix else first


class WrongInput(HiveError):  # noqa: N818 - an error's name says what is wrong
    """What was given can't be used: a file, a word, an option."""

    exit_code = 2


class NotRunning(HiveError):  # noqa: N818
    """What should answer doesn't run or can't be reached."""

    exit_code = 3


class TimedOut(HiveError):  # noqa: N818
    """What was waited for did not happen in time."""

    exit_code = 4


KINDS: dict[int, type[HiveError]] = {
    kind.exit_code: kind for kind in (HiveError, WrongInput, NotRunning, TimedOut)
}
