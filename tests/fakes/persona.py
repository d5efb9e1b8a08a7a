"""How this one behaves: the words of $FAKE_PERSONA, and the directives of a prompt.

A word is `word`, `word=value`, `word~20%` or `word=value~20%`: with a chance it strikes only in
so many of its turns. Which turns those are follows from $FAKE_SEED and the process alone.
"""

# Importing pathlib would take as long as all the rest:
# ruff: noqa: PTH113, PTH123, PTH202

from __future__ import annotations

import os
import re
import zlib

_WORD = re.compile(r"(?P<word>[\w-]+)(?:=(?P<value>.*?))?(?:~(?P<chance>\d+)%)?$")
_DIRECTIVE = re.compile(r"FAKE:([\w-]+)[ \t]*(.*?)(?=;;|\n|FAKE:|$)")
_PATH = re.compile(r"/[^\s'\"`]+")

READABLE = 1 << 20
"""Bytes up to which a file that a prompt names is read."""


class Persona:
    """The words, each with its value and its chance in percent."""

    def __init__(self, words: str, seed: str) -> None:
        found = [_WORD.match(one.strip()) for one in words.split(",") if one.strip()]
        self._words = {
            one["word"]: (one["value"] or "", int(one["chance"] or 100)) for one in found if one
        }
        value, _ = self._words.get("crash", ("", 0))
        if value.endswith("%"):
            self._words["crash"] = ("", int(value[:-1]))
        self._seed = seed

    def __contains__(self, word: str) -> bool:
        return word in self._words

    def value(self, word: str, default: str = "") -> str:
        """Give what stands behind a word's `=`."""
        return self._words.get(word, ("", 0))[0] or default

    def seconds(self, word: str, default: float = 0.0) -> float:
        """Give a word's value in seconds: `2`, `2s` or `50ms`; 0 without the word."""
        return seconds(self.value(word), default) if word in self else 0.0

    def strikes(self, word: str, turn: int) -> bool:
        """Whether a word strikes in this turn."""
        _, chance = self._words.get(word, ("", 0))
        lot = zlib.crc32(f"{self._seed} {os.getpid()} {turn} {word}".encode()) % 100
        return lot < chance


def seconds(text: str, default: float = 0.0) -> float:
    """Read a time in seconds: `2`, `2s` or `50ms`; the default where there is none."""
    text = text.strip()
    if not text:
        return default
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text.removesuffix("s"))


def directives(prompt: str) -> list[tuple[str, str]]:
    """Give the directives of a prompt, or else those of a file it names: verb and argument."""
    found = [(verb, rest.strip()) for verb, rest in _DIRECTIVE.findall(prompt)]
    for path in [] if found else _PATH.findall(prompt):
        found += _of_file(path.rstrip(".,;:)"))
    return found


def _of_file(path: str) -> list[tuple[str, str]]:
    if not os.path.isfile(path) or os.access(path, os.X_OK) or os.path.getsize(path) > READABLE:
        return []
    with open(path, encoding="utf-8", errors="replace") as file:
        return [(verb, rest.strip()) for verb, rest in _DIRECTIVE.findall(file.read())]
