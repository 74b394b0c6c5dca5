"""The picture of a page: one bar for each cause, as numbers that the template draws."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.ops.held_rows import CauseGroup

BARS = 12
LABEL_WIDTH, BAR_WIDTH, ROW_HEIGHT = 260, 380, 26


@dataclass(frozen=True)
class Bar:
    """One bar, in units of the picture."""

    label: str
    count: int
    outcome: str
    y: int
    width: float
    title: str


@dataclass(frozen=True)
class Picture:
    """All bars; the last one stands for the causes that have none of their own."""

    bars: tuple[Bar, ...]

    @property
    def height(self) -> int:
        return ROW_HEIGHT * len(self.bars) + 8

    @property
    def width(self) -> int:
        return LABEL_WIDTH + BAR_WIDTH + 90

    @property
    def left(self) -> int:
        return LABEL_WIDTH


def picture_of(causes: list[CauseGroup]) -> Picture:
    """The BARS largest causes; every bar is at least wide enough to be seen."""
    drawn, rest = causes[:BARS], causes[BARS:]
    lines = [(_label(cause), cause.count, cause.outcome, cause.sentence) for cause in drawn]
    if rest:
        lines.append((f"+{len(rest)}", sum(cause.count for cause in rest), "other", ""))
    longest = max((count for _, count, _, _ in lines), default=1)
    return Picture(tuple(
        Bar(label, count, outcome, ROW_HEIGHT * place, max(2.0, BAR_WIDTH * count / longest), title)
        for place, (label, count, outcome, title) in enumerate(lines)
    ))


def _label(cause: CauseGroup) -> str:
    text = f"{cause.into}: {cause.field} {cause.code}" if cause.field else f"{cause.into}: {cause.code}"
    return text if len(text) <= 40 else f"{text[:39]}…"
