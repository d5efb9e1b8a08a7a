"""Commands that speak: send, inbox, approve, deny, answer, withdraw; and `hive why` of a letter."""

from __future__ import annotations

import os
import sys
import time
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from hive.adapters import reach
from hive.cli import output, remote
from hive.cli.options import Json, Timeout, duration
from hive.cli.voices import NOTED
from hive.core.messages import parsed
from hive.core.wording import count, size, span
from hive.errors import HiveError, NotRunning, TimedOut, WrongInput

LONGEST = 1 << 20
"""The longest text of a message, in bytes."""

PATIENCE = "10m"
"""How long `--wait` waits where nobody says how long."""

POLL = 0.5
"""Seconds between two looks for an answer."""

AWAY = reach.AWAY
"""Seconds an agent waits for a supervisor that is being started again."""

EVERYBODY = "*"
"""The name that means every agent."""

OVER = frozenset({"answered", "failed", "withdrawn"})
"""The stages in which nothing more is done with a message."""

KINDS = {"A": "an approval", "Q": "a question"}

Record = dict[str, Any]

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME TEXT", help="An agent or a team, and the text; `-` reads it from stdin."
    ),
]
TextFile = Annotated[
    Path | None, typer.Option("--file", "-f", metavar="FILE", help="Send what this file holds.")
]
Teams = Annotated[
    list[str] | None,
    typer.Option("--team", metavar="TEAM", help="To each agent of this team; repeatable."),
]
Everybody = Annotated[bool, typer.Option("--all", help="To every agent that can be spoken to.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the answer, and print it.")]
Message = Annotated[str, typer.Argument(metavar="MESSAGE", help="A message: `m-31`.")]
Approval = Annotated[str, typer.Argument(metavar="APPROVAL", help="An approval: `A7`.")]
Question = Annotated[str, typer.Argument(metavar="QUESTION", help="A question: `Q8`.")]
Reason = Annotated[str, typer.Argument(metavar="TEXT", help="Why not, or what to do instead.")]
Reply = Annotated[str, typer.Argument(metavar="TEXT", help="The answer; `-` reads it from stdin.")]


def send(
    words: Words = None,
    *,
    file: TextFile = None,
    team: Teams = None,
    everybody: Everybody = False,
    wait: Wait = False,
    timeout: Timeout = PATIENCE,
    json: Json = False,
) -> None:
    """Give a text to agents, to each once, as soon as nothing is in the way."""
    patience = duration(timeout)
    names, rest = addressed(words or [], team or [], everybody=everybody)
    text = checked(_text(rest, file))
    record = _sent({"names": names, "text": text, "me": me(), "uid": reach.uid()})
    messages = record.get("messages", [])
    if not json:
        _tell(messages, beside=wait)
    if wait:
        messages = _answered(messages, patience, quiet=json)
    if json:
        output.as_json({"version": 1, **record, "messages": messages})
    if wait and any(_bad(one) for one in messages):
        raise typer.Exit(1)


def inbox(json: Json = False) -> None:
    """Tell what waits for a person, and which command answers it."""
    record = remote.look("inbox")
    if json:
        output.as_json(record)
        return
    from hive import screen_letters

    output.show(screen_letters.inbox(record, time.time()), whole=True)


def approve(name: Approval, json: Json = False) -> None:
    """Let an agent do exactly what it asked for."""
    args = {"name": asked(name, "A"), "allow": True, "text": ""}
    _decide("decide", args, json=json)


def deny(name: Approval, text: Reason = "", json: Json = False) -> None:
    """Keep an agent from what it asked for, and tell it why."""
    args = {"name": asked(name, "A"), "allow": False, "text": checked(text) if text else ""}
    _decide("decide", args, json=json)


def answer(name: Question, text: Reply, json: Json = False) -> None:
    """Answer what an agent asked a person."""
    args = {"name": asked(name, "Q"), "text": checked(_stdin() if text == "-" else text)}
    _decide("answer", args, json=json)


def withdraw(name: Message, json: Json = False) -> None:
    """Take back a message that is not yet typed, or put away one that failed."""
    if (parsed(name) or ("", 0))[0] != "m":
        raise WrongInput(f"`{name}` is not a message", fix="hive withdraw m-31")
    record = remote.ask("withdraw", name=name)
    if json:
        output.as_json(record)
    else:
        _tell(record["messages"], beside=False)


def why_letter(name: str, json: bool) -> bool:
    """Tell all of a message, an approval or a question; False where the name is none of them."""
    found = parsed(name)
    if found is None or not name.startswith(found[0]):  # a team may be called `a7`
        return False
    verb = "message" if found[0] == "m" else "request"
    record = remote.look(verb, name=name)
    if json:
        output.as_json(record)
        return True
    from hive import screen_letters

    drawn = screen_letters.story if verb == "message" else screen_letters.request
    output.show(drawn(record, time.time()), whole=True)
    return True


def addressed(
    words: list[str], teams: list[str], *, everybody: bool
) -> tuple[list[str], list[str]]:
    """Give the names to send to, and the words that are left: the text, or none.

    Raises WrongInput where nobody is named, or the text is several words.
    """
    if everybody and teams:
        raise WrongInput("`--all` and `--team` exclude each other", fix="leave one out")
    others = [EVERYBODY] if everybody else teams
    names, rest = (others, words) if others else (words[:1], words[1:])
    if not names:
        raise WrongInput("nobody is named", fix='hive send AGENT "TEXT", or --team TEAM, or --all')
    if len(rest) > 1:
        what = f"the text is {len(rest)} words: `{rest[0][:40]}`, `{rest[1][:40]}` …"
        raise WrongInput(what, fix="put all of the text into one pair of quotes")
    return names, rest


def checked(text: str) -> str:
    """Give a text as it can be sent, saying what will be left out; raises WrongInput."""
    try:
        many = len(text.encode())
    except UnicodeEncodeError as error:
        raise WrongInput("the text is not UTF-8", fix="convert it: iconv -t UTF-8") from error
    if not text.strip():
        raise WrongInput("the text is empty", fix='give it in quotes: "TEXT"')
    if many > LONGEST:
        raise _too_long()
    left_out = sum(unicodedata.category(one) == "Cc" and one not in "\n\t\r" for one in text)
    if left_out:
        output.note(f"note: {count(left_out, 'control character')} will be left out of the text")
    return text


def me() -> Record | None:
    """Say which agent's program this runs in, with the seal that proves it; None for a person."""
    return dict(reach.me(os.environ)) if os.environ.get("HIVE_SEAL") else None


def asked(name: str, letter: str) -> str:
    """Give the name of an approval (`A`) or a question (`Q`) as hive writes it.

    Raises WrongInput where it is none.
    """
    found = parsed(name)
    if found is None or found[0] == "m":
        raise WrongInput(f"`{name}` is not {KINDS[letter]}", fix="`hive inbox` lists what is asked")
    whole = f"{found[0]}{found[1]}"
    if found[0] != letter:
        fix = f"hive approve {whole}" if found[0] == "A" else f'hive answer {whole} "TEXT"'
        raise WrongInput(f"`{whole}` is {KINDS[found[0]]}, not {KINDS[letter]}", fix=fix)
    return whole


def receipt(one: Record) -> str:
    """Say how far a message is."""
    why = "" if one["reason"] == one["stage"] else f": {one['reason']}"
    return f"{one['message']} to {one['agent']}: {one['stage']}{why}"


def _text(rest: list[str], file: Path | None) -> str:
    """Give the text: the word, what the file holds, or what comes from a pipe."""
    if file is not None:
        if rest:
            raise WrongInput("there is a text and a `--file`", fix="leave one out")
        return _held(file)
    if rest and rest[0] != "-":
        return rest[0]
    if not rest and sys.stdin.isatty():
        raise WrongInput("there is no text", fix='hive send AGENT "TEXT", or --file FILE')
    return _stdin()


def _held(file: Path) -> str:
    try:
        with file.open("rb") as source:
            return _decoded(source.read(LONGEST + 1))
    except OSError as error:
        raise WrongInput(f"can't read it: {error.strerror}", where=str(file)) from error


def _stdin() -> str:
    return _decoded(sys.stdin.buffer.read(LONGEST + 1))


def _decoded(data: bytes) -> str:
    if len(data) > LONGEST:
        raise _too_long()
    return data.decode(errors="surrogateescape")


def _too_long() -> WrongInput:
    fix = "keep it in a file that the agent can read, and send where that is"
    return WrongInput(f"the text is longer than {size(LONGEST)}", fix=fix)


def _sent(args: Record) -> Record:
    """Have it sent; by an agent also out of a sandbox, from which the socket can't be reached."""
    if args["me"] is None:
        record: Record = remote.ask("send", **args)
        return record
    answer: Record = reach.ask("send", args, environ=os.environ, away=AWAY)
    if answer == reach.NOTED:
        output.note(NOTED)
    return answer


def _tell(messages: Iterable[Record], *, beside: bool) -> None:
    """Print each receipt, and how to follow it; beside the result where an answer will be."""
    say = output.note if beside else output.say
    listed = list(messages)
    for one in listed:
        say(receipt(one))
    if not beside and any(one["stage"] not in OVER for one in listed):
        say(f"`hive why {listed[0]['message']}` tells how it goes on")


def _answered(messages: list[Record], patience: float, *, quiet: bool) -> list[Record]:
    """Wait until all of them are over, printing each answer as it comes; give them all.

    Raises TimedOut, Exit on Ctrl-C, which ends the waiting only.
    """
    known = {one["message"]: one for one in messages}
    last = time.monotonic() + patience
    try:
        while open_ := [one for one in known.values() if one["stage"] not in OVER]:
            if time.monotonic() > last:
                raise _late(open_, patience)
            time.sleep(POLL)
            for one in open_:
                known[one["message"]] = _followed(one, quiet=quiet)
    except KeyboardInterrupt:
        output.note("stopped waiting; hive goes on with it")
        raise typer.Exit(output.INTERRUPTED) from None
    return list(known.values())


def _followed(one: Record, *, quiet: bool) -> Record:
    """Look how far a message is, and tell what is new."""
    try:
        now: Record = remote.look("message", name=one["message"])["message"]
    except NotRunning:  # it ended before it answered, and is started again
        return one
    if quiet or receipt(now) == receipt(one):
        return now
    output.note(receipt(now))
    for line in now["result"].splitlines() if now["stage"] in OVER else ():
        output.say(line)
    return now


def _late(messages: list[Record], patience: float) -> TimedOut:
    listed = "".join(f"\n    {receipt(one)}" for one in messages)
    what = f"no answer after {span(patience)}, and hive goes on with it:{listed}"
    return TimedOut(what, fix=f"hive why {messages[0]['message']}")


def _bad(one: Record) -> bool:
    """Whether a message was not answered, or its agent failed at it."""
    return bool(one["stage"] != "answered" or one["outcome"] == "failed")


def _decide(verb: str, args: Record, *, json: bool) -> None:
    """Pass on a person's word, and tell what became of it; an agent has none to give.

    Raises HiveError where the caller was started by an agent.
    """
    from hive.adapters import scan
    from hive.views import short

    agent = scan.inside(remote.state())
    if agent:
        fix = "have a person say it, outside of the agents' windows"
        raise HiveError(f"`{short(agent)}` can't answer for a person", fix=fix)
    record = remote.ask(verb, **args)
    if json:
        output.as_json(record)
        return
    one = record["request"]
    said = f": {one['answer']}" if one["answer"] else ""
    output.say(f"{one['id']} of {one['agent']}: {one['state']}{said}")
    _tell(record.get("messages", ()), beside=False)
