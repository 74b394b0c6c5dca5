"""Reading ahead and writing behind: while one page is decoded, the next is read and the last is copied."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection, Table

from pipelines.stages.staging import Staging, copy_frame, pack

T = TypeVar("T")
R = TypeVar("R")


def read_ahead(pages: Iterator[T]) -> Generator[T]:
    """Reads one page ahead in a thread of its own; an error of the reader is raised where the page would be."""
    line: queue.Queue[T | BaseException | None] = queue.Queue(maxsize=1)
    stop = threading.Event()

    def put(item: T | BaseException | None) -> None:
        while not stop.is_set():
            try:
                line.put(item, timeout=0.2)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            for page in pages:
                put(page)
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=read, name="navette-reader", daemon=True)
    thread.start()
    try:
        while (item := line.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


def in_lanes(items: Iterator[T], work: Callable[[T, int], R], lanes: int) -> Generator[tuple[T, R]]:
    """Each item with what `work(item, lane)` makes of it, in order; a lane works on one item at a time."""
    with ThreadPoolExecutor(lanes, thread_name_prefix="navette-lane") as pool:
        line: deque[tuple[T, Future[R]]] = deque()
        for number, item in enumerate(items):
            first = [line.popleft()] if len(line) == lanes else []
            done = [(earlier, found.result()) for earlier, found in first]  # before its lane gets the next
            line.append((item, pool.submit(work, item, number % lanes)))
            yield from done
        for item, found in line:
            yield item, found.result()


class Scribe:
    """A writer that does everything at once, in the transaction that its connection is in."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def copy(self, table: Table, frame: pd.DataFrame | pa.Table) -> None:
        """COPYs into `table`."""
        self.do(lambda connection: copy_frame(connection, table, frame))

    def pages(self, staging: Staging, rows: pd.DataFrame) -> None:
        """Keeps raw rows."""
        if rows.empty:
            return
        if staging.small:
            staging.raw.append(rows)
        else:
            self.do(lambda connection: _keep(connection, staging, rows))

    def do(self, work: Callable[[Connection], None]) -> None:
        """Does `work` after all that was given before."""
        work(self.connection)


class Writer(Scribe):
    """COPYs, and what is to follow a COPY, in a thread of its own; at most `behind` pieces of work wait for it.

    Each piece of work is a transaction; the first error is raised at the next call.
    """

    def __init__(self, connection: Connection, behind: int) -> None:
        super().__init__(connection)
        self.behind = behind
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="navette-copy")
        self.waiting: list[Future[None]] = []

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if error[0] is None:
                self._settle(0)
        finally:
            self.pool.shutdown(wait=True, cancel_futures=True)

    def do(self, work: Callable[[Connection], None]) -> None:
        """Does `work` after all that was given before."""
        self._settle(self.behind)
        self.waiting.append(self.pool.submit(self._work, work))

    def _work(self, work: Callable[[Connection], None]) -> None:
        with self.connection.begin():
            work(self.connection)

    def _settle(self, allowed: int) -> None:
        while len(self.waiting) > allowed:
            self.waiting.pop(0).result()


def _keep(connection: Connection, staging: Staging, rows: pd.DataFrame) -> None:
    connection.execute(
        staging.pages.insert(),
        {"first": int(rows.index[0]), "last": int(rows.index[-1]), "payload": pack(rows, rows.index)},
    )
