"""What makes two tasks the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.caching import digest, hit_text, key
from hive.core.tasks import Job

JOB = Job(text="make", kind="run", project="task", skills=("c", "make"), check="true")


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "prompt"},
        {"check": "make test"},
        {"directory": "api"},
        {"project": "other"},
        {"team": "backend"},
        {"role": "dev"},
    ],
    ids=str,
)
def test_other_inputs_are_another_key(changed):
    assert key(replace(JOB, **changed), "make", "") != key(JOB, "make", "")


def test_words_and_files_are_inputs():
    assert len({key(JOB, "make", ""), key(JOB, "make all", ""), key(JOB, "make", "f00")}) == 3


@pytest.mark.parametrize(
    "changed",
    [
        {"title": "Build it"},
        {"priority": 90},
        {"retries": 7},
        {"sender": "task/web/pm"},
        {"skills": ("make", "c")},
        {"cache": 60.0},
        {"text": "{{ command }}"},
    ],
    ids=str,
)
def test_what_does_not_change_the_result_does_not_change_the_key(changed):
    assert key(replace(JOB, **changed), "make", "") == key(JOB, "make", "")


INPUTS = st.tuples(*[st.text('ab",|', max_size=3)] * 4)


@given(one=INPUTS, other=INPUTS)
def test_a_key_is_the_same_only_for_the_same_inputs(one, other):
    def made(words, check, directory, files):
        return key(replace(JOB, check=check, directory=directory), words, files)

    assert (made(*one) == made(*other)) is (one == other)


def test_a_digest_is_of_any_text():
    assert digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest("\ud800") != digest("?")


def test_a_result_from_the_cache_says_where_it_is_from():
    said = "the result of t-12, 3h ago, as its inputs are the same"
    assert hit_text(12, 1000.0, 1000.0 + 3 * 3600 + 59) == said
    assert "0s ago" in hit_text(12, 1000.0, 900.0)
