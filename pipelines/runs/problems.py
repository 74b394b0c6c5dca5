"""What live tells of problems: when one begins, now and then while it lasts, and when it is over."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping

AGAIN = 60.0
"""Seconds until a problem that lasts is told again."""
BEGAN, OVER = "problem: ", "problem over: "


class Problems:
    """Those that last, by what has them: a system, a flow that reads, a flow that sends."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[Hashable, dict[str, tuple[str, float]]] = {}  # kind to sentence, and when it was last told

    def news(self, whose: Hashable, now: Mapping[str, str]) -> Counter[str]:
        """What there is to tell of all that is wrong `now` (kind to sentence), and of what was and is no more."""
        at, before = self._clock(), self._last.get(whose, {})
        due = [kind for kind in now if kind not in before or at - before[kind][1] >= AGAIN]
        over = [before[kind][0] for kind in before if kind not in now]
        self._last[whose] = {kind: (sentence, at) if kind in due else before[kind] for kind, sentence in now.items()}
        return Counter([BEGAN + now[kind] for kind in due] + [OVER + sentence for sentence in over])

    def fresh(self, whose: Hashable, counts: Counter[str]) -> Counter[str]:
        """What a turn counted, of its problems only the news."""
        now = [what.removeprefix(BEGAN) for what in counts if what.startswith(BEGAN)]
        others = Counter({what: count for what, count in counts.items() if not what.startswith(BEGAN)})
        return others + self.news(whose, {sentence: sentence for sentence in now})
