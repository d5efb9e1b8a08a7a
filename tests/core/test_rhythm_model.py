"""The keys of an agent's rhythm: what each may be, and what goes over what."""

from __future__ import annotations

import pytest

from hive.core.config import read
from hive.core.expand import Place, expand
from hive.core.plots import Wish
from hive.core.rhythm import Rhythm
from hive.core.rhythm_model import Worktree
from hive.core.spec import Agent, fingerprint
from hive.errors import WrongInput

PLACE = Place(folder="/place", home="/home/ann")
DEV = '[teams.web.agents.dev]\nrun = "x"\n'


def entry(text):
    (found,) = expand(read(f'project = "Task"\n{text}'), PLACE, {})
    return found


def rhythm(text):
    return entry(text).agents[0].rhythm


def wrong(text):
    with pytest.raises(WrongInput) as caught:
        read(f'project = "Task"\n{text}')
    return str(caught.value)


def test_every_key_of_a_worktree_has_one_sentence_that_says_what_it_means():
    for name, field in Worktree.model_fields.items():
        told = field.description or ""
        assert told.endswith("."), name
        assert len(told) < 100, name


def test_without_a_word_an_agent_is_looked_after_and_has_no_worktree():
    found = entry(DEV)

    assert found.agents[0].rhythm == Rhythm(check_in=900.0, commit=1800.0, push="")
    assert found.wish is None


def test_an_agent_that_says_nothing_new_is_not_started_again():
    plain = Agent(
        project="Task", team="web", name="dev", role="dev", session="Task-web", window="Web-Dev",
        argv=("sh", "-c", "x"), directory="/place",
    )  # fmt: skip

    assert entry(DEV).agents == (plain,)
    quiet = entry(f'[defaults]\ncheck_in = "never"\nworktree = true\n{DEV}').agents[0]
    assert fingerprint(quiet) == fingerprint(plain)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        pytest.param('"5m"', 300.0, id="a duration"),
        pytest.param("90", 90.0, id="seconds"),
        pytest.param('"never"', 0.0, id="never"),
        pytest.param("0", 0.0, id="nought"),
    ],
)
def test_how_often_is_a_duration_or_never(said, seconds):
    assert rhythm(f"{DEV}check_in = {said}\ncommit = {said}\n") == Rhythm(
        check_in=seconds, commit=seconds
    )


def test_what_an_agent_says_of_its_rhythm_goes_over_the_defaults():
    found = rhythm(f'[defaults]\ncheck_in = "5m"\ncommit = "never"\n{DEV}commit = "10m"\n')

    assert found == Rhythm(check_in=300.0, commit=600.0)


TABLE = '[defaults.worktree]\nbase = "main"\nports = "DB_PORT"\npush = "origin"\n'
MAIN = Wish(base="main", ports=("DB_PORT",))


@pytest.mark.parametrize(
    ("text", "wish", "push"),
    [
        pytest.param(f"{DEV}worktree = true\n", Wish(), "", id="true"),
        pytest.param(f"{DEV}worktree = false\n", None, "", id="false"),
        pytest.param(f"[defaults]\nworktree = true\n{DEV}", Wish(), "", id="true for all"),
        pytest.param(f"{TABLE}{DEV}", MAIN, "origin", id="a table for all"),
        pytest.param(f"{TABLE}{DEV}worktree = true\n", MAIN, "origin", id="true keeps the table"),
        pytest.param(f"{TABLE}{DEV}worktree = false\n", None, "", id="false turns it off"),
        pytest.param(
            f"[defaults]\nworktree = false\n{DEV}worktree = {{ names = ['DB'] }}\n",
            Wish(names=("DB",)), "", id="one agent alone",
        ),
        pytest.param(
            f'{TABLE}{DEV}worktree = {{ base = "v1", setup = "make", teardown = "make clean", '
            f'copy = [".env", "certs/*.pem"], names = "DB" }}\n',
            Wish(
                base="v1", setup="make", teardown="make clean", copy=(".env", "certs/*.pem"),
                ports=("DB_PORT",), names=("DB",),
            ),
            "origin", id="a table over a table, key by key",
        ),
        pytest.param(
            f"{TABLE}{DEV}worktree = {{ ports = [] }}\n", Wish(base="main"), "origin",
            id="an empty list over a list",
        ),
    ],
)  # fmt: skip
def test_a_worktree_is_wished_for(text, wish, push):
    found = entry(text)

    assert found.wish == wish
    assert found.agents[0].rhythm.push == push


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("check_in = -1", "`check_in` must be between 0 seconds and ten years"),
        ('commit = "often"', "`commit` must be a duration such as `90s`"),
        ('worktree = "yes"', "`worktree` must be true, false, or a table"),
        ("worktree = 1", "`worktree` must be true, false, or a table"),
        ('worktree.base = "-x"', "`base` must be the name of a branch, a tag or a commit"),
        ('worktree.base = "a..b"', "`base` must be the name of a branch, a tag or a commit"),
        ('worktree.push = "-x"', "`push` must be the name of a remote"),
        ('worktree.push = "git@host:x"', "`push` must be the name of a remote"),
        ('worktree.setup = " "', "`setup` must not be empty"),
        ('worktree.copy = "/etc/passwd"', "below the repository's folder, not `/etc/passwd`"),
        ('worktree.copy = ["a/../../b"]', "below the repository's folder, not `a/../../b`"),
        ('worktree.copy = "."', "below the repository's folder, not `.`"),
        ('worktree.ports = ["A B"]', "`ports` can't be a variable"),
        ('worktree.names = "A="', "`names` can't be a variable"),
        ('worktree = { ports = "A", names = ["A"] }', "`worktree` names the variable `A` twice"),
        ('worktree.bse = "x"', "unknown key `bse`; did you mean `base`?"),
        ('worktree.copi = "x"', "unknown key `copi`; did you mean `copy`?"),
    ],
)
def test_a_mistake_is_told_with_its_line(line, told):
    text = wrong(f"{DEV}{line}\n")

    assert text.startswith("hive.toml:4: [teams.web.agents.dev")
    assert told in text
    assert len(text.splitlines()) == 2
