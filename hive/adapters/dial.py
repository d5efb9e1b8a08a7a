"""One question of one probe, put once; it takes as long as it takes, its timeout at most.

An answer is good or bad, with its evidence in a few words: "said 500 Internal Server Error".
Whatever goes wrong on the way is a bad answer. (Only the lookup of a host's name has no timeout
of its own.)
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import socket
import string
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from urllib.parse import quote, urlsplit

from hive.core.spec import Probe

_SLICE = 0.05
"""How often, in seconds, a command that says nothing is looked at."""

_TAIL = 4096
_PIPE = 65536
_LONGEST = 200
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x20-\x7e\xa0-\uffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A probe, with what its kind needs: where its command runs, what the screen shows."""

    probe: Probe
    directory: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    screen: Sequence[str] | None = None


def dial(question: Question, closing: threading.Event) -> tuple[bool, str]:
    """Put the question; gives whether the answer is good, and why.

    Once `closing` is set, a command is ended at once.
    """
    began = monotonic()
    timeout = question.probe.timeout
    try:
        return _KINDS[question.probe.kind](question, closing)
    except (OSError, ValueError) as error:
        late = isinstance(error, TimeoutError) or monotonic() - began >= timeout
        return False, f"no answer within {timeout:g} s" if late else _said(error)


def _http(question: Question, _closing: threading.Event) -> tuple[bool, str]:
    import http.client
    import ssl

    url = urlsplit(question.probe.target)
    path = quote(f"{url.path or '/'}{'?' + url.query if url.query else ''}", string.punctuation)
    timeout, host = question.probe.timeout, url.hostname or ""
    until = monotonic() + timeout
    if url.scheme == "https":  # as kubelet does: it asks for health, and trusts nothing it hears
        context = ssl._create_unverified_context()  # noqa: S323, SLF001
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, url.port or 443, timeout=timeout, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, url.port or 80, timeout=timeout)
    try:
        connection.connect()
        with _cut(connection.sock, until):
            connection.request("GET", path, headers={"User-Agent": "hive", "Connection": "close"})
            with connection.getresponse() as answer:
                if monotonic() >= until:
                    raise TimeoutError  # what was cut off looks as if it were complete
                said = f"said {answer.status} {_plain(answer.reason)}".rstrip()
                return 200 <= answer.status < 400, said
    except http.client.RemoteDisconnected:
        raise ConnectionResetError from None
    except http.client.HTTPException:
        raise ValueError("did not answer in HTTP") from None
    finally:
        connection.close()


@contextlib.contextmanager
def _cut(connected: socket.socket, until: float) -> Iterator[None]:
    """Cut the connection at `until`: a timeout of its own it has only for each single read."""

    def cut() -> None:
        with contextlib.suppress(OSError):  # the other side was faster
            socket.socket.shutdown(connected, socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, until - monotonic()), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _tcp(question: Question, _closing: threading.Event) -> tuple[bool, str]:
    host, _, port = question.probe.target.rpartition(":")
    place = (host.strip("[]"), int(port))
    with socket.create_connection(place, question.probe.timeout) as connected:
        if connected.getsockname() == connected.getpeername():
            raise ConnectionRefusedError  # nobody listens: the kernel joined it to itself
    return True, "accepted a connection"


def _exec(question: Question, closing: threading.Event) -> tuple[bool, str]:
    until = monotonic() + question.probe.timeout
    process = subprocess.Popen(
        ["/bin/sh", "-c", question.probe.target],
        cwd=question.directory,
        env=dict(question.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        words = _last_words(process, until, closing)
        code = process.poll()
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # none of its group is left
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()
    if code is None:
        raise TimeoutError
    return code == 0, words or _ended(code)


def _last_words(process: subprocess.Popen[bytes], until: float, closing: threading.Event) -> str:
    """Listen until it ends, is to end, or `until`; gives the last line it wrote."""
    tail = b""
    with selectors.DefaultSelector() as selector:
        if process.stdout:
            selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            over = process.poll() is not None or closing.is_set() or monotonic() >= until
            if not selector.get_map():
                with contextlib.suppress(subprocess.TimeoutExpired):  # the loop knows until when
                    process.wait(_SLICE)
            for key, _ in selector.select(0 if over or not selector.get_map() else _SLICE):
                part = os.read(key.fd, _PIPE)
                tail = (tail + part)[-_TAIL:]
                if not part:
                    selector.unregister(key.fileobj)
            if over:
                break
    lines = [_plain(line) for line in tail.decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")


def _screen(question: Question, _closing: threading.Event) -> tuple[bool, str]:
    if question.screen is None:
        return False, "its screen could not be read"
    found = re.search(question.probe.target, "\n".join(question.screen), re.MULTILINE)
    if found is None:
        return False, f"the screen does not show `{question.probe.target}`"
    return True, f"the screen shows `{_plain(found[0])}`"


_KINDS: Mapping[str, Callable[[Question, threading.Event], tuple[bool, str]]] = {
    "http": _http,
    "tcp": _tcp,
    "exec": _exec,
    "screen": _screen,
}


def _ended(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def _said(error: OSError | ValueError) -> str:
    """Put an error into a few words."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "closed the connection without an answer"
    if isinstance(error, OSError) and error.strerror:
        where = f": `{error.filename}`" if error.filename else ""
        return _plain(f"{error.strerror[0].lower()}{error.strerror[1:]}{where}")
    return _plain(str(error)) or type(error).__name__


def _plain(text: str) -> str:
    """Make a text fit for one line of a table: no control characters, not too long."""
    line = " ".join(_ESCAPE.sub(" ", text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
