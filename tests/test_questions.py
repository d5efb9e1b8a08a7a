"""When agents are asked, with time as an argument and real probes that answer."""

from __future__ import annotations

import select
from dataclasses import replace

import pytest

from hive.adapters.probes import Probes
from hive.core.spec import Agent, Probe
from hive.core.world import Verdict
from hive.questions import Questions

NOON = 1_000_000.0
ADA = "p/t/ada"
SHOWN = {ADA: ["works"]}


def shows(pattern, *, threshold=1, **more):
    return Probe(kind="screen", target=pattern, threshold=threshold, **more)


class Desk:
    """Questions to one agent, `ada`, whose screen is `shown`; it counts what was asked."""

    def __init__(self, folder):
        self.probes = Probes()
        self.questions = Questions(self.probes)
        self.shown = dict(SHOWN)
        self.looked = []
        self.launches = {ADA: "1"}
        self.spec = Agent(
            project="p",
            team="t",
            name="ada",
            role="dev",
            session="p-t",
            window="T-Ada",
            argv=("true",),
            directory=str(folder),
            env=(("COLOUR", "green"),),
        )

    def screens(self, agents):
        self.looked.append(set(agents))
        return {agent: lines for agent, lines in self.shown.items() if agent in agents}

    def ask(self, now, *, ready=False, agents=None):
        """Ask what is due at `now` seconds past noon."""
        wanted = {ADA: self.spec} if agents is None else agents
        known = {ADA} if ready else set()
        self.questions.due(wanted, self.launches, NOON + now, self.screens, ready=known)

    def hear(self, now):
        """Wait for an answer, and take it in at `now` seconds past noon."""
        assert select.select([self.probes.fileno()], [], [], 60)[0]
        self.questions.read(NOON + now)

    def next(self, now):
        """When the next question is due, in seconds past noon."""
        moment = self.questions.next(NOON + now)
        return None if moment is None else round(moment - NOON, 6)

    @property
    def ready(self):
        return self.questions.verdicts()[0].get(ADA)

    @property
    def alive(self):
        return self.questions.verdicts()[1].get(ADA)


@pytest.fixture
def desk(tmp_path):
    one = Desk(tmp_path)
    yield one
    one.probes.close()


def test_an_agent_without_probes_is_not_asked(desk):
    desk.ask(0)

    assert desk.questions.verdicts() == ({}, {})
    assert desk.next(0) is None
    assert desk.looked == []


def test_an_answer_makes_a_verdict(desk):
    desk.spec = replace(desk.spec, ready=shows("work"))
    desk.ask(0)
    assert desk.ready == Verdict()
    desk.hear(1)

    assert desk.ready == Verdict(good=True, why="the screen shows `work`", since=NOON + 1)


def test_as_many_bad_answers_are_wanted_as_the_probe_says(desk):
    desk.spec = replace(desk.spec, ready=shows("never", threshold=2))
    desk.ask(0)
    desk.hear(0)
    assert desk.ready.good is None
    desk.ask(5)
    desk.hear(5)

    assert desk.ready.good is False


def test_an_agent_that_starts_is_asked_often_and_then_less_often(desk):
    desk.spec = replace(desk.spec, ready=shows("never", interval=0.5))
    now, gaps = 0.0, []
    for _ in range(5):
        desk.ask(now)
        desk.hear(now)
        gaps.append(round(desk.next(now) - now, 6))
        now = desk.next(now)

    assert gaps == [0.2, 0.3, 0.45, 0.5, 0.5]


def test_a_short_interval_is_kept_from_the_beginning(desk):
    desk.spec = replace(desk.spec, ready=shows("never", interval=0.1))
    desk.ask(0)
    desk.hear(0)

    assert desk.next(0) == 0.1


def test_a_ready_agent_is_asked_at_its_interval(desk):
    desk.spec = replace(desk.spec, ready=shows("work", interval=7))
    desk.ask(0)
    desk.hear(0)
    desk.ask(0.2, ready=True)
    desk.hear(0.2)

    assert desk.next(0.2) == 7.2


def test_a_question_is_not_asked_before_its_time(desk):
    desk.spec = replace(desk.spec, alive=shows("work", interval=7))
    desk.ask(0)
    desk.hear(0)
    desk.ask(6.9)

    assert desk.looked == [{ADA}]
    assert desk.next(6.9) == 7
    assert desk.next(8) == 8


def test_a_clock_that_was_set_back_holds_up_no_question(desk):
    desk.spec = replace(desk.spec, alive=shows("work", interval=7))
    desk.ask(0)
    desk.hear(0)

    assert desk.next(-3600) == -3600
    desk.ask(-3600)
    desk.hear(-3600)
    assert desk.next(-3600) == -3593


def test_there_is_one_open_question_of_a_probe_at_most(desk, tmp_path):
    command = "echo asked >> asked; while ! test -e go; do sleep 0.05; done"
    desk.spec = replace(desk.spec, alive=Probe(kind="exec", target=command, timeout=60))
    for now in (0, 10, 20):
        desk.ask(now)
    assert desk.next(20) is None
    (tmp_path / "go").touch()
    desk.hear(21)

    assert (tmp_path / "asked").read_text() == "asked\n"
    assert desk.next(21) == 21


def test_life_is_asked_for_only_once_the_agent_is_ready(desk):
    desk.spec = replace(desk.spec, ready=shows("work"), alive=shows("work"))
    desk.ask(0)
    desk.hear(0)
    assert desk.alive is None
    desk.ask(0.1, ready=True)
    desk.hear(0.1)

    assert desk.alive.good is True


def test_life_is_asked_for_at_once_without_a_ready_probe(desk):
    desk.spec = replace(desk.spec, alive=shows("never"))
    desk.ask(0)
    desk.hear(0)

    assert desk.alive.good is False
    assert desk.ready is None


def test_a_new_launch_starts_afresh(desk):
    desk.spec = replace(desk.spec, alive=shows("work", interval=100))
    desk.ask(0)
    desk.hear(0)
    assert desk.alive.good is True
    desk.launches = {ADA: "2"}
    desk.ask(1)
    assert desk.alive == Verdict()
    desk.hear(1)

    assert desk.alive.since == NOON + 1


def test_an_answer_to_an_earlier_launch_counts_for_nothing(desk, tmp_path):
    wait = "while ! test -e {}; do sleep 0.05; done"
    desk.spec = replace(desk.spec, alive=Probe(kind="exec", target=wait.format(1), timeout=60))
    desk.ask(0)
    desk.spec = replace(desk.spec, alive=Probe(kind="exec", target=wait.format(2), timeout=60))
    desk.launches = {ADA: "2"}
    desk.ask(1)
    (tmp_path / "1").touch()
    desk.hear(2)
    assert desk.alive == Verdict()
    (tmp_path / "2").touch()
    desk.hear(3)

    assert desk.alive == Verdict(good=True, why="exit code 0", since=NOON + 3)


def test_a_changed_probe_waits_for_the_old_ones_answer_and_starts_afresh(desk, tmp_path):
    wait = Probe(kind="exec", target="while ! test -e go; do sleep 0.05; done", timeout=60)
    desk.spec = replace(desk.spec, alive=wait)
    desk.ask(0)
    desk.spec = replace(desk.spec, alive=shows("never"))
    desk.ask(1)
    assert desk.looked == []
    (tmp_path / "go").touch()
    desk.hear(2)
    assert desk.alive.good is True
    desk.ask(3)
    desk.hear(3)

    assert desk.alive.good is False


def test_an_agent_that_no_longer_runs_is_forgotten(desk):
    desk.spec = replace(desk.spec, alive=shows("work"))
    desk.ask(0)
    desk.hear(0)
    desk.ask(1, agents={})

    assert desk.questions.verdicts() == ({}, {})
    assert desk.next(1) is None


def test_an_agent_without_a_launch_is_not_asked(desk):
    desk.spec = replace(desk.spec, alive=shows("work"))
    desk.launches = {}
    desk.ask(0)

    assert desk.questions.verdicts() == ({}, {})


def test_a_screen_that_can_not_be_shown_says_nothing_and_is_tried_again(desk):
    desk.spec = replace(desk.spec, alive=shows("work", interval=3))
    desk.shown = {}
    desk.ask(0)
    assert desk.alive == Verdict()
    assert desk.next(0) == 3
    desk.shown = dict(SHOWN)
    desk.ask(3)
    desk.hear(3)

    assert desk.alive.good is True


def test_screens_are_looked_at_once_for_all(desk):
    other = "p/t/bob"
    bob = replace(desk.spec, name="bob", ready=shows("work"), alive=shows("work"))
    ada = replace(desk.spec, ready=shows("work"))
    desk.launches = {ADA: "1", other: "1"}
    desk.ask(0, agents={ADA: ada, other: bob})

    assert desk.looked == [{ADA, other}]


def test_a_command_gets_the_environment_of_its_agent(desk, monkeypatch):
    monkeypatch.setenv("HIVE_AGENT", "p/t/another")
    monkeypatch.setenv("COLOUR", "red")
    echo = Probe(kind="exec", target='echo "$COLOUR, $HIVE_AGENT"', timeout=60)
    desk.spec = replace(desk.spec, alive=echo)
    desk.ask(0)
    desk.hear(0)
    assert desk.alive.why == "green,"

    desk.questions.environ = lambda spec, launch: {
        **dict(spec.env),
        "HIVE_AGENT": f"{spec.id} {launch}",
    }
    desk.ask(5)
    desk.hear(5)
    assert desk.alive.why == "green, p/t/ada 1"
