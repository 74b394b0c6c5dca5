"""The process that judges rows for a run: `python -m pipelines.stages.expectations.judge FD`.

::

    FD, a socket to the run     what comes                          what goes back
                                the intos with their entities       nothing
                                ("check", number, decoded batch)    Faults
                                ("document", folder, title, at)     index.html, after the pages were written

An error goes back in the answer's place, to be raised by the run. When the run is gone, so is this process.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pandas as pd

from mappings.errors import NavetteError, RunStopped
from mappings.faults import Faults
from mappings.language.entities import Entity
from mappings.language.flow import Into
from pipelines.stages.expectations.docs import IntoResults, build_docs
from pipelines.stages.expectations.rows import RowExpectations


class Judge:
    """The row-local expectations of every into that was asked about, and what they found so far."""

    def __init__(self, intos: Sequence[tuple[Into, Entity]]) -> None:
        self._intos = intos
        self._rows: dict[int, RowExpectations] = {}

    def check(self, number: int, values: pd.DataFrame) -> Faults:
        """As RowExpectations.check, of the into with that number."""
        if number not in self._rows:
            self._rows[number] = RowExpectations(*self._intos[number])
        return self._rows[number].check(values)

    def document(self, folder: Path, title: str, at: datetime) -> Path:
        """As build_docs, of all that was judged."""
        results = [IntoResults(rows.label, rows) for _, rows in sorted(self._rows.items())]
        return build_docs(results, folder, title=title, at=at)


def main() -> None:
    run: Connection[Any, Any] = Connection(int(sys.argv[1]))
    try:
        judge = Judge(run.recv())
        while True:
            word, *arguments = run.recv()
            run.send(_answer(judge.check if word == "check" else judge.document, arguments))
    except (EOFError, OSError):
        os._exit(0)


def _answer(work: Any, arguments: Sequence[Any]) -> Any:
    try:
        return work(*arguments)
    except NavetteError as error:
        return error
    except Exception:  # not ours to handle, and not to be lost with this process
        return RunStopped(f"the rows could not be judged: {traceback.format_exc()}", where="expect")


if __name__ == "__main__":
    main()
