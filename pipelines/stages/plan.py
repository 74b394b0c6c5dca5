"""What one run needs to know of its flow, compiled once: tables, columns, policies, links and keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import orjson
import xxhash
from sqlalchemy import Connection, Table, func, select
from sqlalchemy.dialects.postgresql import insert

from crm_store import hub_tables as hub
from crm_store.entity_tables import EntityTables, columns_of
from mappings.codecs.derived import text_by_name
from mappings.codecs.way_out import may_be_sent
from mappings.language.derived import by_name
from mappings.language.entity import FieldSpec
from mappings.language.field import FieldMap, Refers
from mappings.language.flow import Flow, Into
from mappings.language.project import Entity, Mastery, Project
from mappings.language.spaces import spaces_filled, spaces_referred
from mappings.words import KEY_SEPARATOR

S = TypeVar("S")
Role = Literal["this", "this_unlocked", "other", "shared", "ranked", "adopted"]


@dataclass(frozen=True)
class Reference:
    """A link that a row makes: found by key in one of `spaces` of `entity`, or by the field `by`."""

    column: str  # the record's link column
    entity: str
    spaces: tuple[int, ...]
    by: str | None = None
    many: bool = False
    otherwise: Literal["park", "blank", "reject"] = "park"
    owner_key: tuple[int | str, ...] | None = None  # the key of the owner's into


@dataclass(frozen=True)
class FieldPlan:
    """One mapped field and how its two sides are settled."""

    name: str
    map: FieldMap
    columns: tuple[str, ...]  # of the record and, with prefixes, of staging (v_) and crosswalk (b_)
    roles: Mapping[str, Role]  # by the record's type; "else" for the others
    ranks: tuple[str, ...] = ()  # role "ranked": systems before this one
    below: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # systems behind this one, as `roles`
    over: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # role "other": masters that also tell it blank
    policy: str = "review"
    reference: Reference | None = None
    sent: bool = False  # whether the flow ever writes it to its system


@dataclass(frozen=True)
class IntoPlan:
    """One `into`, with its feed, tables and fields."""

    into: Into
    entity: Entity
    label: str
    feed: int
    id_space: int
    shared_space: bool  # other feeds use the same id space
    witnesses: tuple[int, ...]  # feeds of other flows that use it and count what is absent: a key of theirs is there
    followers: tuple[int, ...]  # feeds that only add to what this one makes: what they know of a key goes with it
    record: Table
    crosswalk: Table
    entities: Mapping[str, Entity]
    records: Mapping[str, Table]
    crosswalks: Mapping[str, Table]
    system: str
    fields: tuple[FieldPlan, ...]
    owner: Reference | None
    salt: int
    stamped: bool = False  # rows tell when they were changed
    marked: bool = False  # rows have order marks of their own, and not those of their files
    full_mark: int | None = None
    key_pattern: str | None = None  # which keys a file speaks of, where parts of its name are parts of the key
    key_shapes: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)  # link field to the key it refers to
    base_set: int = 0  # the field set of all mapped fields

    ends: Literal["archive", "delete"] | None = None  # what becomes, once, of an archived record's row over there
    adopting: bool = False  # rows are linked, and nothing is written on either side
    decided: bool = False  # a person said that its rows are new records
    rebasing: bool = False  # the mapping changed: a row that reads otherwise was not edited for that
    read_now: bool = False  # its rows are what stands in a system that answers, whatever their order marks say
    built: dict[Hashable, Any] = field(init=False, default_factory=dict, compare=False, repr=False)

    def once(self, name: Hashable, build: Callable[[], S]) -> S:
        """A statement that is the same for every run of the plan, and dear to build."""
        if name not in self.built:
            self.built[name] = build()
        statement: S = self.built[name]
        return statement

    @property
    def writes(self) -> bool:
        """Whether the flow writes to its system at all."""
        return any(item.sent for item in self.fields)

    @property
    def keeps_stamps(self) -> bool:
        """Whether its rows' stamps are asked for, once somebody else changes the same field: by `newest`."""
        return self.stamped and any(item.policy == "newest" and "shared" in item.roles.values() for item in self.fields)

    @property
    def hears_echoes(self) -> bool:
        """Whether its rows may bring back what was written: by this flow, or by another one of the id space."""
        return self.writes or self.shared_space

    def adopt(self) -> IntoPlan:
        """The plan that links what fits: no record is made or changed; only what both sides agree on gets a base."""
        fields = tuple(replace(item, roles={"else": "adopted"}) for item in self.fields)
        into = self.into.model_copy(update={"create": False, "on_match": "update"})
        return replace(self, into=into, fields=fields, adopting=True)

    def rebase(self) -> IntoPlan:
        """The plan for everything read again under a mapping that changed."""
        return replace(self, rebasing=True)

    def every_row(self) -> IntoPlan:
        """The plan that decodes every row, also one that is as it was when it was last applied."""
        return replace(self, salt=~self.salt)

    @property
    def references(self) -> tuple[Reference, ...]:
        return tuple(f.reference for f in self.fields if f.reference is not None)

    def specs(self, entity: str, name: str) -> FieldSpec:
        """The declaration of a field of any entity; `type` and `family` are texts."""
        return self.entities[entity].fields.get(name, FieldSpec(type="choice"))

    @property
    def archives(self) -> bool:
        """Whether this system masters `archived` for at least the records in question."""
        return any(m.kind == "systems" and self.system in m.systems for m in self.entity.masters["archived"].values())

    def scoped(self, connection: Connection, variables: Mapping[str, str], *, full: bool) -> IntoPlan:
        """The plan for one file, where its name gives parts of the key: it says nothing of the keys of other files."""
        if not any(map(by_name, self.into.key)):
            return self
        pieces = [re.escape(_key_part(text_by_name(column, variables))) if by_name(column) else r"(?:[^|\\]|\\.)*"
                  for column in self.into.key]
        pattern = "^" + r"\|".join(pieces) + "$"
        x = self.crosswalk
        newest: int | None = connection.scalar(
            select(func.max(x.c.mark)).where(x.c.id_space == self.id_space, x.c.feed == self.feed,
                                             x.c.key.regexp_match(pattern))
        )
        return replace(self, key_pattern=pattern, full_mark=newest if full else None)

    def without_matching(self) -> IntoPlan:
        """Every row without an entry becomes a record of its own, whatever it looks like and whatever is being made."""
        return replace(self, into=self.into.model_copy(update={"match": ()}), decided=True)

    def narrowed(self, present: Sequence[str]) -> IntoPlan:
        """The plan for a source that has only these fields: an absent column leaves its field untouched."""
        kept = set(present)
        return replace(self, fields=tuple(f for f in self.fields if f.name in kept))


def _key_part(value: str) -> str:
    return value.strip().replace("\\", "\\\\").replace(KEY_SEPARATOR, "\\" + KEY_SEPARATOR)


def mapping_digest(flow: Flow, project: Project) -> int:
    """A signed 64-bit number that changes when anything that shapes a decoded row changes."""
    entities = {into.entity: project.entities[into.entity] for into in flow.into}
    said = {
        "flow": flow.model_dump(mode="json", by_alias=True, exclude={"schedule", "guard", "description"}),
        "codes": project.codes,
        "entities": {
            name: {k: v.model_dump(mode="json", by_alias=True) for k, v in entity.fields.items()}
            for name, entity in entities.items()
        },
        "masters": {name: repr(entity.masters) + repr(entity.on_conflict) for name, entity in entities.items()},
    }
    return xxhash.xxh3_64_intdigest(orjson.dumps(said, option=orjson.OPT_SORT_KEYS, default=str)) - (1 << 63)


def compile_flow(connection: Connection, flow: Flow, project: Project, tables: EntityTables) -> tuple[IntoPlan, ...]:
    """Plans for every into, in order; registers feeds and id spaces that are new."""
    salt = mapping_digest(flow, project)
    plans: list[IntoPlan] = []
    for into in flow.into:
        entity = project.entities[into.entity]
        space = _id_space(connection, flow.system, flow.space_of(into), into.entity)
        feed, full_mark = _feed(connection, flow, into, space)
        others = connection.execute(
            select(hub.feed.c.id, hub.feed.c.flow, hub.feed.c.label)
            .where(hub.feed.c.id_space == space, hub.feed.c.id != feed)
        ).all()
        owner = _owner(into, plans)
        fields = [_field(connection, name, spec, flow, entity, project) for name, spec in into.fields.items()]
        if owner is not None:
            by_key = FieldMap(constant="")  # read with the owner's own key, not from a column of its own
            fields.append(FieldPlan(owner.column, by_key, (owner.column,), {"else": "this"}, reference=owner))
        plans.append(
            IntoPlan(
                into=into, entity=entity, label=into.label, feed=feed, id_space=space, shared_space=bool(others),
                witnesses=tuple(other.id for other in others
                                if other.flow != flow.flow and _tells_absence(project, other.flow, other.label)),
                followers=tuple(other.id for other in others
                                if into.create and _only_adds(project, other.flow, other.label)),
                record=tables.record[into.entity], crosswalk=tables.crosswalk[into.entity],
                entities=project.entities, records=tables.record, crosswalks=tables.crosswalk, system=flow.system,
                fields=tuple(fields), owner=owner, salt=salt, full_mark=full_mark,
                stamped=flow.read.stamp is not None, marked=bool(flow.read.mark_columns),
                key_shapes=_key_shapes(into, flow, project),
                ends=_end(flow, into),
            )
        )
    return tuple(plans)


def _end(flow: Flow, into: Into) -> Literal["archive", "delete"] | None:
    said = flow.write.archived
    return None if flow.direction == "in" or said == "ignore" or "archived" in into.fields else said


def with_base_set(connection: Connection, plan: IntoPlan) -> IntoPlan:
    """Adds the field set of a row whose every mapped field is agreed on."""
    return replace(plan, base_set=field_set(connection, plan.into.entity, sorted(f.name for f in plan.fields)))


def field_set(connection: Connection, entity: str, fields: Sequence[str]) -> int:
    table = hub.field_set
    found: int | None = connection.scalar(
        select(table.c.id).where(table.c.entity == entity, table.c.fields == list(fields))
    )
    if found is not None:
        return found
    connection.execute(insert(table).values(entity=entity, fields=list(fields)).on_conflict_do_nothing())
    again: int = connection.execute(
        select(table.c.id).where(table.c.entity == entity, table.c.fields == list(fields))
    ).scalar_one()
    return again


def _id_space(connection: Connection, system: str, name: str, entity: str) -> int:
    table = hub.id_space
    query = select(table.c.id).where(table.c.system == system, table.c.name == name, table.c.entity == entity)
    found: int | None = connection.scalar(query)
    if found is None:
        connection.execute(insert(table).values(system=system, name=name, entity=entity).on_conflict_do_nothing())
        made: int = connection.execute(query).scalar_one()
        return made
    return found


def _feed(connection: Connection, flow: Flow, into: Into, space: int) -> tuple[int, int | None]:
    table = hub.feed
    said = {"system": flow.system, "entity": into.entity, "id_space": space}
    connection.execute(
        insert(table).values(flow=flow.flow, label=into.label, **said)
        .on_conflict_do_update(index_elements=["flow", "label"], set_=said,
                               where=(table.c.id_space != space) | (table.c.system != flow.system))
    )
    return connection.execute(
        select(table.c.id, table.c.full_mark).where(table.c.flow == flow.flow, table.c.label == into.label)
    ).one()


def _tells_absence(project: Project, flow: str, label: str) -> bool:
    """Whether the project still has this feed, and it counts what is absent."""
    into = _into_of(project, flow, label)
    return into is not None and into.absent != "ignore"


def _only_adds(project: Project, flow: str, label: str) -> bool:
    """Whether this feed makes no records and does not count what is absent, or the project has it no more."""
    into = _into_of(project, flow, label)
    return into is None or not (into.create or into.whole or into.absent != "ignore")


def _into_of(project: Project, flow: str, label: str) -> Into | None:
    intos = project.flows[flow].into if flow in project.flows else ()
    return next((into for into in intos if into.label == label), None)


def _key_shapes(into: Into, flow: Flow, project: Project) -> dict[str, tuple[int | str, ...]]:
    """For each link by key, the key columns of the first into that fills the space it refers to."""
    shapes: dict[str, tuple[int | str, ...]] = {}
    for name, mapped in into.fields.items():
        spec = project.entities[into.entity].fields.get(name)
        if spec is None or spec.type not in ("link", "links") or (mapped.refers and mapped.refers.by):
            continue
        wanted = spaces_referred(mapped.refers or Refers(entity=spec.to), flow, project.flows)
        for space, filling in spaces_filled(project.flows).items():
            if space in wanted:
                shapes.setdefault(name, filling[0][1].key)
    return shapes


def _owner(into: Into, before: Sequence[IntoPlan]) -> Reference | None:
    """The owner is found by its own key, like any link: the row carries it."""
    if into.owner is None:
        return None
    wanted = into.owner.into or into.owner.entity
    plan = next(p for p in before if wanted in (p.label, p.into.entity))
    return Reference(into.owner.column, into.owner.entity, (plan.id_space,), owner_key=plan.into.key)


def _field(
    connection: Connection, name: str, mapped: FieldMap, flow: Flow, entity: Entity, project: Project
) -> FieldPlan:
    spec = entity.fields.get(name, FieldSpec(type="boolean" if name == "archived" else "text"))
    masters = entity.masters[name]
    roles = {kind: _role(mastery, flow.system) for kind, mastery in masters.items()}
    ranks: tuple[str, ...] = ()
    for mastery in masters.values():
        if mastery.kind == "systems" and flow.system in mastery.systems:
            ranks = mastery.systems[: mastery.systems.index(flow.system)]
    below = {kind: _behind(mastery, flow.system) for kind, mastery in masters.items()}
    telling = {each.system for each in project.flows.values() for into in each.into
               if into.entity == entity.name and name in into.fields and into.fields[name].blank != "keep"}
    over = {kind: tuple(filter(telling.__contains__, mastery.systems)) if roles[kind] == "other" else ()
            for kind, mastery in masters.items()}
    return FieldPlan(
        name=name, map=mapped, columns=tuple(column.name for column in columns_of(name, spec)), roles=roles,
        ranks=ranks, below=below, over=over,
        sent=flow.direction != "in" and mapped.out is not False and may_be_sent(masters, flow.system),
        policy=entity.on_conflict.get(name, "review"),
        reference=_reference(connection, name, spec, mapped, flow, project),
    )


def _behind(mastery: Mastery, system: str) -> tuple[str, ...]:
    """The systems of a ranking that come after this one."""
    ranked = mastery.systems if mastery.kind == "systems" else ()
    return tuple(ranked[ranked.index(system) + 1 :]) if system in ranked else ()


def _role(mastery: Mastery, system: str) -> Role:
    if mastery.kind == "shared":
        return "shared"
    if mastery.kind == "systems" and system in mastery.systems:
        if mastery.systems[0] != system or (len(mastery.systems) > 1 and mastery.lock):
            return "ranked"
        return "this" if mastery.lock else "this_unlocked"
    return "other"


def _reference(
    connection: Connection, name: str, spec: FieldSpec, mapped: FieldMap, flow: Flow, project: Project
) -> Reference | None:
    if spec.type not in ("link", "links"):
        return None
    refers = mapped.refers or Refers(entity=spec.to)
    many = spec.type == "links"
    if refers.by:
        return Reference(name, refers.entity, (), refers.by, many, refers.else_)
    spaces = [
        _id_space(connection, space.system, space.name, space.entity)
        for space in spaces_referred(refers, flow, project.flows)
    ]
    return Reference(name, refers.entity, tuple(spaces), None, many, refers.else_)
