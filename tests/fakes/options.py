"""The command line, read as Claude Code reads it.

Some options take as many values as follow, up to the next option: a prompt behind one of them is
no prompt. What is not known is left out, without a value.
"""

from __future__ import annotations

_MANY = {"--add-dir", "--allowedTools", "--allowed-tools", "--disallowedTools", "--mcp-config"}
_ONE = {
    "--append-system-prompt", "--model", "--permission-mode", "--prompt-suggestions", "--resume",
    "--session-id", "--setting-sources", "--settings", "--system-prompt",
}  # fmt: skip
_SAME = {"-r": "--resume", "--allowed-tools": "--allowedTools"}


class Options:
    """What was given: the values of each option, and the prompt ("" without one)."""

    def __init__(self, words: list[str]) -> None:
        self.given: dict[str, list[str]] = {}
        self.prompt = ""
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word == "--":
                self.prompt = " ".join(rest)
                return
            if word.startswith("-") and len(word) > 1:
                rest = self._option(word, rest)
            else:
                self.prompt = self.prompt or word

    def _option(self, word: str, rest: list[str]) -> list[str]:
        name, given, value = word.partition("=")
        name = _SAME.get(name, name)
        values = self.given.setdefault(name, [])
        if given:
            values.append(value)
        most = len(rest) if name in _MANY else int(name in _ONE)
        while not given and most and rest and not rest[0].startswith("-"):
            values.append(rest.pop(0))
            most -= 1
        return rest

    def one(self, name: str) -> str:
        """Give the last value of an option, "" without one."""
        return (self.given.get(name) or [""])[-1]

    def all(self, name: str) -> list[str]:
        """Give every value of an option."""
        return self.given.get(name, [])
