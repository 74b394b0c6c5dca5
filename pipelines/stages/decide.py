"""Decide over the whole landed run: repeated keys, matches, twins, waiting rows, changes.

Writes only `fate`, and `wait` with the rows that wait for others of the run.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Index,
    Insert,
    Select,
    Subquery,
    and_,
    case,
    delete,
    exists,
    false,
    func,
    insert,
    null,
    or_,
    select,
    text,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.sql.selectable import FromClause

from crm_store import hub_tables as hub
from crm_store.named_ddl import ddl_on
from mappings.words import Outcome
from pipelines.stages.match import match_rows, sides
from pipelines.stages.plan import IntoPlan, Reference
from pipelines.stages.resolve import LINKED, resolve_rows
from pipelines.stages.staging import IntoStaging, Staging, index_lookups
from pipelines.stages.waiting import comes_in, hopeless_rows, value_indexes

APPLIED = ("new", *LINKED)
EVERYTHING = {"low": -1, "high": 1 << 62}


@dataclass(frozen=True)
class Decided:
    """What became of one into: `settled` for good, `expected` of apply if nothing else moves.

    `repeated_same` rows were counted unchanged while landing, but a later row of the same run has their key.
    """

    settled: Counter[Outcome]
    expected: Counter[Outcome]
    repeated_same: int


class Matching:
    """Matches the staged rows of a range: one line of `fate` for each. Made once for a run and an into."""

    def __init__(self, plan: IntoPlan, tables: IntoStaging, run: tuple[int, int | None]) -> None:
        self.plan, self.tables, self.run = plan, tables, run

    @cached_property
    def statement(self) -> Insert:
        """Made when the first row is staged: it costs more than a small file does."""
        return _fates(self.tables, match_rows(self.plan, self.tables, run=self.run), waits=False)

    def __call__(self, connection: Connection, low: int, high: int) -> None:
        with index_lookups(connection):
            connection.execute(self.statement, {"low": low, "high": high})


def match_all(connection: Connection, plans: tuple[IntoPlan, ...], staging: Staging, run: tuple[int, int | None]
              ) -> None:
    """Matches what landing matches page by page: every staged row."""
    for plan, tables in zip(plans, staging.intos, strict=True):
        Matching(plan, tables, run)(connection, **EVERYTHING)


def decide(connection: Connection, plans: tuple[IntoPlan, ...], staging: Staging, run: tuple[int, int | None]
           ) -> list[Decided]:
    """Completes every `fate` table, whose rows have been matched, by what depends on the run as a whole, and fills
    every `wait` table."""
    pairs = list(zip(plans, staging.intos, strict=True))
    repeated: list[int] = []
    with ThreadPoolExecutor(2) as pool:  # what can be asked of the staged rows alone, beside what is done here
        asked = [pool.submit(_ask, connection.engine, _some_repeated(tables)) for _, tables in pairs]
        alike = [[pool.submit(_ask, connection.engine, some) for some in _some_alike(*pair)] for pair in pairs]
        for (plan, tables), again, twins in zip(pairs, asked, alike, strict=True):
            repeated.append(_prepare(connection, plans, plan, tables, again, twins))
    _waiting(connection, plans, staging, run)
    decided = []
    for plan, tables, same in zip(plans, staging.intos, repeated, strict=True):
        _changes(connection, plan, tables)
        decided.append(Decided(*_outcomes(connection, tables), same))
    return decided


def _prepare(connection: Connection, plans: tuple[IntoPlan, ...], plan: IntoPlan, tables: IntoStaging,
             again: Future[bool], twins: list[Future[bool]]) -> int:
    """Sets repeated keys and twins aside; returns how many of the repeated were among `same`."""
    if any(plan.id_space in reference.spaces for other in plans for reference in other.references):
        Index(None, tables.rows.c.key).create(connection, checkfirst=True)
    for index in value_indexes(plan, tables, plans):
        index.create(connection, checkfirst=True)
    Index(None, tables.fate.c.row_no).create(connection)
    # How many rows there are matters, and which columns are all alike; not the most common values of each.
    connection.execute(text("SET LOCAL default_statistics_target = 10"))
    for table in (tables.rows, tables.fate):
        connection.execute(ddl_on("ANALYZE %(fullname)s", table))
    lost = _repeated_keys(connection, tables) if again.result() else 0
    if plan.into.match and not plan.into.aliases:
        _twins(connection, plan, tables, [some.result() for some in twins])
    return lost


def _ask(engine: Engine, question: Select[Any]) -> bool:
    with engine.connect() as connection:
        return bool(connection.scalar(question))


@dataclass(frozen=True)
class Moment:
    """The store as it was when a run decided: the journal's place, and whether anything was under way.

    While nobody else has journaled a change since, a decision on creating or linking still stands and apply need not
    match again. A transaction that was open at the time may commit later what nobody could see: then it must.
    """

    journal: int
    quiet: bool

    @staticmethod
    def now(connection: Connection) -> Moment:
        """Asked before deciding, so that what comes in between counts as a change."""
        place = connection.scalar(
            text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM sync.journal_id_seq")
        )
        others = connection.scalar(text(
            "SELECT count(*) FROM pg_snapshot_xip(pg_current_snapshot()) AS xid"
            " WHERE xid IS DISTINCT FROM pg_current_xact_id_if_assigned()"
        ))
        return Moment(int(place or 0), not others)


def _some_repeated(tables: IntoStaging) -> Select[Any]:
    keys = union_all(select(tables.rows.c.key), select(tables.same.c.key)).subquery()
    digest = func.hashtextextended(keys.c.key, 0)  # numbers are grouped in half the time and memory
    return select(exists(select(digest).group_by(digest).having(func.count() > 1)))


def _repeated_keys(connection: Connection, tables: IntoStaging) -> int:
    """Of the rows with one key only the newest counts (mark, then place); returns how many lost among `same`."""
    rows, same, fate = tables.rows, tables.same, tables.fate
    everything = union_all(
        select(rows.c.row_no, rows.c.key, rows.c.mark, false().label("is_same")),
        select(same.c.row_no, same.c.key, same.c.mark, true().label("is_same")),
    ).subquery()
    twice = select(everything.c.key).group_by(everything.c.key).having(func.count() > 1).subquery()
    place = func.row_number().over(
        partition_by=everything.c.key, order_by=(everything.c.mark.desc().nulls_first(), everything.c.row_no.desc())
    )
    ranked = (
        select(everything.c.row_no, everything.c.is_same, place.label("place"))
        .join(twice, twice.c.key == everything.c.key).subquery()
    )
    lost = select(ranked.c.row_no, ranked.c.is_same).where(ranked.c.place > 1).subquery()
    matched: dict[str, Any] = {column.name: null() for column in fate.c if column.name not in ("row_no", "waits")}
    connection.execute(
        update(fate).where(fate.c.row_no == lost.c.row_no, ~lost.c.is_same)
        .values(matched | {"class": "superseded"})
    )
    return int(connection.scalar(select(func.count()).select_from(lost).where(lost.c.is_same)) or 0)


def _match_waiting(connection: Connection, plan: IntoPlan, tables: IntoStaging, run: tuple[int, int | None]) -> None:
    """Matches the rows that wait once more, as if their links were there, and puts them on the waiting list."""
    fate, wait = tables.fate, tables.wait
    gone = delete(fate).where(fate.c["class"] == "waits").returning(fate.c.row_no).cte("gone")
    connection.execute(insert(wait).from_select(["row_no"], select(gone.c.row_no)))
    matched = match_rows(plan, tables, lambda s: s.c.row_no.in_(select(wait.c.row_no)), run, lenient=True)
    with index_lookups(connection):
        connection.execute(_fates(tables, matched, waits=True), EVERYTHING)
    settled = exists().where(fate.c.row_no == wait.c.row_no, ~fate.c.waits)
    connection.execute(delete(wait).where(settled))


def _fates(tables: IntoStaging, matched: Select[Any], *, waits: bool) -> Insert:
    inner = matched.subquery("matched")
    names = [column.name for column in inner.c]
    fate = tables.fate
    # What is refused whatever comes is settled now: on the waiting list it would be counted again.
    waiting = inner.c["class"].in_(APPLIED) if waits else false()
    return insert(fate).from_select([*names, "waits"], select(*inner.c, waiting))


def _twins(connection: Connection, plan: IntoPlan, tables: IntoStaging, alike: list[bool]) -> None:
    """Two rows for one record that is new to both: neither is taken, whatever their order; a person decides.

    They stay twins for as long as both are in the source and nobody has decided: a record that another system brings
    meanwhile may fit one of them, and the next run of the same file would take that one in.
    """
    s, fate = tables.rows, tables.fate
    linked = (
        select(fate.c.record_id, func.count().label("n"), func.min(s.c.key).label("low_key"),
               func.max(s.c.key).label("high_key"))
        .join(s, s.c.row_no == fate.c.row_no)
        .where(fate.c["class"] == "link").group_by(fate.c.record_id).having(func.count() > 1).subquery()
    )
    connection.execute(
        update(fate).where(fate.c["class"] == "link", fate.c.record_id == linked.c.record_id)
        .values(_twin_of("record", linked) | {"candidates": array([fate.c.record_id]), "record_id": null()})
    )
    links = {f"l_{r.column}": fate.c[f"l_{r.column}"] for r in plan.references}
    since = _twins_before(connection, plan, tables)
    news = select(fate.c.row_no).join(s, s.c.row_no == fate.c.row_no).where(or_(fate.c["class"] == "new", since))
    if connection.scalar(news.limit(1)) is None:
        return
    for rule in [rule for rule, some in zip(plan.into.match, alike, strict=True) if some]:
        names = [*rule.on, *([plan.owner.column] if plan.owner and plan.owner.column not in rule.on else [])]
        values = [sides(plan, plan.record, s, name, links)[1] for name in names]
        # Two expressions of the same text must be one in GROUP BY: a subquery names them.
        others = [sides(plan, plan.record, s, name, links)[1] for name in rule.unless]
        new = (
            select(s.c.row_no, s.c.key, since.label("since"),
                   *[value.label(f"side{number}") for number, value in enumerate(values)],
                   *[value.label(f"other{number}") for number, value in enumerate(others)])
            .join(fate, fate.c.row_no == s.c.row_no)
            # Twins of an earlier rule are still somebody's twins, or the order of the rules would tell who is new.
            .where(or_(fate.c["class"] == "new", fate.c.code == "twins", since)).subquery()
        )
        parts = [new.c[f"side{number}"] for number in range(len(values))]
        groups = (
            select(*parts, func.count().label("n"), func.min(new.c.key).label("low_key"),
                   func.max(new.c.key).label("high_key"))
            .where(*[part.is_not(None) for part in parts]).group_by(*parts)
            .having(func.count() > 1).subquery()
        )
        members = (
            select(*new.c, groups.c.n, groups.c.low_key, groups.c.high_key)
            .join(groups, and_(*[new.c[part.name] == groups.c[part.name] for part in parts])).subquery()
        )
        if others:
            members = _not_strangers(members, len(parts), len(others))
        connection.execute(
            update(fate).where(fate.c.row_no == members.c.row_no, or_(fate.c["class"] == "new", members.c.since))
            .values(_twin_of(" + ".join(rule.on), members) | {"record_id": null()})
        )


def _some_alike(plan: IntoPlan, tables: IntoStaging) -> list[Select[Any]]:
    """For each rule, whether any two staged rows have its values in common; links, which are not staged, left out."""
    links = {reference.column for reference in plan.references}
    questions: list[Select[Any]] = []
    for rule in () if plan.into.aliases else plan.into.match:
        values = [sides(plan, plan.record, tables.rows, name, {})[1] for name in rule.on if name not in links]
        staged = select(*[value.label(f"side{place}") for place, value in enumerate(values)]).select_from(tables.rows)
        side = staged.subquery().c
        groups = select(*side).where(*[value.is_not(None) for value in side]).group_by(*side)
        questions.append(select(exists(groups.having(func.count() > 1))) if values else select(true()))
    return questions


def _twins_before(connection: Connection, plan: IntoPlan, tables: IntoStaging) -> ColumnElement[bool]:
    """Whether a row that is not taken in yet is still held as a twin by an earlier run."""
    twins = select(hub.held.c.key).where(
        hub.held.c.feed == plan.feed, hub.held.c.state == "open", hub.held.c.code == "twins"
    )
    if connection.scalar(twins.limit(1)) is None:
        return false()
    return and_(tables.fate.c["class"].in_(["link", "review"]), tables.rows.c.key.in_(twins))


def _not_strangers(members: Subquery, sides: int, others: int) -> Subquery:
    """Of the members of each group, those that `unless` leaves a twin: each of its fields has, on some other member,
    the same value or none."""
    group = [members.c[f"side{number}"] for number in range(sides)]
    alike: list[ColumnElement[Any]] = []
    for number in range(others):
        other = members.c[f"other{number}"]
        unknown = func.count().filter(other.is_(None)).over(partition_by=group)
        same = func.count().over(partition_by=[*group, other])
        alike.append(case((other.is_(None), members.c.n), else_=same + unknown).label(f"alike{number}"))
    counted = select(*members.c, *alike).subquery()
    return select(counted).where(*[counted.c[column.name] > 1 for column in alike]).subquery()


def _twin_of(rule: str, group: FromClause) -> dict[str, Any]:
    told = func.jsonb_build_object(
        "rule", rule, "count", group.c.n, "keys", group.c.low_key + " … " + group.c.high_key,
    )
    return {"class": "review", "code": "twins", "params": told}


def _waiting(connection: Connection, plans: tuple[IntoPlan, ...], staging: Staging, run: tuple[int, int | None]
             ) -> None:
    """Rows whose missing links all come in this same run are not parked: they wait for a later pass of apply.

    Starts from all that could, and drops those that hang on a row which is not taken in, until nothing moves: what
    is left hangs on rows that are taken in, or on each other (a cycle of parents). Rows with links that may stay blank
    wait as well, but are never dropped.
    """
    pairs = list(zip(plans, staging.intos, strict=True))
    for plan, tables in pairs:
        fate = tables.fate
        by_field = {r.column for r in plan.references if r.by is not None}
        if plan.references:
            connection.execute(
                update(fate)
                .where(fate.c["class"] == "parked", fate.c.code == "waits_for", fate.c.field.is_not(None),
                       fate.c.field.not_in(by_field))
                .values({"class": "waits"})
            )
    for plan, tables in pairs:
        s, fate = tables.rows, tables.fate
        blank = [reference for reference in plan.references if reference.otherwise == "blank"]
        if blank:
            comes = [and_(_missing(fate, s, r), comes_in(r, s, pairs, _taken_in)) for r in blank]
            connection.execute(
                update(fate).where(fate.c["class"].in_(APPLIED), s.c.row_no == fate.c.row_no, or_(*comes))
                .values({"class": "waits"})
            )
    moved = True
    while moved:
        moved = False
        for plan, tables in pairs:
            if not plan.references:
                continue
            s, fate = tables.rows, tables.fate
            hopeless = hopeless_rows(plan, tables, pairs, _taken_in)
            dropped = connection.execute(
                update(fate).where(fate.c["class"] == "waits", s.c.row_no == fate.c.row_no, hopeless)
                .values({"class": "parked"})
            ).rowcount
            moved = moved or dropped > 0
    for plan, tables in pairs:
        if connection.scalar(select(exists().where(tables.fate.c["class"] == "waits"))):
            _match_waiting(connection, plan, tables, run)


def _missing(fate: FromClause, s: FromClause, reference: Reference) -> ColumnElement[bool]:
    """The link is not found, or not every one of a set."""
    found, staged = fate.c[f"l_{reference.column}"], s.c[f"k_{reference.column}"]
    if reference.many:
        return func.coalesce(func.cardinality(found), 0) < func.cardinality(staged)
    return and_(staged.is_not(None), found.is_(None))


def _taken_in(tables: IntoStaging, row: FromClause) -> ColumnElement[bool]:
    """The landed row is taken in, or waits to be."""
    fate = tables.fate.alias()
    return exists().where(fate.c.row_no == row.c.row_no, fate.c["class"].in_((*APPLIED, "waits")))


def _changes(connection: Connection, plan: IntoPlan, tables: IntoStaging) -> None:
    """Tells for linked rows whether anything would change, and whether a conflict would stay open."""
    fate = tables.fate
    if not connection.scalar(select(exists().where(fate.c["class"].in_(LINKED)))):
        return
    resolved = resolve_rows(plan, tables, fate).subquery("resolved")
    with index_lookups(connection):
        connection.execute(
            update(fate).where(fate.c.row_no == resolved.c.row_no)
            .values(changed=or_(resolved.c.changed, resolved.c.back), open=resolved.c.open)
        )


def _outcomes(connection: Connection, tables: IntoStaging) -> tuple[Counter[Outcome], Counter[Outcome]]:
    fate = tables.fate
    settled: Counter[Outcome] = Counter()
    expected: Counter[Outcome] = Counter()
    groups = select(fate.c["class"], fate.c.changed, fate.c.open, func.count()).group_by(
        fate.c["class"], fate.c.changed, fate.c.open
    )
    for kind, changed, undecided, count in connection.execute(groups):
        if kind != "done":
            (expected if kind in APPLIED else settled)[outcome_of(kind, changed, undecided)] += count
    return settled, expected


def outcome_of(kind: str, changed: bool | None, undecided: bool | None) -> Outcome:
    """The outcome that a class of the match becomes."""
    if kind == "new":
        return "created"
    if kind in LINKED:
        return "review" if undecided else "updated" if changed else "unchanged"
    if kind in ("superseded", "parked", "review", "rejected"):
        return kind  # type: ignore[return-value]
    raise AssertionError(kind)
