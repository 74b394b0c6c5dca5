"""Who saved a record last: what we wrote may be somebody else's by the time it is read back.

::

    the record         its last writer is another user
    a party's phone    another user saved a mechanism of that type, and not before the party was written last

Who logs in as the user that we are cannot be told from us. Root is nobody: the server itself saves as root, for
whoever asked it to.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from connectors.tryton.answer import Refused
from connectors.tryton.cells import cell
from connectors.tryton.mechanisms import MECHANISM
from connectors.tryton.query import EVERYTHING, SOME, Domain
from connectors.tryton.session import Session

ROOT = 0


def saved_by_others(session: Session, model: str, ids: Collection[int], kinds: Sequence[str]) -> set[int]:
    """Those of these records that somebody else has saved since we wrote them. `kinds`: of parties, the types of their
    mechanisms that count too. Where the user may not see who wrote, nobody did."""
    waiting = iter(ids)
    found: set[int] = set()
    while some := list(islice(waiting, SOME)):
        try:
            found.update(session.read(f"model.{model}.search", [["id", "in", some], *_another(session, "write_uid")],
                                      0, None, None, context=EVERYTHING))
            if kinds:
                found.update(_mechanisms(session, some, kinds))
        except Refused:
            continue
    return found


def _another(session: Session, writer: str) -> Domain:
    return [[writer, "!=", None], [writer, "not in", [ROOT, session.user]]]


def _mechanisms(session: Session, parties: Sequence[int], kinds: Sequence[str]) -> Iterator[int]:
    """Archived ones too: then the next one has taken their place."""
    saved = ["OR", _another(session, "write_uid"), [["write_uid", "=", None], *_another(session, "create_uid")]]
    rows = session.read(f"model.{MECHANISM}.search_read", [["party", "in", parties], ["type", "in", kinds], saved],
                        0, None, None, ["party", *STAMPS, *(f"party.{stamp}" for stamp in STAMPS)], context=EVERYTHING)
    return (row["party"] for row in rows if _stamp(row) >= _stamp(row["party."]))


STAMPS = ("write_date", "create_date")


def _stamp(row: dict[str, Any]) -> dt.datetime:
    return dt.datetime.fromisoformat(cell(row["write_date"]) or cell(row["create_date"]))
