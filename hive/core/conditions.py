"""Templates and conditions of a workflow: what they name, and what they become.

Both are Jinja2's, in its sandbox. They may name the workflow's parameters, and of a task what
`ATTRIBUTES` lists: `{{ build.api.result }}`, `build.api.outcome == 'done'`. All that they name is
known before anything runs; `names` gives it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

from hive.core.tasks import State, Task
from hive.errors import WrongInput

if TYPE_CHECKING:  # it takes a twentieth of a second to import
    from jinja2 import Template
    from jinja2.environment import TemplateExpression
    from jinja2.sandbox import SandboxedEnvironment

ATTRIBUTES = ("result", "outcome", "confidence", "notes", "agent", "why", "task")
"""What may be named of a task: `task` is its name, `notes` its agent's words on the way."""

_PLAIN = re.compile(r"(?<!\{)\{\{\s*([A-Za-z]\w*(?:\.[A-Za-z]\w*)*)\s*\}\}(?!\})", re.ASCII)
"""A name and nothing else: what needs no Jinja2, which takes half a millisecond to read it."""

_CONSTANTS = frozenset({"true", "false", "none", "True", "False", "None"})
_WRONG = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def templated(text: str) -> bool:
    """Whether there is anything in a text for Jinja2 to do."""
    return "{{" in text or "{%" in text or "{#" in text


@lru_cache(maxsize=4096)
def names(text: str, *, expression: bool = False) -> frozenset[str]:
    """Give the dotted names that a template, or an expression, reads: `build.api.result`.

    Raises WrongInput where it can't be read.
    """
    if not expression and not templated(_PLAIN.sub("", text)):
        found = frozenset(_PLAIN.findall(text))
        if not any(name.partition(".")[0] in _CONSTANTS for name in found):
            return found
    from jinja2 import meta

    tree = _parsed(text, expression=expression)
    if any(True for _ in meta.find_referenced_templates(tree)):
        raise WrongInput("a template can't take in others")
    free = meta.find_undeclared_variables(tree)
    return frozenset(name for name in _chains(tree) if name.partition(".")[0] in free)


@lru_cache(maxsize=4096)
def unquoted(text: str) -> frozenset[str]:
    """Give the dotted names that a template writes as they are, without `| quote` at the end."""
    from jinja2 import nodes

    found: set[str] = set()
    for output in _parsed(text).find_all(nodes.Output):
        for node in output.nodes:
            if not (isinstance(node, nodes.Filter) and node.name == "quote"):
                found.update(_chains(node))
    return frozenset(found)


def render(text: str, known: Mapping[str, Any]) -> str:
    """Fill a template; raises WrongInput where that can't be done."""
    plain = _filled(text, known)
    if plain is not None:
        return plain
    from jinja2 import TemplateError

    try:
        return _template(text).render(known)
    except (TemplateError, *_WRONG) as error:
        _refuse(error, "the template can't be filled")


def _filled(text: str, known: Mapping[str, Any]) -> str | None:
    """Fill a template that holds names alone, as Jinja2 would; None where it has to."""
    if "\r" in text or templated(_PLAIN.sub("", text)):
        return None
    try:
        return _PLAIN.sub(lambda found: _value(found[1], known), text.removesuffix("\n"))
    except LookupError:
        return None


def _value(name: str, known: Mapping[str, Any]) -> str:
    """Give what a dotted name stands for; raises LookupError where it stands for no text."""
    root, *rest = name.split(".")
    found = known[root]
    for part in rest:
        if not isinstance(found, SimpleNamespace) or not hasattr(found, part):
            raise LookupError(name)
        found = getattr(found, part)
    if isinstance(found, str):
        return found
    raise LookupError(name)


def holds(expression: str, known: Mapping[str, Any]) -> bool:
    """Whether a condition is true; raises WrongInput where that can't be told."""
    from jinja2 import TemplateError, Undefined

    try:
        found = _expression(expression)(known)
        if isinstance(found, Undefined):  # a name alone is not looked into otherwise
            str(found)
        return bool(found)
    except (TemplateError, *_WRONG) as error:
        _refuse(error, f"`when` can't be decided: {expression}")


def context(tasks: Iterable[Task], params: Mapping[str, str]) -> dict[str, Any]:
    """Give what may be named once these tasks of a run are over: they, and the parameters."""
    known: dict[str, Any] = dict(params)
    for task in tasks:
        if task.parent or task.job.kind == "barrier":  # a copy, a part, the end of a phase
            continue
        phase, _, name = task.key.rpartition(".")
        if phase:
            setattr(known.setdefault(phase, SimpleNamespace()), name, _told(task))
        elif name:
            known[name] = _told(task)
    return known


def _told(task: Task) -> SimpleNamespace:
    """Give what may be named of a task; an agent that says no confidence has it."""
    confidence = task.confidence
    if confidence is None:
        confidence = 1.0 if task.state is State.DONE else 0.0
    return SimpleNamespace(
        result=task.result,
        outcome=task.outcome,
        confidence=confidence,
        notes="\n".join(task.notes),
        agent=task.agent.partition("/")[2] or task.agent,
        why=task.why,
        task=task.name,
    )


def _chains(node: Any) -> Iterator[str]:
    """Give the dotted names under a node, each as long as it is."""
    name = _dotted(node)
    if name:
        yield name
        return
    for child in node.iter_child_nodes():
        yield from _chains(child)


def _dotted(node: Any) -> str:
    """Give the dotted name that a node is, or ""."""
    from jinja2 import nodes

    if isinstance(node, nodes.Name):
        return node.name if node.ctx == "load" else ""
    if isinstance(node, nodes.Getattr):
        base, last = _dotted(node.node), node.attr
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        base, last = _dotted(node.node), str(node.arg.value)
    else:
        return ""
    return f"{base}.{last}" if base else ""


def _parsed(text: str, *, expression: bool = False) -> Any:
    from jinja2 import TemplateError

    try:
        if expression:
            _expression(text)  # refuses what is more than one
            return _environment().parse("{{ (" + text + ") }}")
        return _environment().parse(text)
    except (TemplateError, *_WRONG) as error:
        _refuse(error, "this is no condition" if expression else "this is no template")


@lru_cache(maxsize=4096)
def _template(text: str) -> Template:
    return _environment().from_string(text)


@lru_cache(maxsize=4096)
def _expression(text: str) -> TemplateExpression:
    return _environment().compile_expression(text, undefined_to_none=False)


@lru_cache(maxsize=1)
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.globals.clear()
    environment.filters["quote"] = _quoted
    return environment


def _quoted(value: object) -> str:
    """Give a value as one word of a shell's line."""
    return shlex.quote(str(value))


def _refuse(error: Exception, what: str) -> NoReturn:
    told = (getattr(error, "message", None) or str(error)).rstrip(".").replace("'", "`")
    line = getattr(error, "lineno", None) or 1
    at = f" (in its line {line})" if line > 1 else ""
    raise WrongInput(f"{what}: {told[:1].lower()}{told[1:]}{at}") from None
