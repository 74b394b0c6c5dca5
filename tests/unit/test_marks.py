"""Order marks: the version of a row, its time of change, or the file's; and no mark that does not order."""

from __future__ import annotations

import pandas as pd

from mappings.language.read import Read
from pipelines.stages.marks import marks_of

ROWS = pd.DataFrame({"rev": ["7", "8"], "xmin": ["900", "899"], "at": ["2026-01-05T08:00:00Z", "2026-01-05T09:00:00Z"]},
                    dtype="string[pyarrow]")


def test_a_version_goes_before_a_stamp_and_a_stamp_before_the_file() -> None:
    assert marks_of(ROWS, Read(version="rev", stamp="at"), 3)[0].tolist() == [7, 8]
    stamped = marks_of(ROWS, Read(stamp="at"), 3)[0].tolist()
    assert stamped[1] - stamped[0] == 3_600_000_000
    assert marks_of(ROWS, Read(), 3)[0].tolist() == [3, 3]


def test_the_number_of_a_transaction_tells_no_order() -> None:
    """899 may have waited for 900, and be the newer."""
    read = Read(version="xmin")
    assert read.mark_columns == ()
    assert marks_of(ROWS, read, None)[0].isna().all()
