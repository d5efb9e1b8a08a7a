"""What a fake model is to answer: read from the conversation it is sent, whatever its API.

The newest user message scripts it, one directive a round (a round ends with a tool's result):

    FAKE:text TEXT        FAKE:slow SECONDS TEXT    FAKE:sh COMMAND      FAKE:tool NAME JSON
    FAKE:http STATUS [xN] FAKE:toolong              FAKE:hang SECONDS    FAKE:drop
    FAKE:late SECONDS COMMAND

They stand apart by newlines or `;;`; in what is answered `\\n` is a new line. Without one the
answer is an echo of what was said. A message of hive's that lies in a file is read first, then by
hive's command where that was refused, and what stands there is done.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Tools = dict[str, Json]

_DIRECTIVE = re.compile(
    r"FAKE:(text|slow|sh|late|tool|http|toolong|hang|drop)\b[ \t]*(.*?)(?=;;|\n|FAKE:|$)"
)
_NOT_SAID = re.compile(
    r"\s*(<(system-reminder|environment_context|user_instructions|session_context|local-command)"
    r"|\[SYSTEM)"
)
_REMINDER = re.compile(r"(?s)<system-reminder>.*?</system-reminder>\s*")
_TITLE = re.compile(
    r"(?i)write the title|title generator|^generate a (short|brief|concise)[^.]* title"
    r"|topic of (this|the) conv"
)
_MARK = re.compile(r"\[hive m-\d+\]")
_IN_A_FILE = re.compile(r"\[hive (m-\d+)\] Read (\S+)")
READERS = ("Read", "read", "read_file")
"""How the tools are called that read a file; who has none uses its shell."""

SHELLS = (
    "Bash", "bash", "exec_command", "shell_command", "shell", "local_shell", "run_shell_command",
    "Shell", "terminal", "execute_bash", "execute_command", "run_command", "process",
)  # fmt: skip
"""How the tools are called that run a command, the likeliest first."""

NAMESPACE = "__"
"""What stands between a server's name and its tool's, where an API keeps them apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One entry of a conversation: by `user`, `tool` (a result) or `other`."""

    who: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The call of a tool; `server` is where its API names that apart."""

    name: str
    given: Json
    server: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is to be answered: `verb` says how, `user` is what was said.

    `marks` are those of hive's messages in all that a user said, each as often as it stands there.
    """

    verb: str
    text: str
    user: str
    tools: Tools = field(default_factory=dict)
    marks: tuple[str, ...] = ()

    @property
    def call(self) -> Call | None:
        """The tool that is called, None where there is none."""
        if self.verb == "sh":
            return _shell(self.text, self.tools)
        if self.verb == "late":
            return _shell(self.text.partition(" ")[2], self.tools)
        if self.verb == "tool":
            name, _, given = self.text.partition(" ")
            return _named(name, json.loads(given or "{}"), self.tools)
        return None


def reply(turns: list[Turn], tools: Tools, system: str) -> Reply:
    """Decide what is answered to a conversation."""
    begin = _newest(turns)
    marks = tuple(mark for one in turns if one.who == "user" for mark in _MARK.findall(one.text))
    said = turns[begin].text if begin >= 0 else ""
    user = _REMINDER.sub("", said)
    about = f"{system} {user[:200]}" if tools else f"{system} {_spoken(turns)}"
    if _TITLE.search(about):
        return Reply(verb="text", text="fake title", user="(title)", tools=tools)
    results = [one.text for one in turns[begin + 1 :] if one.who == "tool"]
    everything = "\n".join([system, *(one.text for one in turns)])
    script, rounds = _script(said, results, tools, everything), len(results)
    if rounds < len(script):
        verb, text = script[rounds]
        if verb in {"sh", "late", "tool"} and not tools:
            verb, text = "text", f"(no tools offered) {text}"
        return Reply(verb=verb, text=text.strip(), user=user, tools=tools, marks=marks)
    last = turns[-1] if turns else Turn(who="user", text="")
    echo = f"ECHO[{zlib.crc32(user.encode()):08x}] {user.strip()[:60]}".replace("\n", " ")
    text = f"TOOLRESULT {last.text[-200:].strip()}" if last.who == "tool" else echo
    return Reply(verb="text", text=text, user=user, tools=tools, marks=marks)


def _script(said: str, results: list[str], tools: Tools, everything: str) -> list[tuple[str, str]]:
    """Give what is to be done, one directive a round, as far as it is known by now.

    Who has no tools was given the files that matter with `everything` that was said.
    """
    script, lies = _DIRECTIVE.findall(said), _IN_A_FILE.search(said)
    if script or not lies:
        return script
    name, path = lies.groups()
    if not tools:
        return _DIRECTIVE.findall(everything.rpartition(f"Message {name} from ")[2])[:1]
    ways = [_reading(path, tools), ("sh", f"hive task show {name}")]
    for rounds, result in enumerate(results[: len(ways)], 1):
        if f"{name} from " in result:
            return [*ways[:rounds], *_DIRECTIVE.findall(result)]
    return ways


def _reading(path: str, tools: Tools) -> tuple[str, str]:
    """Give the directive that reads a file."""
    name = next((one for one in READERS if one in tools), "")
    known: Json = tools.get(name, {}).get("properties", {})
    key = next((one for one in known if "path" in one.lower()), "")
    return ("tool", f"{name} {json.dumps({key: path})}") if key else ("sh", f"cat {path}")


def _newest(turns: list[Turn]) -> int:
    """Find the newest message that a user really said; -1 without one."""
    for place in range(len(turns) - 1, -1, -1):
        one = turns[place]
        if one.who != "user":
            continue
        if _DIRECTIVE.search(one.text) or not _NOT_SAID.match(one.text):
            return place
    return -1


def _spoken(turns: list[Turn]) -> str:
    return " ".join(one.text for one in turns if one.who != "tool")[:6000]


def _shell(command: str, tools: Tools) -> Call:
    """Call the shell under the name, and with the arguments, that it has here."""
    name = next((one for one in SHELLS if one in tools), next(iter(tools)))
    known: Json = tools[name].get("properties", {})
    key = next((one for one in ("command", "cmd", "script") if one in known), "command")
    a_list = str(known.get(key, {}).get("type", "")).lower() == "array"
    given: Json = {key: ["bash", "-lc", command] if a_list else command}
    for one in tools[name].get("required", []):
        given.setdefault(one, _filler(known.get(one, {})))
    return Call(name=name, given=given)


def _filler(schema: Json) -> object:
    """Give some value that fits an argument which must be there."""
    if "enum" in schema:
        return schema["enum"][0]
    kinds = {"string": "run it", "boolean": False, "number": 10, "integer": 10}
    return kinds.get(str(schema.get("type", "string")).lower(), [])


def _named(name: str, given: Json, tools: Tools) -> Call:
    server = tools.get(name, {}).get("namespace", "")
    own = name.removeprefix(server).removeprefix(NAMESPACE) if server else name
    return Call(name=own, given=given, server=server)
