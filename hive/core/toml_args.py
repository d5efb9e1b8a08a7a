"""Values as TOML, for programs that take their settings as `-c key=value`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def setting(key: str, value: Any) -> tuple[str, str]:
    """Give the two words that set a key."""
    return ("-c", f"{key}={text(value)}")


def text(value: Any) -> str:
    """Write a text, a number, a truth, a list or a table as one line of TOML.

    Raises TypeError for anything else.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _quoted(value)
        case Mapping():
            pairs = (f"{_quoted(str(key))}={text(one)}" for key, one in value.items())
            return "{" + ",".join(pairs) + "}"
        case Iterable():
            return "[" + ",".join(text(one) for one in value) + "]"
    raise TypeError(f"TOML has no {type(value).__name__}")


def _quoted(value: str) -> str:
    return '"' + "".join(_ESCAPES.get(one) or _escaped(one) for one in value) + '"'


def _escaped(one: str) -> str:
    """Escape what may not stand in a basic string: control characters, and half of a character."""
    code = ord(one)
    if code < 0x20 or code == 0x7F:
        return f"\\u{code:04X}"
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else one
