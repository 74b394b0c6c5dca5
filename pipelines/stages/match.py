"""Match: which record each staged row is about, as one SELECT over a range of rows.

For a row the first of these that holds decides its class::

    superseded   the entry, a newer run or a newer full read holds newer news
    entry        the crosswalk knows the key (through this feed)
    sibling      ... through another feed of the same id space
    parked       a link waits for a record that does not exist yet, or a create whose answer was lost for its row
    link         a match rule fits one record, free or with `aliases`
    review       a rule fits several records, a taken one, or a doubtful one; or the mapping asks
    new          nothing fits
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Integer,
    Select,
    String,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    null,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql.selectable import FromClause, LateralFromClause

from crm_store import hub_tables as hub
from crm_store.match_indexes import has_value, match_expression
from mappings.language.flow import Into, MatchRule
from pipelines.stages.plan import IntoPlan, Reference
from pipelines.stages.staging import IntoStaging, by_record

CANDIDATES = 10
LOW, HIGH = bindparam("low", type_=BigInteger), bindparam("high", type_=BigInteger)
"""The range (low, high] of row numbers that the statement looks at."""
RUN, OUTDATED = bindparam("run", type_=BigInteger), bindparam("outdated", type_=Boolean)
"""The run, and whether the feed has read something newer in full; `of_run` gives them."""

LATEST = 1 << 62
"""Instead of a run's id: no entry is that run's, and none is of a later one."""


def of_run(plan: IntoPlan, run: tuple[int, int | None]) -> dict[str, Any]:
    """The parameters that statements of `match_rows` take of a run: its id and its mark."""
    run_id, mark = run
    return {"run": run_id, "outdated": plan.full_mark is not None and mark is not None and mark < plan.full_mark}


def match_rows(  # noqa: PLR0912, PLR0915 - the ladder of classes is read as one
    plan: IntoPlan, staging: IntoStaging, only: Callable[[Table], ColumnElement[bool]] | None = None,
    *, lenient: bool = False, comes: Callable[[Reference], ColumnElement[bool]] | None = None,
) -> Select[Any]:
    """One line for each staged row in (low, high] (and where `only` says so); parameters: low, high and `of_run`.

    A row that this run has applied already is of class `done`. `lenient` lets rows pass whose links wait.
    A link that may stay blank waits only where `comes` says that its record may still come.

    Columns: row_no, class, record_id, code, field, params, candidates, and l_<column> with the id of each link.
    """
    s = staging.rows
    x = entry_of(plan, s)
    outer: list[FromClause] = [s, x]  # what the laterals below may refer to
    source: FromClause = s.outerjoin(x, true())
    sibling: ColumnElement[Any] = null()
    if plan.shared_space:
        other = plan.crosswalk.alias("sibling_x")
        found = (
            select(other.c.record_id)
            .where(other.c.id_space == plan.id_space, other.c.key == s.c.key, x.c.key.is_(None)).limit(1)
            .correlate(s, x).lateral("sibling")
        )
        source = source.outerjoin(found, true())
        outer.append(found)
        sibling = found.c.record_id
    linked = func.coalesce(x.c.record_id, sibling)

    links: dict[str, ColumnElement[Any]] = {}
    waits: list[tuple[ColumnElement[bool], Reference, ColumnElement[Any]]] = []
    for reference in plan.references:
        staged = s.c[f"k_{reference.column}"]
        lookup = _lookup(plan, reference, staged)
        source = source.outerjoin(lookup, true())
        outer.append(lookup)
        links[f"l_{reference.column}"] = lookup.c.found
        missing = lookup.c.missing.is_not(None) if reference.many else and_(
            staged.is_not(None), lookup.c.found.is_(None))
        waiting = comes(reference) if comes and reference.otherwise == "blank" else true()
        if not (lenient or (reference.otherwise == "blank" and comes is None)):
            lacks = and_(func.coalesce(missing, false()), waiting)
            waits.append((lacks, reference, awaited(reference, staged, lookup)))

    free = linked.is_(None)
    fits: list[tuple[MatchRule, LateralFromClause]] = []
    for number, rule in enumerate(plan.into.match):
        wanted = and_(free, *[earlier.c.hits.is_(None) for _, earlier in fits])
        fit = _fit(plan, staging, rule, links, wanted, number, outer)
        source = source.outerjoin(fit, true())
        outer.append(fit)
        fits.append((rule, fit))

    chosen = func.coalesce(linked, *[fit.c.one for _, fit in fits]) if fits else linked
    verdict = _Verdict()
    verdict.add(and_(x.c.run_id == RUN, x.c.row_no == s.c.row_no), "done")
    verdict.add(or_(is_older(plan, x, s), OUTDATED), "superseded")
    for waiting, reference, told in waits:
        # Whether it is refused for that is decided when it is known that its record does not come in this run.
        verdict.add(waiting, "parked", code="waits_for", field=reference.column, params=told)
    verdict.add(x.c.record_id.is_not(None), "entry")
    verdict.add(linked.is_not(None), "sibling")
    if plan.writes and not plan.decided:
        # It may be the row that we are making: once that is found out, the others come in.
        verdict.add(creates_open(plan.feed), "parked", code="create_open")
    for rule, fit in fits:
        name = " + ".join(rule.on)
        told = func.jsonb_build_object("rule", name, "count", fit.c.hits, "candidates",
                                       func.array_to_string(fit.c.candidates, ", "))
        verdict.add(fit.c.hits > 1, "review", code="ambiguous", params=told)
        if not plan.into.aliases:
            verdict.add(
                fit.c.taken.is_not(None), "review", code="taken",
                params=told.op("||")(func.jsonb_build_object("key", fit.c.taken, "space", plan.into.ids or plan.label)),
            )
        if rule.agree:
            verdict.add(fit.c.doubtful, "review", code="doubtful",
                        params=told.op("||")(func.jsonb_build_object("differs", ", ".join(rule.agree))))
        if plan.into.on_match == "review":
            verdict.add(fit.c.hits == 1, "review", code="on_match", params=told)
        verdict.add(fit.c.hits == 1, "link")
    if not plan.into.create:
        itself = Reference("", plan.into.entity, (plan.id_space,))
        verdict.add(true(), "parked", code="waits_for", params=awaited(itself, s.c.key))
    candidates: ColumnElement[Any] = cast(null(), ARRAY(BigInteger))
    if fits:
        candidates = case(*[(fit.c.hits > 0, fit.c.candidates) for _, fit in fits])
    where = [s.c.row_no > LOW, s.c.row_no <= HIGH]
    if only is not None:
        where.append(only(s))
    return (
        select(
            s.c.row_no, verdict.column("class", "new"), cast(chosen, BigInteger).label("record_id"),
            verdict.column("code", None), verdict.column("field", None), verdict.params(),
            candidates.label("candidates"), *[value.label(name) for name, value in links.items()],
        )
        .select_from(source)
        .where(*where)
    )


def is_older(plan: IntoPlan, x: FromClause, s: FromClause) -> ColumnElement[bool]:
    """Whether a row of `s` is older news than its entry, or than a full read of files; parameter: run.

    What was read now stands there, also where an order mark from before was ahead: of a clock that was wrong, or of a
    state that a backup took back. It is old only where a later run than this one, which waited, has applied the row.
    """
    # A run that waited for a person holds old news of what was read or written since, which marks need not tell.
    later = func.coalesce(x.c.run_id > RUN, false())
    outdated = false() if plan.full_mark is None or plan.marked else func.coalesce(s.c.mark < plan.full_mark, false())
    by_mark = func.coalesce(x.c.mark > s.c.mark, false())
    overtaken = and_(x.c.mark.is_(None), s.c.mark.is_(None), later)
    return or_(and_(by_mark, later) if plan.read_now else by_mark, overtaken, outdated)


def creates_open(feed: int | ColumnElement[int]) -> ColumnElement[bool]:
    """Whether a row is being made in the feed's system of which nobody knows yet whether it was made."""
    intent = hub.intent
    undecided = intent.c.state.in_(["open", "unclear"])
    return exists().where(intent.c.feed == feed, intent.c.operation == "create", undecided)


def entry_of(plan: IntoPlan, s: FromClause) -> LateralFromClause:
    """The crosswalk entry of each row of `s`: looked up one by one, never joined from a table thought to be empty."""
    x = plan.crosswalk.alias("entries")
    return (
        select(x).where(x.c.id_space == plan.id_space, x.c.key == s.c.key, x.c.feed == plan.feed).limit(1)
        .correlate(s).lateral("x")
    )


def agreement_of(plan: IntoPlan, s: FromClause, matched: FromClause) -> LateralFromClause:
    """The entry whose base counts for each row of `s`: its own, or the last one of its key through another feed of the
    id space. What the system said there is no edit of ours."""
    x = plan.crosswalk.alias("agreements")
    own = x.c.feed == plan.feed
    return (
        select(x).where(x.c.id_space == plan.id_space, x.c.key == s.c.key, x.c.record_id == matched.c.record_id)
        .order_by(own.desc(), x.c.run_id.desc()).limit(1).correlate(s, matched).lateral("e")
    )


def awaited(reference: Reference, key: ColumnElement[Any], lookup: FromClause | None = None) -> ColumnElement[Any]:
    """What a row waits for: the record of this entity with this key, in one of these spaces or by a field. Of a set the
    keys that lack theirs; of a value that several records have, which (`several`) and how many."""
    told: dict[str, Any] = {"entity": reference.entity, "by": reference.by}
    if reference.by is None:
        told = {"entity": reference.entity, "spaces": cast(list(reference.spaces), ARRAY(Integer))}
    elif lookup is not None and not reference.many:
        told |= {"count": lookup.c.count, "several": func.array_to_string(lookup.c.several, ", ")}
    lacking = key if lookup is None or not reference.many else lookup.c.missing
    told["value"] = func.array_to_string(lacking, ", ") if reference.many else cast(key, String)
    pairs = [part for name, value in told.items() for part in (literal(name, Text), value)]
    return func.jsonb_strip_nulls(func.jsonb_build_object(*pairs))


class _Verdict:
    """A ladder of conditions; the first that holds gives class, code, field and params."""

    def __init__(self) -> None:
        self.steps: list[tuple[ColumnElement[bool], dict[str, Any]]] = []

    def add(self, condition: ColumnElement[bool], verdict: str, *, code: str | None = None, field: str | None = None,
            params: ColumnElement[Any] | None = None) -> None:
        self.steps.append((condition, {"class": verdict, "code": code, "field": field, "params": params}))

    def column(self, name: str, otherwise: str | None) -> ColumnElement[Any]:
        return case(
            *[(condition, literal(said[name], String)) for condition, said in self.steps],
            else_=literal(otherwise, String),
        ).label(name)

    def params(self) -> ColumnElement[Any]:
        empty = cast(null(), JSONB)
        steps = [(condition, empty if said["params"] is None else said["params"]) for condition, said in self.steps]
        return case(*steps, else_=empty).label("params")


def _lookup(plan: IntoPlan, reference: Reference, staged: ColumnElement[Any]) -> LateralFromClause:
    """The record that a key (or field value) names: columns found and, for sets, missing: the keys without one."""
    if not reference.many:
        return _record_of(plan, reference, staged).correlate(plan_rows(staged)).lateral(f"ref_{reference.column}")
    wanted = func.unnest(staged).table_valued("key", name=f"keys_{reference.column}").render_derived()
    one = _record_of(plan, reference, wanted.c.key).correlate(wanted).lateral(f"one_{reference.column}")
    return (
        select(
            func.array_agg(one.c.found.distinct()).filter(one.c.found.is_not(None)).label("found"),
            func.array_agg(wanted.c.key).filter(one.c.found.is_(None)).label("missing"),
        )
        .select_from(wanted.outerjoin(one, true())).lateral(f"ref_{reference.column}")
    )


def _record_of(plan: IntoPlan, reference: Reference, key: ColumnElement[Any]) -> Select[Any]:
    """The id of the record with this key, or of the only one with this value of the field `by`: column found. Of the
    latter also `count`, and `several`: some that have it, where more than one has."""
    if reference.by is not None:
        record = plan.records[reference.entity].alias(f"by_{reference.column}")
        same = has_value(record.c[reference.by], plan.specs(reference.entity, reference.by), key)
        ids = type_coerce(func.array_agg(record.c.id), ARRAY(BigInteger))
        several = case((func.count() > 1, ids[1:CANDIDATES])).label("several")
        one = case((func.count() == 1, func.min(record.c.id))).label("found")
        return select(one, func.count().label("count"), several).where(same)
    target = plan.crosswalks[reference.entity].alias(f"to_{reference.column}")
    return (
        select(target.c.record_id.label("found"))
        .where(target.c.id_space.in_(reference.spaces or (-1,)), target.c.key == key)
        .order_by(target.c.id_space, target.c.is_primary.desc()).limit(1)
    )


def plan_rows(staged: ColumnElement[Any]) -> FromClause:
    """The staging table that a staged column belongs to."""
    table: FromClause = staged.table
    return table


def _fit(plan: IntoPlan, staging: IntoStaging, rule: MatchRule, links: Mapping[str, ColumnElement[Any]],
         wanted: ColumnElement[bool], number: int, outer: list[FromClause]) -> LateralFromClause:
    """What one rule finds: hits (null when none), one, candidates, taken (the key it is known by), doubtful."""
    s, record = staging.rows, plan.record.alias(f"fit{number}_record")

    def same(name: str) -> ColumnElement[bool]:
        left, right = sides(plan, record, s, name, links)
        return left == right

    # Plus nothing: in the order of ids itself the planner would read the whole table by its key to find the first few.
    hit = (
        select(record.c.id, record.c.archived_at, _doubtful(plan, record, s, rule, links).label("doubtful"))
        .where(wanted, *fitting(plan.into, rule, record, same)).order_by(record.c.id + 0).limit(CANDIDATES)
        .correlate(*outer).lateral(f"fit{number}_hits")
    )
    # Archived records count only where nothing active fits: a record may come back, but never beside its successor.
    active = hit.c.archived_at.is_(None)
    some = func.coalesce(func.bool_or(active), false())
    known = plan.crosswalk.alias(f"fit{number}_known")
    counted = select(
        func.nullif(case((some, func.count().filter(active)), else_=func.count()), 0).label("hits"),
        case((some, func.min(hit.c.id).filter(active)), else_=func.min(hit.c.id)).label("first"),
        func.array_agg(hit.c.id).label("candidates"), func.bool_or(hit.c.doubtful).label("doubtful"),
    ).select_from(hit).correlate(*outer).lateral(f"fit{number}_counted")
    return select(
        counted.c.hits, case((counted.c.hits == 1, counted.c.first)).label("one"), counted.c.candidates,
        counted.c.doubtful,
        select(func.min(known.c.key))
        .where(counted.c.hits == 1, known.c.record_id == counted.c.first, by_record(known.c.id_space, plan.id_space),
               known.c.key != s.c.key, known.c.key.not_in(select(staging.leaving.c.key)))
        .correlate(counted, s).scalar_subquery().label("taken"),
    ).lateral(f"fit{number}")


def fitting(into: Into, rule: MatchRule, record: FromClause, same: Callable[[str], ColumnElement[bool]]
            ) -> list[ColumnElement[bool]]:
    """All that holds of a record which fits a row by the rule; `same`: whether it has the row's value of a field."""
    holds = [same(name) for name in rule.on]
    holds += [func.coalesce(same(name), true()) for name in rule.unless]
    holds += [record.c[name].in_(allowed) for name, allowed in into.scope.items()]
    if into.owner is not None:
        # Children of different owners are never one record, however alike they are.
        holds.append(same(into.owner.column))
        if into.owner.role:
            holds.append(record.c.role == into.owner.role)
    return holds


def values_of_rules(plan: IntoPlan, s: FromClause, links: Mapping[str, ColumnElement[Any]]) -> ColumnElement[Any]:
    """What `fitting` asks of a staged row, as an object of texts; without those that are empty."""
    names = {name for rule in plan.into.match for name in (*rule.on, *rule.unless)}
    names |= {plan.into.owner.column} if plan.into.owner else set()
    pairs = [part for name in sorted(names)
             for part in (literal(name, Text), cast(_staged(plan, s, name, links), Text))]
    return func.jsonb_strip_nulls(func.jsonb_build_object(*pairs), type_=JSONB)


def sides(plan: IntoPlan, record: FromClause, s: FromClause, name: str, links: Mapping[str, ColumnElement[Any]]
          ) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """The two normalised sides of one match field: of the record, and of the staged row."""
    spec = plan.specs(plan.into.entity, name)
    return match_expression(record.c[name], spec), match_expression(_staged(plan, s, name, links), spec)


def _staged(plan: IntoPlan, s: FromClause, name: str, links: Mapping[str, ColumnElement[Any]]) -> ColumnElement[Any]:
    """The staged row's value of one match field, as it is."""
    field = next((f for f in plan.fields if f.name == name), None)
    if field is None:
        return cast(literal(plan.into.defaults.get(name)), plan.record.c[name].type)
    return s.c[f"v_{name}"] if field.reference is None else links[f"l_{name}"]


def _doubtful(plan: IntoPlan, record: FromClause, s: Table, rule: MatchRule, links: Mapping[str, ColumnElement[Any]]
              ) -> ColumnElement[bool]:
    """True when some `agree` field differs and none is equal."""
    if not rule.agree:
        return false()
    pairs = [sides(plan, record, s, name, links) for name in rule.agree]
    differs = or_(*[func.coalesce(left != right, false()) for left, right in pairs])
    agrees = or_(*[func.coalesce(left == right, false()) for left, right in pairs])
    return and_(differs, ~agrees)
