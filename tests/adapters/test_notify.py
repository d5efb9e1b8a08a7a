"""Telling people: a real tmux with somebody at it, real commands, a real server of HTTP."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from hive.adapters import notify
from hive.adapters.notify import Around, Word, tell
from hive.core.escalation import Way, way
from hive.errors import HiveError, TimedOut

WORD = Word(
    title="hive: Task",
    text='2 things wait #(touch made) #[fg=red]#{pid} %H "$(touch made)" `x` <b>; hive inbox',
    record={"version": 1, "text": "ü", "items": []},
)
SHOWN = '2 things wait #(touch made) # [fg=red]#{pid} %H "$(touch made)" `x` <b>; hive inbox'


def environ(path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "OUT": str(path / "out"), "HIVE_SEAL": "5ea1", **more}


class Person:
    """Somebody at a terminal in which tmux is attached."""

    def __init__(self, socket: str) -> None:
        self.fd, inner = pty.openpty()
        os.set_blocking(self.fd, False)
        env = os.environ | {"TERM": "xterm", "LC_ALL": "C.UTF-8", "COLUMNS": "150"}
        argv = ["tmux", "-u", "-S", socket, "attach"]
        self.process = subprocess.Popen(
            argv, env=env, stdin=inner, stdout=inner, stderr=inner, start_new_session=True
        )
        os.close(inner)
        self.seen = b""

    def read(self) -> bytes:
        with suppress(OSError):  # nothing more there
            while select.select([self.fd], [], [], 0)[0]:
                self.seen += os.read(self.fd, 65536)
        return self.seen

    def close(self) -> None:
        self.process.kill()
        self.process.wait(30)
        os.close(self.fd)


@pytest.fixture
def person(bench):
    bench.open("dev")
    bench.run("set-option", "-g", "window-size", "manual")
    one = Person(bench.socket)
    yield one
    one.close()


def test_a_bell_rings_and_the_text_is_shown_as_it_is(bench, person, eventually):
    eventually(lambda: person.read() and bench.run("list-clients"))
    bench.run("resize-window", "-x", "150", "-y", "20")
    where = Around(sockets=["/nowhere/else", bench.socket])

    assert tell(way("bell"), WORD, where) == "rang in 1 terminal"

    eventually(lambda: b"\a" in person.read())
    eventually(lambda: b"2 things wait" in person.read())
    log = bench.run("show-messages")
    assert SHOWN in log
    assert not list(bench.path.rglob("made"))


def test_where_nobody_is_attached_the_bell_says_so(bench):
    bench.open("dev")

    with pytest.raises(HiveError, match="nobody is attached") as caught:
        tell(way("bell"), WORD, Around(sockets=[bench.socket]))

    assert "hive attach" in caught.value.fix
    with pytest.raises(HiveError, match="nobody is attached"):
        tell(way("bell"), WORD, Around(sockets=[]))


def test_only_a_terminal_is_rung(tmp_path):
    plain = tmp_path / "file"
    plain.write_text("")

    for name in (str(plain), "/dev/null", str(tmp_path / "gone"), str(tmp_path)):
        notify._beep(name)

    assert plain.read_text() == ""


def test_a_command_gets_the_text_and_all_of_it_as_json(tmp_path):
    run = 'printf "%s|%s|%s|%s" "$1" "$HIVE_NOTICE" "$HIVE_NOTICE_JSON" "$HIVE_SEAL" >"$OUT"'

    how = tell(way(f"command: {run}"), WORD, Around(environ=environ(tmp_path)))

    text, again, record, secret = (tmp_path / "out").read_text().split("|")
    assert how == "it ended with 0"
    assert (text, again, secret) == (WORD.text, WORD.text, "")
    assert json.loads(record) == WORD.record


@pytest.mark.parametrize(
    ("run", "why"),
    [
        pytest.param("echo no; echo such >&2; exit 3", "ended with 3: no such", id="it fails"),
        pytest.param("no-such-program-at-all", "ended with 127: hive", id="it is not there"),
        pytest.param("kill -9 $$", "was ended by signal 9", id="it is killed"),
    ],
)
def test_a_command_that_fails_says_why(tmp_path, run, why):
    with pytest.raises(HiveError) as caught:
        tell(Way(kind="command", target=run), WORD, Around(environ=environ(tmp_path)))

    assert why.removesuffix(": hive") in caught.value.what


def test_a_command_that_hangs_is_ended_with_what_it_started(tmp_path, monkeypatch, eventually):
    monkeypatch.setattr(notify, "COMMAND", 0.3)
    run = 'echo waiting; sleep 500 & echo $! >"$OUT"; wait'

    with pytest.raises(TimedOut, match=r"did not end within 0\.3 s: waiting"):
        tell(Way(kind="command", target=run), WORD, Around(environ=environ(tmp_path)))

    child = int((tmp_path / "out").read_text())
    eventually(lambda: not alive(child))


def test_what_a_command_leaves_running_is_not_waited_for(tmp_path, eventually):
    run = 'sleep 0.2 & echo $! >"$OUT"'

    tell(Way(kind="command", target=run), WORD, Around(environ=environ(tmp_path)))

    child = int((tmp_path / "out").read_text())
    eventually(lambda: not alive(child))


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("program", "system", "told"),
    [
        pytest.param("notify-send", "linux", "--app-name=hive|--|hive: Task|", id="linux"),
        pytest.param("osascript", "darwin", "-e|on run argv|-e|display", id="macos"),
    ],
)
def test_the_desktop_shows_it(tmp_path, program, system, told):
    found = tmp_path / program
    found.write_text('#!/bin/sh\nfor one; do printf "%s|" "$one"; done >"$OUT"\n')
    found.chmod(0o755)
    where = environ(tmp_path, DISPLAY=":9")
    where["PATH"] = f"{tmp_path}{os.pathsep}{where['PATH']}"

    assert notify.desktop(WORD, where, system) == "shown on the desktop"

    given = (tmp_path / "out").read_text()
    assert given.startswith(told)
    text = WORD.text.replace("<b>", "&lt;b&gt;") if system == "linux" else WORD.text
    assert given.endswith(f"|{text}|")


def test_without_a_desktop_it_says_what_is_missing(tmp_path):
    with pytest.raises(HiveError, match="`notify-send` is not installed"):
        notify.desktop(WORD, {"PATH": str(tmp_path), "DISPLAY": ":9"}, "linux")
    (tmp_path / "notify-send").write_text("#!/bin/sh\n")
    (tmp_path / "notify-send").chmod(0o755)
    with pytest.raises(HiveError, match="there is no display"):
        notify.desktop(WORD, {"PATH": str(tmp_path)}, "linux")


class Listener(BaseHTTPRequestHandler):
    """Keeps what is posted, and answers as its path says."""

    got: list[tuple[str, str, Any]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.path, self.headers["Content-Type"], json.loads(body)))
        if self.path == "/slow":
            time.sleep(0.4)
        codes = {"/gone": 404, "/elsewhere": 302}
        self.send_response(codes.get(self.path, 204))
        if self.path == "/elsewhere":
            self.send_header("Location", "/good")
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site():
    server = HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_gets_the_record_as_json(site):
    Listener.got.clear()

    assert tell(Way(kind="webhook", target=f"{site}/good"), WORD, Around()) == "HTTP 204"

    assert Listener.got == [("/good", "application/json", WORD.record)]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        pytest.param("/gone", "answered with HTTP 404", id="refused"),
        pytest.param("/elsewhere", "answered with HTTP 302", id="sent elsewhere"),
    ],
)
def test_a_webhook_that_is_not_taken_is_a_failure(site, path, why):
    Listener.got.clear()

    with pytest.raises(HiveError) as caught:
        tell(Way(kind="webhook", target=site + path), WORD, Around())

    assert caught.value.what.startswith(why)
    assert len(Listener.got) == 1  # it went nowhere else


def test_a_webhook_that_does_not_answer_is_a_failure(site, monkeypatch):
    monkeypatch.setattr(notify, "WEBHOOK", 0.1)
    with pytest.raises(TimedOut):
        notify.webhook(f"{site}/slow", WORD)
    with pytest.raises(HiveError, match="can't reach it"):
        notify.webhook("http://127.0.0.1:1/", WORD)
    with pytest.raises(HiveError, match="begins with http"):
        notify.webhook("file:///etc/hostname", WORD)
