from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from hive.adapters import launch, lease, procs
from hive.adapters.launch import Berth
from hive.adapters.lease import Lease
from hive.errors import HiveError
from tests.conftest import eventually

HIVES = {"HIVE_STATE": "/state", "HIVE_AGENT": "Task/front/dev", "HIVE_LAUNCH": "one"}
SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]))"


@pytest.fixture(params=["perl", "python"])
def perl(request):
    """The path of perl, or "" for the launcher in Python."""
    found = shutil.which("perl")
    if request.param == "perl" and not found:
        pytest.skip("no perl here")
    return found if request.param == "perl" else ""


@pytest.fixture
def folder(short_path):
    path = short_path / "launches"
    path.mkdir()
    return path


class Run:
    """A launch that runs without a terminal."""

    def __init__(self, folder: Path, perl: str, spec, note, berth: Berth, patience: str) -> None:
        self.folder = folder
        inherit = os.environ | {"HOME": str(folder.parent)}  # so it is found and ended
        launch.prepare(folder, "one", spec, HIVES, inherit, berth)
        self.process = note(
            subprocess.Popen(
                (*launch.launcher(folder / "one", perl), patience),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        )

    def end(self) -> tuple[int, int | None, str]:
        """Wait; give the launcher's own code, the reported one, and what was printed."""
        said, _ = self.process.communicate(timeout=60)
        return self.process.returncode, launch.report(self.folder, "one"), said.decode()

    def say(self, text: str) -> str:
        """Wait until it prints a line with this text, and give the line."""
        for line in iter(self.process.stdout.readline, b""):
            if text in line.decode():
                return line.decode()
        raise AssertionError(f"it ended without saying {text!r}")


@pytest.fixture
def run(bench, folder, perl, leave_nothing):
    def start(
        *argv: str, berth: Berth = launch.NOWHERE, patience: str = "10", **changes: object
    ) -> Run:
        spec = bench.spec("dev", argv=argv, **changes)
        return Run(folder, perl, spec, leave_nothing, berth, patience)

    return start


@pytest.mark.parametrize(
    ("script", "reported", "own"),
    [
        pytest.param("exit 0", 0, 0, id="success"),
        pytest.param("exit 3", 3, 3, id="a code"),
        pytest.param("exit 137", 137, 137, id="a code that looks like a signal"),
        pytest.param("exit 75", 75, 75, id="the code of a launch that never began"),
        pytest.param("kill -KILL $$", -9, 137, id="SIGKILL"),
        pytest.param("kill -TERM $$", -15, 143, id="SIGTERM"),
        pytest.param("kill -INT $$", -2, 130, id="SIGINT"),
        pytest.param("kill -HUP $$", -1, 129, id="SIGHUP to the program alone"),
    ],
)
def test_how_the_program_ended_is_reported_exactly(run, script, reported, own):
    assert run("sh", "-c", script).end()[:2] == (own, reported)


def test_the_program_gets_its_words_directory_and_environment_as_they_are(run, short_path):
    words = ("", "--x", "a\nb", "a'b\"c", "$HOME `id` ;#{pid}", "ü🐝", "a=b")
    env = (("NASTY", "one\ntwo=3 ; '\" #{pid} $HOME"), ("EMPTY", ""), ("HIVE_ROLE", "mine"))
    place = short_path / "-a b\n'\"#{pid};ü"
    place.mkdir()
    ran = run(sys.executable, "-c", SHOW, *words, env=env, directory=str(place))
    code, _, said = ran.end()
    assert code == 0, said
    argv, cwd, seen = json.loads(said)
    assert (argv, cwd, seen["PWD"]) == (list(words), str(place), str(place))
    assert seen.items() >= {**dict(env), **HIVES}.items()


def test_secrets_are_in_a_private_file_only(bench, folder):
    spec = bench.spec("dev", env=(("TOKEN", "s3cret"),))
    words = launch.prepare(folder, "one", spec, HIVES, {"OTHER": "s3cret"})
    assert "s3cret" not in " ".join(words)
    assert (folder / "one").stat().st_mode & 0o777 == 0o600
    assert b"TOKEN=s3cret" in (folder / "one").read_bytes()
    assert [path.name for path in folder.iterdir()] == ["one"]


def test_what_belongs_to_another_terminal_or_another_hive_is_not_inherited(bench):
    inherit = {
        "PATH": "/bin", "HIVE_AGENT": "other", "HIVE_X": "1", "TMUX": "/s,1,0", "TMUX_PANE": "%1",
        "TERM": "dumb", "COLUMNS": "80", "PWD": "/elsewhere", "LANG": "C",
    }  # fmt: skip
    env = launch.environment(bench.spec("dev", directory="/here"), {"HIVE_AGENT": "me"}, inherit)
    assert env == {"PATH": "/bin", "LANG": "C", "PWD": "/here", "HIVE_AGENT": "me"}


def test_the_file_may_choose_the_terminal(bench):
    env = launch.environment(bench.spec("dev", env=(("TERM", "vt100"),)), {}, {"TERM": "dumb"})
    assert env["TERM"] == "vt100"


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        pytest.param(["no-such-program"], 127, id="not in the path"),
        pytest.param(["./no-such-program"], 127, id="not there"),
        pytest.param(["/etc"], 126, id="a directory"),
        pytest.param(["./plain"], 126, id="not executable"),
    ],
)
def test_a_program_that_cannot_run_is_told_in_the_pane_and_reported(bench, run, argv, code):
    (bench.path / "plain").write_text("exit 0")
    own, reported, said = run(*argv).end()
    assert (own, reported) == (code, code)
    assert said.startswith(f"hive: can't run `{argv[0]}`: ")


def test_a_script_that_names_no_interpreter_is_run_by_sh(bench, run):
    (bench.path / "plain").write_text("exit $1")
    (bench.path / "plain").chmod(0o755)
    assert run("./plain", "3").end()[:2] == (3, 3)


def test_a_directory_that_is_gone_is_told_in_the_pane_and_reported(run):
    own, reported, said = run("true", directory="/no/such/place").end()
    assert (own, reported) == (126, 126)
    assert "can't enter `/no/such/place`" in said


def test_a_launch_without_its_file_never_begins(folder, perl):
    (folder / "one.code").write_text("0")
    command = launch.launcher(folder / "one", perl)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == launch.NEVER_BEGUN
    assert "hive: nothing to run" in done.stderr
    assert (folder / "one.code").read_text() == "0"


def test_a_damaged_file_runs_nothing(bench, folder, perl):
    words = launch.prepare(folder, "one", bench.spec("dev", argv=("touch", "ran")), HIVES, {})
    whole = Path(words[-1]).read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        Path(words[-1]).write_bytes(whole[:size])
        command = launch.launcher(folder / "one", perl)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, "damaged" in done.stderr) == (launch.NEVER_BEGUN, True)
    assert launch.report(folder, "one") is None


def test_an_old_report_is_removed_when_it_begins_again(run, folder):
    assert run("sh", "-c", "exit 3").end()[1] == 3
    ran = run("sh", "-c", "echo on; exec sleep 1000")
    ran.say("on")
    assert launch.report(folder, "one") is None
    ran.process.terminate()
    assert ran.end()[:2] == (143, -15)


def test_term_to_the_launcher_alone_ends_the_program_and_is_reported(run):
    ran = run("sh", "-c", "trap 'exit 4' TERM; echo on; while :; do sleep 0.1; done")
    ran.say("on")
    ran.process.terminate()
    assert ran.end()[:2] == (4, 4)


def test_a_hangup_is_passed_on_and_reports_nothing(run, short_path):
    told = short_path / "told"
    ran = run(
        "sh", "-c", f"trap 'echo hup > {told}; exit 5' HUP; echo on; while :; do sleep 0.1; done"
    )
    ran.say("on")
    ran.process.send_signal(signal.SIGHUP)
    assert ran.end()[:2] == (129, None)
    eventually(lambda: told.exists() and told.read_text() == "hup\n")


def test_the_terminals_signals_do_not_end_the_launcher_before_the_program(run):
    ran = run("sh", "-c", "trap 'exit 6' INT; echo on; while :; do sleep 0.1; done")
    ran.say("on")
    os.killpg(ran.process.pid, signal.SIGINT)
    assert ran.end()[:2] == (6, 6)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
def test_orphans_are_adopted_and_reaped_while_the_program_runs(run):
    ran = run("sh", "-c", "setsid sh -c 'sleep 1000 & echo orphan $!' & wait; exec sleep 1000")
    orphan = psutil.Process(int(ran.say("orphan").split()[1]))
    eventually(lambda: orphan.ppid() == ran.process.pid)
    orphan.kill()
    eventually(lambda: not orphan.is_running())
    assert ran.process.poll() is None


def test_the_launcher_is_small(run):
    ran = run("sh", "-c", "echo on; exec sleep 1000")
    ran.say("on")
    assert psutil.Process(ran.process.pid).memory_info().rss < 20 << 20
    ran.process.terminate()
    assert ran.end()[1] == -15


def test_a_nul_is_refused_before_anything_is_written(bench, folder):
    with pytest.raises(HiveError, match="NUL"):
        launch.prepare(folder, "one", bench.spec("dev", argv=("a\0b",)), HIVES, {})
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_gone_is_an_error_that_names_the_file(bench, folder):
    folder.rmdir()
    with pytest.raises(HiveError, match="launches/one: can't write it"):
        launch.prepare(folder, "one", bench.spec("dev"), HIVES, {})


def test_what_nobody_reported_is_unknown(folder):
    assert launch.report(folder, "one") is None
    (folder / "one.code").write_text("")
    assert launch.report(folder, "one") is None


def test_only_the_files_of_the_launches_to_keep_stay(folder):
    for name in ("a", "a.code", "b", "b.code", "b.code.new", "c"):
        (folder / name).write_text("0")
    launch.forget(folder, {"a", "c"})
    assert sorted(path.name for path in folder.iterdir()) == ["a", "a.code", "c"]


def test_it_joins_every_group_that_is_there_before_anything_runs(run, short_path):
    groups = [short_path / name for name in ("a", "gone", "b")]
    for group in (groups[0], groups[2]):
        group.write_text("")
    show = f"cat {groups[0]} {groups[2]}; exit 3"
    ran = run("sh", "-c", show, berth=Berth(join=tuple(map(str, groups))))
    assert ran.end() == (3, 3, "00")
    assert not groups[1].exists()


def test_a_wrap_comes_before_the_launcher(bench, folder):
    berth = Berth(wrap=("systemd-run", "--scope", "--"))
    words = launch.prepare(folder, "one", bench.spec("dev"), HIVES, {}, berth)
    assert words == (*berth.wrap, *launch.launcher(folder / "one"))


def test_the_program_gives_way_to_the_launcher(run):
    ran = run("sh", "-c", "echo on; cat /proc/$$/oom_score_adj 2>&1; exec sleep 1000")
    ran.say("on")
    said = ran.process.stdout.readline().decode().strip()
    own = psutil.Process(ran.process.pid)
    (child,) = own.children()
    assert child.nice() == min(19, own.nice() + 5)
    if sys.platform == "linux":
        assert said == "500"
        assert Path(f"/proc/{own.pid}/oom_score_adj").read_text().strip() != "500"


def stand_still(ran: Run) -> list[psutil.Process]:
    """Stop the program of a launch and its child, and give both."""
    ran.say("on")
    (child,) = psutil.Process(ran.process.pid).children()
    both = [child, *eventually(child.children)]
    for one in both:
        one.suspend()
    eventually(lambda: {one.status() for one in both} == {psutil.STATUS_STOPPED})
    return both


PAIR = "sleep 1000 & echo on; wait; exit 5"


def test_what_nobody_holds_any_more_goes_on(run, folder):
    ran = run("sh", "-c", PAIR, patience="1")
    root = (ran.process.pid, procs.started(ran.process.pid))
    lease.renew(folder, "one", Lease(root=root), changed=True)
    child, sleeper = stand_still(ran)
    eventually(lambda: psutil.STATUS_STOPPED not in {child.status(), sleeper.status()})
    eventually(lambda: not (folder / "one.held").exists())
    sleeper.kill()
    assert ran.end()[:2] == (5, 5)


def test_what_others_had_stopped_stays_so(run, folder):
    ran = run("sh", "-c", PAIR, patience="1")
    root = (ran.process.pid, procs.started(ran.process.pid))
    lease.renew(folder, "one", Lease(root=root), changed=True)
    child, sleeper = stand_still(ran)
    other = frozenset({(sleeper.pid, procs.started(sleeper.pid))})
    lease.renew(folder, "one", Lease(root=root, others=other), changed=True)
    eventually(lambda: child.status() != psutil.STATUS_STOPPED)
    assert sleeper.status() == psutil.STATUS_STOPPED
    sleeper.kill()
    assert ran.end()[:2] == (5, 5)


def test_what_a_person_stopped_without_a_lease_stays_so_until_it_ends(run, folder):
    ran = run("sh", "-c", PAIR, patience="1")
    child, sleeper = stand_still(ran)
    with pytest.raises(subprocess.TimeoutExpired):
        ran.process.wait(2.5)
    assert {child.status(), sleeper.status()} == {psutil.STATUS_STOPPED}
    sleeper.kill()
    child.resume()
    assert ran.end()[:2] == (5, 5)


def test_what_is_killed_while_it_stands_still_is_reported(run, folder):
    ran = run("sh", "-c", PAIR)
    child, sleeper = stand_still(ran)
    sleeper.kill()
    child.kill()
    assert ran.end()[:2] == (137, -9)


def test_a_pane_that_is_respawned_by_hand_runs_the_same_launch_again(bench, folder, perl):
    script = "echo run >> runs; exit 7"
    spec = bench.spec("dev", argv=("sh", "-c", script))
    launch.prepare(folder, "one", spec, HIVES, dict(os.environ) | {"HOME": str(bench.path)})
    pane = bench.open("dev", *launch.launcher(folder / "one", perl))
    eventually(lambda: launch.report(folder, "one") == 7)
    (folder / "one.code").unlink()
    bench.run("respawn-pane", "-k", "-t", pane.id)
    eventually(lambda: launch.report(folder, "one") == 7)
    assert (bench.path / "runs").read_text() == "run\nrun\n"


def test_ctrl_c_in_the_pane_reaches_the_program_and_its_end_is_reported(bench, folder, perl):
    spec = bench.spec(
        "dev", argv=("sh", "-c", "trap 'exit 8' INT; echo on; while :; do sleep 0.1; done")
    )
    launch.prepare(folder, "one", spec, HIVES, dict(os.environ) | {"HOME": str(bench.path)})
    pane = bench.open("dev", *launch.launcher(folder / "one", perl))
    bench.screen(pane.id, "on")
    bench.tmux.press(pane.id, ["C-c"])
    eventually(lambda: launch.report(folder, "one") == 8)


def test_a_closed_window_reports_nothing(bench, folder, perl):
    spec = bench.spec("dev", argv=("sh", "-c", "echo on; exec sleep 1000"))
    launch.prepare(folder, "one", spec, HIVES, dict(os.environ) | {"HOME": str(bench.path)})
    pane = bench.open("dev", *launch.launcher(folder / "one", perl))
    bench.screen(pane.id, "on")
    bench.open("other")
    bench.run("kill-pane", "-t", pane.id)
    eventually(lambda: not procs.alive(pane.pid, pane.started))
    assert launch.report(folder, "one") is None


def test_the_program_sees_the_terminal_but_not_the_tmux_server(bench, folder, perl):
    spec = bench.spec(
        "dev",
        argv=("sh", "-c", 'echo "[$TMUX$TMUX_PANE] $TERM"; test -t 0 && echo tty; read line'),
    )
    launch.prepare(folder, "one", spec, HIVES, dict(os.environ) | {"HOME": str(bench.path)})
    pane = bench.open("dev", *launch.launcher(folder / "one", perl))
    shown = bench.screen(pane.id, "tty")
    assert shown[0].startswith("[] ")
    assert shown[0].split()[1].startswith(("tmux", "screen"))
