"""Profiles as files: what each key refuses, how one file goes over another, what is written."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from pydantic import BaseModel

from hive.core import profile, profile_file
from hive.core.profile import Profile
from hive.core.profile_file import OTHER_WORDS, RECORDS, WIRINGS, File
from hive.core.profile_layers import assemble, read, written
from hive.errors import WrongInput

CALM = settings(
    deadline=None, derandomize=True, max_examples=50, suppress_health_check=list(HealthCheck)
)
SHIPPED = Path(profile_file.__file__).parents[1] / "profiles"
PARTS = {
    "brief": profile.Brief,
    "session": profile.Session,
    "typing": profile.Typing,
    "screen": profile.Screen,
    "title": profile.Title,
    "stall": profile.Stall,
    "keys": profile.Keys,
    "task": profile.Task,
}


def one(text: str, name: str = "x") -> Profile:
    return assemble({name: [read(name, text, f"{name}.toml")]})[name]


def told(text: str) -> list[str]:
    """Give every mistake in the text of `f`, without the lines that are shown."""
    with pytest.raises(WrongInput) as caught:
        assemble({"x": [read("x", text, "f")]})
    return [line for line in str(caught.value).splitlines() if not line.startswith("    ")]


def together(*layers: tuple[str, str, str]) -> dict[str, Profile]:
    """Assemble files, each given by its profile, its own name and its text."""
    found: dict[str, list[Any]] = {}
    for name, file, text in layers:
        found.setdefault(name, []).append(read(name, text, file))
    return assemble(found)


def test_a_file_has_the_keys_of_a_profile():
    assert set(File.model_fields) - {"extends"} == {one.name for one in fields(Profile)} - {"name"}


@pytest.mark.parametrize(("key", "part"), PARTS.items())
def test_a_table_has_the_keys_and_defaults_of_its_part(key, part):
    table = getattr(File(), key)

    assert table.model_dump() == {one.name: getattr(part(), one.name) for one in fields(part)}


def test_a_file_that_says_nothing_is_a_profile_with_every_default():
    assert one("") == Profile(name="x")


def test_other_words_stand_for_keys():
    def keys(model: type[BaseModel]) -> set[str]:
        inner = [getattr(File(), key) for key in PARTS]
        return {key for table in (File(), *inner) for key in type(table).model_fields}

    known = keys(File) | set(profile_file.Consent.model_fields)
    assert {key for words in OTHER_WORDS.values() for key in words.split()} <= known


def test_all_keys_are_read():
    found = one(
        """
        about = "a program"
        programs = ["a", "b c"]
        version = ["a", "--version"]
        tested = "1.2"
        wiring = "claude"
        records = "codex"
        args = ["-x", ""]
        strip = ["A_*"]
        prelude = ["--say", "{prelude}"]
        account = "one"
        reach = "spool"
        messages = false
        env.A = "{folder}"
        permission.auto = ["-y"]
        brief = { how = "argv", args = ["-i", "{brief}"] }
        session = { how = "chosen", new = ["--id={session}"], resume = ["-r", "{session}"] }
        typing = { form = "{text}", longest = 9, delay = "50ms", proof = 2, busy = "steer" }
        screen = { rows = 3, ready = "^> $", composer = "^> (?P<draft>.*)$" }
        title.working = ["^w"]
        stall = { after = "1m", interrupt = "C-c" }
        keys.allow = ["y", "Enter"]
        task = { command = ["do"], args = ["-o", "{folder}/result", "{text}"] }
        [[consents]]
        name = "folder"
        about = "trusts it"
        by = "env"
        env = { TRUST = "1" }
        """
    )

    assert found == Profile(
        name="x",
        about="a program",
        programs=("a", "b c"),
        version=("a", "--version"),
        tested=("1.2",),
        wiring="claude",
        records="codex",
        args=("-x", ""),
        strip=("A_*",),
        prelude=("--say", "{prelude}"),
        account="one",
        reach="spool",
        messages=False,
        env=(("A", "{folder}"),),
        permission={"auto": ("-y",)},
        brief=profile.Brief(how="argv", args=("-i", "{brief}")),
        session=profile.Session(how="chosen", new=("--id={session}",), resume=("-r", "{session}")),
        typing=profile.Typing(form="{text}", longest=9, delay=0.05, proof=2.0, busy="steer"),
        screen=profile.Screen(rows=3, ready=("^> $",), composer="^> (?P<draft>.*)$"),
        title=profile.Title(working=("^w",)),
        stall=profile.Stall(after=60.0, interrupt=("C-c",)),
        keys=profile.Keys(allow=("y", "Enter")),
        task=profile.Task(command=("do",), args=("-o", "{folder}/result", "{text}")),
        consents=(
            profile.Consent(name="folder", about="trusts it", by="env", env=(("TRUST", "1"),)),
        ),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abot = 'x'", "f:1: unknown key `abot`; did you mean `about`?"),
        ("\n[screen]\nidle = 'x'", "f:3: [screen] unknown key `idle`; did you mean `ready`?"),
        ("[permission]\nautos = []", "f:2: [permission] unknown key `autos`; did you mean `auto`?"),
        ("[[consents]]\nname='a'\nabout='b'\nby='c'\nargz=[]", "f:5: [consents#1] unknown key"),
        ("[[consents]]\nname='a'\nabout='b'", "f:1: [consents#1] `by` is missing"),
        ("consents = ['x']", "f:1: [consents] `consents` must be a table, not 'x'"),
        ("consents = 'x'", "f:1: `consents` must be a list, not 'x'"),
        ("wiring = 'cloude'", "f:1: `wiring` must be one of `none`, `claude`,"),
        ("records = 'pi'", "f:1: `records` must be one of `none`, `claude`,"),
        ("reach = 'tcp'", "f:1: `reach` must be one of `socket` and `spool`, not 'tcp'"),
        ("args = '-x'", "f:1: `args` must be a list of words"),
        ("args = [1]", "f:1: `args` must be a list of words"),
        ("args = ['{sesion}']", "f:1: `args` holds `{sesion}`; did you mean `{session}`?"),
        ("env.A = '{foldr}'", "f:1: [env] `A` holds `{foldr}`; did you mean `{folder}`?"),
        ("[screen]\nready = ['a', '(']", "f:2: [screen] `ready` must be a regular expression"),
        ("[screen]\ncomposer = '^> '", "f:2: [screen] `composer` must have a group"),
        ("[screen]\nrows = 0", "f:2: [screen] `rows` must be 1 or more, not 0"),
        ("[typing]\nform = 'x'", "f:2: [typing] `form` must hold `{text}`"),
        ("[typing]\ndelay = '5'", "f:2: [typing] `delay` must be a duration"),
        ("[stall]\nafter = 0", "f:2: [stall] `after` must be longer than 0 seconds"),
        ("messages = 'no'", "f:1: `messages` must be true or false, not 'no'"),
        ("session.how = 'chosen'", "f:1: [session] `new` must hold `{session}`"),
        ("[brief]\nhow = 'argv'\nargs = ['-p']", "f:3: [brief] `args` must hold `{brief}`"),
        ("[task]\nargs = ['-p']", "f:2: [task] `args` must hold `{text}`"),
        ("[task]\ncommand = ['run']", "f:1: [task] `args` must hold `{text}`"),
        ("[task]\nargs = ['{txt}']", "f:2: [task] `args` holds `{txt}`; did you mean `{text}`?"),
        ("task.args = ['{port}', '{text}']", "f:1: [task] `args` holds `{port}`, which no task"),
        ("extends = 'y'", "f:1: `extends` names `y`, which is no profile"),
        ("extends = 'x'", "f:1: `extends` goes in a circle: x → x"),
        ("about = ", "f:1: this is not TOML"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text, message):
    (only,) = told(text)

    assert only.startswith(message)


def test_braces_that_are_nothing_of_hives_are_left_alone():
    assert one("args = ['{\"a\": 1}', '{x}', '{session}']").args[1] == "{x}"


def test_every_mistake_is_told_at_once():
    assert len(told("abot = 1\nwiring = 'x'\n[screen]\nready = '('\n[typing]\nform = ''")) == 4


def test_what_a_variable_holds_is_not_shown():
    with pytest.raises(WrongInput) as caught:
        read("x", "[env]\nA = ['secret']", "f")

    assert "secret" not in str(caught.value)


def test_the_files_name_is_the_profiles_and_must_be_safe():
    with pytest.raises(WrongInput, match=r"a b\.toml:1: the file's name may hold only letters"):
        read("a b", "", "a b.toml")


OURS = """
about = "ours"
programs = ["x"]
args = ["-a", "-b"]
[env]
A = "1"
B = "1"
[screen]
ready = ["a", "b"]
rows = 5
[permission]
ask = ["-k"]
"""


def test_a_file_goes_over_another_key_by_key_and_lists_as_a_whole():
    over = "args = ['-c']\nenv.B = '2'\nscreen.ready = 'c'\npermission.auto = ['-y']"
    found = together(("x", "ours", OURS), ("x", "mine", over))["x"]

    assert (found.about, found.programs, found.args) == ("ours", ("x",), ("-c",))
    assert found.env == (("A", "1"), ("B", "2"))
    assert (found.screen.ready, found.screen.rows) == (("c",), 5)
    assert found.permission == {"ask": ("-k",), "auto": ("-y",)}


def test_a_profile_begins_with_the_one_that_it_extends():
    found = together(
        ("x", "ours", OURS),
        ("x", "mine", "screen.rows = 6"),
        ("y", "y", "extends = 'x'\nabout = 'y'"),
        ("z", "z", "extends = 'y'\nprograms = 'z'\nargs = []"),
    )

    assert found["y"] == replace(found["x"], name="y", about="y", programs=())
    assert found["z"] == replace(found["y"], name="z", programs=("z",), args=())
    assert found["z"].screen.rows == 6


def test_an_override_that_does_not_fit_what_is_under_it_is_told_with_its_own_line():
    under = "session = { how = 'chosen', new = ['{session}'] }"
    with pytest.raises(WrongInput, match=r"mine:2: \[session\] `new` must hold"):
        together(("x", "ours", under), ("x", "mine", "[session]\nnew = []"))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        pytest.param(
            [("a", "fa", "extends = 'b'"), ("b", "fb", "extends = 'a'")],
            "fa:1: `extends` goes in a circle: a → b → a\n    extends = 'b'\n"
            "fb:1: `extends` goes in a circle: b → a → b\n    extends = 'a'",
            id="a circle",
        ),
        pytest.param(
            [("a", "fa", "extends = 'b'"), ("b", "fb", "extends = 'claud'"), ("claude", "c", "")],
            "fb:1: `extends` names `claud`, which is no profile; did you mean `claude`?\n"
            "    extends = 'claud'",
            id="told once, where it stands",
        ),
        pytest.param(
            [("a", "fa", "extends = 'b'"), ("b", "fb", "extends = 'b'")],
            "fb:1: `extends` goes in a circle: b → b\n    extends = 'b'",
            id="a circle further on",
        ),
    ],
)
def test_what_is_wrong_with_extends_is_told_once(layers, message):
    with pytest.raises(WrongInput) as caught:
        together(*layers)

    assert str(caught.value) == message


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_a_profile_of_ours_is_read_and_written_and_says_what_it_is_for(path):
    found = together(*((one.stem, one.name, one.read_text()) for one in SHIPPED.glob("*.toml")))
    ours = found[path.stem]

    assert ours.about
    assert ours.wiring in WIRINGS
    assert ours.records in RECORDS
    assert profile.from_dict(profile.to_dict(ours)) == ours
    assert one(tomli_w.dumps(written(ours)), path.stem) == ours


def test_no_two_profiles_of_ours_are_guessed_from_one_program():
    found = together(*((one.stem, one.name, one.read_text()) for one in SHIPPED.glob("*.toml")))
    programs = [program for ours in found.values() for program in ours.programs]

    assert len(programs) == len(set(programs))


def test_a_worker_in_place_of_a_program_is_spoken_to_as_a_worker():
    ours = one((SHIPPED / "worker.toml").read_text(), "worker")
    found = one((SHIPPED / "gemini.toml").read_text(), "gemini").of_worker([("A", "1")])

    left = {"name", "about", "programs", "version", "tested", "account", "strip", "env", "task"}
    for key in {one.name for one in fields(Profile)} - left:
        assert getattr(found, key) == getattr(ours, key), key
    assert (found.name, found.account, found.env) == ("gemini", "gemini", (("A", "1"),))
    assert found.strip == ("GEMINI_CLI_IDE_*",)


def test_the_generic_one_shows_every_key():
    shown = tomllib.loads((SHIPPED / "generic.toml").read_text())

    assert set(shown) == set(File.model_fields) - {"extends"}
    for key, part in PARTS.items():
        assert set(shown[key]) == {one.name for one in fields(part)}


WORDS = some.lists(some.text("ab{}'\\ ", max_size=4), max_size=3).map(tuple)


@CALM
@given(
    args=WORDS,
    messages=some.booleans(),
    env=some.dictionaries(some.sampled_from("ABC"), some.text("xy ", max_size=3)),
    modes=some.dictionaries(some.sampled_from(profile.PERMISSIONS), WORDS),
    interrupt=some.lists(some.sampled_from(["Escape", "C-c"]), max_size=2).map(tuple),
    rows=some.integers(1, 50),
    consents=some.lists(
        some.builds(
            profile.Consent,
            name=some.just("n"),
            about=some.just("a"),
            by=some.just("args"),
            args=WORDS,
            env=some.just(()),
        ),
        max_size=2,
    ),
)
def test_what_is_written_is_read_back_as_it_was(
    args, messages, env, modes, interrupt, rows, consents
):
    whole = Profile(
        name="x",
        args=args,
        messages=messages,
        env=tuple(env.items()),
        permission=modes,
        stall=profile.Stall(interrupt=interrupt),
        screen=profile.Screen(rows=rows),
        consents=tuple(consents),
    )

    assert one(tomli_w.dumps(written(whole))) == whole
