"""The plans of one run: those of its flow, narrowed to what its source has, and as its order wants them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection

from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.cursor import Cursor
from pipelines.runs.orders import Order
from pipelines.stages.active import active_plans
from pipelines.stages.plan import IntoPlan, compile_flow, with_base_set


def plans_of(hub: Hub, order: Order) -> tuple[IntoPlan, ...]:
    """The plans of a run that begins. Raises ConfigurationError when the source lacks what the mapping needs."""
    with hub.engine.begin() as connection:
        return plans_in(connection, hub, order)


def plans_in(connection: Connection, hub: Hub, order: Order) -> tuple[IntoPlan, ...]:
    """`plans_of` in the caller's transaction."""
    plans = compile_flow(connection, order.flow, hub.project, hub.tables)
    plans = active_plans(order.flow, plans, tuple(order.source.columns), order.variables)
    if not order.matching:
        plans = tuple(plan.without_matching() for plan in plans)
    if order.comparing:
        plans = tuple(plan.every_row() for plan in plans)
    plans = _of_kind(plans, order)
    return _of_file(connection, order.flow, plans, order.variables)


def kept_plan(hub: Hub, flow: Flow) -> IntoPlan:
    """The plan by which a flow writes, kept: a flow that writes has one into."""
    key = ("plan", flow.flow)
    if key not in hub.kept:
        with hub.engine.begin() as connection:
            hub.kept[key] = with_base_set(connection, compile_flow(connection, flow, hub.project, hub.tables)[0])
    plan: IntoPlan = hub.kept[key]
    return plan


def _of_kind(plans: tuple[IntoPlan, ...], of: Order | Cursor) -> tuple[IntoPlan, ...]:
    """The plans of a run that decides otherwise than usual; a resumed one decides as it began."""
    if of.read_now:
        plans = tuple(replace(plan, read_now=True) for plan in plans)
    if of.rebasing:
        return tuple(plan.rebase() for plan in plans)
    return tuple(plan.adopt() for plan in plans) if of.adopting else plans


def _of_file(connection: Connection, flow: Flow, plans: tuple[IntoPlan, ...], variables: Mapping[str, str]
             ) -> tuple[IntoPlan, ...]:
    scoped = (plan.scoped(connection, variables, full=flow.read.full) for plan in plans)
    return tuple(with_base_set(connection, plan) for plan in scoped)


def plans_for(hub: Hub, flow: Flow, cursor: Cursor) -> tuple[IntoPlan, ...]:
    """The plans of a run that landed earlier, with the fields that its source had."""
    with hub.engine.begin() as connection:
        plans = compile_flow(connection, flow, hub.project, hub.tables)
        narrowed = tuple(plan.narrowed(into.fields) for plan, into in zip(plans, cursor.intos, strict=True))
        narrowed = _of_kind(narrowed, cursor)
        return _of_file(connection, flow, narrowed, cursor.variables)
