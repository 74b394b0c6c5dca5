"""What a live read has seen already."""

from __future__ import annotations

import numpy as np
import pandas as pd

from connectors.page import DAMAGED_COLUMNS, Page
from pipelines.runs.news import Seen


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
