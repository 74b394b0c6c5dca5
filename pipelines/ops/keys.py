"""Keys of a system: found whole or by one part, and the ones that are near a mistyped one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select

from crm_store import hub_tables as tables
from mappings.words import KEY_SEPARATOR
from pipelines.hub import Hub

MOST = 50
NEAR = 5
_NEIGHBOURS = 20


def known_keys(hub: Hub, connection: Connection, system: str, key: str) -> list[str]:
    """The keys of the system's entries and held rows that are `key`, or, if none is, that have it as a part."""
    written = key.replace("\\", "\\\\").replace(KEY_SEPARATOR, f"\\{KEY_SEPARATOR}")
    whole = {key, written}
    found: set[str] = set()
    for query in _keys(hub, system):
        found.update(connection.scalars(query.where(query.selected_columns.key.in_(whole)).limit(MOST)))
    if found:
        return sorted(found)
    for query in _keys(hub, system):
        column = query.selected_columns.key
        parts = or_(column.startswith(written + KEY_SEPARATOR, autoescape=True),
                    column.endswith(KEY_SEPARATOR + written, autoescape=True),
                    column.contains(f"{KEY_SEPARATOR}{written}{KEY_SEPARATOR}", autoescape=True))
        found |= {one for one in connection.scalars(query.where(parts).limit(MOST)) if key in _parts(one)}
    return sorted(found)


def near_keys(hub: Hub, connection: Connection, system: str, key: str) -> list[str]:
    """At most NEAR keys that look like `key`, the nearest first."""
    core = _plain(key)
    found: set[str] = set()
    for query in _keys(hub, system):
        column = query.selected_columns.key
        like = or_(func.lower(column).contains(core, autoescape=True),
                   and_(func.lower(column).startswith(core[:1], autoescape=True),
                        func.lower(column).endswith(core[1:], autoescape=True)))
        found.update(connection.scalars(query.where(column >= key).order_by(column).limit(_NEIGHBOURS)))
        found.update(connection.scalars(query.where(column < key).order_by(column.desc()).limit(_NEIGHBOURS)))
        found.update(connection.scalars(query.where(like).order_by(func.char_length(column)).limit(MOST)))
    likeness = {one: max(_likeness(key, part) for part in {one, *_parts(one)}) for one in found}
    return sorted((one for one in found if likeness[one] >= 0.6), key=lambda one: (-likeness[one], one))[:NEAR]


def _parts(key: str) -> list[str]:
    # Codecs bring pandas along, which a key that is found at once has no use for.
    from mappings.codecs.keys import parts_of

    return parts_of(key)


def _likeness(wanted: str, there: str) -> float:
    return SequenceMatcher(None, _plain(wanted), _plain(there)).ratio()


def _plain(key: str) -> str:
    """C0042, c42 and c-42 are alike: no case, no leading zeros, no signs."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[^\w]|_", "", key.casefold())) or key


def _keys(hub: Hub, system: str) -> Iterator[Select[Any]]:
    """One query with a column `key` for each place where keys of the system stand."""
    space, feed, held = tables.id_space, tables.feed, tables.held
    spaces = select(space.c.id).where(space.c.system == system)
    for x in hub.tables.crosswalk.values():
        yield select(x.c.key).where(x.c.id_space.in_(spaces))
    feeds = select(feed.c.id).where(feed.c.system == system)
    yield select(held.c.key).where(held.c.feed.in_(feeds), held.c.key.is_not(None))
