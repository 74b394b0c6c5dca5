"""How long somebody waits for flows that others are at: a command for a while; live and Dagster not at all, since they
come again by themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

LONGEST = 30.0
"""Seconds that a command waits at most, for all its flows together."""
MOMENT = 1.0
"""Seconds of one wait of which nothing is said."""


@dataclass
class Patience:
    """What is left of it, in seconds; `tell` takes a sentence."""

    left: float
    tell: Callable[[str], None]

    def wait(self, turn: Callable[[float], bool], sentence: str) -> bool:
        """Whether the `turn` came, which waits for it so many seconds; `sentence` is told when that takes more than a
        moment."""
        for most, told in ((MOMENT, False), (LONGEST, True)):
            seconds = min(most, self.left)
            if seconds <= 0:
                break
            if told:
                self.tell(sentence)
            began = time.monotonic()
            came = turn(seconds)
            self.left -= time.monotonic() - began
            if came:
                return True
        return False


_patience: ContextVar[Patience | None] = ContextVar("patience", default=None)


@contextmanager
def patient(tell: Callable[[str], None]) -> Iterator[None]:
    """In this block, and this thread, a flow that somebody else is at is waited for."""
    token = _patience.set(Patience(LONGEST, tell))
    try:
        yield
    finally:
        _patience.reset(token)


@contextmanager
def briefly() -> Iterator[None]:
    """Who is patient waits no longer than a moment in this block."""
    mine = _patience.get()
    token = _patience.set(mine and Patience(min(MOMENT, mine.left), mine.tell))
    try:
        yield
    finally:
        _patience.reset(token)


def patience() -> Patience | None:
    """Of whoever asks; None where a flow is tried once."""
    return _patience.get()
