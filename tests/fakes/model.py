#!/usr/bin/env python3
"""A scripted model on 127.0.0.1, for real agent programs: four APIs, no key, nothing leaves.

`model.py [PORT] [LOG]`: prints its address as the first line (a free port without one), and adds
each question to LOG. `GET /_log` gives the latest questions, `POST /_reset` forgets them.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from dialects import Dialect, dialect
from script import Json, Reply, reply

KEPT = 500
"""So many questions are kept; each with so many characters of what was said:"""

LONGEST = 4000

MODELS = ("fake-model", "claude-sonnet-4-5", "gpt-5", "gemini-2.5-pro")
KINDS = {429: "rate_limit_error", 529: "overloaded_error", 401: "authentication_error"}
TOO_LONG = "prompt is too long: 250000 tokens > 200000 maximum (context_length_exceeded)"
TICKS = 20
"""A slow answer has at least so many words."""


class Log:
    """What was asked, and how often each of it."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self._path = Path(path) if path else None
        self._asked: list[Json] = []
        self._times: dict[tuple[str, str, str], int] = {}

    def add(self, api: str, body: Json, said: Reply) -> int:
        """Write down a question; how often the same was asked, this time included."""
        entry = {
            "t": round(time.time(), 3), "api": api, "model": body.get("model"),
            "verb": said.verb, "arg": said.text[:300], "user": _short(said.user),
            "user_len": len(said.user), "tools": sorted(said.tools),
            "stream": bool(body.get("stream")), "marks": said.marks,
        }  # fmt: skip
        key = (said.user, said.verb, said.text)
        with self._lock:
            self._asked = [*self._asked[1 - KEPT :], entry]
            self._times[key] = self._times.get(key, 0) + 1
            if self._path:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(entry) + "\n")
            return self._times[key]

    def latest(self) -> list[Json]:
        """Give the latest questions, the oldest first."""
        with self._lock:
            return list(self._asked)

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._asked, self._times = [], {}


def _short(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[:2500]}<<CUT>>{text[-1500:]}"


class Door(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    log: Log

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name upstream
        """Say nothing on the terminal."""

    def do_GET(self) -> None:
        """Give the log, or the list of models that every API asks for."""
        if self.path == "/_log":
            self._give(self.log.latest())
        elif self.headers.get("Upgrade"):
            self._give({"error": {"message": "no websocket"}}, 426)
        else:
            data = [
                {"id": one, "object": "model", "type": "model", "display_name": one, "created": 0,
                 "owned_by": "fake"} for one in MODELS
            ]  # fmt: skip
            names = [{"name": f"models/{one}"} for one in MODELS]
            self._give({"object": "list", "data": data, "models": names})

    def do_POST(self) -> None:
        """Answer a question to the model."""
        raw = self._read()
        path = self.path.partition("?")[0]
        if path == "/_reset":
            self.log.reset()
            self._give({})
            return
        found = dialect(path)
        if found is None:  # a count of tokens, or what the CLIs tell their makers
            self._give({"input_tokens": 10, "totalTokens": 10} if "ount" in path else {})
            return
        body = json.loads(raw or b"{}")
        api, speaks = found
        said = reply(*speaks.read(body))
        times = self.log.add(api, body, said)
        stream = bool(body.get("stream")) or "stream" in path
        self._answer(speaks, body, said, times=times, stream=stream)

    def _answer(
        self, speaks: Dialect, body: Json, said: Reply, *, times: int, stream: bool
    ) -> None:
        if said.verb == "http":
            code, _, most = said.text.partition("x")
            if times <= int(most or sys.maxsize):
                self._refuse(int(code))
                return
        if said.verb == "toolong":
            self._refuse(400, "invalid_request_error", "context_length_exceeded", TOO_LONG)
            return
        if said.verb == "drop":
            self.close_connection = True
            self.connection.close()
            return
        words, delay = _words(said)
        if said.verb in {"hang", "late"}:
            time.sleep(float(said.text.partition(" ")[0] or 600))
        if stream:
            self._stream(speaks.events(body, words, said.call), delay)
        else:
            time.sleep(delay * len(words))
            self._give(speaks.whole(body, words, said.call))

    def _stream(self, events: Any, delay: float) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for name, value in events:
            if delay and _is_word(name, value):
                time.sleep(delay)
            data = value if isinstance(value, str) else json.dumps(value)
            event = f"{f'event: {name}' + chr(10) if name else ''}data: {data}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, status: int, kind: str = "", code: str = "", text: str = "") -> None:
        kind = kind or KINDS.get(status, "api_error")
        error = {
            "type": kind,
            "code": code or ("rate_limit_exceeded" if status == 429 else kind),
            "message": text or f"fake {status}: rate limit / quota exceeded, please retry later",
            "status": "RESOURCE_EXHAUSTED",
        }
        self._give({"type": "error", "error": error}, status, {"retry-after": "3"})

    def _read(self) -> bytes:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length) if length else b""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                raw += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        return gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw

    def _give(self, value: object, status: int = 200, more: dict[str, str] | None = None) -> None:
        raw = json.dumps(value).encode()
        self.send_response(status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(raw))}
        for name, text in {**headers, **(more or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(raw)


def _words(said: Reply) -> tuple[list[str], float]:
    """Give the words of an answer, and the seconds between two of them."""
    texts = {"http": "RECOVERED after error", "hang": "hang over"}
    text, delay = texts.get(said.verb, said.text).replace("\\n", "\n"), 0.0
    if said.verb == "slow":
        span, _, rest = text.partition(" ")
        text, delay = rest or "a slow answer", float(span)
    words = [] if said.call else [f"{word} " for word in text.split(" ")]
    if delay and len(words) < TICKS:
        words += [f"tick{number} " for number in range(TICKS)]
    return words, delay / len(words) if delay else 0.0


def _is_word(name: str | None, value: Json | str) -> bool:
    """Whether an event carries a word of the answer, so that it is waited before it."""
    if isinstance(value, str):
        return False
    delta = bool(re.search("delta$", name or "")) and name != "message_delta"
    choices = value.get("choices") or [{}]
    return delta or bool(choices[0].get("delta", {}).get("content")) or "candidates" in value


def serve(port: int = 0, log: str = "") -> ThreadingHTTPServer:
    """Give a server that listens (port 0: a free one); who asks lets it serve."""

    class Here(Door):
        pass

    Here.log = Log(log)
    server = ThreadingHTTPServer(("127.0.0.1", port), Here)
    server.daemon_threads = True
    return server


def main() -> None:
    """Serve until it is ended."""
    words = [*sys.argv[1:], "", ""]
    server = serve(int(words[0] or 0), words[1])
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
