"""Which means is chosen to hold limits, on whatever machine this is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hive.adapters import cgroups, groups, hierarchies
from hive.core.limits import Limits
from hive.errors import WrongInput
from tests.conftest import group_name

KERNEL = [word for word in groups.WORDS if word != groups.PORTABLE]


@pytest.fixture
def instance() -> str:
    return group_name()


def test_the_best_means_is_chosen_and_says_what_would_be_better(instance: str) -> None:
    found = groups.find(instance, {})
    better = groups.ORDER[: groups.ORDER.index(found.name)] if found.groups else groups.ORDER
    assert found.name in (*groups.ORDER, groups.PORTABLE)
    assert (found.groups is None) == (found.name == groups.PORTABLE)
    assert found.groups is None or found.groups.name == found.name
    assert bool(found.better) == bool(better)
    assert all(f"{name}: " in found.better for name in better)


def _asked(word: str, instance: str) -> groups.Found | WrongInput:
    try:
        return groups.find(instance, {"HIVE_LIMITS": word})
    except WrongInput as error:
        return error


@pytest.mark.parametrize("word", KERNEL)
def test_the_means_that_is_named_is_used_or_why_it_can_not_be(word: str, instance: str) -> None:
    found = _asked(word, instance)
    if isinstance(found, WrongInput):
        assert f"`{word}` can't be used here: " in found.what
        assert found.where == "HIVE_LIMITS" and "unset HIVE_LIMITS" in found.fix
    else:
        assert found.name == groups.WORDS[word]
        assert found.groups and not found.better


def test_the_portable_means_can_be_asked_for(instance: str) -> None:
    found = groups.find(instance, {"HIVE_LIMITS": "portable"})
    assert found.groups is None and found.name == "portable"


def test_an_unknown_word_is_told_with_those_there_are(instance: str) -> None:
    with pytest.raises(WrongInput, match="`cgroups` is no means") as caught:
        groups.find(instance, {"HIVE_LIMITS": "cgroups"})
    assert all(f"`{word}`" in caught.value.what for word in groups.WORDS)


@pytest.mark.parametrize("version", [hierarchies.V1, hierarchies.V2], ids=["v1", "v2"])
def test_looking_for_a_means_leaves_nothing(version: hierarchies.Version, instance: str) -> None:
    found, why = cgroups.find(version, instance)
    assert (found is None) == bool(why)
    assert not [path for path, _, _ in os.walk("/sys/fs/cgroup") if instance in path]


def test_what_every_means_has_left_goes_also_what_was_only_tried(instance: str) -> None:
    found = _asked("cgroup-v1", instance)
    if isinstance(found, WrongInput) or not isinstance(found.groups, cgroups.Cgroups):
        pytest.skip("no control groups of version 1")
    found.groups.prepare("Task/front/dev", "1-aa", Limits(cpu=0.5))
    bases = {name: str(Path(one).parent) for name, one in found.groups._parents.items()}
    killed = cgroups.Cgroups(hierarchies.V1, f"{instance}-probe-1", bases)
    killed.prepare("probe", "1", Limits())
    assert groups.leave(instance, {"HIVE_LIMITS": "portable"}) == []
    assert found.groups.gone() and killed.gone()
