"""Held rows: refused, waiting or for a person; gathered while landing and deciding, written when the run applies.

One open held row per feed and identity. A later good row of the same key closes it; so does a newer full read that no
longer has it, one of changes that tells it as deleted (pipelines.stages.absent), and for an element of a nested list
the row that holds it (pipelines.stages.holders). Two held rows of one key in one run both stay readable: the second is
`key#2`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    Table,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.sql.selectable import FromClause

from crm_store import hub_tables as hub
from mappings.codecs.columns import SHOWN, UNSTORABLE
from mappings.codecs.derived import text_by_name
from mappings.faults import Faults
from mappings.language.derived import by_name, roots
from pipelines.stages.nested import Part
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import Staging, unpack

NAMES = ("row_no", "line", "key", "mark", "outcome", "code", "field", "causes", "raw", "raw_text", "candidates",
         "waits_for")


_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # the escape itself, not one in JSON text within the text


def damaged_frame(part: Part) -> pd.DataFrame:
    """Staging rows of `held` for the damaged lines of a page."""
    damaged = part.damaged
    causes = [
        [{"field": "", "code": code, "params": orjson.loads(params or "{}"), "value": None}]
        for code, params in zip(damaged["code"], damaged["params"], strict=True)
    ]
    return pd.DataFrame({
        "row_no": damaged["row"].to_numpy(), "source_no": damaged.get("source_no", damaged["row"]).astype("Int64"),
        "line": damaged["line"].to_numpy(), "outcome": "rejected",
        "code": damaged["code"].to_numpy(), "causes": [json_text(cause) for cause in causes],
        "raw_text": damaged["raw"].astype("string").str.replace(UNSTORABLE, SHOWN).to_numpy(),
    })


def faulty_frame(part: Part, faults: Faults, keys: pd.Series, marks: pd.Series) -> pd.DataFrame:
    """Staging rows of `held` for the rows that `faults` names, each with all its causes and its raw content."""
    told = faults.frame
    told["cause"] = pd.Series([
        {"field": name, "code": code, "params": orjson.loads(params or "{}"),
         "value": None if pd.isna(value) else value}
        for name, code, params, value in zip(told["field"], told["code"], told["params"], told["value"], strict=True)
    ], index=told.index, dtype="object")
    grouped = told.groupby("row", sort=True)
    first = grouped.first()
    rows = first.index
    raw = part.raw.loc[part.parents.loc[rows] if part.parents is not None else rows]
    lines = pd.Series(part.lines, index=part.frame.index)
    return pd.DataFrame({
        "row_no": rows.to_numpy(), "line": lines.loc[rows].to_numpy(),
        "source_no": part.parents.loc[rows].to_numpy() if part.parents is not None else rows.to_numpy(),
        "key": keys.loc[rows].to_numpy(), "mark": marks.loc[rows].astype("Int64").to_numpy(), "outcome": "rejected",
        "code": first["code"].to_numpy(),
        "field": first["field"].to_numpy(), "causes": [json_text(causes) for causes in grouped["cause"].agg(list)],
        "raw": [json_text(_texts(record)) for record in raw.to_dict("records")],
    }).astype({"mark": "Int64", "key": "string[pyarrow]"})


def _texts(record: dict[Any, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in record.items() if not pd.isna(value)}


def json_text(value: object) -> str:
    """JSON that PostgreSQL's jsonb can hold: no NUL, no lone surrogate; the symbol for NUL shows where it stood."""
    text = orjson.dumps(value, default=str).decode()
    return _NUL.sub(rf"\1{SHOWN}", text) if "\\u0000" in text else text


def raw_rows(connection: Connection, staging: Staging, rows: Collection[int]) -> dict[int, str]:
    """The raw content (JSON text) of staged rows, by row number in the source."""
    found: dict[int, str] = {}
    if not rows:
        return found
    for frame in staging.raw:
        for number, record in frame.loc[frame.index.isin(list(rows))].to_dict("index").items():
            found[int(str(number))] = json_text(_texts(record))
    if staging.small:
        return found
    wanted = pa.array(sorted(rows), pa.int64())
    pages = staging.pages
    query = select(pages.c.payload).where(
        pages.c["first"] <= max(rows), pages.c["last"] >= min(rows)
    ).order_by(pages.c["first"])
    for (payload,) in connection.execute(query):
        for record in unpack(payload, wanted).to_pylist():
            number = record.pop("#row")
            found[number] = json_text({name: value for name, value in record.items() if value is not None})
    return found


def hold(connection: Connection, run_id: int, plan: IntoPlan, rows: Table, source: str, answers: Table | None = None
         ) -> None:
    """Writes held rows (columns NAMES) into sync.held; the latest stands for each identity.

    `answers` (row_no of the source, held, mark): a row that answers a held one stays that one, also under another
    identity.

    A damaged line of an export that nobody filled in keeps its place, cause and text. A row that somebody dismissed,
    and that comes again as it was, stays dismissed.
    """
    feed = plan.feed
    content = func.md5(func.coalesce(rows.c.raw_text, cast(rows.c.raw, String), ""))
    base = func.coalesce(rows.c.key, literal("#") + content)
    nth = func.row_number().over(partition_by=base, order_by=rows.c.row_no)
    numbered = select(rows, base.label("base"), nth.label("nth")).subquery()
    identity = case((numbered.c.nth == 1, numbered.c.base),
                    else_=numbered.c.base + "#" + cast(numbered.c.nth, String))
    named = select(numbered, identity.label("identity")).subquery("named")
    if answers is not None:
        source_no = func.coalesce(named.c.source_no, named.c.row_no)  # a damaged line is a row of the source
        again = select(named.c.row_no, source_no.label("source_no"), named.c.identity)
        _stay_who_they_are(connection, run_id, feed, again, answers)
    dropped = _still_dismissed(run_id, feed, named, source).cte("dropped")
    picked = select(
        literal(feed, Integer), literal(run_id), literal(source), named.c.identity, *[named.c[name] for name in NAMES]
    ).where(named.c.row_no.not_in(select(dropped.c.row_no)))
    new = insert(hub.held).from_select(["feed", "run_id", "source", "identity", *NAMES], picked)
    fresh = new.excluded
    untouched = fresh.code == "uncorrected"
    place = ("source", "line", "code", "field", "causes", "raw_text")
    connection.execute(
        new.on_conflict_do_update(
            # Not as a parameter: a plan that is made for every value of it could not tell the index.
            index_elements=["feed", "identity"], index_where=hub.held.c.state == literal_column("'open'"),
            set_={name: fresh[name] for name in ("run_id", *NAMES) if name not in place}
            | {name: case((untouched, hub.held.c[name]), else_=fresh[name]) for name in place},
            # Old news never replaces the newer refusal of the same key.
            where=or_(hub.held.c.mark.is_(None), fresh.mark.is_(None), fresh.mark >= hub.held.c.mark,
                      _of_before(plan, run_id)),
        )
    )


def _still_dismissed(run_id: int, feed: int, named: FromClause, source: str) -> ReturningUpdate[tuple[int]]:
    """Notes where rows that somebody dismissed, and that are as they were, were read last; gives their row_no.

    What is gone is asked about each time: keeping it is another decision.
    """
    held = hub.held
    same = [cast(held.c.raw, String).is_not_distinct_from(cast(named.c.raw, String)),
            *(held.c[name].is_not_distinct_from(named.c[name]) for name in ("raw_text", "candidates", "field"))]
    return (
        update(held)
        .where(held.c.feed == feed, held.c.state == literal_column("'dismissed'"), held.c.identity == named.c.identity,
               held.c.outcome == named.c.outcome, held.c.code == named.c.code, held.c.code != "gone", *same)
        .values(run_id=run_id, source=source, **{name: named.c[name] for name in ("row_no", "line", "mark")})
        .returning(named.c.row_no)
    )


def _stay_who_they_are(connection: Connection, run_id: int, feed: int, rows: Select[Any], answers: Table) -> None:
    """Gives held rows that are answered by rows held again the identity that these have now.

    Of several elements of one row, those that have no longer the identity they had are taken in their order.
    """
    held, other, again = hub.held, hub.held.alias("other"), rows.subquery("again")
    mine = and_(held.c.feed == feed, held.c.state == "open")
    known = exists().where(other.c.feed == feed, other.c.state == "open", other.c.identity == again.c.identity)
    now = select(
        again.c.identity, again.c.source_no,
        func.row_number().over(partition_by=again.c.source_no, order_by=again.c.row_no).label("nth"),
    ).where(~known).subquery("now")
    same = exists().where(again.c.source_no == answers.c.row_no, again.c.identity == held.c.identity)
    then = (
        select(held.c.id, answers.c.row_no,
               func.row_number().over(partition_by=answers.c.row_no, order_by=held.c.id).label("nth"))
        .join_from(answers, held, held.c.id == answers.c.held)
        .where(mine, held.c.run_id < run_id, not_newer(held, answers), ~same).subquery("then")
    )
    pairs = (
        select(func.min(then.c.id).label("id"), now.c.identity)
        .join_from(now, then, and_(then.c.row_no == now.c.source_no, then.c.nth == now.c.nth))
        .group_by(now.c.identity).subquery("pairs")
    )
    connection.execute(update(held).where(held.c.id == pairs.c.id).values(identity=pairs.c.identity))


def not_newer(held: Table, answers: FromClause) -> ColumnElement[bool]:
    """The held row is, by its mark, no newer news than the row that answers it."""
    return or_(held.c.mark.is_(None), answers.c.mark.is_(None), held.c.mark <= answers.c.mark)


def _of_before(plan: IntoPlan, run_id: int) -> ColumnElement[bool]:
    """The held row is of before the run, whose own are what stands there now, whatever the marks say."""
    return hub.held.c.run_id < run_id if plan.read_now else false()


def close_held(connection: Connection, run_id: int, plan: IntoPlan, good: FromClause) -> None:
    """Closes the open held rows that a good row (columns key, row_no, mark) is newer than."""
    held = hub.held
    close_good(connection, run_id, plan, held.c.feed == plan.feed, held.c.key == good.c.key,
               or_(held.c.run_id < run_id, and_(held.c.run_id == run_id, held.c.row_no < good.c.row_no)), good=good)


def close_good(connection: Connection, run_id: int, plan: IntoPlan, *where: ColumnElement[bool], good: FromClause
               ) -> None:
    """Closes the open held rows that meet a good row (column mark) as `where` says and are no newer news than it."""
    with all_at_once(connection):
        connection.execute(
            update(hub.held)
            .where(hub.held.c.state == "open", or_(not_newer(hub.held, good), _of_before(plan, run_id)), *where)
            .values(state="closed", closed_at=func.now(), closed_by=run_id)
        )


@contextmanager
def all_at_once(connection: Connection) -> Iterator[None]:
    """For statements on held and staged rows that join tables whose statistics do not hold: thought to be small, they
    would be compared each with each."""
    connection.execute(select(func.set_config("enable_nestloop", "off", True)))
    yield
    connection.execute(select(func.set_config("enable_nestloop", "on", True)))


@dataclass(frozen=True)
class FileRead:
    """The file of a full read: its order mark, and the parts of its name."""

    mark: int | None
    variables: Mapping[str, str]


def close_gone(connection: Connection, run_id: int, plan: IntoPlan, mark: int | None, file: FileRead) -> None:
    """After a full read: what earlier runs held and this one did not is no longer in the source.

    A row without a key, such as a damaged line, is told by the file it was in: one no newer than this one, whose name
    says the same of the parts of the key. `mark`: the file's, where rows have none of their own.
    """
    held, reader = hub.held, hub.run
    by_key = _no_newer(held.c.mark, mark)
    if plan.key_pattern is not None:
        by_key = and_(by_key, held.c.key.regexp_match(plan.key_pattern))
    by_file = exists().where(reader.c.id == held.c.run_id, _no_newer(reader.c.mark, file.mark),
                             _of_the_same_keys(connection, plan, file))
    connection.execute(
        update(held)
        .where(held.c.feed == plan.feed, held.c.state == "open", held.c.run_id < run_id,
               or_(and_(held.c.key.is_not(None), by_key), and_(held.c.key.is_(None), by_file)))
        .values(state="closed", closed_at=func.now(), closed_by=run_id)
    )


def _no_newer(theirs: ColumnElement[int | None], mark: int | None) -> ColumnElement[bool]:
    return true() if mark is None else or_(theirs.is_(None), theirs <= mark)


def _of_the_same_keys(connection: Connection, plan: IntoPlan, file: FileRead) -> ColumnElement[bool]:
    """For a run that held rows without a key: its file spoke of the same keys, by the parts of its name."""
    parts = [column for column in plan.into.key if by_name(column)]
    if not parts:
        return true()
    held, reader = hub.held, hub.run
    names = sorted({str(root)[1:] for column in parts for root in roots(column)})
    told = [func.jsonb_extract_path_text(reader.c.cursor, "variables", name) for name in names]
    here = [text_by_name(column, file.variables) for column in parts]
    # As many as there are branches, or whatever files are of: few, however many rows are held.
    others = connection.execute(
        select(*told).distinct().join_from(held, reader, reader.c.id == held.c.run_id)
        .where(held.c.feed == plan.feed, held.c.state == "open", held.c.key.is_(None))
    ).all()
    same = [tuple(row) for row in others if None not in row
            and [text_by_name(column, dict(zip(names, row, strict=True))) for column in parts] == here]
    return tuple_(*told).in_(same)
