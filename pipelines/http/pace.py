"""How often somebody may come: a bucket of tokens that fills with time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock


@dataclass
class Pace:
    """`rate` a second, and twice as many at once (at least one)."""

    rate: float
    clock: Callable[[], float] = time.monotonic
    filled: float = field(init=False)
    at: float = field(init=False)
    lock: Lock = field(default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        self.filled, self.at = self.most, self.clock()

    @property
    def most(self) -> float:
        return max(1.0, 2 * self.rate)

    def wait(self) -> int:
        """0, and one less is left; or the whole seconds after which there is one again."""
        with self.lock:
            now = self.clock()
            self.filled, self.at = min(self.most, self.filled + (now - self.at) * self.rate), now
            if self.filled >= 1:
                self.filled -= 1
                return 0
            return max(1, math.ceil((1 - self.filled) / self.rate))
