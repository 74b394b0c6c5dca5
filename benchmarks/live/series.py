"""Series of single changes under a load, and what they come to."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

import numpy as np

PER_SECOND = 50
GAP = (0.05, 0.25)
"""Seconds between two measured changes: at random, so that none falls into step with a poll."""


@dataclass
class Series:
    """One direction under one load; all in milliseconds. `own`: the same change by hand under the same load."""

    system: str
    direction: str
    load: str
    times: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    poll_ms: float = 0.0

    def told(self) -> dict[str, object]:
        """{system, direction, load, p50_ms, p95_ms, p99_ms, own_ms, poll_ms}"""
        p50, p95, p99 = (round(float(np.percentile(self.times, share)), 1) for share in (50, 95, 99))
        own = round(float(np.percentile(self.own, 50)), 1) if self.own else 0.0
        return {"system": self.system, "direction": self.direction, "load": self.load, "p50_ms": p50, "p95_ms": p95,
                "p99_ms": p99, "own_ms": own, "poll_ms": self.poll_ms}


def measure(series: Series, count: int, change: Callable[[str], float], arrived: Callable[[str], float],
            by_hand: Callable[[str], float] | None = None) -> Series:
    """`change(token)` makes one change and gives the moment of its commit; `arrived(token)` that of its arrival."""
    for number in range(count):
        token = f"{series.system} {series.direction} {series.load} {number}"
        began = change(token)
        series.times.append((arrived(token) - began) * 1000)
        if by_hand is not None:
            series.own.append(by_hand(token + " by hand") * 1000)
        time.sleep(random.uniform(*GAP))
    return series


@contextmanager
def repeated(change: Callable[[int], object], per_second: float = PER_SECOND) -> Iterator[None]:
    """`change(n)` so many times a second while the block runs; raises what it raised."""
    stop, faults = Event(), list[Exception]()

    def work() -> None:
        number, due = 0, time.perf_counter()
        while not stop.is_set():
            try:
                change(number)
            except Exception as fault:
                faults.append(fault)
                return
            number, due = number + 1, due + 1 / per_second
            time.sleep(max(0.0, due - time.perf_counter()))

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if faults:
        raise faults[0]
