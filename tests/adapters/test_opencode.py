"""What opencode's plugin writes down, and its HTTP server as real servers play it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hive.adapters.opencode import (
    Door,
    NotKnown,
    NotTaken,
    OpencodeRecords,
    abort,
    begin,
    decide,
    door,
    prompt,
    sessions,
)
from hive.core.opencode import DOOR, EVENTS, PLUGIN, wire
from hive.core.outfit import Order
from hive.core.profile import Profile
from hive.core.signs import Source, Turn
from hive.core.voice import Voice

SES = "ses_e00dcd83bffe5pHVc2m1yrT2n6"
AT = 1_795_281_865.147


def line(event, told, at=AT):
    return json.dumps({"at": at, "type": event, "told": told}) + "\n"


GIVEN = line("text", {"sessionID": SES, "role": "user", "text": "[hive m-3] do it"})
BUSY = line("session.status", {"sessionID": SES, "status": {"type": "busy"}})
IDLE = line("session.status", {"sessionID": SES, "status": {"type": "idle"}})


@pytest.fixture
def records(tmp_path):
    """Give the reader of a launch and the file it reads."""
    one = OpencodeRecords("1-a", {"HIVE_FOLDER": str(tmp_path)}, str(tmp_path), 0.0)
    yield one, tmp_path / EVENTS
    one.close()


def read(one):
    return one.read(AT, pids=(), session="")


def add(file, text):
    with file.open("a") as open_:
        open_.write(text)


def test_lines_are_read_once_each_as_they_come(records):
    one, file = records
    assert read(one) == ()
    add(file, GIVEN)
    (sign,) = read(one)
    assert (sign.heard, sign.at, sign.source, sign.launch) == ((3,), AT, Source.RECORDS, "1-a")
    assert read(one) == ()
    add(file, BUSY + IDLE)
    assert [sign.turn for sign in read(one)] == [Turn.WORKING, Turn.READY]


def test_half_a_line_waits_for_its_rest(records):
    one, file = records
    add(file, GIVEN + BUSY[:30])
    assert len(read(one)) == 1
    assert read(one) == ()
    add(file, BUSY[30:])
    assert [sign.turn for sign in read(one)] == [Turn.WORKING]


@pytest.mark.parametrize("bad", ["{", "[]", '{"at": 1}', '{"at": "x", "type": "", "told": {}}'])
def test_a_damaged_line_is_told_and_left_out(records, caplog, bad):
    one, file = records
    add(file, GIVEN + bad + "\n" + IDLE)
    assert [sign.turn for sign in read(one)] == [Turn.WORKING, Turn.READY]
    assert "can't be read" in caplog.text


NODE = shutil.which("node")
PART = {"sessionID": SES, "messageID": "msg_1", "type": "text"}
EVENTS_OF_A_TURN = [
    ("session.created", {"info": {"id": SES, "cost": 0, "tokens": {"input": 0}}}),
    ("message.updated", {"info": {"id": "msg_1", "role": "user", "sessionID": SES}}),
    ("message.part.updated", {"part": {**PART, "text": "[hive m-3] do it"}}),
    ("message.part.updated", {"part": {**PART, "text": "[hive m-4]", "synthetic": True}}),
    ("session.status", {"sessionID": SES, "status": {"type": "busy"}}),
    *[
        (
            "message.part.updated",
            {
                "part": {
                    "type": "tool",
                    "tool": "bash",
                    "callID": "c1",
                    "sessionID": SES,
                    "state": {"status": status, "input": {"command": "x" * 99_999}},
                }
            },
        )
        for status in ("pending", "running", "running", "running", "completed")
    ],
    ("message.part.updated", {"part": {**PART, "messageID": "msg_2", "time": {"start": 1}}}),
    (
        "message.part.updated",
        {"part": {**PART, "messageID": "msg_2", "text": "ok", "time": {"start": 1, "end": 2}}},
    ),
    ("session.error", {"sessionID": SES, "error": {"name": "APIError", "data": {"message": "no"}}}),
    ("session.error", {}),
    ("session.diff", {"sessionID": SES, "diff": []}),
    ("session.status", {"sessionID": SES, "status": {"type": "idle"}}),
]


@pytest.mark.skipif(NODE is None, reason="needs node to run the plugin")
def test_the_plugin_writes_what_the_reader_reads(records):
    one, file = records
    order = Order(
        agent="p/t/a", launch="1-a", directory="/", home="/", folder=str(file.parent),
        hive=("hive",), voice=Voice(profile=Profile(name="opencode")),
    )  # fmt: skip
    plugin = file.with_name("plugin.mjs")
    plugin.write_text(wire(order).files[PLUGIN])
    events = [{"type": kind, "properties": told} for kind, told in EVENTS_OF_A_TURN]
    script = f"""
        import {{ Hive }} from {json.dumps(str(plugin))}
        const {{ event }} = await Hive({{}})
        for (const one of {json.dumps(events)}) await event({{ event: one }})
    """
    driver = file.with_name("driver.mjs")
    driver.write_text(script)
    subprocess.run([str(NODE), str(driver)], check=True, timeout=60)
    told = [json.loads(one)["type"] for one in file.read_text().splitlines()]
    assert told == [
        "started", "session", "text", "session.status", "tool", "tool", "tool", "text",
        "session.error", "session.error", "session.status",
    ]  # fmt: skip
    assert file.stat().st_size < 3000
    signs = read(one)
    assert [sign.heard for sign in signs if sign.heard] == [(3,)]
    assert [sign.call for sign in signs if sign.call is not None] == [1, 1, 0, 0]
    last = signs[-1]
    assert (last.turn, last.sub, last.answer) == (Turn.READY, "turn failed", "ok")
    assert last.text == "its turn ended: no"


class Played(BaseHTTPRequestHandler):
    """Answers as the server's `answers` say, and keeps what it was asked."""

    def _do(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.asked.append((self.command, self.path, body, self.headers["Authorization"]))
        code, answer = self.server.answers.get(self.path, (404, {"name": "NotFoundError"}))
        self.send_response(code)
        whole = b"" if answer is None else json.dumps(answer).encode()
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        self.wfile.write(whole)

    do_GET = do_POST = _do  # noqa: N815 - the names that http.server calls

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server():
    """Serve as opencode does; gives the server."""
    one = ThreadingHTTPServer(("127.0.0.1", 0), Played)
    one.daemon_threads = False
    one.answers, one.asked = {}, []
    thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield one
    one.shutdown()
    thread.join()
    one.server_close()


@pytest.fixture
def at(server):
    return Door(port=server.server_port, key="sesame")


def test_a_prompt_is_given_with_the_password(server, at):
    server.answers[f"/session/{SES}/prompt_async"] = (204, None)
    prompt(at, SES, "[hive m-3] grüße\nzwei", timeout=5)
    body = {"parts": [{"type": "text", "text": "[hive m-3] grüße\nzwei"}]}
    known = "Basic " + b64encode(b"opencode:sesame").decode()
    assert server.asked == [("POST", f"/session/{SES}/prompt_async", body, known)]
    assert "sesame" not in repr(at)


def test_what_it_is_at_is_ended(server, at):
    server.answers[f"/session/{SES}/abort"] = (200, True)
    abort(at, SES)
    assert [one[:2] for one in server.asked] == [("POST", f"/session/{SES}/abort")]


def test_without_a_password_none_is_shown(server):
    server.answers[f"/session/{SES}/prompt_async"] = (204, None)
    prompt(Door(port=server.server_port), SES, "x")
    assert server.asked[0][3] is None


def test_a_session_is_begun_and_shown(server, at):
    server.answers["/session"] = (200, {"id": SES, "title": "New session"})
    server.answers["/tui/select-session"] = (200, True)
    assert begin(at) == SES
    assert [(path, body) for _, path, body, _ in server.asked] == [
        ("/session", {}),
        ("/tui/select-session", {"sessionID": SES}),
    ]


def test_the_sessions_that_work_are_given(server, at):
    server.answers["/session/status"] = (200, {SES: {"type": "busy"}})
    assert sessions(at) == {SES: "busy"}


@pytest.mark.parametrize(
    ("key", "allow", "text", "path", "body"),
    [
        ("per_1", True, "", "/permission/per_1/reply", {"reply": "once"}),
        ("per_1", True, "sure", "/permission/per_1/reply", {"reply": "once"}),
        ("per_1", False, "", "/permission/per_1/reply", {"reply": "reject"}),
        ("per_1", False, "no", "/permission/per_1/reply", {"reply": "reject", "message": "no"}),
        ("que_1", True, "pg\nfast", "/question/que_1/reply", {"answers": [["pg"], ["fast"]]}),
        ("que_1", False, "pg", "/question/que_1/reply", {"answers": [["pg"]]}),
        ("que_1", False, "", "/question/que_1/reject", {}),
    ],
)
def test_what_was_asked_is_answered(server, at, key, allow, text, path, body):
    server.answers[path] = (200, True)
    decide(at, key, allow, text)
    assert [(one, told) for _, one, told, _ in server.asked] == [(path, body)]


def test_a_question_is_not_answered_without_words(server, at):
    with pytest.raises(NotTaken, match="in words"):
        decide(at, "que_1", True)
    assert server.asked == []


@pytest.mark.parametrize("code", [302, 400, 401, 404, 429])
def test_what_it_refuses_was_certainly_not_taken(server, at, code):
    server.answers["/permission/per_1/reply"] = (code, {"message": "not found: per_1"})
    with pytest.raises(NotTaken, match="not found: per_1"):
        decide(at, "per_1", True)


def test_of_its_own_failure_nobody_knows(server, at):
    server.answers["/permission/per_1/reply"] = (500, {"message": "oh"})
    with pytest.raises(NotKnown, match="answered 500"):
        decide(at, "per_1", True)


def test_where_nothing_listens_nothing_was_taken():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with pytest.raises(NotTaken, match="refused"):
        prompt(Door(port=port), SES, "x")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2", b"what?\r\n", b"HTTP/1.1 200 OK\r\n\r\nx"])
def test_of_what_is_cut_off_nobody_knows(answer):
    def serve(listening):
        with listening.accept()[0] as one:
            one.recv(65536)
            one.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        with pytest.raises(NotKnown, match="gave no answer"):
            prompt(Door(port=listening.getsockname()[1]), SES, "x", timeout=5)
        thread.join()


def test_of_what_takes_too_long_nobody_knows():
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        pytest.raises(NotKnown, match="timed out"),
    ):
        prompt(Door(port=listening.getsockname()[1]), SES, "x", timeout=0.1)


def test_its_door_is_found_in_its_folder(tmp_path):
    (tmp_path / DOOR).write_text('{"port": 4000, "key": "sesame"}')
    assert door(tmp_path) == Door(port=4000, key="sesame")


@pytest.mark.parametrize("text", [None, "", "{}", '{"port": "x", "key": ""}'])
def test_a_launch_without_a_door_is_told(tmp_path, text):
    if text is not None:
        (tmp_path / DOOR).write_text(text)
    with pytest.raises(NotTaken, match="where opencode listens"):
        door(tmp_path)
