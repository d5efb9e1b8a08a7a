"""Probes put to real servers, commands and screens."""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hive.adapters import dial as dialling
from hive.adapters import procs
from hive.adapters.dial import Question
from hive.adapters.probes import Answer, Probes
from hive.core.spec import Agent, Probe

LONG = 60.0
SHORT = 0.3


class Answers(BaseHTTPRequestHandler):
    """Answers `/404` with 404, and so on."""

    def do_GET(self):
        code = int(self.path.partition("?")[0].strip("/") or 200)
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "/500")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def web():
    """Serve HTTP; gives the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def odd():
    """Serve each connection by a function of it; gives `host:port`."""
    listening = socket.create_server(("127.0.0.1", 0))
    threads = []

    def serve(answer):
        def accept():
            connection, _ = listening.accept()
            with connection, suppress(OSError):  # it was hung up on
                answer(connection)

        threads.append(threading.Thread(target=accept))
        threads[-1].start()
        return f"127.0.0.1:{listening.getsockname()[1]}"

    yield serve
    for thread in threads:
        thread.join()
    listening.close()


@pytest.fixture
def nobody():
    """Give a `host:port` that is taken, and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def dial(kind, target, timeout=LONG, **given):
    probe = Probe(kind=kind, target=target, timeout=timeout)
    question = Question(probe=probe, **{"environment": os.environ, **given})
    return dialling.dial(question, threading.Event())


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        pytest.param("", (True, "said 200 OK"), id="200 is good"),
        pytest.param("/204?deep=1", (True, "said 204 No Content"), id="all of 2xx is good"),
        pytest.param("/302", (True, "said 302 Found"), id="a redirect is good and not followed"),
        pytest.param("/404", (False, "said 404 Not Found"), id="404 is bad"),
        pytest.param("/500", (False, "said 500 Internal Server Error"), id="500 is bad"),
    ],
)
def test_http_judges_by_the_status(web, path, answer):
    assert dial("http", web + path) == answer


def test_http_and_tcp_say_that_nobody_listens(nobody):
    assert dial("http", f"http://{nobody}/") == (False, "connection refused")
    assert dial("tcp", nobody) == (False, "connection refused")


def test_https_to_a_server_that_speaks_http_is_bad(web):
    good, why = dial("http", web.replace("http://", "https://"))

    assert not good
    assert why


def silent(connection):
    connection.recv(65536)
    connection.recv(65536)  # until it is hung up on


def dripping(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    stop = threading.Event()
    while not stop.wait(0.02):
        connection.sendall(b"x")


@pytest.mark.parametrize("answer", [silent, dripping])
def test_http_waits_no_longer_than_the_timeout(odd, answer):
    assert dial("http", f"http://{odd(answer)}/", SHORT) == (False, "no answer within 0.3 s")


def garbage(connection):
    connection.recv(65536)
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    connection.shutdown(socket.SHUT_WR)
    connection.recv(65536)


def nothing(connection):
    connection.recv(65536)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(garbage, "did not answer in HTTP", id="another protocol"),
        pytest.param(nothing, "closed the connection without an answer", id="a hang-up"),
    ],
)
def test_http_wants_http(odd, answer, why):
    assert dial("http", f"http://{odd(answer)}/") == (False, why)


def test_tcp_is_good_where_the_port_accepts(odd):
    assert dial("tcp", odd(nothing)) == (True, "accepted a connection")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        pytest.param("true", (True, "exit code 0"), id="0 is good"),
        pytest.param("exit 3", (False, "exit code 3"), id="all else is bad"),
        pytest.param("kill -9 $$", (False, "killed by SIGKILL"), id="a signal is bad"),
        pytest.param("echo one; echo two; echo", (True, "two"), id="the last line says why"),
        pytest.param("echo no luck >&2; exit 1", (False, "no luck"), id="on either output"),
        pytest.param(
            r"printf '\033[31mred\033[0m\tand\007 more\n'", (True, "red and more"), id="made plain"
        ),
        pytest.param("echo $COLOUR", (True, "green"), id="with the environment it is given"),
        pytest.param("sleep 600 & echo on", (True, "on"), id="not waiting for what it left"),
        pytest.param("exec >&- 2>&-; exit 4", (False, "exit code 4"), id="with closed outputs"),
        pytest.param(
            "i=0; while [ $i -lt 3000 ]; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; "
            "i=$((i+1)); done; echo end",
            (True, "end"),
            id="however much it writes",
        ),
    ],
)
def test_exec_judges_by_the_exit_code(tmp_path, command, answer):
    environment = {**os.environ, "COLOUR": "green"}

    assert dial("exec", command, directory=str(tmp_path), environment=environment) == answer


def test_exec_shortens_a_long_line(tmp_path):
    _, why = dial("exec", f"echo {'x' * 1000}", directory=str(tmp_path))

    assert len(why) == 200


def test_exec_runs_in_the_agents_directory(tmp_path):
    (tmp_path / "here").touch()

    assert dial("exec", "test -e here", directory=str(tmp_path))[0]


def test_exec_says_that_the_directory_is_missing(tmp_path):
    gone = tmp_path / "gone"

    assert dial("exec", "true", directory=str(gone)) == (
        False,
        f"no such file or directory: `{gone}`",
    )


def test_exec_ends_the_whole_group_at_the_timeout(tmp_path, eventually):
    command = "sleep 600 & echo $$ $! > new; mv new pids; wait"
    for timeout in (1.0, 4.0, 16.0, 64.0):  # on a slow machine it may not come so far
        answer = dial("exec", command, timeout, directory=str(tmp_path))
        assert answer == (False, f"no answer within {timeout:g} s")
        if (tmp_path / "pids").exists():
            break
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]

    assert len(pids) == 2
    eventually(lambda: all((one := procs.process(pid)) is None or one.dead for pid in pids))


@pytest.mark.parametrize(
    ("pattern", "answer"),
    [
        pytest.param("> $", (True, "the screen shows `>`"), id="a line's end"),
        pytest.param(r"^tokens: \d+", (True, "the screen shows `tokens: 12`"), id="a line's start"),
        pytest.param("error", (False, "the screen does not show `error`"), id="nowhere"),
    ],
)
def test_a_screen_shows_a_pattern(pattern, answer):
    assert dial("screen", pattern, screen=["hello", "tokens: 12 left", "> "]) == answer


def test_a_screen_that_could_not_be_read_is_bad():
    assert dial("screen", "hello") == (False, "its screen could not be read")


@pytest.fixture
def probes():
    one = Probes()
    yield one
    one.close()


@pytest.fixture
def spec(tmp_path):
    return Agent(
        project="p",
        team="t",
        name="ada",
        role="dev",
        session="p-t",
        window="T-Ada",
        argv=("true",),
        directory=str(tmp_path),
    )


def readable(probes, timeout):
    return bool(select.select([probes.fileno()], [], [], timeout)[0])


def test_an_answer_makes_the_descriptor_readable_until_it_is_read(probes, spec):
    assert not readable(probes, 0)
    probes.ask(("p/t/ada", "ready"), Probe(kind="screen", target="hi"), spec, {}, ["hi"], "7")

    assert readable(probes, LONG)
    assert probes.read() == [
        Answer(key=("p/t/ada", "ready"), launch="7", good=True, why="the screen shows `hi`")
    ]
    assert not readable(probes, 0)
    assert probes.read() == []


def test_a_slow_answer_holds_up_nobody(probes, spec, tmp_path):
    wait = Probe(kind="exec", target="while ! test -e go; do sleep 0.05; done", timeout=LONG)
    probes.ask(("slow", "alive"), wait, spec, os.environ, None, "1")
    probes.ask(("fast", "alive"), Probe(kind="screen", target="hi"), spec, {}, ["hi"], "1")

    assert readable(probes, LONG)
    assert [answer.key[0] for answer in probes.read()] == ["fast"]
    (tmp_path / "go").touch()
    assert readable(probes, LONG)
    assert [answer.key[0] for answer in probes.read()] == ["slow"]


def test_more_questions_than_threads_are_all_answered(probes, spec, eventually):
    for number in range(50):
        shown = Probe(kind="screen", target=str(number))
        probes.ask((str(number), "ready"), shown, spec, {}, [str(number)], "1")
    answers = []

    eventually(lambda: answers.extend(probes.read()) or len(answers) == 50)
    assert {answer.key[0] for answer in answers} == {str(number) for number in range(50)}
    assert all(answer.good for answer in answers)


def test_a_question_that_breaks_hive_is_answered_and_logged(probes, spec, caplog):
    with caplog.at_level(logging.ERROR):
        probes.ask(("p/t/ada", "ready"), Probe(kind="smell", target=""), spec, {}, None, "1")
        assert readable(probes, LONG)
    (answer,) = probes.read()

    assert not answer.good
    assert answer.why == "hive could not ask: KeyError('smell')"
    assert "KeyError" in caplog.text


def test_closing_ends_a_command_that_runs(spec, tmp_path, eventually):
    probes = Probes()
    wait = Probe(kind="exec", target="echo $$ > new; mv new pid; sleep 600", timeout=600.0)
    probes.ask(("p/t/ada", "alive"), wait, spec, os.environ, None, "1")
    eventually((tmp_path / "pid").exists)
    pid = int((tmp_path / "pid").read_text())
    probes.close()

    eventually(lambda: (one := procs.process(pid)) is None or one.dead)
