"""What is typed of a message: its text in its program's form, or a line that says where it lies."""

from __future__ import annotations

import re

from hive.core.messages import Message
from hive.core.profile import Profile
from hive.core.signs import mark

_STEERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FORM = re.compile(r"\{(mark|text)\}")
_FIRST = "/!@#-"
"""With these a line begins that some program takes for a command of its own."""

_RETURNED = re.compile(r"\s*\[hive m-(\d+)\]")

_MENTION = re.compile(r"(?:^|\s)@")
"""Where a file is mentioned, some programs offer a choice, and take Enter for its answer."""


def clean(text: str) -> str:
    """Give a text that can be typed: no control characters, no newlines at its end.

    Some of them would end a bracketed paste, and the rest would be keys.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _STEERS.sub("", lines).rstrip("\n")


def plain(profile: Profile) -> bool:
    """Whether text is typed as it is: a shell, a prompt of some language."""
    return not profile.tells and "{mark}" not in profile.typing.form


def unfit(message: Message, profile: Profile) -> str:
    """Say why a message can't be given to such a program at all; "" where it can."""
    text = clean(message.text)
    if not profile.messages:
        return f"nothing is ever typed into `{profile.name}`"
    if not text.strip():
        return "it has no text"
    if plain(profile) and "\n" in text:
        return f"`{profile.name}` takes one line at a time"
    return ""


def line(message: Message, profile: Profile, folder: str) -> str:
    """Give what is typed: the message in its profile's form, or where its text lies."""
    if is_typed(message, profile):
        return formed(message, profile)
    path = file(message, profile, folder)
    return f"{mark(message.number)} Read {path} and do what it says."


def file(message: Message, profile: Profile, folder: str) -> str:
    """Give where the text of a message lies that is not typed."""
    return f"{folder}/{profile.typing.file or f'{message.name}.md'}"


def body(message: Message) -> str:
    """Give what is written there."""
    return f"Message {message.name} from {message.sender}:\n\n{clean(message.text)}\n"


def is_returned(draft: str, message: Message) -> bool:
    """Whether a draft is an earlier message, which its program put back when it was interrupted."""
    found = _RETURNED.match(draft)
    return found is not None and int(found[1]) < message.number


def formed(message: Message, profile: Profile) -> str:
    """Give the whole message in its profile's form."""
    text = clean(message.text)
    if not plain(profile):
        text = text.replace("\t", " ")
    parts = {"mark": mark(message.number), "text": text}
    return _FORM.sub(lambda found: parts[found[1]], profile.typing.form)


def is_typed(message: Message, profile: Profile) -> bool:
    """Whether the text itself is typed, not where it lies."""
    if plain(profile):
        return True
    text = formed(message, profile)
    if len(text) > profile.typing.longest or "\n" in text or text.endswith("\\"):
        return False
    return text[0] not in _FIRST and not _MENTION.search(text)
