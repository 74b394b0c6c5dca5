"""What the store refuses of a request, by its SQLSTATE, as an answer: which field, whose it is, and what to do."""

from __future__ import annotations

import re

import psycopg
from sqlalchemy.exc import DBAPIError

from pipelines.http.problem import Refused, not_now

_MASTERED = re.compile(r"is mastered by (\S+) and locked")


def refusal(error: DBAPIError) -> Refused | None:
    """The answer to a statement that was refused; None for what is no refusal (the server is gone)."""
    cause = error.orig
    if error.connection_invalidated or not isinstance(cause, psycopg.Error):
        return None
    if cause.sqlstate is None:
        return _unfit(cause) if isinstance(cause, psycopg.DataError) else None
    return _of_state(cause.sqlstate, cause)


def _of_state(state: str, cause: psycopg.Error) -> Refused | None:
    said, rule = cause.diag.message_primary or "", cause.diag.constraint_name or ""
    if found := _MASTERED.search(said):
        return Refused(409, "this field is locked", said, field=cause.diag.column_name or "", master=found[1],
                       todo=cause.diag.message_hint or "")
    if state in ("42501", "25006", "22023", "42704"):
        return Refused(403, "not allowed", "the token's database role may not do this")
    if state in ("57014", "55P03", "40P01", "40001"):
        return not_now()
    if state == "23505":
        return Refused(409, "there is such a record already", rule=rule)
    if state == "23503":
        return Refused(422, "there is no record to link to", cause.diag.message_detail or said, rule=rule)
    return _unfit(cause) if state.startswith(("22", "23")) else None


def _unfit(cause: psycopg.Error) -> Refused:
    return Refused(422, "the store refuses a value", cause.diag.message_primary or "it cannot be kept as it is")
