"""Updates whose answer was lost: the row itself tells whether they were done.

What the CRM has may have changed again meanwhile: then the row that we wrote would pass for an edit of somebody's, and
the CRM's newer value for the other side of a conflict. So each is looked at before its row is read::

    open or unclear ─▶ the row as it is there ─┬─ has what was sent ─▶ the base is what was sent, as after a receipt
                                               └─ has not           ─▶ dropped: the road decides, and it is sent again

Then these very rows go down the road. Were they left to the next reading, which may be long in coming, it would take
what somebody edited meanwhile for what the system made of our write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, func, select, update

from connectors.page import Page
from connectors.remote import Remote, Resource
from crm_store import hub_tables as tables
from mappings.codecs.keys import keys_of
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.executing import execute
from pipelines.runs.likeness import stored_of
from pipelines.runs.orders import Order
from pipelines.stages.agree import agree_on
from pipelines.stages.plan import IntoPlan
from pipelines.stages.sending import Send, remote_key


def settle_updates(hub: Hub, flow: Flow, plan: IntoPlan, remote: Remote, resource: Resource, left: Sequence[RowMapping]
                   ) -> None:
    """Settles these intents (other than creates), oldest first."""
    if not left:
        return
    page = page_there(remote, resource, sorted({row["key"] for row in left if row["operation"] == "update"}))
    there = rows_of(plan, page)
    done = [row for row in left if row["operation"] == "update" and _was_done(row, there.get(row["key"]), resource)]
    intent, x, sets = tables.intent, plan.crosswalk, tables.field_set
    with hub.engine.begin() as connection:
        for row in done:  # one by one: of two for one row the later one counts
            known = connection.scalar(
                select(sets.c.fields).join(x, x.c.base_set == sets.c.id)
                .where(x.c.id_space == plan.id_space, x.c.feed == plan.feed, x.c.key == row["key"]))
            agree_on(connection, plan, [send_of(plan, row, row["key"], tuple(known or ()))])
        for state, code, rows in (("delivered", "found", done), ("dropped", "read_again", [
                row for row in left if row not in done])):
            connection.execute(update(intent).where(intent.c.id.in_([row["id"] for row in rows])).values(
                state=state, code=code, answered_at=func.now()))
    if done and page is not None:
        take_in(hub, flow, page, resource)


def send_of(plan: IntoPlan, row: RowMapping, key: str, known: tuple[str, ...] = ()) -> Send:
    """The send that an intent was noted for, with the record as it was then. `known`: fields with a base."""
    fields = tuple(item.name for item in plan.fields if set(item.columns) & row["record"].keys())
    return Send(row["record_id"], row["operation"], key, fields, row["record"], known)


def page_there(remote: Remote, resource: Resource, keys: Sequence[str]) -> Page | None:
    """The rows as they are there; None where there are none."""
    page = remote.fetch(resource, [remote_key(key) for key in keys]) if keys else None
    return page if page is not None and len(page.frame) else None


def rows_of(plan: IntoPlan, page: Page | None) -> dict[str, Mapping[str, Any]]:
    """The rows of the page by key."""
    if page is None:
        return {}
    found = keys_of(page.frame, plan.into.key, {}).tolist()
    rows: list[Any] = page.frame.to_dict("records")
    return dict(zip(found, rows, strict=True))


def take_in(hub: Hub, flow: Flow, page: Page, resource: Resource) -> None:
    """These rows go down the road, as what was written and read back."""
    from pipelines.runs.remote import FetchedSource  # which settles before it reads, and so knows this module

    execute(hub, Order(flow=flow, source=FetchedSource(page), name=resource.name, guarded=False, afresh=True,
                       trigger="readback", read_now=True))


def _was_done(row: RowMapping, there: Mapping[str, Any] | None, resource: Resource) -> bool:
    """The row has what was sent; where it is only alike, somebody must have written it since we looked."""
    sent: dict[str, str] = row["values"]
    if there is None or not row["record"]:
        return False
    if all((there.get(column) or "") == cell for column, cell in sent.items()):
        return True
    version = None if resource.version is None else there.get(resource.version)
    moved = None not in (version, row["version"]) and version != row["version"]
    return moved and stored_of({column: cell for column, cell in sent.items() if cell != ""}, there) and not any(
        there.get(column) for column, cell in sent.items() if cell == "")
