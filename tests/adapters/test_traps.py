from __future__ import annotations

import pytest

from hive.adapters.traps import OLDEST, Version, parse, surprises, traps


@pytest.mark.parametrize(
    ("text", "version"),
    [
        pytest.param("tmux 3.3a\n", Version(3, 3, "a"), id="a release with a letter"),
        pytest.param("tmux 3.4", Version(3, 4), id="a release"),
        pytest.param("tmux next-3.8", Version(3, 8), id="what will be the next"),
        pytest.param("tmux 3.7-rc2", Version(3, 7), id="a candidate"),
        pytest.param("tmux openbsd-7.5", Version(7, 5), id="the one of OpenBSD"),
        pytest.param("tmux master", None, id="none at all"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_what_tmux_prints_is_read(text, version):
    assert parse(text) == version


def test_versions_are_ordered_as_tmux_numbers_them():
    texts = ["3.2", "3.2a", "3.3", "3.3a", "3.5a", "3.6", "3.10"]

    versions = [parse(text) for text in texts]

    assert versions == sorted(versions)
    assert [str(one) for one in versions] == texts
    assert versions[0] < OLDEST <= versions[1]


@pytest.mark.parametrize(
    ("version", "utempter", "word", "there"),
    [
        pytest.param("3.3a", True, "utempter", True, id="3.3a with utempter loses deaths"),
        pytest.param("3.5a", True, "utempter", True, id="3.5a with utempter still does"),
        pytest.param("3.6", True, "utempter", False, id="3.6 does not any more"),
        pytest.param("3.3a", False, "utempter", False, id="without utempter none does"),
        pytest.param("3.2a", False, "signal", True, id="3.2a does not know signals"),
        pytest.param("3.3", False, "signal", False, id="3.3 does"),
        pytest.param("3.7", False, "break-pane", True, id="3.7 dies of break-pane"),
        pytest.param("3.7b", False, "break-pane", False, id="3.7b does not"),
        pytest.param("3.8", False, "mouse", True, id="3.8 takes the mouse"),
        pytest.param("3.7c", False, "mouse", False, id="3.7c does not"),
    ],
)
def test_traps_are_told_of_the_versions_that_have_them(version, utempter, word, there):
    found = traps(parse(version), utempter=utempter)

    assert any(word in one.what for one in found) is there
    assert all(one.answer for one in found)


@pytest.mark.parametrize(
    ("line", "option"),
    [
        pytest.param("set -g destroy-unattached on", "destroy-unattached on", id="unattached"),
        pytest.param("  set -s exit-unattached on", "exit-unattached on", id="exit"),
        pytest.param(
            "set-hook -g after-new-window 'kill-window'",
            "set-hook -g after-new-window",
            id="a hook on new windows",
        ),
        pytest.param("set -g renumber-windows on", "renumber-windows on", id="renumbering"),
        pytest.param("set -g destroy-unattached off", None, id="switched off"),
        pytest.param("# set -g destroy-unattached on", None, id="a comment"),
        pytest.param("set -g status-right 'x'", None, id="anything else"),
    ],
)
def test_surprising_lines_are_found_in_a_configuration(line, option):
    found = surprises(f"set -g prefix C-a\n{line}\n")

    assert [(number, text) for number, text, _, _ in found] == ([(2, option)] if option else [])
