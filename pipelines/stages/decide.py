"""Decide over the whole landed run: repeated keys, matches, twins, waiting rows, changes.

Writes only `fate`, and `wait` with the rows that wait for others of the run: for their links, or with `aliases` for the
first of their twins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import zip_longest
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Index,
    Insert,
    Select,
    Update,
    and_,
    case,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.sql.selectable import FromClause

from mappings.words import Outcome
from pipelines.stages.first_load import index_fates, is_first_load, write_fates
from pipelines.stages.later_twins import let_twins_wait
from pipelines.stages.match import awaited, match_rows, of_run
from pipelines.stages.plan import IntoPlan, Reference
from pipelines.stages.resolve import LINKED, resolve_rows
from pipelines.stages.staging import IntoStaging, Staging, index_lookups
from pipelines.stages.superseded import Aside, older_rows, set_elements_aside
from pipelines.stages.twins import set_twins_aside, some_alike
from pipelines.stages.unlike import Unlike
from pipelines.stages.waiting import (
    Pairs,
    as_linked,
    by_field_of_run,
    comes_in,
    hopeless_links,
    refuse_for_links,
    value_indexes,
)

APPLIED = ("new", *LINKED)
EVERYTHING = {"low": -1, "high": 1 << 62}


@dataclass(frozen=True)
class Decided:
    """What became of one into: `settled` for good, `expected` of apply if nothing else moves.

    Landing counted `repeated_same` rows unchanged, but a later row of the same run has their key, or they are elements
    that go with their row; and `refused` ones of these rejected.
    """

    settled: Counter[Outcome]
    expected: Counter[Outcome]
    repeated_same: int
    refused: int


class Matching:
    """Matches the staged rows of a range: one line of `fate` for each. Made once for a run and an into.

    Of a first load (pipelines.stages.first_load) it writes none. A small run does not ask whether it is one.
    """

    def __init__(self, plan: IntoPlan, tables: IntoStaging, run: tuple[int, int | None], *, small: bool = False
                 ) -> None:
        self.plan, self.tables, self.run = plan, tables, run
        self.all_new = False if small else None  # None: not asked yet

    @cached_property
    def statement(self) -> Insert:
        """Made when the first row is staged: it costs more than a small file does."""
        return self.tables.once("match", lambda: _fates(self.tables, match_rows(self.plan, self.tables), waits=False))

    def __call__(self, connection: Connection, low: int, high: int) -> None:
        if self.all_new is None:
            self.all_new = is_first_load(connection, self.plan, self.run)
        if not self.all_new:
            with index_lookups(connection):
                connection.execute(self.statement, {"low": low, "high": high} | of_run(self.plan, self.run))


def match_all(connection: Connection, plans: tuple[IntoPlan, ...], staging: Staging, run: tuple[int, int | None]
              ) -> None:
    """Matches what landing matches page by page: every staged row."""
    for plan, tables in zip(plans, staging.intos, strict=True):
        matching = Matching(plan, tables, run)
        matching(connection, **EVERYTHING)
        if matching.all_new:
            write_fates(connection, tables)


def decide(connection: Connection, plans: tuple[IntoPlan, ...], staging: Staging, run: tuple[int, int | None], *,
           alone: bool = False, changes: bool = True, unlike: Sequence[Unlike] = ()) -> list[Decided]:
    """Completes every `fate` table, whose rows have been matched, by what depends on the run as a whole, and fills
    every `wait` table. `alone`: each into has one row at most; `changes`: somebody asks how many would change;
    `unlike`: what landing saw of each into's rows.
    """
    pairs = list(zip(plans, staging.intos, strict=True))
    repeated: list[int] = []
    aside: list[Aside] = []
    twice: list[bool] = []  # whether an into has keys that repeat
    with _asking(connection, staging) as ask:  # what can be asked of the staged rows alone, beside what is done here
        seen = unlike or [Unlike()] * len(pairs)
        asked = [_no if known.keys and known.none_same else
                 ask(tables.once(("repeated", known.same), partial(_some_repeated, tables, once=known.same)))
                 for (_, tables), known in zip(pairs, seen, strict=True)]
        alike = [[_no if sure else ask(some) for some, sure in
                  zip_longest(pair[1].once("alike", partial(some_alike, *pair)), known.rules)]
                 for pair, known in zip(pairs, seen, strict=True)]
        for (plan, tables), again, twins in zip(pairs, asked, alike, strict=True):
            if not staging.small:
                _index(connection, plans, plan, tables)
            elements = plan.into.each is not None and plan.owner is not None
            aside.append(set_elements_aside(connection, plan, tables, pairs, twice, run) if elements else Aside())
            twice.append(not alone and again())
            repeated.append(0 if alone else _set_aside(connection, plan, tables, twice[-1], twins))
    if any(_may_wait(connection, *pair, pairs) for pair in pairs):
        _waiting(connection, plans, staging, run)
        for (plan, tables), twins in zip(pairs, alike, strict=True):
            if plan.into.match and not plan.into.aliases and not alone and _any_wait(connection, tables):
                set_twins_aside(connection, plan, tables, twins, waiting=True)
    for plan, tables in pairs:
        refusing = refuse_for_links(plan, tables.fate)
        if refusing is not None:
            connection.execute(refusing)
    for (plan, tables), twins in zip(pairs, alike, strict=True):
        if plan.into.aliases and not alone:
            let_twins_wait(connection, plan, tables, twins)
    if changes:
        tell_changes(connection, plans, staging)
    return [Decided(*_outcomes(connection, tables), same + gone.same, gone.refused)
            for (_, tables), same, gone in zip(pairs, repeated, aside, strict=True)]


def tell_changes(connection: Connection, plans: tuple[IntoPlan, ...], staging: Staging) -> None:
    """Notes in every `fate` which linked rows would change anything."""
    pairs = list(zip(plans, staging.intos, strict=True))
    for plan, tables in pairs:
        _changes(connection, plan, tables, pairs)


def expected(connection: Connection, staging: Staging) -> list[Counter[Outcome]]:
    """What apply would come to, for each into, as its `fate` says now."""
    return [_outcomes(connection, tables)[1] for tables in staging.intos]


Answer = Callable[[], bool]


def _no() -> bool:
    return False


@contextmanager
def _asking(connection: Connection, staging: Staging) -> Iterator[Callable[[Select[Any]], Answer]]:
    """Asks questions of yes or no: on connections of their own, or of a small run on its own, which alone sees them."""
    if staging.small:
        yield lambda question: lambda: bool(connection.scalar(question))
        return
    with ThreadPoolExecutor(2) as pool:
        yield lambda question: pool.submit(_ask, connection.engine, question).result


def _index(connection: Connection, plans: tuple[IntoPlan, ...], plan: IntoPlan, tables: IntoStaging) -> None:
    """What looking staged rows up takes, where there are many."""
    if any(plan.id_space in reference.spaces for other in plans for reference in other.references):
        Index(None, tables.rows.c.key).create(connection, checkfirst=True)
    for index in value_indexes(plan, tables, plans):
        index.create(connection, checkfirst=True)
    index_fates(connection, tables)


def _set_aside(connection: Connection, plan: IntoPlan, tables: IntoStaging, again: bool, twins: list[Answer]) -> int:
    """Sets repeated keys and twins aside; returns how many of the repeated were among `same`."""
    lost = _repeated_keys(connection, tables) if again else 0
    if plan.into.match and not plan.into.aliases:
        set_twins_aside(connection, plan, tables, twins)
    return lost


def _ask(engine: Engine, question: Select[Any]) -> bool:
    with engine.connect() as connection:
        return bool(connection.scalar(question))


def _some_repeated(tables: IntoStaging, *, once: bool) -> Select[Any]:
    rows, same = tables.rows, tables.same
    if once:  # then a key that repeats is one of the staged rows'
        mine = func.hashtextextended(rows.c.key, 0)
        again = select(mine).group_by(mine).having(func.count() > 1)
        # Counted: asked whether there is any, the planner bets on an early one, and looks through all for each.
        both = select(func.count()).join_from(rows, same, rows.c.key == same.c.key).scalar_subquery()
        return select(or_(exists(again), both > 0))
    keys = union_all(select(rows.c.key), select(same.c.key)).subquery()
    digest = func.hashtextextended(keys.c.key, 0)  # numbers are grouped in half the time and memory
    return select(exists(select(digest).group_by(digest).having(func.count() > 1)))


def _repeated_keys(connection: Connection, tables: IntoStaging) -> int:
    """Of the rows with one key only the newest counts; returns how many lost among `same`."""
    fate = tables.fate
    lost = older_rows(tables)
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
    matched = tables.once("match waiting", lambda: _fates(tables, match_rows(
        plan, tables, lambda s: s.c.row_no.in_(select(wait.c.row_no)), lenient=True), waits=True))
    with index_lookups(connection):
        connection.execute(matched, EVERYTHING | of_run(plan, run))
    settled = exists().where(fate.c.row_no == wait.c.row_no, ~fate.c.waits)
    connection.execute(delete(wait).where(settled))


def _fates(tables: IntoStaging, matched: Select[Any], *, waits: bool) -> Insert:
    inner = matched.subquery("matched")
    names = [column.name for column in inner.c]
    fate = tables.fate
    # What is refused whatever comes is settled now: on the waiting list it would be counted again.
    waiting = inner.c["class"].in_(APPLIED) if waits else false()
    return insert(fate).from_select([*names, "waits"], select(*inner.c, waiting))


def _may_wait(connection: Connection, plan: IntoPlan, tables: IntoStaging, pairs: Pairs) -> bool:
    """Whether some row could wait for another of the run."""
    if not plan.references:
        return False
    if any(reference.otherwise == "blank" for reference in plan.references) or by_field_of_run(plan, pairs):
        return True
    fate = tables.fate
    parked = tables.once("any parked", lambda: select(exists().where(fate.c["class"] == "parked")))
    return bool(connection.scalar(parked))


def _waiting(connection: Connection, plans: tuple[IntoPlan, ...], staging: Staging, run: tuple[int, int | None]
             ) -> None:
    """Rows whose missing links all come in this same run are not parked: they wait for a later pass of apply.

    Starts from all that could, and drops those that hang on a row which is not taken in, until nothing moves: what
    is left hangs on rows that are taken in, or on each other (a cycle of parents). Rows with links that may stay blank
    wait as well, but are never dropped; and so do rows whose link by a field names a value that a new row brings: it
    may be the second record that has it.
    """
    pairs = list(zip(plans, staging.intos, strict=True))
    for plan, tables in pairs:
        fate = tables.fate
        by_field = {r.column for r in plan.references if r.by is not None and r.otherwise == "park"}
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
        comes = [and_(_missing(fate, s, r), comes_in(r, s, pairs, taken_in)) for r in blank]
        comes += [comes_in(r, s, pairs, _is_new) for r in by_field_of_run(plan, pairs)]
        if comes:
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
            links = hopeless_links(plan, tables, pairs, taken_in)
            if not links:
                continue
            # What it waits for is what does not come, and not the first link that is not there yet.
            said = or_(*[and_(fate.c.field == reference.column, hopeless) for reference, hopeless in links])
            field = case((said, fate.c.field), *[
                (hopeless, literal(reference.column)) for reference, hopeless in links])
            params = case((said, fate.c.params), *[
                (hopeless, awaited(reference, s.c[f"k_{reference.column}"])) for reference, hopeless in links])
            dropped = connection.execute(
                update(fate).where(fate.c["class"] == "waits", s.c.row_no == fate.c.row_no,
                                   or_(*[hopeless for _, hopeless in links]))
                .values({"class": "parked", "field": field, "params": params})
            ).rowcount
            moved = moved or dropped > 0
    for plan, tables in pairs:
        if connection.scalar(select(exists().where(tables.fate.c["class"] == "waits"))):
            _match_waiting(connection, plan, tables, run)


def _any_wait(connection: Connection, tables: IntoStaging) -> bool:
    return bool(connection.scalar(tables.once("any wait", lambda: select(exists(select(tables.wait))))))


def _missing(fate: FromClause, s: FromClause, reference: Reference) -> ColumnElement[bool]:
    """The link is not found, or not every one of a set."""
    found, staged = fate.c[f"l_{reference.column}"], s.c[f"k_{reference.column}"]
    if reference.many:
        return func.coalesce(func.cardinality(found), 0) < func.cardinality(staged)
    return and_(staged.is_not(None), found.is_(None))


def taken_in(tables: IntoStaging, row: FromClause) -> ColumnElement[bool]:
    """The landed row is taken in, or waits to be."""
    fate = tables.fate.alias()
    return exists().where(fate.c.row_no == row.c.row_no, fate.c["class"].in_((*APPLIED, "waits")))


def _is_new(tables: IntoStaging, row: FromClause) -> ColumnElement[bool]:
    """The landed row makes a record."""
    fate = tables.fate.alias()
    return exists().where(fate.c.row_no == row.c.row_no, fate.c["class"] == "new")


def _changes(connection: Connection, plan: IntoPlan, tables: IntoStaging, pairs: Pairs) -> None:
    """Tells for linked rows whether anything would change, and whether a conflict would stay open."""
    fate = tables.fate
    if not connection.scalar(select(exists().where(fate.c["class"].in_(LINKED)))):
        return

    waits = bool(plan.references) and _any_wait(connection, tables)

    def told() -> Update:
        matched = as_linked(plan, tables, pairs, taken_in) if waits else fate
        resolved = resolve_rows(plan, tables, matched).subquery("resolved")
        return update(fate).where(fate.c.row_no == resolved.c.row_no).values(
            changed=or_(resolved.c.changed, resolved.c.back), open=resolved.c.open)

    with index_lookups(connection):
        connection.execute(tables.once(("changes", waits), told))


def _outcomes(connection: Connection, tables: IntoStaging) -> tuple[Counter[Outcome], Counter[Outcome]]:
    fate = tables.fate
    settled: Counter[Outcome] = Counter()
    expected: Counter[Outcome] = Counter()
    groups = tables.once("outcomes", lambda: select(
        fate.c["class"], fate.c.changed, fate.c.open, func.count()
    ).group_by(fate.c["class"], fate.c.changed, fate.c.open))
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
