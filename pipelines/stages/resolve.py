"""Resolve: what becomes of each field of a linked record, as one SELECT that only decides.

For one field, r is the row's value, c the record's, and the base is what both had when they last agreed, also through
another feed of the id space (pipelines.stages.siblings)::

    since the base       this system is master     crm or another is master    shared
    only r changed       c := r                    keep c, send it             c := r
    only c changed       c := r (unlocked: keep)   send c                      send c
    both, different      c := r, loser logged      send c, loser logged        by `on_conflict`
    no base known        c := r                    c := r where c is empty     c := r where c is empty,
                                                   and no master has said so,  send c where r is,
                                                   else send c                 different: by `on_conflict`

*Send* in a flow that only reads is a difference: the base then holds both images (`b_…` and `remote`). In a flow that
writes, the base stays as it was until the system has taken the value, and the field is `pending`: what a killed run did
not send, the next one sends. What was `sent` is read again: whatever the row then has is what the system made of it
(cut, reformatted), and becomes the remote image. Read at once after the write that is so whatever it is; read later,
where that reading failed, or where the system says that somebody else has saved the row since, only as far as it may be
made of what was sent: anything else is somebody's edit.

Of ranked masters the first that has a value is *this system*. Where it clears its own, the next one's image comes in,
and is sent to the first.

Where the record has several rows in this system, c is what one of them said: another one is taken only when it changes,
and what it has is kept as its image. Of two that were linked by hand, and have no base yet, the primary one speaks.

A *rebase* reads everything under a mapping that changed: a row that reads otherwise was not edited there for that. Then
"only r changed" sends nothing to another master, and takes nothing where both sides had agreed to differ (a value
that was cut there, an override); r becomes the remote's image.

The statement has three storeys, each computed once for a row: the values of all sides, the verdict on each field, what
follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, assert_never

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    Subquery,
    Text,
    all_,
    and_,
    any_,
    case,
    cast,
    collate,
    false,
    func,
    literal,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, aggregate_order_by, array
from sqlalchemy.sql.selectable import FromClause

from crm_store import hub_tables as hub
from pipelines.stages.facts import Facts
from pipelines.stages.images import higher_rank_says, image_of, master_has, next_says, other_row_says
from pipelines.stages.likeness import is_read_back, may_be_made_of, some_of
from pipelines.stages.match import agreement_of, entry_of
from pipelines.stages.plan import FieldPlan, IntoPlan, Role
from pipelines.stages.policies import policy_of
from pipelines.stages.siblings import sent_to
from pipelines.stages.staging import IntoStaging

LINKED = ("entry", "sibling", "link")


def resolve_rows(plan: IntoPlan, staging: IntoStaging, matched: FromClause) -> Select[Any]:
    """One line for each linked row of `matched` (row_no, class, record_id, l_…).

    Columns: row_no, record_id, changed, back (the record was archived as absent and is in the source again), open (a
    conflict nobody has decided), base_set (null where it is another than that of all mapped fields), base_fields (then
    the fields that have a base from now on), remote, pending (the fields that are to be sent; null for none),
    n_<column> (the record's new value), b_<column> (the new base), w_<field> (crm, remote or open, where both sides
    changed) and, of a shared id space, agreed (the fields of which both sides have the same now).
    """
    v = verdicts(plan, staging, matched)
    taken: list[ColumnElement[bool]] = []
    new: dict[str, ColumnElement[Any]] = {}
    base: dict[str, ColumnElement[Any]] = {}
    handed: dict[str, ColumnElement[bool]] = {}
    for field in plan.fields:
        takes = v.c[f"t_{field.name}"]
        for column in field.columns:
            ours, theirs = v.c[f"c_{column}"], v.c[f"r_{column}"]
            new[column] = case((takes, _or_next(plan, v, field, column)), else_=ours)
            if column == "archived":
                new[column] = case((v.c.back, false()), else_=new[column])
            # What the next system says is still to be sent to this one, which has none.
            agreed = case((takes, theirs), else_=ours) if field.sent else new[column]
            base[column] = case((or_(_unsettled(v, field), _echo(plan, v, field)), v.c[f"b_{column}"]), else_=agreed)
        if any(field.below.values()):
            first = field.columns[0]
            handed[field.name] = and_(takes, v.c[f"r_{first}"].is_(None), new[first].is_not(None))
            taken.append(and_(takes, or_(*[new[name].is_distinct_from(v.c[f"c_{name}"]) for name in field.columns])))
        else:
            taken.append(and_(takes, v.c[f"d_{field.name}"]))
    return select(
        v.c.row_no, v.c.record_id, or_(false(), *taken).label("changed"), v.c.back,
        or_(false(), *[_open(v, field) for field in plan.fields]).label("open"),
        *_base(plan, v), _remote(plan, v, base).label("remote"), pending_of(plan, v, handed).label("pending"),
        *[value.label(f"n_{column}") for column, value in new.items()],
        *[value.label(f"b_{column}") for column, value in base.items()],
        *[v.c[f"w_{field.name}"] for field in plan.fields], *([_agreed(plan, v)] if plan.shared_space else []),
    )


def verdicts(plan: IntoPlan, staging: IntoStaging, matched: FromClause) -> Subquery:
    """For each linked row: of each column r_, c_, b_ and i_ (what the remote had), of each field k_ (is the base
    known?), e_ (does the row say nothing on it?), where we write p_ (is r what the system made of what we
    wrote?), d_ (do r and c differ?), t_ (is r taken?), s_ (is c to be sent?) and w_ (who won a conflict, or null)."""
    sides = _sides(plan, staging, matched)
    decided: list[ColumnElement[Any]] = []
    for field in plan.fields:
        (take, winner, send), differ = decide_field(plan, field, sides)
        decided += [
            func.coalesce(take, false()).label(f"t_{field.name}"), winner.label(f"w_{field.name}"),
            differ.label(f"d_{field.name}"), func.coalesce(send, false()).label(f"s_{field.name}"),
        ]
    # OFFSET keeps the planner from copying each expression into every place that uses it.
    return select(*sides.c, *decided).offset(0).subquery("verdicts")


def _sides(plan: IntoPlan, staging: IntoStaging, matched: FromClause) -> Subquery:
    s, x = staging.rows, entry_of(plan, staging.rows)
    c = select(plan.record).where(plan.record.c.id == matched.c.record_id).limit(1).correlate(matched).lateral("c")
    columns: list[ColumnElement[Any]] = []
    e, told = (agreement_of(plan, s, matched), sent_to(plan, s)) if plan.shared_space else (x, x)
    base = (
        select(hub.field_set.c.fields).where(hub.field_set.c.id == e.c.base_set, e.c.base_set != plan.base_set)
        .limit(1).correlate(e).lateral("base")
    )
    every = func.coalesce(e.c.base_set == plan.base_set, false())
    read_back = is_read_back() if plan.writes else false()
    for field in plan.fields:
        known = case((every, true()), else_=func.coalesce(literal(field.name, Text) == any_(base.c.fields), false()))
        silent = func.coalesce(s.c[f"keep_{field.name}"], false())
        columns += [known.label(f"k_{field.name}"), silent.label(f"e_{field.name}")]
        if plan.hears_echoes:
            ours_there = func.coalesce(literal(field.name, Text) == any_(told.c.sent), false())
            made_of_it = [may_be_made_of(_theirs(field, column, s, matched), e.c[f"b_{column}"])
                          for column in field.columns]
            echo = and_(known, ~silent, ours_there, or_(read_back, and_(*made_of_it)))
            columns.append(echo.label(f"p_{field.name}"))
        for column in field.columns:
            ours = c.c.archived_at.is_not(None) if column == "archived" else c.c[column]
            theirs = case((silent, ours), else_=_theirs(field, column, s, matched))
            agreed = e.c[f"b_{column}"]
            columns += [
                ours.label(f"c_{column}"), theirs.label(f"r_{column}"), agreed.label(f"b_{column}"),
                image_of(e, column, agreed).label(f"i_{column}"),
            ]
    back: ColumnElement[bool] = false()
    if plan.archives:
        back = and_(e.c.absent_since.is_not(None), c.c.archived_at.is_not(None))
        if any(field.name == "archived" for field in plan.fields):  # what the row says counts, and what it last said
            back = and_(back, s.c.keep_archived, e.c.b_archived.is_not(True))
    agreed_on = matched.join(s, s.c.row_no == matched.c.row_no).join(c, true()).outerjoin(x, true())
    return (
        select(
            matched.c.row_no, matched.c.record_id, matched.c["class"].label("class"), c.c.type.label("record_type"),
            s.c.key, s.c.stamp, case((x.c.key == e.c.key, base.c.fields)).label("known"), x.c.remote,
            func.coalesce(back, false()).label("back"),
            func.coalesce(~x.c.is_primary, false()).label("alias"), *columns,
        )
        .select_from(
            (agreed_on if e is x else agreed_on.outerjoin(e, true()).outerjoin(told, true())).outerjoin(base, true())
        )
        .where(matched.c["class"].in_(LINKED))
        .offset(0)
        .subquery("sides")
    )


def _theirs(field: FieldPlan, column: str, s: FromClause, matched: FromClause) -> ColumnElement[Any]:
    """The row's own value of a column."""
    return s.c[f"v_{column}"] if field.reference is None else matched.c[f"l_{column}"]


Verdict = tuple[ColumnElement[bool], ColumnElement[Any], ColumnElement[bool]]
"""Is r taken? Who won a conflict? Is c to be sent?"""


def decide_field(plan: IntoPlan, field: FieldPlan, v: FromClause) -> tuple[Verdict, ColumnElement[bool]]:
    """The verdict on one field, and whether r and c differ."""
    first, r_changed = field.columns[0], distinct(v, field, "r", "i")
    if plan.shared_space:  # neither what this feed has seen last, nor what another one has agreed on since
        r_changed = and_(r_changed, distinct(v, field, "r", "b"))
    facts = Facts(
        known=v.c[f"k_{field.name}"], differ=distinct(v, field, "r", "c"), r_changed=r_changed,
        c_changed=distinct(v, field, "c", "b"), r_empty=some_of(v.c[f"r_{first}"]).is_(None),
        c_empty=some_of(v.c[f"c_{first}"]).is_(None), alias=v.c.alias,
        apart=distinct(v, field, "i", "b") if plan.rebasing else false(), reread=plan.rebasing,
    )
    by_kind = {kind: (role, field.over.get(kind, ())) for kind, role in field.roles.items()}
    verdict_of = {each: _settle(each[0], replace(facts, over=each[1]), plan, field, v)
                  for each in set(by_kind.values())}
    take, winner, send = verdict_of[by_kind["else"]]
    named = [(v.c.record_type == kind, verdict_of[each]) for kind, each in by_kind.items() if kind != "else"]
    if named and len(verdict_of) > 1:
        take = case(*[(condition, verdict[0]) for condition, verdict in named], else_=take)
        winner = case(*[(condition, verdict[1]) for condition, verdict in named], else_=winner)
        send = case(*[(condition, verdict[2]) for condition, verdict in named], else_=send)
    if plan.into.on_match == "keep":
        fresh = v.c["class"] == "link"
        take, winner, send = and_(take, ~fresh), case((fresh, null()), else_=winner), and_(send, ~fresh)
    if plan.hears_echoes:
        # r is what the system made of what we wrote; only what was changed here meanwhile is still to be sent.
        echo = _echo(plan, v, field)
        take, winner = and_(take, ~echo), case((echo, null()), else_=winner)
        send = case((echo, facts.c_changed), else_=send)
    return (take, winner, send if field.sent else false()), facts.differ


def distinct(v: FromClause, field: FieldPlan, left: str, right: str) -> ColumnElement[bool]:
    """Whether two sides of a field (r, c, b or i) differ."""
    sides = [(some_of(v.c[f"{left}_{column}"]), some_of(v.c[f"{right}_{column}"])) for column in field.columns]
    return or_(*[one.is_distinct_from(other) for one, other in sides])


def _settle(
    role: Role, facts: Facts, plan: IntoPlan, field: FieldPlan, v: FromClause
) -> Verdict:
    """The truth table of the module's docstring under one role."""
    if role == "this":
        drift = and_(facts.known, ~other_row_says(plan, field.columns, v))
        return and_(facts.differ, or_(facts.speaks, drift)), _won(facts.both, "remote"), false()
    if role == "this_unlocked":
        return and_(facts.differ, facts.speaks), _won(facts.both, "remote"), false()
    if role == "other":
        r_edited = false() if facts.reread else facts.r_changed
        blank = and_(facts.fills, master_has(plan, facts.over, field.name, v.c.record_id))
        fills = and_(facts.fills, ~blank)
        send = and_(facts.differ, or_(r_edited, facts.c_changed, ~facts.known), ~fills)
        # What is put right over there is overwritten there: that value loses too, and stays readable.
        overruled = and_(facts.known, facts.differ, r_edited) if field.sent else false()
        return fills, _won(or_(facts.both, facts.strangers, overruled, blank), "crm"), send
    if role == "shared":
        fight = or_(facts.both, facts.strangers)
        wins, winner = policy_of(plan, field, v)
        quiet = and_(facts.known, facts.differ, facts.r_changed, ~facts.c_changed, ~facts.apart)
        ours = or_(and_(facts.known, facts.differ, facts.c_changed, ~facts.r_changed),
                   and_(~facts.known, facts.r_empty, ~facts.c_empty), and_(fight, winner == "crm"))
        return or_(quiet, facts.fills, and_(fight, wins)), case((fight, winner), else_=null()), ours
    if role == "adopted":
        return false(), null(), false()
    if role == "ranked":
        mine, theirs = (_settle(other, facts, plan, field, v) for other in ("this", "other"))
        # A system that says nothing leaves the field to the next: it clears only what it had said itself.
        says = or_(~facts.r_empty, and_(facts.known, facts.r_changed, ~facts.c_changed))
        yields = or_(higher_rank_says(plan, field.ranks, field.columns[0], v.c.record_id), ~says)
        return (case((yields, theirs[0]), else_=mine[0]), case((yields, theirs[1]), else_=mine[1]),
                and_(yields, theirs[2]))
    assert_never(role)


def _won(fight: ColumnElement[bool], winner: str) -> ColumnElement[Any]:
    return case((fight, literal(winner, String)), else_=null())


def _open(v: FromClause, field: FieldPlan) -> ColumnElement[bool]:
    return func.coalesce(v.c[f"w_{field.name}"] == "open", false())


def _unsettled(v: FromClause, field: FieldPlan) -> ColumnElement[bool]:
    """The row settles nothing about the field, so what both sides had agreed on stays, both images of it: it says
    nothing on it, a person must decide, or the system must take first what is sent."""
    silent = v.c[f"e_{field.name}"]
    if set(field.roles.values()) == {"adopted"}:
        unsettled = or_(silent, v.c[f"d_{field.name}"])
    else:
        unsettled = or_(silent, _open(v, field), v.c[f"s_{field.name}"]) if field.sent else or_(silent, _open(v, field))
    return and_(unsettled, ~v.c[f"p_{field.name}"]) if f"p_{field.name}" in v.c else unsettled


def _echo(plan: IntoPlan, v: FromClause, field: FieldPlan) -> ColumnElement[bool]:
    """Whether the row brings back for the first time what we wrote: whatever it is then, it is what both agree on."""
    return v.c[f"p_{field.name}"] if plan.hears_echoes else false()


def _agreed(plan: IntoPlan, v: FromClause) -> ColumnElement[Any]:
    same = [and_(~_unsettled(v, f), or_(v.c[f"t_{f.name}"], ~v.c[f"d_{f.name}"], _echo(plan, v, f)))
            for f in plan.fields]
    listed: array[Any] = array([case((one, literal(f.name, Text))) for one, f in zip(same, plan.fields, strict=True)])
    return func.array_remove(listed, cast(null(), Text)).label("agreed")


def _or_next(plan: IntoPlan, v: FromClause, field: FieldPlan, column: str) -> ColumnElement[Any]:
    """What the row says; where it clears a field of ranked masters, what the first of the next ones says."""
    theirs = v.c[f"r_{column}"]
    if not any(field.below.values()):
        return theirs
    said = {kind: next_says(plan, below, field.columns[0], column, v) for kind, below in field.below.items()}
    following = said.pop("else")
    if said:
        following = case(*[(v.c.record_type == kind, value) for kind, value in said.items()], else_=following)
    return case((v.c[f"r_{field.columns[0]}"].is_(None), following), else_=theirs)


def pending_of(plan: IntoPlan, v: FromClause, handed: Mapping[str, ColumnElement[bool]] | None = None
               ) -> ColumnElement[Any]:
    """The fields that are to be sent. `handed`: by field, whether the row cleared it and the next system's value came
    in."""
    sends = {field.name: or_(v.c[f"s_{field.name}"], (handed or {}).get(field.name, false()))
             for field in plan.fields if field.sent}
    nothing = cast(null(), ARRAY(Text))
    if not sends:
        return nothing
    listed: array[Any] = array([case((send, literal(name, Text))) for name, send in sends.items()])
    some = or_(false(), *sends.values())
    return case((some, func.array_remove(listed, cast(null(), Text))), else_=nothing)


def _base(plan: IntoPlan, v: FromClause) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """base_set and base_fields: this run's fields added to those that had a base, but for those that never had one and
    that nobody has decided or said anything about."""
    mapped = cast([field.name for field in plan.fields], ARRAY(Text))
    open_ones = [case((and_(_unsettled(v, f), ~v.c[f"k_{f.name}"]), literal(f.name, Text))) for f in plan.fields]
    listed: array[Any] = array(open_ones)
    undecided = func.array_remove(listed, cast(null(), Text))
    known = func.coalesce(v.c.known, cast(literal("{}", Text), ARRAY(Text)))
    each = func.unnest(known.op("||")(mapped)).column_valued("each")
    # In the order of code points, as Python has them: a set is one row, whoever writes it.
    names = (
        select(collate(each, "C").label("name")).where(each != all_(undecided)).distinct().correlate(v)
        .lateral("names")
    )
    fields = select(func.array_agg(aggregate_order_by(names.c.name, names.c.name))).correlate(v).scalar_subquery()
    usual = and_(v.c.known.is_(None), *[name.is_(None) for name in open_ones])
    return (
        case((usual, literal(plan.base_set, Integer))).label("base_set"),
        case((usual, cast(null(), ARRAY(Text))), else_=fields).label("base_fields"),
    )


def _remote(plan: IntoPlan, v: FromClause, base: dict[str, ColumnElement[Any]]) -> ColumnElement[Any]:
    """The sparse second image: columns where the remote has another value than the CRM; null where there are none."""
    nothing = cast(literal("{}", Text), JSONB)
    pieces: list[ColumnElement[Any]] = []
    differs: list[ColumnElement[bool]] = []
    for field in plan.fields:
        for column in field.columns:
            name = literal(column, Text)
            other = and_(~_unsettled(v, field), some_of(v.c[f"r_{column}"]).is_distinct_from(some_of(base[column])))
            kept = and_(_unsettled(v, field), func.coalesce(func.jsonb_exists(v.c.remote, name), false()))
            pieces.append(case(
                (other, func.jsonb_build_object(name, func.to_jsonb(v.c[f"r_{column}"]))),
                (kept, func.jsonb_build_object(name, func.jsonb_extract_path(v.c.remote, name))), else_=nothing,
            ))
            differs += [other, kept]
    if not pieces:
        return v.c.remote
    whole: ColumnElement[Any] = func.coalesce(v.c.remote.op("-")(array([*base], type_=Text)), nothing)
    for piece in pieces:
        whole = whole.op("||")(piece)
    return case((or_(*differs, v.c.remote.is_not(None)), func.nullif(whole, nothing)), else_=cast(null(), JSONB))
