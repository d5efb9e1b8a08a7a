"""What is typed into real panes: exactly, once, and only where it may be."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from hive.adapters import launch, terminals, typist
from hive.adapters.control import run
from hive.adapters.typist import Entering, Pasting, Typist
from hive.core import gate
from hive.core.faint import solid
from tests.adapters.conftest import INSTANCE, Bench
from tests.conftest import eventually

OPEN, CLOSE = "\x1b[200~", "\x1b[201~"


class Reader:
    """A program in a pane of ours that takes keys itself, and keeps every byte it gets."""

    def __init__(self, bench: Bench, name: str, *, bracketed: bool = True, show: bool = False):
        self.launch = name
        self._got = bench.path / f"{name}.got"
        switch = "printf '\\033[?2004h'; " if bracketed else ""
        keep = f"tee {self._got}" if show else f"cat > {self._got}"
        self.pane = bench.open(
            name, "sh", "-c", f"stty raw -echo; {switch}touch {self._got}.up; exec {keep}"
        ).id

    def up(self) -> Reader:
        eventually(Path(f"{self._got}.up").exists, pause=0.005)
        return self

    def got(self, text: str) -> str:
        """Wait until it has got this and no less; give all of it."""
        read = lambda: self._got.read_bytes().decode() if self._got.exists() else ""
        with suppress(AssertionError):  # the test then shows what differs
            eventually(lambda: len(read()) >= len(text), timeout=10, pause=0.005)
        return read()

    def job(self, text: str, mark: str = "m-1") -> Pasting:
        return Pasting(pane=self.pane, launch=self.launch, mark=mark, text=text)

    def enter(self, count: int = 1, mark: str = "m-1", shows: str = "") -> Entering:
        return Entering(pane=self.pane, launch=self.launch, mark=mark, count=count, shows=shows)


@pytest.fixture
def hands() -> Typist:
    return Typist(INSTANCE, timeout=20)


def test_without_a_server_there_is_nothing_to_see(bench, hands):
    assert hands.glimpses(bench.socket) == {}
    assert hands.screens(bench.socket, ["%0"]) == {}
    job = Pasting(pane="%0", launch="a", mark="m-1", text="x")
    assert hands.paste(bench.socket, [job]) == ["there is no tmux server"]
    assert hands.paste(bench.socket, []) == []


@pytest.mark.parametrize("bracketed", [True, False])
def test_a_paste_is_exact(bench, hands, bracketed):
    texts = [
        "plain",
        "[hive m-31] grüße an 東京 🐝 e\u0301",
        "--help -t %1",
        "-",
        "ends with a semicolon;",
        "a \\; b \\\\ \"q\" 'q' `id` $HOME ${x} ~ ~/x",
        "#{pane_id} #(touch ran) #[fg=red] %s %% {a} }",
        "two lines\n\n\tand a tab",
        "x" * 20_000 + " end",
        " blanks ",
    ]
    one = Reader(bench, "a", bracketed=bracketed).up()
    for number, text in enumerate(texts):
        assert hands.paste(bench.socket, [one.job(text, f"m-{number}")]) == [""]
    around = (OPEN, CLOSE) if bracketed else ("", "")
    whole = "".join(text.join(around) for text in texts)
    assert one.got(whole) == whole
    assert bench.run("list-buffers") == ""
    assert not (bench.path / "ran").exists()


def test_a_message_is_pasted_once_only(bench, hands):
    one = Reader(bench, "a").up()
    assert hands.paste(bench.socket, [one.job("first")]) == [""]
    again = Typist(INSTANCE, timeout=20)
    assert again.paste(bench.socket, [one.job("first")]) == [typist.SAID]
    assert again.paste(bench.socket, [one.job("first"), one.job("next", "m-2")])[1] == ""
    whole = f"{OPEN}first{CLOSE}{OPEN}next{CLOSE}"
    assert one.got(whole) == whole
    assert hands.glimpses(bench.socket)[one.pane].said == "m-2"
    assert bench.run("list-buffers") == ""


def test_twenty_panes_are_one_question_and_one_that_is_refused_keeps_none_back(bench, hands):
    readers = [Reader(bench, f"a{number}") for number in range(20)]
    for one in readers:
        one.up()
    bench.run("copy-mode", "-t", readers[7].pane)
    jobs = [one.job(f"for {one.launch}") for one in readers]
    jobs[3] = replace(jobs[3], pane="%999")
    answers = hands.paste(bench.socket, jobs)
    assert answers[7] == gate.MODE
    assert answers[3] == typist.GONE
    assert [why for number, why in enumerate(answers) if number not in {3, 7}] == [""] * 18
    for number, one in enumerate(readers):
        if number not in {3, 7}:
            whole = f"{OPEN}for {one.launch}{CLOSE}"
            assert one.got(whole) == whole
    assert bench.run("list-buffers") == ""


def _closed(bench: Bench, one: Reader, command: str) -> None:
    bench.run(*shlex.split(command.replace("PANE", one.pane)))


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("copy-mode -t PANE", gate.MODE),
        ("select-pane -d -t PANE", gate.SHUT),
        ("set-option -w -t PANE synchronize-panes on", typist.COPIED),
        ("set-option -p -t PANE @hive_launch a-2", gate.OTHER),
        ("set-option -p -t PANE @hive ffff", typist.GONE),
    ],
)
def test_where_nothing_may_be_typed_nothing_is(bench, hands, command, why):
    one = Reader(bench, "a").up()
    assert hands.paste(bench.socket, [one.job("seen")]) == [""]
    _closed(bench, one, command)
    assert hands.paste(bench.socket, [one.job("never", "m-2")]) == [why]
    assert hands.enter(bench.socket, [one.enter()]) == [why]
    assert hands.keys(bench.socket, one.pane, one.launch, ["y", "Enter"]) == why
    bench.run("kill-pane", "-t", one.pane)  # so that it has got all that it will
    assert one.got("") == f"{OPEN}seen{CLOSE}"


def test_a_dead_pane_is_left_alone_and_the_server_lives(bench, hands):
    pane = bench.open("a", "true").id
    bench.open("b")
    eventually(lambda: hands.glimpses(bench.socket)[pane].dead)
    job = Pasting(pane=pane, launch="a", mark="m-1", text="into the dark")
    key = Entering(pane=pane, launch="a", mark="m-1", count=1)
    assert hands.paste(bench.socket, [job]) == [gate.DEAD]
    assert hands.enter(bench.socket, [key]) == [gate.DEAD]
    assert hands.keys(bench.socket, pane, "a", ["Enter"]) == gate.DEAD
    assert set(bench.seen()) == {"a", "b"}
    assert bench.run("list-buffers") == ""


def test_what_tmux_comes_to_too_late_is_not_typed(bench, hands):
    one = Reader(bench, "a").up()
    late = hands._paste(one.job("late"), "hive-late", int(time.time()) - 1)
    (reply,) = run(bench.socket, [late], 20)
    assert hands._why(reply, one.launch, "") == typist.LATE
    assert hands.paste(bench.socket, [one.job("in time")]) == [""]
    whole = f"{OPEN}in time{CLOSE}"
    assert one.got(whole) == whole


def test_enter_follows_its_text_and_is_pressed_once_for_each_count(bench, hands):
    one = Reader(bench, "a", show=True).up()
    text = "[hive m-3] hello"
    first, second = (one.enter(count, shows="[hive m-3]") for count in (1, 2))
    assert hands.enter(bench.socket, [first]) == [typist.UNSAID]
    assert hands.paste(bench.socket, [one.job(text)]) == [""]
    bench.screen(one.pane, "hello")
    assert hands.enter(bench.socket, [second]) == [typist.HIDDEN]
    hidden = one.enter(shows="[hive m-31]")
    assert hands.enter(bench.socket, [hidden]) == [typist.HIDDEN]
    assert hands.enter(bench.socket, [first]) == [""]
    assert hands.enter(bench.socket, [first]) == [typist.ENTERED]
    assert hands.enter(bench.socket, [second, second]) == ["", typist.ENTERED]
    assert hands.enter(bench.socket, [first]) == [typist.ENTERED]
    whole = f"{OPEN}{text}{CLOSE}\r\r"
    assert one.got(whole) == whole
    glimpse = hands.glimpses(bench.socket)[one.pane]
    assert (glimpse.said, glimpse.entered) == ("m-1", "m-1:2")


def test_keys_are_pressed_only_while_the_screen_shows_the_question(bench, hands):
    one = Reader(bench, "a", show=True).up()
    asked = "Run `rm -rf {x}, y: #1`? — yes/no"
    assert hands.keys(bench.socket, one.pane, "a", ["y"], shows=asked) == typist.HIDDEN
    assert hands.paste(bench.socket, [one.job(asked)]) == [""]
    bench.screen(one.pane, "yes/no")
    other = asked.replace("rm", "ls")
    assert hands.keys(bench.socket, one.pane, "a", ["y"], shows=other) == typist.HIDDEN
    more = f"{asked}\nnowhere"
    assert hands.keys(bench.socket, one.pane, "a", ["y"], shows=more) == typist.HIDDEN
    assert hands.keys(bench.socket, one.pane, "a", ["1"], shows=f"Run\n\n  {asked}  \n") == ""
    assert hands.keys(bench.socket, one.pane, "a", ["y", "Enter"], shows=asked) == ""
    assert hands.keys(bench.socket, one.pane, "a", ["Escape"]) == ""
    whole = f"{OPEN}{asked}{CLOSE}1y\r\x1b"
    assert one.got(whole) == whole


def test_a_screen_is_shown_with_what_is_faint_in_it(bench, hands):
    text = "a \\033[2mfaint\\033[22m b\\n\\033[38;2;2;2;2mgray\\033[m end\\n> \\033[2;3mTry this"
    pane = bench.open("a", "sh", "-c", f"printf '{text}'; exec sleep 1000").id
    eventually(lambda: len(solid(hands.screens(bench.socket, [pane])[pane])) == 3)
    (shown,) = hands.screens(bench.socket, [pane, "%99"]).values()
    assert "\033[2mfaint" in shown[0]
    assert solid(shown) == ["a       b", "gray end", ">"]
    assert hands.look(bench.socket, [pane])[pane][1] == shown


def test_what_a_pane_shows_of_itself(bench, hands):
    title = "a | b: ✳ work"
    show = f"printf '\\033]2;{title}\\033\\\\'; exec sleep 1000"
    cooked = bench.open("cooked", "sh", "-c", show).id
    one = Reader(bench, "raw").up()
    bench.run("copy-mode", "-t", one.pane)
    bench.run("select-pane", "-d", "-t", one.pane)
    bench.run("new-window", "sleep 1000")  # nobody's
    eventually(lambda: hands.glimpses(bench.socket)[cooked].title == title)
    seen = hands.glimpses(bench.socket)
    assert seen.keys() == {cooked, one.pane}
    first, second = seen[cooked], seen[one.pane]
    assert (first.launch, first.raw, first.mode, first.shut) == ("cooked", False, False, False)
    assert (second.launch, second.raw, second.mode, second.shut) == ("raw", True, True, True)
    assert first.tty.startswith("/dev/")
    assert time.time() - first.output < 60
    assert (first.said, first.entered, first.person) == ("", "", 0.0)


def test_what_was_typed_and_not_read_is_counted(bench, hands):
    ready = bench.path / "ready"
    pane = bench.open("a", "sh", "-c", f"stty raw -echo; touch {ready}; exec sleep 1000").id
    eventually(ready.exists)
    tty = hands.glimpses(bench.socket)[pane].tty
    assert terminals.waiting(tty) == 0
    job = Pasting(pane=pane, launch="a", mark="m-1", text="0123456789")
    assert hands.paste(bench.socket, [job]) == [""]
    eventually(lambda: terminals.waiting(tty) == 10)
    assert terminals.waiting(f"{tty}-none") is None
    assert terminals.raw(f"{tty}-none") is None


@pytest.fixture
def launched(bench, hands) -> Callable[..., Callable[[], bool]]:
    """Give a function that launches a command as hive does; it gives who has its terminal."""
    folder = bench.path / "launches"
    folder.mkdir()

    def one(*argv: str) -> tuple[str, Callable[[], bool]]:
        spec = bench.spec("a", argv=argv)
        inherit = {"HOME": bench.tag, "PATH": os.environ["PATH"], "PS1": "up> "}
        pane = bench.open("a", *launch.prepare(folder, "a", spec, {}, inherit)).id
        bench.screen(pane, "up>")
        return pane, lambda: hands.glimpses(bench.socket)[pane].foreground

    return one


@pytest.mark.parametrize(
    "argv",
    [
        ("bash", "--norc", "--noprofile", "-i"),
        ("sh", "-c", "bash --norc --noprofile -i; true"),
    ],
)
def test_a_shell_at_its_prompt_has_the_terminal_and_what_it_runs_takes_it(bench, launched, argv):
    pane, has_terminal = launched(*argv)
    assert has_terminal()
    bench.run("send-keys", "-t", pane, "sleep 1000 | cat", "Enter")
    eventually(lambda: not has_terminal())
    bench.run("send-keys", "-t", pane, "C-c")
    eventually(has_terminal)


def test_a_program_and_its_children_have_the_terminal_together(launched):
    _, has_terminal = launched("sh", "-c", "printf 'up> '; sleep 1000; true")
    assert has_terminal()


@pytest.fixture
def attach(bench) -> Iterator[Callable[..., int]]:
    """Give a function that attaches a person's terminal; it gives where that one types."""
    started = []

    def one(*flags: str) -> int:
        ours, theirs = pty.openpty()
        env = os.environ | {"TERM": "xterm", "HOME": bench.tag}
        process = subprocess.Popen(
            ["tmux", "-u", "-S", bench.socket, "attach", *flags],
            stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        started.append((process, ours))
        return ours

    yield one
    for process, terminal in started:
        process.kill()
        process.wait(30)
        os.close(terminal)


def test_a_person_who_types_is_seen_and_one_who_only_looks_is_not(bench, hands, attach):
    one = Reader(bench, "a").up()
    other = Reader(bench, "b").up()
    bench.run("select-window", "-t", one.pane)
    attach("-r")
    terminal = attach()
    eventually(lambda: len(bench.run("list-clients").splitlines()) == 2)
    first = hands.glimpses(bench.socket)
    assert (first[one.pane].person, first[other.pane].person) == (0.0, 0.0)

    def typed() -> float:
        os.write(terminal, b"x")
        return hands.glimpses(bench.socket)[one.pane].person

    assert abs(time.time() - eventually(typed)) < 30
    assert hands.glimpses(bench.socket)[other.pane].person == 0.0
