"""`hive start`, `stop` and `restart`: change what is wanted of agents, wait until it is so."""

from __future__ import annotations

from hive.cli import output, progress, remote
from hive.cli.options import PATIENCE, Json, Names, NoWait, Timeout, duration
from hive.core.wording import count


def start(
    names: Names, no_wait: NoWait = False, timeout: Timeout = PATIENCE, json: Json = False
) -> None:
    """Start agents or teams that are down, or that hive gave up."""
    _change("start", names, 0.0 if no_wait else duration(timeout), json=json)


def stop(
    names: Names, no_wait: NoWait = False, timeout: Timeout = PATIENCE, json: Json = False
) -> None:
    """End agents or teams gracefully; they stay down until started."""
    _change("stop", names, 0.0 if no_wait else duration(timeout), json=json)


def restart(
    names: Names, no_wait: NoWait = False, timeout: Timeout = PATIENCE, json: Json = False
) -> None:
    """End agents or teams and start them anew."""
    _change("restart", names, 0.0 if no_wait else duration(timeout), json=json)


def _change(verb: str, names: list[str], patience: float, *, json: bool) -> None:
    """Ask for it, and wait for all that was named where `patience` (seconds) is given."""
    reply = remote.ask(verb, names=names)
    if patience:
        chosen = remote.ask("status", names=names)["agents"]
        records = progress.wait({one["id"] for one in chosen}, patience, quiet=json)
        if output.interactive() and not json:
            for one in records:  # what was redrawn meanwhile is gone from the screen
                output.say(progress.line(one))
    if json:
        output.as_json(reply)
    elif not reply["agents"]:
        output.say(f"nothing to {verb}")
    elif not patience:
        output.say(f"{verb}: {count(len(reply['agents']), 'agent')} under way")
