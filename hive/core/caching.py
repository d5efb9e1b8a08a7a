"""What makes two tasks the same, so that the result of one can stand for the other."""

from __future__ import annotations

import json
from hashlib import sha256

from hive.core.tasks import Job
from hive.core.wording import age


def digest(text: str) -> str:
    """Give a text's SHA-256 in hex."""
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


def key(job: Job, words: str, files: str) -> str:
    """Name a task's inputs: who may have it, what it is given, its check, and where it works.

    `words` are its rendered prompt or command; `files` is the digest of its directory's content,
    "" where that is not among its inputs.
    """
    inputs = [job.signature, words, job.check, job.directory, files]
    return digest(json.dumps(inputs))


def hit_text(number: int, at: float, now: float) -> str:
    """Say for people where a result comes from: the earlier task, and how old it is."""
    return f"the result of t-{number}, {age(now - at)} ago, as its inputs are the same"
