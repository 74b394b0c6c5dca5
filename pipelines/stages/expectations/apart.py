"""Rows judged apart: the run's end of the process that judges them (judge.py).

Great Expectations takes more than a second to import, and its verdicts are Python's work: in a process of its own both
go on beside reading and decoding.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pandas as pd

from mappings.errors import RunStopped
from mappings.faults import Faults
from mappings.language.entities import Entity
from mappings.language.flow import Into
from pipelines.stages.expectations.declared import declared

_JUDGE = "pipelines.stages.expectations.judge"


class Apart:
    """Row-local expectations of the intos of one run, judged by a process that ends with `close`, or with the run.

    Raises ConfigurationError as RowExpectations does, for what no process could judge.
    """

    def __init__(self, intos: Sequence[tuple[Into, Entity]]) -> None:
        self._columns = [{name for item in declared(*into) for name in item.columns} for into in intos]
        self._line, there = Pipe()
        with there:
            # A session of its own: what ends the run at the keyboard is the run's to answer. -P: the folder that the
            # command is called in holds no code of ours.
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-P", "-m", _JUDGE, str(there.fileno())], pass_fds=[there.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
            )
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="navette-judge")
        self._asking.submit(self._line.send, list(intos))

    def check(self, number: int, values: pd.DataFrame) -> Future[Faults]:
        """The rows of a decoded batch that do not fit, once they are judged; batches are judged in their order."""
        seen = values[[name for name in values.columns if name in self._columns[number]]]
        return self._asking.submit(self._ask, "check", number, seen)

    def document(self, folder: Path, title: str, at: datetime) -> None:
        """Writes the Data Docs of what was judged."""
        self._asking.submit(self._ask, "document", folder, title, at).result()

    def close(self) -> None:
        """Ends the process, whatever it is at: nothing is left in it that anybody waits for."""
        self._process.kill()
        self._asking.shutdown(cancel_futures=True)
        self._line.close()
        self._process.wait()

    def _ask(self, *question: Any) -> Any:
        try:
            self._line.send(question)
            answer = self._line.recv()
        except (EOFError, OSError):
            raise RunStopped(
                f"the process that judges what `expect` asks has ended (exit {self._process.wait()})", where="expect",
                todo="see whether the machine was short of memory, and run the flow again",
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer
