"""What the store's database said, as an error of ours: what that means and what to do, then its own words.

Its own words are in the server's language and without place, and never hold the statement or its parameters: these hold
data.
"""

from __future__ import annotations

import psycopg
from sqlalchemy.exc import DBAPIError

from mappings.errors import StoreError, StoreHindered

AGAIN = "run it again; it goes on where it stopped"
_MEANT: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("42501",), "the login that works on the store lacks a right there ({said})",
     "`navette store migrate` grants what is missing; docs/store.md lists the rights that a login on a server of your"
     " own needs"),
    (("42P01", "42703", "42883", "3F000"), "the store is not as this version of Navette expects it ({said})",
     "bring it up with `navette store migrate`"),
    (("25006",), "the store takes no changes ({said})",
     "NAVETTE_DATABASE_URL must name a server that may be written to, no copy that only follows another"),
    (("53100",), "the disk of the store's server is full ({said})", f"make room there, then {AGAIN}"),
    (("53",), "the store's server has no connections or no memory left ({said})",
     f"let others end, or raise its limits (max_connections), then {AGAIN}"),
    (("40", "55P03"), "others were working on the same of the store, and it gave up ({said})", AGAIN),
    (("57014",), "the store stopped a statement, for its time limit or since somebody asked it to ({said})", AGAIN),
)
"""SQLSTATEs, or how they begin (PostgreSQL's Appendix A); the first that fits tells."""


def is_lost(error: DBAPIError | psycopg.Error) -> bool:
    """Whether the server went away, rather than refused, or said what the driver cannot read."""
    state = sqlstate(error)
    silent = not state and isinstance(_cause(error), psycopg.OperationalError | psycopg.InterfaceError)
    return getattr(error, "connection_invalidated", False) or silent or state.startswith(("08", "57P"))


def sqlstate(error: DBAPIError | psycopg.Error) -> str:
    """The five characters that say what kind of error it is; '' when the connection itself failed, or the driver."""
    return str(getattr(_cause(error), "sqlstate", None) or "")


def store_error(error: DBAPIError | psycopg.Error, where: str = "") -> StoreError:
    """The error as one of ours. `where`: the flow or run that was at work."""
    cause = _cause(error)
    said = getattr(getattr(cause, "diag", None), "message_primary", None) or type(cause).__name__
    if is_lost(error):
        return StoreError(f"the connection to the store was lost ({said})", where=where,
                          todo=f"see that its server runs, then {AGAIN}")
    if isinstance(cause, psycopg.DataError) and not sqlstate(error):
        kind = str(cause).partition(":")[0]  # behind it stands the value
        return StoreHindered(
            f"the store holds a value that Navette cannot read ({kind})", where=where,
            todo="dates and times of records have to be in the years 1 to 9999: correct what is not, infinity too")
    for states, message, todo in _MEANT:
        if sqlstate(error).startswith(states):
            return StoreHindered(message.format(said=said), where=where, todo=todo)
    return StoreError(f"the store refused what Navette asked of it ({said})", where=where,
                      todo="please report this; nothing half-done is kept")


def _cause(error: DBAPIError | psycopg.Error) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error
