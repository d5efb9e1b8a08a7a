"""What the fake does with a prompt, in a thread of its own: its turns, tools and errors."""

# Importing pathlib would take as long as all the rest:
# ruff: noqa: PTH109
# ruff: noqa: RUF001 - that is how the real one draws it

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

from hooks import Hooks, settings
from options import Options
from persona import Persona, directives, seconds
from records import Records, new_id
from scene import Ask, Scene
from truth import Truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from subprocess import Popen

TURN = "0.05"
"""Seconds a turn takes that says nothing else."""

TROUBLES = ("full", "limit", "retry", "429", "approval", "tool", "sh", "frozen", "spin", "crash")
"""The words of a persona that strike in a turn, in this order."""

FREE = {"bypassPermissions", "dontAsk", "auto"}
"""The modes in which no tool asks."""

REJECTED = (
    "The user doesn't want to proceed with this tool use. The tool use was rejected. "
    "STOP what you are doing and wait for the user to tell you how to proceed."
)


class Interrupted(Exception):  # noqa: N818 - it is no error
    """The turn was cut off by a person."""


class Failed(Exception):  # noqa: N818 - how a turn may end
    """The turn ended in an error of the provider: its kind, status and text."""

    def __init__(self, kind: str, status: int, text: str, shown: str = "") -> None:
        super().__init__(text)
        self.kind, self.status, self.text, self.shown = kind, status, text, shown or text


class Mind:
    """One conversation."""

    def __init__(self, options: Options, persona: Persona, truth: Truth, records: Records) -> None:
        self._options, self._persona = options, persona
        self._truth, self._records = truth, records
        known = settings(options.one("--settings"))
        self._hooks = Hooks(known, persona, truth)
        allowed = [*options.all("--allowedTools"), *known.get("permissions", {}).get("allow", [])]
        self._rules = [rule for given in allowed for rule in _rules(given)]
        busy = next((one for one in ("queue", "steer", "lost") if one in persona), "merge")
        self.busy = busy
        self.scene = Scene(wrap="wrap-paste" in persona, merge=busy == "merge")
        self._cut = threading.Event()
        self._turns = 0
        self._prompt = ""
        self._answer = ""
        self._done = False
        self._child: Popen[bytes] | None = None
        self._verbs = {
            "work": self._work, "text": self._text, "tool": self._use, "approval": self._approval,
            "sh": self._shell, "429": self._rejected, "retry": self._retry, "limit": self._limit,
            "full": self._full, "crash": self._crash, "exit": self._exit, "frozen": self._frozen,
            "spin": self._spin,
        }  # fmt: skip

    def live(self, brief: str, source: str) -> None:
        """Begin, and take prompt after prompt; the thread of the mind."""
        self.scene.enter("starting")
        time.sleep(self._persona.seconds("lose-input", 0.5))
        if brief:
            self.scene.give(brief, "argv")
        else:
            self.scene.enter("composer")
        self.hook("SessionStart", source=source, model="claude-opus-4-8")
        self._records.status("busy" if brief else "idle")
        while True:
            self._cut.clear()
            texts, how = self.scene.next()
            self._turn(texts, how)

    def interrupt(self) -> None:
        """Cut off the turn that runs."""
        self._cut.set()

    def clear(self) -> None:
        """Begin another conversation, as `/clear` does."""
        self.hook("SessionEnd", reason="clear")
        self._records.renew()
        self._turns = 0
        self._records.status("idle")
        self.hook("SessionStart", source="clear")

    def end(self, reason: str) -> None:
        """Say goodbye."""
        self.hook("SessionEnd", reason=reason)
        self._records.gone()
        if self._child is not None and self._child.poll() is None:
            with suppress(ProcessLookupError):  # it ended by itself
                os.killpg(self._child.pid, signal.SIGKILL)

    def hook(self, event: str, **facts: object) -> list[dict[str, object]]:
        """Run the hooks of an event; their answers."""
        known = {
            "session_id": self._records.session,
            "transcript_path": self._records.transcript,
            "cwd": os.getcwd(),
            "prompt_id": self._prompt,
            "permission_mode": self._options.one("--permission-mode") or "default",
        }
        return self._hooks.run(event, {**known, **facts})

    def _turn(self, texts: list[str], how: str) -> None:
        """Take prompts, do what they say, end the turn; again while a hook says so."""
        self._turns += 1
        self._prompt = new_id()
        self._records.status("busy")
        for text in texts:
            self._truth.tell("prompt", text=text, how=how, session=self._records.session)
            self.hook("UserPromptSubmit", prompt=text)
            self._records.user(text, promptId=self._prompt, promptSource=_source(how))
            self.scene.say("", *_quoted(text))
        self._work_through(texts)
        if "exit" in self._persona:
            self.scene.leave(int(self._persona.value("exit", "0")), "other")
            threading.Event().wait()

    def _work_through(self, texts: list[str]) -> None:
        began, active = time.time(), False
        while texts:
            try:
                self._do(texts)
            except Interrupted as why:
                self._interrupted(texts, str(why))
                return
            except Failed as why:
                self._failed(why)
                return
            texts = self._stopped(active=active, began=began)
            active = True

    def _do(self, texts: list[str]) -> None:
        self._done = False
        whole = "\n".join(texts)
        self._answer = f"ECHO {whole.strip()[:60]}"
        if self._records.limited_until > time.time():
            raise self._no_more()
        lot = [one for one in TROUBLES if self._strikes(one)]
        steps = [(one, self._persona.value(one)) for one in lot]
        for verb, rest in [*(directives(whole) or [("work", TURN)]), *steps]:
            self._verbs.get(verb, self._work)(rest)
        self._records.assistant({"type": "text", "text": self._answer})
        self.scene.say("", *_bulleted(self._answer))

    def _strikes(self, word: str) -> bool:
        if word == "limit" and self._records.limited_until:
            return False  # an account's limit is hit once
        return self._persona.strikes(word, self._turns)

    def _stopped(self, *, active: bool, began: float) -> list[str]:
        """End a turn; give what a hook has for the next one."""
        answers = self.hook("Stop", stop_hook_active=active, last_assistant_message=self._answer)
        found = [str(one.get("reason", "")) for one in answers if one.get("decision") == "block"]
        if found:
            text = "Stop hook feedback:\n" + "\n".join(found)
            self._truth.tell("prompt", text=text, how="hook", session=self._records.session)
            self._records.user(text, promptId=self._prompt, isMeta=True)
            self.scene.say("", *_quoted(text))
            return [text]
        self._over(began)
        return []

    def _over(self, began: float) -> None:
        spent = int((time.time() - began) * 1000)
        self._records.system("turn_duration", durationMs=spent, isMeta=False)
        self.scene.say(f"✻ Cogitated for {spent // 1000}s")
        self._records.status("idle")

    def _interrupted(self, texts: list[str], why: str) -> None:
        self._records.user([{"type": "text", "text": f"[Request interrupted by user{why}]"}])
        self.scene.say("  ⎿  Interrupted · What should Claude do instead?")
        with self.scene.lock:
            if not self._done and not self.scene.queued:  # as the real one gives it back
                self.scene.composer.type("\n".join(texts))
        self._records.status("idle")

    def _failed(self, why: Failed) -> None:
        self._records.error(why.text, why.kind, why.status)
        self.scene.say("", f"● {why.shown}")
        self._over(time.time())
        self.hook(
            "StopFailure", error=why.kind, error_details=why.text, last_assistant_message=why.text
        )

    def _pause(self, length: float | None) -> None:
        """Go on working so long (None: for ever), unless it is cut off."""
        if self._cut.wait(length):
            raise Interrupted

    def _work(self, rest: str) -> None:
        self._pause(seconds(rest, float(TURN)))

    def _text(self, rest: str) -> None:
        self._answer = rest

    def _use(self, rest: str) -> None:
        self._tool(rest or "Read", {"file_path": "a.txt"}, ask=False)

    def _approval(self, rest: str) -> None:
        self._tool("Bash", {"command": rest or "rm -rf build"}, ask=True)

    def _shell(self, rest: str) -> None:
        self._tool("Bash", {"command": rest}, ask=False, run=True)

    def _tool(self, name: str, given: dict[str, str], *, ask: bool, run: bool = False) -> None:
        """Use a tool, where it may: by its mode, by its rules, or by an answer."""
        detail = next(iter(given.values()))
        facts = {"tool_name": name, "tool_input": given}
        use = f"toolu_{new_id().replace('-', '')[:24]}"
        self._done = True
        self._records.assistant({"type": "tool_use", "id": use, "name": name, "input": given})
        self.scene.say("", f"● {name}({detail})")
        self.hook("PreToolUse", **facts, tool_use_id=use)
        refusal = self._refusal(name, detail, facts, use) if ask else ""
        if refusal:
            self._result(use, refusal, error=True)
            self.scene.say(f"  ⎿  Error: {refusal}")
            return
        out = self._run(detail) if run else "done"
        self._pause(0.01)
        self._result(use, out or "(Bash completed with no output)", error=False)
        self.scene.say(*(f"  ⎿  {line}" for line in (out.splitlines() or ["Done"])[-5:]))
        self.hook("PostToolUse", **facts, tool_use_id=use, tool_response={"stdout": out})

    def _result(self, use: str, text: str, *, error: bool) -> None:
        block = {"type": "tool_result", "tool_use_id": use, "content": text, "is_error": error}
        self._records.user([block], promptId=self._prompt)

    def _refusal(self, name: str, detail: str, facts: dict[str, object], use: str) -> str:
        """Ask whether a tool may be used; why it may not, "" where it may. Raises Interrupted."""
        if self._free(name, detail):
            return ""
        ask = Ask(name, detail)
        with self.scene.lock:
            self.scene.enter("approval")
            self.scene.ask = ask
        self.scene.changed()
        self._records.status("waiting", "permission prompt")
        threading.Thread(target=self._ask_hooks, args=(ask, facts), daemon=True).start()
        ask.wait()
        self._truth.tell("answer", to=detail, answer=ask.answer, by=ask.by, message=ask.message)
        self.scene.enter("working", "Pondering…")
        self._records.status("busy")
        if ask.answer == "no" and ask.by == "key":
            self._result(use, REJECTED, error=True)
            raise Interrupted(" for tool use")
        return "" if ask.answer == "yes" else ask.message or "denied"

    def _ask_hooks(self, ask: Ask, facts: dict[str, object]) -> None:
        for answer in self.hook("PermissionRequest", **facts):
            output = answer.get("hookSpecificOutput")
            decision = output.get("decision") if isinstance(output, dict) else None
            if isinstance(decision, dict) and decision.get("behavior") in {"allow", "deny"}:
                allowed = decision["behavior"] == "allow"
                ask.settle("yes" if allowed else "no", "hook", decision.get("message", ""))

    def _free(self, name: str, detail: str) -> bool:
        if self._options.one("--permission-mode") in FREE:
            return True
        from fnmatch import fnmatchcase

        return any(
            tool == name and (not rest or fnmatchcase(detail, rest.replace(":*", "*")))
            for tool, rest in self._rules
        )

    def _run(self, command: str) -> str:
        """Really run a command, with the agent's own environment; what it prints."""
        import subprocess

        self._child = child = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        while True:
            try:
                out, _ = child.communicate(timeout=0.1)
                break
            except subprocess.TimeoutExpired:
                if self._cut.is_set():
                    os.killpg(child.pid, signal.SIGKILL)
        text = out.decode(errors="replace")
        self._truth.tell("ran", command=command, code=child.returncode, out=text[-2000:])
        return text

    def _retry(self, rest: str) -> None:
        """Be refused, and try again until it works."""
        end, tries = time.monotonic() + seconds(rest, 1.0), 0
        while (left := end - time.monotonic()) > 0:
            tries = min(tries + 1, 10)
            text = f"✻ API error · Retrying in {left:.0f}s · attempt {tries}/10"
            self.scene.enter("working", text)
            self._pause(min(left, 0.5))
        self.scene.enter("working", "Pondering…")

    def _rejected(self, rest: str) -> None:
        """Be refused until it gives up."""
        self._retry(rest)
        raise Failed("rate_limit", 429, "API Error: Request rejected (429) · rate limit")

    def _limit(self, rest: str) -> None:
        self._records.limit(time.time() + seconds(rest, 3.0))
        raise self._no_more()

    def _no_more(self) -> Failed:
        until = self._records.limited_until
        clock = time.strftime("%I:%M%p", time.localtime(until + 59)).lstrip("0").lower()
        shown = f"You've hit your session limit · resets {clock}"
        return Failed("rate_limit", 429, f"Claude AI usage limit reached|{until:.0f}", shown)

    def _full(self, _rest: str) -> None:
        shown = "Context limit reached · /compact or /clear to continue"
        raise Failed("invalid_request", 400, "Prompt is too long", shown)

    def _crash(self, _rest: str) -> None:
        self._truth.tell("end", code=None, why="crash")
        os.kill(os.getpid(), signal.SIGKILL)

    def _exit(self, rest: str) -> None:
        self.scene.leave(int(rest or 0), "other")
        threading.Event().wait()

    def _frozen(self, _rest: str) -> None:
        """Hang for ever, whatever is typed."""
        self.scene.still = True
        threading.Event().wait()

    def _spin(self, _rest: str) -> None:
        """Look busy for ever, until it is cut off."""
        self._pause(None)


def _source(how: str) -> str:
    return "queued" if how == "queued" else "typed"


def _quoted(text: str) -> list[str]:
    first, *more = text.split("\n")
    return [f"❯ {first}", *(f"  {line}" for line in more)]


def _bulleted(text: str) -> list[str]:
    first, *more = text.split("\n")
    return [f"● {first}", *(f"  {line}" for line in more)]


def _rules(given: str) -> list[tuple[str, str]]:
    """Read rules like `Bash(hive *)` and `mcp__hive`, apart by commas: tool and pattern."""
    found = []
    for one in given.replace("),", ")\n").split("\n"):
        tool, _, rest = one.strip().partition("(")
        found += [(tool, rest[:-1])] if rest else [(name, "") for name in tool.split(",")]
    return found
