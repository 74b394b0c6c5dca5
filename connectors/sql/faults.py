"""What the driver's errors mean to the caller.

::

    connecting   password asked for and refused, pg_hba.conf ─▶ LoginRefused
                 TLS, no such database ─▶ ConfigurationError     anything else ─▶ RemoteDown
    a statement  08 57P.. or the connection broke ─▶ RemoteDown    42P01 42703 .. ─▶ ConfigurationError
    a write      40 53 55 57014 25006 ─▶ retry      the rest ─▶ refused (42501: not_able)
                 the answer to COMMIT was lost ─▶ unclear
"""

from __future__ import annotations

import psycopg

from connectors.remote import NOT_ABLE, LoginRefused, Receipt, RemoteDown, State
from mappings.errors import ConfigurationError, NavetteError

_LOST = ("08", "57P")
_PASSES = ("40", "53", "55", "57014")  # deadlock, full, locked, out of time
_READ_ONLY = "25006"  # to a write: a standby answers, as after a failover
_NO_RIGHT = "42501"
_NOT_NOW = ("too many", "starting up", "shutting down", "recovery mode", "connection slots", "accepting connections",
            "terminating")


def connect_fault(error: psycopg.OperationalError, where: str) -> NavetteError:
    """Why a connection could not be made.

    The driver tells no SQLSTATE here, and the server speaks its own language: what it asked for counts before what it
    said. A password that was asked for and did not open the door is a refused login unless the server says it is busy,
    or says nothing any more.
    """
    said, at = _last_line(error), error.pgconn
    answered = ":  " in str(error)  # in every language two blanks stand between how severe it is and what is said
    asked = at is not None and bool(at.needs_password or (at.used_password and answered))
    if "SSL" in said or "certificate" in said:
        return ConfigurationError(
            f"no trusted TLS connection: {said}", where=where,
            todo="name the authority's file in root_certificates, or set sslmode (docs/systems.md, TLS)",
        )
    if any(words in said for words in _NOT_NOW):
        return RemoteDown(f"the database does not take connections now: {said}", where=where, todo="try again later")
    if 'database "' in said and "does not exist" in said:
        return ConfigurationError(f"the server has no such database: {said}", where=where, todo="correct the url")
    if asked or "pg_hba.conf" in said or 'role "' in said or "not permitted to log in" in said:
        return LoginRefused(
            f"the server refused the login: {said}", where=where,
            todo="correct user and password before the next try: a few bad logins may lock the account",
        )
    return RemoteDown(f"the database does not answer: {said}", where=where, todo="see that it runs, and try again")


def statement_fault(error: psycopg.Error, where: str) -> NavetteError:
    """Why a statement that reads could not be done."""
    state = error.sqlstate or ""
    if is_lost(error):
        return RemoteDown(f"the connection was lost: {_last_line(error)}", where=where, todo="try again")
    if state.startswith("28"):
        return LoginRefused(f"the server refused the login: {message_of(error)}", where=where, todo="correct the login")
    if state.startswith(_PASSES):
        return RemoteDown(f"the database could not do it now: {message_of(error)}", where=where, todo="try again")
    return ConfigurationError(
        f"the database refused the statement: {message_of(error)} ({state})", where=where,
        todo="compare the mapping with the table, and the privileges with docs/systems.md",
    )


def write_receipt(error: psycopg.Error) -> Receipt:
    """What a change is told whose batch the server refused; a batch that was refused wrote nothing."""
    state = error.sqlstate or ""
    told: State = "retry" if state.startswith((*_PASSES, _READ_ONLY)) else "refused"
    return Receipt(told, code=NOT_ABLE if state == _NO_RIGHT else state, message=message_of(error))


def is_lost(error: psycopg.Error) -> bool:
    """Whether the connection is gone, or the server is going."""
    state = error.sqlstate
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and (
        state is None or state.startswith(_LOST))


def message_of(error: psycopg.Error) -> str:
    """The server's primary message: its detail and context hold whole rows, and stay out."""
    return error.diag.message_primary or _last_line(error)


def _last_line(error: psycopg.Error) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "failed:" in line or "FATAL" in line]
    return (told or lines or ["no answer"])[-1].removeprefix("connection failed: ")
