"""What the store knows of outbound files: their numbers, how far each is, and the markers that go with it.

::

    open ─ written, safe on the disk ─▶ ready ─ renamed into its place ─▶ delivered, its markers gone
      └─ killed, or refused by the disk: the same number again, with what is due then

A number is used by one file only, and the next one only once that file is delivered: an open file showed nothing to
anybody, a ready one has its content for good.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, delete, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from crm_store import hub_tables as hub
from pipelines.stages.outbox import LONGEST

_box = hub.outbox
SENDING: ColumnElement[bool] = _box.c.state == "sending"
"""Markers that go with the file under way."""
DUE: ColumnElement[bool] = or_(SENDING, and_(_box.c.state == "waiting", _box.c.due_at <= func.now()))
"""Markers that go with the next one."""


@dataclass(frozen=True)
class OutFile:
    """A file under way, or delivered."""

    id: int
    number: int
    path: Path
    full: bool
    state: str
    rows: int
    refused: int
    digest: str


def unfinished(connection: Connection, feed: int) -> OutFile | None:
    """The file that a killed push left behind."""
    return _first(connection, hub.outbound_file.c.feed == feed, hub.outbound_file.c.state != "delivered")


def last_full(connection: Connection, feed: int) -> OutFile | None:
    """The newest delivered file that holds everything."""
    file = hub.outbound_file
    return _first(connection, file.c.feed == feed, file.c.state == "delivered", file.c.full)


def _first(connection: Connection, *asked: Any) -> OutFile | None:
    file = hub.outbound_file
    query = select(file.c.id, file.c.number, file.c.path, file.c.full, file.c.state, func.coalesce(file.c.rows, 0),
                   func.coalesce(file.c.refused, 0), func.coalesce(file.c.digest, ""))
    row = connection.execute(query.where(*asked).order_by(file.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else OutFile(row[0], row[1], Path(row[2]), *row[3:])


def next_number(connection: Connection, feed: int) -> int:
    """The number of the file that is written next."""
    file = hub.outbound_file
    query = select(func.coalesce(func.max(file.c.number), 0) + 1)
    return int(connection.scalar(query.where(file.c.feed == feed, file.c.state == "delivered")) or 1)


def begin_file(connection: Connection, feed: int, run_id: int, path: Callable[[int], Path], *, full: bool) -> OutFile:
    """Notes that the next file is being written, in place of one that was not finished; its markers are claimed."""
    file, number = hub.outbound_file, next_number(connection, feed)
    connection.execute(delete(file).where(file.c.feed == feed, file.c.state != "delivered"))
    found: int = connection.execute(insert(file).values(
        feed=feed, number=number, path=str(path(number)), full=full, run_id=run_id).returning(file.c.id)).scalar_one()
    box = hub.outbox
    connection.execute(
        update(box).where(box.c.feed == feed, *(() if full else (DUE,)))
        .values(state="sending", claimed=box.c.generation)
    )
    return OutFile(found, number, path(number), full, "open", 0, 0, "")


def claimed_count(connection: Connection, feed: int) -> int:
    """How many markers go with the file under way."""
    box = hub.outbox
    return int(connection.scalar(
        select(func.count()).select_from(box).where(box.c.feed == feed, box.c.state == "sending")) or 0)


class Refusals:
    """Records that are not in the file under way, and why; kept on the disk, not in the store, until it is known what
    becomes of the file: a push that is killed, or stopped by its guard, has refused nothing, and the next one counts
    the same records again."""

    def __enter__(self) -> Refusals:
        self._pages = TemporaryFile()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        self._pages.close()

    def add(self, why: Mapping[int, Mapping[str, Any]]) -> None:
        """Those of one page: record to code and params."""
        self._pages.write(orjson.dumps(list(why.items())) + b"\n")

    def note(self, connection: Connection, feed: int, *, asked: bool = False) -> None:
        """Tells the outbox; `asked`: a person has to say first whether there will be a file of these changes."""
        self._pages.seek(0)
        for page in self._pages:
            refuse(connection, feed, dict(orjson.loads(page)), asked=asked)


def refuse(connection: Connection, feed: int, why: Mapping[int, Mapping[str, Any]], *, asked: bool = False) -> None:
    """Records that are not in the file, and why: refused, or waiting where a link may become known; `asked`: due still.

    Also those that had no marker, so that none is left out in silence. A record that changed meanwhile waits anew.
    """
    box = hub.outbox
    rows: list[dict[str, Any]] = [
        {"number": record, "words": dict(told),
         "as": "waiting" if asked or told["code"] == "link_unknown" else "refused"}
        for record, told in why.items()
    ]
    if not rows:
        return
    grown = func.least(func.power(2, func.least(box.c.tries, 20)), LONGEST.total_seconds())
    wait = func.make_interval(0, 0, 0, 0, 0, 0, literal(0) if asked else grown)
    made = insert(box).values(feed=feed, record_id=bindparam("number"), state=bindparam("as"),
                              why=bindparam("words", type_=JSONB), tries=1)
    same = box.c.generation == box.c.claimed
    connection.execute(made.on_conflict_do_update(
        index_elements=["feed", "record_id"], where=box.c.state == "sending",
        set_={"state": case((same, made.excluded.state), else_=literal("waiting")), "claimed": None,
              "why": case((same, made.excluded.why)), "tries": box.c.tries + 1,
              "due_at": case((same, func.now() + wait), else_=func.now())},
    ), rows)


def note_ready(connection: Connection, file: OutFile, rows: int, refused: int, digest: str) -> None:
    """The file is whole beside its place: from here on it is finished as it is, whoever does it."""
    table = hub.outbound_file
    connection.execute(update(table).where(table.c.id == file.id).values(
        state="ready", rows=rows, refused=refused, digest=digest))


def note_delivered(connection: Connection, feed: int, file: OutFile) -> None:
    """The file is in its place: its markers go, but for records that changed since they were claimed."""
    table = hub.outbound_file
    connection.execute(update(table).where(table.c.id == file.id).values(state="delivered", delivered_at=func.now()))
    settle_markers(connection, feed)


def settle_markers(connection: Connection, feed: int) -> None:
    """Takes away the claimed markers; those whose record changed since wait anew."""
    box = hub.outbox
    connection.execute(delete(box).where(box.c.feed == feed, box.c.state == "sending",
                                         box.c.generation == box.c.claimed))
    give_back(connection, feed)


def give_back(connection: Connection, feed: int) -> None:
    """Claimed markers wait again."""
    box = hub.outbox
    connection.execute(update(box).where(box.c.feed == feed, box.c.state == "sending").values(
        state="waiting", claimed=None, due_at=func.now()))


def drop_file(connection: Connection, file: OutFile) -> None:
    """A file that is not written after all: its number is free again."""
    table = hub.outbound_file
    connection.execute(delete(table).where(table.c.id == file.id, table.c.state != "delivered"))


def close_earlier(connection: Connection, flow: str, run_id: int) -> None:
    """Runs of this flow that a killed push left open."""
    run = hub.run
    connection.execute(update(run).where(run.c.flow == flow, run.c.id < run_id, run.c.state == "applying").values(
        state="failed", ended_at=func.now(), problem={"code": "interrupted", "message": "interrupted; the next push of "
                                                      "the flow finished its file, or wrote it anew"}))
