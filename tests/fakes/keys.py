"""Turns the bytes of a terminal into keys, typed text and pastes."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"(?P<paste>\x1b\[200~(?P<pasted>.*?)\x1b\[201~)"
    r"|(?P<key>\x1b\[[0-9;?]*[A-Za-z~]|\x1bO[A-Z]|\x1b|[\x00-\x1f\x7f])"
    r"|(?P<text>[^\x00-\x1f\x7f]+)",
    re.DOTALL,
)
_OPEN = "\x1b[200~"
_NAMES = {
    "\r": "Enter", "\n": "Newline", "\x1b": "Escape", "\x03": "C-c", "\x04": "C-d", "\x15": "C-u",
    "\x7f": "BSpace", "\x08": "BSpace", "\x1b[A": "Up", "\x1b[B": "Down", "\x1bOA": "Up",
    "\x1bOB": "Down",
}  # fmt: skip


class Keys:
    """Keeps what has not come whole yet: a paste without its end, half a character."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def pending(self) -> bool:
        """Whether more is to come: a lone ESC is a key only if nothing follows."""
        return bool(self._rest)

    def feed(self, given: bytes, *, last: bool = False) -> list[tuple[str, str]]:
        """Give what was typed: (`text`, …), (`paste`, …) or (`key`, its name).

        With `last` nothing follows for now, so a lone ESC is the key.
        """
        whole = (self._rest + given).decode("utf-8", "surrogateescape")
        whole, rest = _split(whole, last=last)
        self._rest = rest.encode("utf-8", "surrogateescape")
        return [_token(found) for found in _TOKEN.finditer(whole)]


def _split(text: str, *, last: bool) -> tuple[str, str]:
    """Cut off the end that is not whole yet."""
    begin = text.rfind(_OPEN)
    if begin >= 0 and "\x1b[201~" not in text[begin:]:
        return text[:begin], text[begin:]
    half = re.search(r"\x1b(\[[0-9;?]*)?$", text)
    if half and not (last and half[0] == "\x1b"):
        return text[: half.start()], half[0]
    cut = re.search(r"[\udc80-\udcff]{1,3}$", text)
    return (text[: cut.start()], cut[0]) if cut and not last else (text, "")


def _token(found: re.Match[str]) -> tuple[str, str]:
    if found["paste"] is not None:
        return "paste", found["pasted"].replace("\r\n", "\n").replace("\r", "\n")
    if found["text"] is not None:
        return "text", found["text"]
    return "key", _NAMES.get(found["key"], found["key"])
