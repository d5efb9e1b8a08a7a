from __future__ import annotations

import json
import os
import selectors
import socket
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hive.adapters import listener as listening
from hive.adapters.channel import Unreachable, ask
from hive.adapters.listener import IDLE, LONGEST, Listener
from hive.errors import KINDS, HiveError, NotRunning, TimedOut, WrongInput
from tests.conftest import eventually

MB = 1 << 20


def answer(verb, args):
    """What the little supervisor of these tests can do."""
    if verb == "echo":
        return args["this"]
    if verb == "big":
        return "x" * args["size"]
    if verb == "refuse":
        raise KINDS[args["code"]]("no", where="here", fix="do that")
    if verb == "odd":
        return {1, 2}
    raise ZeroDivisionError("a bug")


class Loop:
    """A listener in a loop of its own thread; `now` is its clock."""

    def __init__(self, path):
        self.path = str(path)
        self.now = 0.0
        self.listener = Listener(self.path, answer)
        self._selector = selectors.DefaultSelector()
        self.listener.register(self._selector)
        self._over = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._over:
            for key, events in self._selector.select(0.02):
                key.data.handle(key, events)
            self.listener.upkeep(self.now)

    def connect(self):
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(60)
        link.connect(self.path)
        return link

    def close(self):
        self._over = True
        self._thread.join()
        self.listener.close()
        self._selector.close()


@pytest.fixture
def path(short_path):
    return short_path / "hive.sock"


@pytest.fixture
def loop(path):
    one = Loop(path)
    yield one
    one.close()


@pytest.fixture
def script(path):
    """Start a server that does with its first client what it is given."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    server.settimeout(60)
    threads = []

    def serve(act):
        def run():
            link, _ = server.accept()
            with link:
                act(link)

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield serve
    for thread in threads:
        thread.join()
    server.close()


def read_all(link):
    found = b""
    while chunk := link.recv(MB):
        found += chunk
    return found


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="nothing"),
        pytest.param({"a": [1, 2.5, True, "é\n\0"]}, id="a nest"),
        pytest.param("\udcff", id="a byte that is no text"),
        pytest.param("y" * (6 * MB), id="many MB"),
    ],
)
def test_what_is_asked_and_answered_arrives_whole(loop, value):
    assert ask(loop.path, "echo", {"this": value}, timeout=60) == value


def test_an_answer_may_be_very_long(loop):
    assert len(ask(loop.path, "big", {"size": 20 * MB}, timeout=60)) == 20 * MB


@pytest.mark.parametrize("code", KINDS)
def test_an_error_arrives_as_what_it_was(loop, code):
    with pytest.raises(KINDS[code]) as caught:
        ask(loop.path, "refuse", {"code": code})
    assert type(caught.value) is KINDS[code]
    assert str(caught.value) == "here: no\n  next: do that"


@pytest.mark.parametrize("verb", ["break", "odd"])
def test_a_bug_is_told_and_logged_and_the_loop_lives_on(loop, caplog, verb):
    with pytest.raises(HiveError, match="hive has a bug: "):
        ask(loop.path, verb, {})
    assert "Traceback" in caplog.text
    assert ask(loop.path, "echo", {"this": 1}) == 1


def test_many_ask_at_once(loop):
    with ThreadPoolExecutor(40) as pool:
        found = pool.map(lambda n: ask(loop.path, "echo", {"this": n}, timeout=60), range(200))
        assert list(found) == list(range(200))


def test_without_a_socket_nobody_is_reached(path):
    with pytest.raises(Unreachable) as caught:
        ask(str(path), "echo", {})
    assert isinstance(caught.value, NotRunning)
    assert caught.value.where == str(path)
    assert caught.value.fix == "`hive deploy` starts it"


def test_a_dead_socket_reaches_nobody(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    with pytest.raises(Unreachable):
        ask(str(path), "echo", {})


def test_a_path_too_long_is_told(path):
    with pytest.raises(HiveError, match="can't ask the supervisor"):
        ask(f"{path}{'x' * 200}", "echo", {})


def test_a_silent_supervisor_times_out(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        with pytest.raises(TimedOut, match=r"did not answer `echo` within 0\.2 s"):
            ask(str(path), "echo", {}, timeout=0.2)


def test_a_full_line_is_waited_in_until_the_time_is_over(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(5)]
        for link in waiting:
            link.setblocking(False)
            link.connect_ex(str(path))
        with pytest.raises(TimedOut):
            ask(str(path), "echo", {}, timeout=0.3)
        for link in waiting:
            link.close()


@pytest.mark.parametrize("said", [b"", b'{"result": [1, 2'], ids=["nothing", "half an answer"])
def test_a_supervisor_that_dies_while_it_answers_is_told_apart(script, path, said):
    def die(link):
        link.recv(MB)
        link.sendall(said)

    script(die)
    with pytest.raises(NotRunning, match="ended before it answered `echo`") as caught:
        ask(str(path), "echo", {})
    assert not isinstance(caught.value, Unreachable)


def test_a_question_never_taken_whole_reached_nobody(script, path):
    script(lambda link: link.recv(1))
    with pytest.raises(Unreachable):
        ask(str(path), "echo", {"this": "x" * (6 * MB)})


@pytest.mark.parametrize("said", [b"SSH-2.0\n", b"[]\n", b"{}\n", b'{"error": {}}\n'])
def test_something_else_on_the_socket_is_told(script, path, said):
    def speak(link):
        link.recv(MB)
        link.sendall(said)

    script(speak)
    with pytest.raises(HiveError, match="not hive"):
        ask(str(path), "echo", {})


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="http"),
        pytest.param(b"\xff\xfe\n", id="bytes"),
        pytest.param(b"[1]\n", id="no object"),
        pytest.param(b'{"verb": "echo"}\n', id="no arguments"),
        pytest.param(b'{"verb": 1, "args": {}}\n', id="no verb"),
        pytest.param(b'{"verb": "echo", "args": []}\n', id="a list"),
        pytest.param(b"[" * 200_000 + b"\n", id="a deep nest"),
    ],
)
def test_junk_is_refused(loop, junk):
    with loop.connect() as link:
        link.sendall(junk)
        assert json.loads(read_all(link))["error"]["code"] == WrongInput.exit_code
    assert ask(loop.path, "echo", {"this": 1}) == 1


def test_half_a_line_and_a_goodbye_harm_nobody(loop):
    for said in (b"", b'{"verb": "echo", "ar'):
        with loop.connect() as link:
            link.sendall(said)
    with loop.connect() as link:  # it does not wait for its answer
        link.sendall(b'{"verb": "big", "args": {"size": 9000000}}\n')
    assert ask(loop.path, "echo", {"this": 1}) == 1


def test_a_question_may_come_in_pieces(loop):
    with loop.connect() as link:
        for byte in b'{"verb": "echo", "args": {"this": 7}}\n':
            link.sendall(bytes([byte]))
        assert json.loads(read_all(link)) == {"result": 7}


def test_a_question_without_end_is_refused(loop):
    with pytest.raises(WrongInput, match="longer than"):
        ask(loop.path, "echo", {"this": "x" * (LONGEST + MB)}, timeout=60)


def test_who_does_not_read_keeps_nobody_waiting(loop):
    with loop.connect() as link:
        link.sendall(b'{"verb": "big", "args": {"size": 20000000}}\n')
        eventually(loop.listener.busy)
        assert ask(loop.path, "echo", {"this": 1}) == 1
        assert len(json.loads(read_all(link))["result"]) == 20_000_000
    eventually(lambda: not loop.listener.busy())


def test_who_says_nothing_is_let_go_in_time(path):
    selector = selectors.DefaultSelector()
    listener = Listener(path, answer)
    listener.register(selector)

    def turn(now):
        for key, events in selector.select(0):
            listener.handle(key, events)
        listener.upkeep(now)

    with socket.socket(socket.AF_UNIX) as quiet, socket.socket(socket.AF_UNIX) as slow:
        for link in (quiet, slow):
            link.connect(str(path))
            link.settimeout(60)
            turn(1000.0)
        turn(1000.0)
        slow.sendall(b"{")
        turn(1000.0 + IDLE - 1)
        turn(1000.0 + IDLE)
        assert quiet.recv(1) == b""
        slow.setblocking(False)
        with pytest.raises(BlockingIOError):
            slow.recv(1)
    listener.close()
    selector.close()


def test_only_a_crowd_is_let_in_at_once(path, monkeypatch):
    monkeypatch.setattr(listening, "CROWD", 2)
    selector = selectors.DefaultSelector()
    listener = Listener(path, answer)
    listener.register(selector)
    links = [socket.socket(socket.AF_UNIX) for _ in range(4)]
    for link in links:
        link.connect(str(path))
    for _ in links:
        for key, events in selector.select(0):
            listener.handle(key, events)
    assert len(listener._clients) == 2
    for link in links:
        link.close()
    listener.close()
    selector.close()


def test_a_crowd_waits_in_line_and_is_served_when_the_silent_have_gone(loop, monkeypatch):
    monkeypatch.setattr(listening, "CROWD", 3)
    silent = [loop.connect() for _ in range(3)]
    served = loop.listener._clients
    eventually(lambda: [one.quiet_since for one in list(served.values())] == [0.0, 0.0, 0.0])
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, loop.path, "echo", {"this": 1}, timeout=60)
        assert not asked.done()
        loop.now = IDLE
        assert asked.result(60) == 1
    for link in silent:
        link.close()


def test_the_socket_is_ours_alone(path):
    before = os.umask(0o022)
    listener = Listener(path, answer)
    assert os.umask(before) == 0o022
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    listener.close()


def test_a_deleted_socket_is_noticed_and_can_be_bound_anew(path):
    first = Listener(path, answer)
    assert not first.missing()
    path.unlink()
    assert first.missing()
    second = Listener(path, answer)
    assert first.missing()
    first.close()
    assert not second.missing()
    second.close()
    assert not path.exists()


def test_a_dead_socket_is_replaced(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    listener = Listener(path, answer)
    assert not listener.missing()
    listener.close()


def test_a_living_one_is_not_replaced(loop):
    with pytest.raises(HiveError, match="another process answers"):
        Listener(loop.path, answer)
    assert ask(loop.path, "echo", {"this": 1}) == 1


def test_a_file_is_not_replaced(path):
    path.write_text("mine")
    with pytest.raises(HiveError, match="not a socket"):
        Listener(path, answer)
    assert path.read_text() == "mine"


def test_a_directory_that_is_gone_is_told(path):
    with pytest.raises(HiveError, match="can't listen"):
        Listener(path.parent / "gone" / "hive.sock", answer)


def test_asking_loads_next_to_nothing():
    code = "import sys, hive.adapters.channel; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    heavy = {"typing", "dataclasses", "pathlib", "logging", "subprocess", "sqlalchemy", "rich"}
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert heavy & (set(done.stdout.split()) - set(bare.stdout.split())) == set()
