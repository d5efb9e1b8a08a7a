"""An agent as a value: what a restart depends on, and the way to the store and back."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hive.core.limits import PRIORITIES, Limits
from hive.core.profile import Profile
from hive.core.spec import RUNS, Agent, Probe, Restart, Stop, fingerprint, from_dict, to_dict
from hive.core.voice import Voice

CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
DEV = Agent(
    project="p",
    team="t",
    name="dev",
    role="dev",
    session="p-t",
    window="T-Dev",
    argv=("sh", "-c", "true"),
    directory="/",
    env=(("TOKEN", "s3cret"),),
)

words = st.text(min_size=1, max_size=8)
seconds = st.floats(0.1, 1e6)
probes = st.builds(
    Probe, kind=st.sampled_from(["http", "tcp", "exec", "screen"]), target=words, interval=seconds
)
agents = st.builds(
    Agent,
    project=words,
    team=words,
    name=words,
    role=words,
    session=words,
    window=words,
    argv=st.lists(words, min_size=1).map(tuple),
    directory=words,
    env=st.lists(st.tuples(words, words)).map(tuple),
    after=st.lists(words).map(tuple),
    ready=st.none() | probes,
    alive=st.none() | probes,
    restart=st.builds(
        Restart, policy=st.sampled_from(["always", "on-failure", "never"]), delay=seconds
    ),
    stop=st.builds(Stop, keys=st.lists(words).map(tuple), grace=seconds),
    port=st.none() | st.integers(1, 65535),
    order=st.integers(0, 1000),
    limits=st.builds(
        Limits,
        cpu=st.none() | seconds,
        memory=st.none() | st.integers(1, 1 << 50),
        max_age=st.none() | seconds,
        processes=st.integers(1, 1000),
    ),
    priority=st.sampled_from(PRIORITIES),
)


@CALM
@given(agents)
def test_an_agent_survives_the_way_through_json(agent):
    again = from_dict(json.loads(json.dumps(to_dict(agent))))

    assert again == agent
    assert fingerprint(again) == fingerprint(agent)


def test_keys_of_a_newer_version_are_left_out_and_missing_ones_take_their_default():
    values = to_dict(DEV) | {"colour": "red"}
    del values["stop"], values["env"], values["restart"], values["ready"]
    del values["limits"], values["priority"]

    assert from_dict(values) == replace(DEV, env=())


def test_it_has_a_name_on_the_node_and_one_that_people_say():
    assert (DEV.id, DEV.short) == ("p/t/dev", "t/dev")


def test_it_is_shown_without_its_environment():
    assert repr(DEV) == "Agent('p/t/dev', argv=('sh', '-c', 'true'))"


@pytest.mark.parametrize("name", [field.name for field in fields(Agent)])
def test_the_fingerprint_changes_exactly_with_what_a_program_was_started_with(name):
    changed = Voice(profile=Profile(name="x")) if name == "voice" else "something else"
    other = replace(DEV, **{name: changed})

    assert (fingerprint(other) != fingerprint(DEV)) == (name in {*RUNS, "voice"})


def test_an_environment_that_is_no_utf8_has_a_fingerprint():
    strange = replace(DEV, env=(("K", b"\xff".decode(errors="surrogateescape")),))

    assert len(fingerprint(strange)) == 16
