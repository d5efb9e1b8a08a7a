"""Ask the supervisor: one line of JSON there, one line back, over its unix socket.

This is the hot path of every agent's call, so it imports the least it can.
"""

from __future__ import annotations

import json
import socket as sockets
import time

from hive.errors import KINDS, HiveError, NotRunning, TimedOut

TYPE_CHECKING = False  # what mypy takes for true; importing `typing` costs 6 ms
if TYPE_CHECKING:
    from typing import Any

CHUNK = 1 << 20


class Unreachable(NotRunning):
    """No supervisor took the question: nothing was done."""

    def __init__(self, socket: str) -> None:
        what = "no supervisor answers"
        super().__init__(what, where=socket, fix="`hive deploy` starts it")


def ask(socket: str, verb: str, args: dict[str, Any], timeout: float = 30.0) -> Any:
    """Have the supervisor do `verb` and give its result; `timeout` is in seconds, for all of it.

    Raises `Unreachable` where none runs, `TimedOut` where it is silent (what was asked may still
    be done), `NotRunning` where it ended before it answered, and the supervisor's own errors.
    """
    last = time.monotonic() + timeout
    question = json.dumps({"verb": verb, "args": args}).encode() + b"\n"
    try:
        with _connected(socket, last) as connection:
            sent = _send(connection, question, last)
            answer = _receive(connection, last)
    except TimeoutError as error:
        what = f"the supervisor did not answer `{verb}` within {timeout:g} s"
        fix = "ask again; `supervisor.log` beside the socket says what it does"
        raise TimedOut(what, where=socket, fix=fix) from error
    except PermissionError as error:
        what = "the supervisor's socket is not yours to use"
        raise HiveError(what, where=socket, fix="ask as the user who runs it") from error
    except (FileNotFoundError, NotADirectoryError, ConnectionError) as error:
        raise Unreachable(socket) from error
    except OSError as error:
        what = f"can't ask the supervisor: {error}"
        raise HiveError(what, where=socket, fix="put that right and ask again") from error
    if not answer.endswith(b"\n"):
        raise _broken(socket, verb) if sent else Unreachable(socket)
    return _result(socket, answer)


def _connected(socket: str, last: float) -> sockets.socket:
    """Connect, waiting in line where many ask at once."""
    connection = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    try:
        while True:
            connection.settimeout(_left(last))
            try:
                connection.connect(socket)
            except BlockingIOError:  # the line is full
                time.sleep(0.01)
            else:
                return connection
    except BaseException:
        connection.close()
        raise


def _send(connection: sockets.socket, question: bytes, last: float) -> bool:
    """Send it all, and say whether it was all taken; a refusal may still be answered."""
    connection.settimeout(_left(last))
    try:
        connection.sendall(question)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _receive(connection: sockets.socket, last: float) -> bytes:
    """Read one line, or less where the other side ends."""
    answer = bytearray()
    while not answer.endswith(b"\n"):
        connection.settimeout(_left(last))
        try:
            chunk = connection.recv(CHUNK)
        except ConnectionResetError:
            break
        if not chunk:
            break
        answer += chunk
    return bytes(answer)


def _left(last: float) -> float:
    left = last - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _result(socket: str, answer: bytes) -> Any:
    try:
        reply = json.loads(answer)
        error = reply.get("error")
        if error is None:
            return reply["result"]
        kind = KINDS.get(error["code"], HiveError)
        failure = kind(error["what"], where=error["where"], fix=error["fix"])
    except (ValueError, KeyError, TypeError, AttributeError) as wrong:
        what = "what answers on this socket is not hive"
        raise HiveError(what, where=socket, fix="delete the file, then `hive deploy`") from wrong
    raise failure


def _broken(socket: str, verb: str) -> NotRunning:
    return NotRunning(
        f"the supervisor ended before it answered `{verb}`",
        where=socket,
        fix="it is started again by itself; `hive status` shows what was done",
    )
