"""What a live read has seen already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from connectors.page import DAMAGED_COLUMNS, Page
from connectors.remote import Key, Position
from pipelines.runs import news as module
from pipelines.runs.news import NewsSource, Seen


def page(*rows: tuple[str, str]) -> Page:
    frame = pd.DataFrame(rows, columns=["party", "value"], dtype="string[pyarrow]",
                         index=pd.RangeIndex(1, len(rows) + 1))
    return Page(frame, np.arange(1, len(rows) + 1), pd.DataFrame(columns=list(DAMAGED_COLUMNS)))


def news(seen: Seen, *rows: tuple[str, str]) -> list[str]:
    return list(seen.news(page(*rows), ["party"]).frame["value"])


def test_a_row_that_comes_again_is_no_news_until_it_changes() -> None:
    seen = Seen()
    assert news(seen, ("1", "a"), ("2", "b")) == ["a", "b"]
    assert news(seen, ("1", "a"), ("2", "b")) == []
    assert news(seen, ("1", "c"), ("2", "b")) == ["c"]
    assert news(seen, ("1", "a")) == ["a"], "back to what it once was"


def test_several_rows_of_one_key_are_no_news_for_each_other() -> None:
    seen = Seen()
    assert news(seen, ("1", "phone"), ("1", "mail"), ("2", "phone")) == ["phone", "mail", "phone"]
    assert news(seen, ("1", "phone"), ("1", "mail"), ("2", "phone")) == []
    assert news(seen, ("1", "phone"), ("1", "mail 2"), ("2", "phone")) == ["mail 2"]


def stated(*rows: tuple[str, str, str]) -> Page:
    """Rows of party, value and state."""
    return replace(page(*[row[:2] for row in rows]), states=tuple(row[2] for row in rows))


def names(seen: Seen, *rows: tuple[str, str, str]) -> list[str]:
    return list(seen.news(stated(*rows), ["party"]).frame["value"])


def test_a_row_is_news_once_and_again_in_another_state_whatever_it_holds() -> None:
    seen = Seen()
    assert names(seen, ("1", "a", "1@1"), ("2", "b", "2@1")) == ["a", "b"]
    assert names(seen, ("1", "a", "1@1"), ("2", "b", "2@1")) == []
    assert names(seen, ("1", "a", "1@3"), ("2", "c", "2@1")) == ["a", "c"], "it may have been something else in between"


def test_a_state_is_known_for_a_while_and_for_good_when_it_was_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, now = Seen(), [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    seen.news(stated(("1", "a", "1@1")), ["party"])
    assert seen.reading()("1@1")
    assert not seen.reading()("1@2")
    now[0] += 1
    seen.note(stated(("1", "ours", "1@2"), ("2", "ours", "2@2")), ["party"])
    now[0] += module.AGAIN
    assert not seen.reading()("1@1")
    assert not seen.reading()("1@2"), "it changed there before we wrote it"
    assert seen.reading()("2@2"), "only we have changed it"
    assert names(seen, ("1", "ours", "1@2")) == []
    now[0] += 1e6
    assert seen.reading()("1@2")
    seen.forget()
    assert not seen.reading()("1@2")


def test_too_many_states_are_forgotten_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    seen = Seen()
    for number in range(4):
        seen.news(stated(("1", "a", f"1@{number}")), ["party"])
    assert len(seen.states) <= 2 + 1
    assert names(seen, ("1", "a", "1@3")) == [], "its content is known still"


def test_of_many_rows_that_are_read_once_more_a_read_gets_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, now = Seen(), [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "AT_ONCE", 2)
    rows = [(str(number), "a", f"{number}@1") for number in range(5)]
    seen.news(stated(*rows), ["party"])
    now[0] += module.AGAIN
    asked = []
    for _ in range(3):
        known = seen.reading()
        again = [row for row in rows if not known(row[2])]
        seen.news(stated(*again), ["party"])
        asked.append([row[0] for row in again])
    assert asked == [["0", "1"], ["2", "3"], ["4"]]


@dataclass
class Told:
    """A read that tells rows and keys that are gone."""

    rows: list[tuple[str, str]]
    gone: list[Key]
    columns: tuple[str, ...] = ("party", "value")
    detected: dict[str, str] = field(default_factory=dict)
    notices: dict[str, dict[str, Any]] = field(default_factory=dict)
    position: Position = field(default_factory=Position)

    def pages(self, _: int = 0) -> Iterator[Page]:
        yield page(*self.rows)


def test_a_row_that_is_gone_is_no_news_again_until_it_was_there_again() -> None:
    seen = Seen()

    def gone(*keys: Key, rows: Sequence[tuple[str, str]] = ()) -> list[Key]:
        source = NewsSource(Told(list(rows), list(keys)), ["party"], seen)
        news = source.look()
        told = list(source.gone)
        assert news == bool(told or rows)
        if news:
            source.taken_in()
        return told

    assert gone(("1",), ("2",)) == [("1",), ("2",)]
    assert gone(("1",), ("2",)) == []
    assert gone(("1",), ("2",), ("3",)) == [("3",)]
    assert gone(("2",), ("3",), rows=[("1", "again")]) == []
    assert gone(("1",), ("2",), ("3",)) == [("1",)]
    seen.forget()
    assert gone(("1",), ("3",)) == [("1",), ("3",)]
