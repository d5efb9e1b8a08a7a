"""The part of the store that keeps what is said: messages, requests, conversations, deeds.

A change of a message or a request is one statement that names the version it leaves, with its
step and its event in the same transaction. All times are epoch seconds.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from sqlalchemy import Connection, Select, delete, select
from sqlalchemy.dialects.sqlite import insert

from hive.adapters import schema
from hive.adapters.schema import deed, message, request, step, talk
from hive.adapters.storefile import StoreFile
from hive.core import talk as talks
from hive.core.messages import OVER, Message, Request, Stage, Step
from hive.core.talk import Talk
from hive.errors import HiveError

REMEMBERED = 7 * 24 * 3600.0
"""Seconds for which it is remembered what an agent asked for, lest it be done twice."""

KEPT = 20_000
"""How many messages are kept."""

_APART = {"number", "agent", "stage", "state", "text", "created", "version"}
_BODY = {
    kind: tuple(one.name for one in fields(kind) if one.name not in _APART)
    for kind in (Message, Request)
}
_OVER = sorted(OVER)


class Superseded(HiveError):  # noqa: N818 - an error's name says what is wrong
    """What was to be changed is no longer as it was read."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} was changed meanwhile", fix=f"hive why {name}")


class Post:
    """Messages, requests, conversations and deeds, in the store's file."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file

    def add(self, new: Sequence[Message], why: str = "", uid: str = "") -> list[Message]:
        """Keep new messages, and give them with their numbers; those they come with mean nothing.

        `why` is the first step of their story, `uid` the deed that they are.
        """
        added = []
        with self._file.writing() as connection:
            for one in new:
                values = {**_message_row(one), "version": 1}
                done = connection.execute(message.insert().values(values))
                number = int(done.inserted_primary_key[0]) if done.inserted_primary_key else 0
                known = replace(one, number=number, version=1)
                added.append(known)
                _story(connection, [(known, why or f"from {one.sender}")])
            if uid:
                numbers = {"messages": [one.number for one in added]}
                _deed(connection, uid, numbers, new[0].created)
            newest = max((one.number for one in added), default=0)
            if newest // 1000 > (newest - len(added)) // 1000:  # now and then is often enough
                old = (message.c.number <= newest - KEPT) & message.c.stage.in_(_OVER)
                connection.execute(delete(message).where(old))
                connection.execute(delete(step).where(step.c.number <= newest - KEPT))
        return added

    def change(
        self, changes: Sequence[tuple[Message, str]], at: float | None = None, uid: str = ""
    ) -> list[Message]:
        """Write messages over the versions they name, each with why; gives the new versions.

        `at` is when that was decided, by default since when they are so. `uid` is the deed that
        the change of the first of them is.

        Raises `Superseded`, and changes nothing, where one is no longer of that version.
        """
        with self._file.writing() as connection:
            for one, _ in changes:
                guard = (message.c.number == one.number) & (message.c.version == one.version)
                values = {**_message_row(one), "version": one.version + 1}
                if not connection.execute(message.update().where(guard).values(values)).rowcount:
                    raise Superseded(one.name)
            _story(connection, changes, at)
            if uid:
                one = changes[0][0]
                _deed(connection, uid, {"task": one.name}, at or one.since)
        return [replace(one, version=one.version + 1) for one, _ in changes]

    def open(self) -> dict[str, list[Message]]:
        """Give the messages that are not over, by agent, in order.

        Among them are those that were given up for want of a sign: it may still come.
        """
        found: dict[str, list[Message]] = {}
        stages = sorted(set(_OVER) - {Stage.FAILED.value})
        wish = select(message).where(message.c.stage.not_in(stages)).order_by(message.c.number)
        for one in map(_message, self._rows(wish)):
            if one.stage not in OVER or one.lost:
                found.setdefault(one.agent, []).append(one)
        return found

    def message(self, number: int) -> Message | None:
        """Give a message by its number."""
        rows = self._rows(select(message).where(message.c.number == number))
        return _message(rows[0]) if rows else None

    def messages(
        self, *, stages: Collection[str] = (), agent: str = "", limit: int = 100
    ) -> list[Message]:
        """Give the newest messages in these stages (all), to this agent (any), oldest first."""
        wish = select(message).order_by(message.c.number.desc()).limit(limit)
        if stages:
            wish = wish.where(message.c.stage.in_(stages))
        if agent:
            wish = wish.where(message.c.agent == agent)
        return [_message(row) for row in reversed(self._rows(wish))]

    def story(self, number: int) -> list[Step]:
        """Give the steps of a message, oldest first."""
        rows = self._rows(select(step).where(step.c.number == number).order_by(step.c.id))
        return [Step(at=row.at, stage=row.stage, why=row.why) for row in rows]

    def ask(self, new: Request, uid: str = "") -> Request:
        """Keep a new request, and give it with its number; `uid` is the deed that it is."""
        with self._file.writing() as connection:
            done = connection.execute(request.insert().values({**_request_row(new), "version": 1}))
            number = int(done.inserted_primary_key[0]) if done.inserted_primary_key else 0
            known = replace(new, number=number, version=1)
            _event(connection, known.agent, "asked", f"{known.name}: {known.asked}", known.at)
            if uid:
                _deed(connection, uid, {"request": known.name}, known.at)
        return known

    def settle(self, one: Request, why: str) -> Request:
        """Write a request over the version it names. Raises `Superseded` where it is older."""
        with self._file.writing() as connection:
            guard = (request.c.number == one.number) & (request.c.version == one.version)
            values = {**_request_row(one), "version": one.version + 1}
            if not connection.execute(request.update().where(guard).values(values)).rowcount:
                raise Superseded(one.name)
            text = f"{one.name} {one.state}: {why}"
            _event(connection, one.agent, "answered", text, one.answered or one.at)
        return replace(one, version=one.version + 1)

    def request(self, number: int) -> Request | None:
        """Give a request by its number."""
        rows = self._rows(select(request).where(request.c.number == number))
        return _request(rows[0]) if rows else None

    def requests(self) -> list[Request]:
        """Give the open requests, oldest first."""
        wish = select(request).where(request.c.state == "open").order_by(request.c.number)
        return [_request(row) for row in self._rows(wish)]

    def talks(self) -> dict[str, Talk]:
        """Give what is remembered of each conversation, by agent."""
        rows = self._rows(select(talk))
        return {
            row.agent: talks.from_dict(row.agent, row.version, json.loads(row.body)) for row in rows
        }

    def remember(self, changed: Iterable[Talk]) -> list[Talk]:
        """Write conversations; they are the supervisor's alone."""
        after = [replace(one, version=one.version + 1) for one in changed]
        with self._file.writing() as connection:
            for one in after:
                values = {"body": json.dumps(talks.to_dict(one)), "version": one.version}
                wish = insert(talk).values(agent=one.agent, **values)
                connection.execute(wish.on_conflict_do_update(set_=values))
        return after

    def forget(self, agent: str) -> None:
        """Strike an agent's conversation: it is gone for good."""
        with self._file.writing() as connection:
            connection.execute(delete(talk).where(talk.c.agent == agent))

    def answered(self, uid: str) -> Any | None:
        """Give what was answered to a deed's uid, None where it was not yet done."""
        rows = self._rows(select(deed.c.answer).where(deed.c.uid == uid))
        return json.loads(rows[0].answer) if rows else None

    def tidy(self, now: float) -> None:
        """Drop deeds that nobody will ask for again."""
        with self._file.writing() as connection:
            connection.execute(delete(deed).where(deed.c.at < now - REMEMBERED))

    def _rows(self, wish: Select[Any]) -> Sequence[Any]:
        with self._file.told():
            return self._file.connection.execute(wish).all()


def _message_row(one: Message) -> dict[str, Any]:
    body = {name: getattr(one, name) for name in _BODY[Message]}
    return {
        "agent": one.agent,
        "stage": one.stage.value,
        "text": one.text,
        "created": one.created,
        "body": json.dumps(body),
    }


def _message(row: Any) -> Message:
    body = json.loads(row.body)
    return Message(
        number=row.number,
        agent=row.agent,
        stage=Stage(row.stage),
        text=row.text,
        created=row.created,
        version=row.version,
        **{name: body[name] for name in _BODY[Message] if name in body},
    )


def _request_row(one: Request) -> dict[str, Any]:
    body = {name: getattr(one, name) for name in _BODY[Request]}
    return {"agent": one.agent, "state": one.state, "body": json.dumps(body)}


def _request(row: Any) -> Request:
    body = json.loads(row.body)
    known = {name: body[name] for name in _BODY[Request] if name in body}
    return Request(
        number=row.number, agent=row.agent, state=row.state, version=row.version, **known
    )


def _story(
    connection: Connection, changes: Sequence[tuple[Message, str]], at: float | None = None
) -> None:
    """Write a step of each message's story, and an event of its agent."""
    for one, why in changes:
        when = at or one.since or one.created
        row = {"number": one.number, "at": when, "stage": one.stage.value, "why": why}
        connection.execute(step.insert().values(row))
        _event(connection, one.agent, "message", f"{one.name} {one.stage.value}: {why}", when)


def _deed(connection: Connection, uid: str, answer: Mapping[str, Any], now: float) -> None:
    values = {"uid": uid, "at": now, "answer": json.dumps(answer)}
    connection.execute(insert(deed).values(values).on_conflict_do_nothing())


def _event(connection: Connection, agent: str, kind: str, text: str, at: float) -> None:
    connection.execute(schema.event.insert().values(agent=agent, kind=kind, text=text, at=at))
