"""How a message comes to an agent: each move by itself, and whole made-up lives of messages."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import pytest

from hive.core import delivery, gate
from hive.core.delivery import decide, plan
from hive.core.messages import OVER, Message, Stage
from hive.core.moves import Clear, Enter, Look, Mark, Paste, Seat, Wait, looked
from hive.core.profile import Profile, Screen, Typing
from hive.core.signs import Condition, Ear, Glimpse, Source, Turn, marks

NOW = 1_000_000.0
SCREEN = Screen(
    composer=r"^>(?: (?P<draft>.*))?$", dialog=(r"^Really\?",), working=(r"^\* esc to interrupt",)
)
TUI = Profile(name="tui", wiring="claude", records="claude", screen=SCREEN)
HOOKED = Profile(name="hooked", wiring="gemini", screen=SCREEN)
SILENT = Profile(name="silent", screen=SCREEN)
BARE = Profile(name="bare")
SHELL = Profile(name="shell", typing=Typing(form="{text}"))
LINE = "[hive m-7] do it"


def message(**more):
    fields = {"number": 7, "agent": "p/t/a", "sender": "a person", "text": "do it"}
    return Message(**(fields | {"created": NOW - 60, "since": NOW - 60} | more))


def typed(ago=1.0, **more):
    fields = {"stage": Stage.TYPED, "launch": "1-a", "typed": NOW - ago, "since": NOW - ago}
    return message(**(fields | more))


def entered(ago=1.0, **more):
    return typed(**({"enters": 1, "since": NOW - ago, "typed": NOW - ago - 1} | more))


def submitted(ago=60.0, **more):
    at = NOW - ago
    return message(**({"stage": Stage.SUBMITTED, "launch": "1-a", "submitted": at} | more))


def ready(**more):
    fields = {"launch": "1-a", "turn": Turn.READY, "closed": "", "since": NOW - 100}
    return Condition(**(fields | more))


WORKING = ready(turn=Turn.WORKING, closed="working", since=NOW - 0.5)


def glimpse(**more):
    return Glimpse(**({"launch": "1-a", "pane": "%1", "raw": True} | more))


def seat(profile=TUI, **more):
    fields = {
        "agent": "p/t/a", "socket": "s", "pane": "%1", "launch": "1-a", "folder": "/f",
        "condition": ready(), "glimpse": glimpse(), "ear": Ear(launch="1-a"),
    }  # fmt: skip
    return Seat(**(fields | {"profile": profile} | more))


def seen(draft="", profile=TUI, **more):
    """A seat that was looked at just now."""
    return seat(profile, draft=draft, looked=NOW, **more)


def heard(at, source=Source.RECORDS, **more):
    return Ear(launch="1-a", heard={7: (source, at)}, **more)


LONG = "x" * 600


@pytest.mark.parametrize(
    ("profile", "text", "line"),
    [
        (TUI, "do it", "[hive m-7] do it"),
        (TUI, "use {text} and {mark}", "[hive m-7] use {text} and {mark}"),
        (TUI, "/help\t!", "[hive m-7] /help !"),
        (TUI, "end it \n\n", "[hive m-7] end it "),
        (TUI, "a\nb", None),
        (TUI, LONG, None),
        (TUI, "see @src/x.py", None),
        (TUI, "mail a@b.c", "[hive m-7] mail a@b.c"),
        (TUI, "ends so \\", None),
        (replace(TUI, typing=Typing(form="{text}")), "!rm", None),
        (replace(TUI, typing=Typing(form="{text}")), "fine", "fine"),
        (replace(TUI, typing=Typing(form="{mark}: {text}!")), "x", "[hive m-7]: x!"),
        (SHELL, "!rm @x | cat \\", "!rm @x | cat \\"),
        (SHELL, "echo\t" + LONG, "echo\t" + LONG),
        (TUI, "a\x1b[201~b\r", "[hive m-7] a[201~b"),
    ],
)
def test_what_is_typed(profile, text, line):
    pointer = "[hive m-7] Read /f/m-7.md and do what it says."
    assert delivery.line(message(text=text), profile, "/f") == (line or pointer)


def test_a_text_is_made_fit_to_be_typed():
    hostile = "\x00a\x1b[201~b\x7f\x85\x9bc\r\nd\re\tf\u2028g ü🐝\n\r\n"
    assert delivery.clean(hostile) == "a[201~bc\nd\ne\tf\u2028g ü🐝"
    told = delivery.body(message(text="a\r\nb\n"))
    assert told == "Message m-7 from a person:\n\na\nb\n"


@pytest.mark.parametrize(
    ("profile", "text", "why"),
    [
        (SHELL, "ls\nrm", "`shell` takes one line at a time"),
        (SHELL, "ls\n", ""),
        (TUI, "a\nb", ""),
        (TUI, "\x1b \n", "it has no text"),
        (replace(TUI, messages=False), "x", "nothing is ever typed into `tui`"),
    ],
)
def test_what_can_never_be_typed_is_refused_at_once(profile, text, why):
    one = message(text=text)
    assert delivery.unfit(one, profile) == why
    move = decide(one, seat(profile), NOW)
    failed = isinstance(move, Mark) and move.after.stage is Stage.FAILED
    assert failed == bool(why)


def wait(reason, until=None):
    return Wait(reason=reason, until=until)


RESTORING = replace(TUI, typing=replace(TUI.typing, clear=("C-u",)))
PASTE = Paste(mark="m-7@1-a", line=LINE)
ENTER = Enter(mark="m-7@1-a", count=1, shows=LINE[:12])


@pytest.mark.parametrize(
    ("one", "at", "move"),
    [
        pytest.param(message(), seat(), Look(), id="first a look"),
        pytest.param(message(), seen(), PASTE, id="then the paste"),
        pytest.param(message(), seat(closed="paused"), wait("paused"), id="a reason from above"),
        pytest.param(message(), seat(condition=WORKING), wait("working"), id="it works"),
        pytest.param(
            message(), seat(glimpse=Glimpse()), wait("its pane was not seen"), id="not seen"
        ),
        pytest.param(
            message(),
            seat(glimpse=glimpse(person=NOW - 4)),
            wait("a person typed 4 s ago", NOW + 6),
            id="a person types",
        ),
        pytest.param(message(), seen("mine"), wait(gate.DRAFT, NOW + 1), id="a draft"),
        pytest.param(
            message(),
            seen("[hive m-6] before", RESTORING),
            Clear(keys=("C-u",), shows="[hive m-6] b"),
            id="an earlier message that was interrupted",
        ),
        pytest.param(
            message(),
            seen("[hive m-9] after", RESTORING),
            wait(gate.DRAFT, NOW + 1),
            id="a draft that looks like one",
        ),
        pytest.param(
            message(),
            seen(condition=ready(turn=Turn.WORKING, closed="working")),
            wait("working", NOW + 1),
            id="a look shows that it works: nobody may tell its end",
        ),
        pytest.param(message(), seen(None), wait(gate.NO_COMPOSER, NOW + 1), id="no composer"),
        pytest.param(message(), seen(None, BARE), PASTE, id="no composer is known"),
        pytest.param(
            message(reason=gate.DRAFT),
            seat(looked=NOW - 0.4),
            wait(gate.DRAFT, NOW + 0.6),
            id="the next look waits a while",
        ),
        pytest.param(
            message(),
            seat(looked=NOW - 0.4, condition=ready(since=NOW - 0.1)),
            Look(),
            id="but not where something happened since",
        ),
        pytest.param(
            message(text="a\nb"),
            seen(),
            Paste(
                mark="m-7@1-a",
                line="[hive m-7] Read /f/m-7.md and do what it says.",
                file="/f/m-7.md",
                body="Message m-7 from a person:\n\na\nb\n",
            ),
            id="a long text lies in a file",
        ),
        pytest.param(
            message(text="x" * 1020),
            seen(profile=SHELL, glimpse=glimpse(raw=False)),
            Paste(mark="m-7@1-a", line="x" * 1020),
            id="a long line that the terminal takes",
        ),
        pytest.param(
            message(text="x" * 1024),
            seen(profile=SHELL, glimpse=glimpse(raw=False)),
            wait(gate.TOO_LONG, NOW + 1),
            id="and one that it does not",
        ),
        pytest.param(typed(0.1), seat(), wait(delivery.TYPED, NOW - 0.1 + 0.15), id="delay"),
        pytest.param(typed(), seat(), Look(), id="a second look"),
        pytest.param(typed(0.2), seat(looked=NOW - 0.2), Look(), id="newer than the paste"),
        pytest.param(typed(), seen(LINE), ENTER, id="our text and nothing else"),
        pytest.param(typed(), seen("[hive m-7]\n  do  it"), ENTER, id="broken over rows"),
        pytest.param(
            typed(), seen(None, BARE), replace(ENTER, shows=""), id="no composer to compare"
        ),
        pytest.param(
            typed(),
            seen(LINE, condition=ready(closed=gate.DRAFT)),
            ENTER,
            id="the draft that closes the gate is ours",
        ),
        pytest.param(
            typed(),
            seen(LINE, condition=ready(closed="dialog")),
            wait("typed, not entered: dialog"),
            id="a dialog came between",
        ),
        pytest.param(
            typed(),
            seen(LINE, glimpse=glimpse(mode=True)),
            wait("typed, not entered: copy mode"),
            id="copy mode came between",
        ),
        pytest.param(
            typed(),
            seen(LINE + " and more"),
            wait("typed, not entered: another draft in the composer", NOW + 1),
            id="a person's words beside ours",
        ),
        pytest.param(
            typed(),
            seen("[hive"),
            wait("typed, not entered: another draft in the composer", NOW + 1),
            id="too little of ours",
        ),
        pytest.param(
            typed(),
            seen(None),
            wait("typed, not entered: composer not found", NOW + 1),
            id="hidden by something",
        ),
        pytest.param(typed(), seen(), wait(delivery.UNSHOWN, NOW + 1), id="not shown yet"),
        pytest.param(
            entered(), seat(), wait(delivery.ENTERED, NOW + 4), id="proof takes a while"
        ),
        pytest.param(entered(6), seat(), Look(), id="no proof: a look"),
        pytest.param(entered(6), seen(LINE), replace(ENTER, count=2), id="Enter was lost"),
        pytest.param(entered(6), seen(), wait(delivery.ENTERED, NOW + 1), id="Enter was taken"),
        pytest.param(
            entered(6, enters=2), seen(LINE), wait(delivery.ENTERED, NOW + 1), id="never thrice"
        ),
        pytest.param(
            entered(6),
            seen(LINE, condition=ready(closed="dialog")),
            wait("typed, not entered again: dialog"),
            id="no second Enter into a dialog",
        ),
        pytest.param(
            entered(6), seen(None, BARE), wait(delivery.ENTERED, NOW + 1), id="nor blindly"
        ),
        pytest.param(
            entered(99),
            seat(glimpse=glimpse(dead=True)),
            wait(f"{delivery.ENTERED}; dead"),
            id="its launch ended: the next one tells",
        ),
        pytest.param(
            entered(60),
            seen(condition=ready(turn=None, closed="not ready")),
            wait(delivery.ENTERED, NOW + 1),
            id="a launch that is still starting has longer",
        ),
        pytest.param(
            entered(60),
            seen(condition=ready(since=NOW - 10)),
            wait(delivery.ENTERED, NOW + 1),
            id="and so has one that has just come up",
        ),
        pytest.param(
            typed(launch="0-z"),
            seat(condition=ready(closed="not ready")),
            wait("typed into a launch that ended; not ready"),
            id="another launch: it comes up first",
        ),
        pytest.param(
            typed(launch="0-z"),
            seat(condition=ready(since=NOW - 2)),
            wait("typed into a launch that ended; its records are read", NOW + 3),
            id="and its records are read",
        ),
        pytest.param(
            submitted(reason="its records have it"),
            seat(condition=WORKING),
            wait("its records have it"),
            id="it works on it",
        ),
        pytest.param(
            submitted(1, reason="x"), seat(ear=Ear(ended=NOW - 2)), wait("x"), id="an older end"
        ),
        pytest.param(
            message(stage=Stage.FAILED, reason="r", typed=NOW - 99), seat(), wait("r"), id="over"
        ),
    ],
)  # fmt: skip
def test_each_move(one, at, move):
    assert decide(one, at, NOW) == move


SOON = heard(NOW - 3)


@pytest.mark.parametrize(
    ("one", "at", "stage", "reason"),
    [
        pytest.param(
            message(), seat(glimpse=glimpse(said="m-7@1-a")), Stage.TYPED, delivery.AGAIN,
            id="pasted before hive was killed",
        ),
        pytest.param(message(), seat(ear=SOON), Stage.SUBMITTED, "its records have it", id="argv"),
        pytest.param(typed(), seat(ear=SOON), Stage.SUBMITTED, "its records have it", id="typed"),
        pytest.param(
            entered(), seat(ear=heard(NOW, Source.HOOK)), Stage.SUBMITTED,
            "its hook told that it arrived", id="entered",
        ),
        pytest.param(
            entered(launch="0-z"), seat(ear=SOON), Stage.SUBMITTED, "its records have it",
            id="in a launch that ended, but the conversation goes on",
        ),
        pytest.param(
            message(stage=Stage.FAILED, typed=NOW - 99, enters=2), seat(ear=SOON),
            Stage.SUBMITTED, "its records have it", id="late evidence",
        ),
        pytest.param(
            typed(), seat(glimpse=glimpse(entered="m-7@1-a:1")), Stage.TYPED, delivery.ENTERED,
            id="entered before hive was killed",
        ),
        pytest.param(typed(9), seen(), Stage.FAILED, delivery.UNSHOWN, id="never shown"),
        pytest.param(entered(31), seen(), Stage.FAILED, delivery.UNHEARD, id="no sign"),
        pytest.param(entered(31), seen(LINE), Stage.FAILED, delivery.UNHEARD, id="stuck"),
        pytest.param(
            entered(181), seen(condition=ready(turn=None)), Stage.FAILED, delivery.UNHEARD,
            id="it never came up",
        ),
        pytest.param(
            entered(31), seen(condition=replace(WORKING, since=NOW - 30)), Stage.SUBMITTED,
            "its composer is empty and it went to work; its own word is not to be had",
            id="no word of its own, but it works",
        ),
        pytest.param(
            entered(), seen(profile=SILENT, condition=WORKING), Stage.SUBMITTED,
            "its composer is empty and it went to work; its own word is not to be had",
            id="one that tells nothing",
        ),
        pytest.param(
            entered(), seen(None, SHELL, waiting=0), Stage.SUBMITTED,
            "its program has read the line; its own word is not to be had", id="a shell",
        ),
        pytest.param(
            entered(), seen(None, BARE, waiting=0), Stage.SUBMITTED,
            "its program has read the line; its own word is not to be had", id="no composer",
        ),
        pytest.param(
            entered(31), seen(None, SHELL, waiting=9), Stage.FAILED, delivery.UNHEARD,
            id="a shell that does not read",
        ),
        pytest.param(
            entered(launch="0-z"), seat(), Stage.QUEUED, delivery.UNRECORDED,
            id="the records of the conversation do not have it",
        ),
        pytest.param(
            entered(launch="0-z"), seat(HOOKED, glimpse=glimpse(said="m-7@0-z")),
            Stage.FAILED, delivery.UNKNOWN, id="no records: not known",
        ),
        pytest.param(
            typed(launch="0-z"),
            seat(HOOKED, glimpse=glimpse(said="m-7@0-z", entered="m-7@0-z:1")),
            Stage.FAILED, delivery.UNKNOWN, id="the pane remembers the Enter",
        ),
        pytest.param(
            typed(launch="0-z"), seat(HOOKED, glimpse=glimpse(said="m-7@0-z")),
            Stage.QUEUED, delivery.UNKEPT, id="or that there was none",
        ),
        pytest.param(
            typed(launch="0-z"), seat(HOOKED), Stage.FAILED, delivery.UNKNOWN,
            id="another pane remembers nothing",
        ),
        pytest.param(
            submitted(), seat(ear=Ear(ended=NOW - 1, answer="yes")), Stage.ANSWERED, "answered",
            id="the turn ended",
        ),
        pytest.param(
            submitted(), seat(ear=Ear(ended=NOW - 1), condition=ready(sub="turn failed")),
            Stage.ANSWERED, "answered: turn failed", id="in failure",
        ),
        pytest.param(
            submitted(outcome="failed"), seat(condition=WORKING), Stage.ANSWERED,
            "reported failed", id="reported",
        ),
        pytest.param(
            submitted(), seat(condition=ready(since=NOW - 31)), Stage.ANSWERED,
            "its turn is over", id="ready for long: its end was not told",
        ),
        pytest.param(
            submitted(), seat(SILENT, condition=ready(since=NOW - 1)), Stage.ANSWERED,
            "its turn is over", id="one that tells nothing is ready again",
        ),
        pytest.param(
            submitted(5), seat(SHELL), Stage.ANSWERED, "its turn is over", id="a quick command"
        ),
    ],
)  # fmt: skip
def test_each_new_stage(one, at, stage, reason):
    move = decide(one, at, NOW)
    assert isinstance(move, Mark), move
    assert (move.after.stage, move.after.reason) == (stage, reason)


def test_what_is_written_down():
    sub = decide(entered(), seat(ear=SOON), NOW).after
    assert (sub.submitted, sub.proof, sub.launch) == (NOW - 3, "its records have it", "1-a")
    answered = decide(submitted(), seat(ear=Ear(ended=NOW - 1, answer="yes")), NOW).after
    assert (answered.answered, answered.result) == (NOW - 1, "yes")
    again = decide(entered(launch="0-z"), seat(), NOW).after
    assert (again.launch, again.typed, again.enters) == ("", 0.0, 0)
    once = delivery.typed(message(), seat(), NOW)
    assert (once.stage, once.launch, once.typed, once.tries) == (Stage.TYPED, "1-a", NOW, 1)
    assert decide(typed(), seat(glimpse=glimpse(entered="m-7@1-a:2")), NOW).after.enters == 2
    assert decide(typed(), seen(LINE, glimpse=glimpse(entered="m-6@1-a:1")), NOW) == ENTER


@pytest.mark.parametrize(
    ("before", "condition", "reason"),
    [
        (message(number=6), ready(), "behind another message"),
        (typed(number=6), ready(), "behind another message"),
        (submitted(1, number=6), ready(), "m-6 is not answered yet"),
        (submitted(number=6), WORKING, "m-6 is not answered yet"),
        (submitted(1, number=6), ready(since=NOW - 0.5), ""),
        (submitted(6, number=6), ready(), ""),
        (message(number=6, stage=Stage.ANSWERED), ready(), ""),
        (message(number=6, stage=Stage.FAILED), ready(), ""),
        (message(number=6, stage=Stage.WITHDRAWN), ready(), ""),
    ],
)
def test_one_message_at_a_time_in_order(before, condition, reason):
    last = message(number=8)
    found = plan((last, message(), before), seat(condition=condition), NOW)
    assert [one.number for one, _ in found] == [6, 7, 8]
    assert found[1][1] == (wait(reason) if reason else Look())
    assert found[2][1] == wait("behind another message")


def test_evidence_of_a_message_behind_others_is_taken():
    found = plan((message(number=6), message()), seat(ear=SOON), NOW)
    assert found[1][1].after.stage is Stage.SUBMITTED


@pytest.mark.parametrize(
    ("draft", "looked", "closed", "move"),
    [
        pytest.param("", NOW - 6, "", Look, id="not looked at since"),
        pytest.param(None, NOW, "", Wait, id="no composer yet"),
        pytest.param("", NOW, "approval", Wait, id="it asks"),
        pytest.param("", NOW, "", Mark, id="at its composer"),
    ],
)
def test_what_tells_a_question_as_its_turns_end_is_looked_at_first(draft, looked, closed, move):
    aider = replace(TUI, wiring="aider", records="aider")
    place = seen(
        draft,
        aider,
        ear=Ear(launch="1-a", ended=NOW - 5),
        condition=ready(since=NOW - 5, closed=closed),
    )
    (found,) = [one for _, one in plan([submitted()], replace(place, looked=looked), NOW)]
    assert isinstance(found, move)


def test_seconds_that_pass_are_no_news():
    assert not delivery.is_news("a person typed 3 s ago", "a person typed 9 s ago")
    assert delivery.is_news("a person typed 3 s ago", "dialog")


@pytest.mark.parametrize(
    ("profile", "rows", "draft", "closed", "turn"),
    [
        (TUI, ["hello", "> half"], "half", "", Turn.READY),
        (TUI, ["Really?", "yes / no"], None, "dialog", Turn.READY),
        (TUI, ["* esc to interrupt", "> "], "", "", Turn.READY),
        (SILENT, ["* esc to interrupt", "> "], "", "working", Turn.WORKING),
        (TUI, [], None, "", Turn.READY),
    ],
)
def test_a_look_can_close_the_gate_and_never_open_it(profile, rows, draft, closed, turn):
    for known in ("", "limited"):
        one = looked(seat(profile, condition=ready(closed=known)), glimpse(), rows, NOW)
        assert (one.draft, one.looked, one.condition.turn) == (draft, NOW, turn)
        assert one.condition.closed == (known or closed)


# Made-up lives: an agent in its window, a hive that is killed at any moment, a person.

STEP = 0.3
HALF = "half a sentence"


@dataclass
class World:
    """One agent in its pane, as it really is; `kept` is what its conversation has."""

    rng: random.Random
    profile: Profile
    faults: bool = True
    now: float = NOW
    launch: int = 1
    ended: float = 0.0
    composer: str = ""
    dialog: bool = False
    person: float = 0.0
    works_until: float = 0.0
    since: float = NOW - 1
    said: str = ""
    pressed: str = ""
    started: float = NOW - 9
    kept: list[int] = field(default_factory=list)
    evidence: list[tuple[float, int]] = field(default_factory=list)
    got: list[tuple[str, int]] = field(default_factory=list)
    pasted: list[tuple[str, str]] = field(default_factory=list)

    @property
    def name(self):
        return f"{self.launch}-x"

    def chance(self, part):
        return self.faults and self.rng.random() < part

    def pass_time(self):
        """Let the agent, the person and bad luck do what they do."""
        self.now += STEP
        if self.works_until and self.now >= self.works_until:
            self.works_until, self.ended, self.since = 0.0, self.now, self.now
        if self.dialog and (not self.faults or self.rng.random() < 0.1):
            self.dialog = False
        if self.chance(0.01) and not self.works_until:
            self.dialog = True
        if self.chance(0.02) and not self.dialog:
            self.composer, self.person = self.composer + HALF, self.now
        elif HALF in self.composer and (not self.faults or self.rng.random() < 0.1):
            self.composer, self.person = self.composer.replace(HALF, ""), self.now
        if self.chance(0.003) and self.composer and self.profile.records != "none":
            self.person = self.now
            self.submit()
        if self.chance(0.006):
            self.relaunch()

    def relaunch(self):
        """End the launch; with records, the next one goes on with what was kept."""
        self.launch += 1
        self.composer, self.works_until, self.dialog = "", 0.0, False
        self.started = self.now + 1.0
        if self.chance(0.3):  # in another pane
            self.said = self.pressed = ""
        if self.profile.records == "none":
            self.kept, self.evidence = [], []
            return
        if self.chance(0.3):  # the newest was not written down when it ended
            self.evidence = self.evidence[:-1]
            self.kept = [number for _, number in self.evidence]
        self.evidence = [(min(at, self.started + 2), number) for at, number in self.evidence]

    def submit(self):
        """Take what stands in the composer as a prompt."""
        numbers = marks(self.composer)
        self.composer = ""
        self.works_until, self.since = self.now + self.rng.uniform(0.1, 6.0), self.now
        for number in numbers:
            self.got.append((self.name, number))
            self.kept.append(number)
            late = self.rng.choice([0.0, 1.0, 8.0, 40.0]) if self.faults else 0.0
            if not (self.profile is HOOKED and self.chance(0.2)):  # a hook that is lost
                self.evidence.append((self.now + late, number))

    def glimpse(self):
        return Glimpse(
            launch=self.name, pane="%1", raw=True, said=self.said, entered=self.pressed,
            person=self.person,
        )  # fmt: skip

    def seat(self):
        up = self.now >= self.started
        turn = Turn.WORKING if self.works_until else Turn.READY
        closed = "working" if self.works_until else "dialog" if self.dialog else ""
        condition = ready(
            launch=self.name,
            turn=turn if up else None,
            closed=closed if up else "not ready",
            since=max(self.since, self.started),
        )
        told = {n: (Source.RECORDS, at) for at, n in self.evidence if at <= self.now and up}
        ear = Ear(launch=self.name)
        if self.profile.tells:
            ear = Ear(launch=self.name, heard=told, ended=self.ended)
        return seat(
            self.profile, launch=self.name, condition=condition, glimpse=self.glimpse(), ear=ear
        )

    def look(self, known):
        draft = None if self.dialog or self.now < self.started else self.composer
        return replace(known, glimpse=self.glimpse(), draft=draft, looked=self.now)

    def paste(self, move):
        if self.said == move.mark:
            return False
        assert not self.dialog, "pasted into a dialog"
        assert not self.works_until, "pasted while it works"
        assert not self.composer, "pasted behind a draft"
        assert self.now >= self.started, "pasted before it reads"
        assert self.now - self.person >= gate.PERSON, "pasted under a person's fingers"
        self.said = move.mark
        self.pasted.append((self.name, move.mark))
        if not self.chance(0.03):  # else it is lost
            self.composer += move.line
        return True

    def enter(self, move):
        before = f"{move.mark}:{move.count - 1}"
        if self.said != move.mark or (move.count > 1 and self.pressed != before):
            return False
        assert not self.dialog, "Enter would answer a dialog"
        assert move.mark.partition("@")[0] in self.composer, "Enter behind something else"
        assert HALF not in self.composer, "Enter behind a person's words"
        self.pressed = f"{move.mark}:{move.count}"
        if not self.chance(0.2):  # else it is swallowed
            self.submit()
        return True


class KilledError(Exception):
    """Hive was killed."""


class Hive:
    """What drives the moves: it may be killed between any two things it does."""

    def __init__(self, world, messages):
        self.world, self.store = world, {one.number: one for one in messages}
        self.known = None

    def step(self):
        try:
            self._step()
        except KilledError:
            self.known = None

    def _danger(self):
        if self.world.chance(0.05):
            raise KilledError

    def _step(self):
        at, now = self.world.seat(), self.world.now
        if self.known and self.known.launch == at.launch:
            at = replace(at, draft=self.known.draft, looked=self.known.looked)
        for _ in range(10):
            moves = [
                (one, move)
                for one, move in plan(self.store.values(), at, now)
                if not isinstance(move, Wait)
            ]
            if not moves:
                return
            one, move = moves[0]
            self._danger()
            if isinstance(move, Look):
                at = self.known = self.world.look(at)
                continue
            after = move.after if isinstance(move, Mark) else None
            if isinstance(move, Paste) and self.world.paste(move):
                after = delivery.typed(one, at, now)
            elif isinstance(move, Enter) and self.world.enter(move):
                after = delivery.entered(one, move.count, now)
            self._danger()
            if after is None:
                return
            self.store[one.number] = after


SURE = {TUI.name: {delivery.UNSHOWN, delivery.UNHEARD}}
ANY = {delivery.UNSHOWN, delivery.UNHEARD, delivery.UNKNOWN}


@pytest.mark.parametrize("profile", [TUI, HOOKED, SILENT], ids=lambda one: one.name)
@pytest.mark.parametrize("block", range(4))
def test_whatever_happens_a_message_arrives_at_most_once_and_ends_with_a_reason(profile, block):
    for seed in range(block * 10, block * 10 + 10):
        try:
            _life(profile, random.Random(seed))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def _life(profile, rng):
    world = World(rng, profile)
    hive = Hive(world, [message(number=n, since=NOW, created=NOW) for n in range(1, 6)])
    for _ in range(400):
        world.pass_time()
        hive.step()
        _hold(world, hive)
    world.faults = False
    for _ in range(1500):
        world.pass_time()
        stuck = not any(one.stage is Stage.TYPED for one in hive.store.values())
        if stuck and not world.works_until:  # a person takes away what nobody waits for
            world.composer = ""
        hive.step()
        _hold(world, hive)
        if all(one.stage in OVER for one in hive.store.values()):
            break
    _ended(world, hive, SURE.get(profile.name, ANY))


def _hold(world, hive):
    assert len(set(world.pasted)) == len(world.pasted), "pasted twice into one launch"
    assert len(set(world.kept)) == len(world.kept), "a conversation has it twice"
    if world.profile.records == "none":
        received = [number for _, number in world.got]
        assert len(set(received)) == len(received), "received twice"


def _ended(world, hive, reasons):
    received = {number for _, number in world.got}
    for one in hive.store.values():
        assert one.stage in OVER, f"{one.name} has not ended: {one.stage}, {one.reason}"
        assert one.reason
        if one.stage is Stage.ANSWERED:
            assert one.number in received, f"{one.name} was never received: {one.proof}"
            assert one.proof
        else:
            assert one.reason in reasons, f"{one.name}: {one.reason}"
            told = {number for at, number in world.evidence if at <= world.now}
            known = world.profile.tells and one.number in told
            assert not known, f"{one.name} is there, and hive says: {one.reason}"


def test_most_messages_arrive_where_nothing_goes_wrong():
    for profile in (TUI, HOOKED, SILENT):
        world = World(random.Random(1), profile, faults=False)
        hive = Hive(world, [message(number=n, since=NOW, created=NOW) for n in range(1, 6)])
        for _ in range(400):
            world.pass_time()
            hive.step()
        assert [number for _, number in world.got] == [1, 2, 3, 4, 5]
        assert {one.stage for one in hive.store.values()} == {Stage.ANSWERED}
