"""Draws the screen as Claude Code 2.1.197 draws it: what was said, the composer, what it is at."""

# Importing pathlib would take as long as all the rest:
# ruff: noqa: PTH109
# ruff: noqa: RUF001 - that is how the real one draws it

from __future__ import annotations

import os

from scene import Scene

SPINNER = "·✢✳✶✻✽"
TITLES = "⠂⠐"
SPACE = "\N{NO-BREAK SPACE}"
TRUST = (
    " Accessing workspace:", "", " {cwd}", "",
    " Quick safety check: Is this a project you created or one you trust?", "",
    " Claude Code'll be able to read, edit, and execute files here.", "",
    " ❯ 1. Yes, I trust this folder", "   2. No, exit", "", " Enter to confirm · Esc to cancel",
)  # fmt: skip


def frame(scene: Scene, size: tuple[int, int], beat: int, suggestion: str) -> str:
    """Give what is written to the terminal to show the scene; `size` is columns and rows."""
    columns, rows = size
    if scene.state == "cooked":
        return ""
    if scene.state == "dialog":
        below = ["─" * columns, *(line.format(cwd=os.getcwd()) for line in TRUST)]
    elif scene.state == "approval":
        below = _approval(scene, columns)
    else:
        below = _composer(scene, columns, beat, suggestion)
    above = [part for line in scene.said for part in _wrapped(line, columns)]
    room = max(0, rows - len(below))
    lines = (above[-room:] if room else []) + below
    body = "\r\n".join(f"{line}\x1b[K" for line in lines[-rows:])
    return f"\x1b[?25l\x1b[H{body}\x1b[J\x1b[?25h"


def title(scene: Scene, beat: int) -> str:
    """Give the terminal's title: it moves while a turn runs."""
    sign = TITLES[beat // 4 % 2] if scene.state == "working" else "✳"
    return f"\x1b]0;{sign} Claude Code\x07"


def _composer(scene: Scene, columns: int, beat: int, suggestion: str) -> list[str]:
    rule = "─" * columns
    lines = []
    if scene.status:
        sign = "" if scene.status[0] in SPINNER else f"{SPINNER[beat % len(SPINNER)]} "
        lines = ["", f"{sign}{scene.status}"]
    lines += [f"  ❯ {text.splitlines()[0]}" for text, _ in scene.queued if text.strip()]
    first, *more = _wrapped(scene.composer.shown, columns - 3) or [""]
    if not first and not more:
        hint = "Press up to edit queued messages" if scene.queued else suggestion
        first = f"\x1b[2m{hint}\x1b[22m" if hint else ""
    below = "esc to interrupt" if scene.status else "? for shortcuts"
    drawn = [f"❯{SPACE}{first}", *(f"  {line}" for line in more)]
    return [*lines, "", rule, *drawn, rule, f"  {below} · ← for agents"]


def _approval(scene: Scene, columns: int) -> list[str]:
    ask = scene.ask
    if ask is None:  # answered between two glances
        return []
    choices = ("Yes", "Yes, and don't ask again for this", "No")
    menu = [
        f" {'❯' if number == ask.cursor else ' '} {number + 1}. {choice}"
        for number, choice in enumerate(choices)
    ]
    asked = [f"   {part}" for part in _wrapped(ask.detail, columns - 4)]
    kind = "Bash command" if ask.tool == "Bash" else f"Use of {ask.tool}"
    end = ["", " Esc to cancel · Tab to amend · ctrl+e to explain"]
    return ["─" * columns, f" {kind}", "", *asked, "", " Do you want to proceed?", *menu, *end]


def _wrapped(text: str, width: int) -> list[str]:
    """Cut a text into rows as they fit; control characters are shown, not sent."""
    width = max(1, width)
    clean = "".join(sign if sign.isprintable() or sign == "\n" else "·" for sign in text)
    lines = clean.split("\n")
    return [line[at : at + width] for line in lines for at in range(0, len(line) or 1, width)]
