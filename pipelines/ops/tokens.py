"""Tokens of applications that use records over HTTP: made, listed, revoked. What is kept is a digest."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime
from getpass import getuser
from typing import Any

import psycopg
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from crm_store import hub_tables as tables
from crm_store.roles import CRM_GROUP
from mappings.errors import ConfigurationError
from pipelines.hub import Hub

MARK = "nvt_"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")
_MAY_BE = text(
    "SELECT pg_has_role(:http, r.oid, 'MEMBER') AND pg_has_role(r.oid, :crm, 'MEMBER')"
    " AND NOT pg_has_role(r.oid, 'navette_hub', 'MEMBER') AND NOT r.rolsuper"
    " FROM pg_roles r WHERE r.rolname = :role"
)


@dataclass(frozen=True)
class Token:
    """A token, without what it is."""

    name: str
    role: str
    made_at: datetime
    made_by: str
    used_at: datetime | None
    revoked_at: datetime | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def digest_of(token: str) -> str:
    """What is kept of a token. It holds 256 random bits, so one round of SHA-256 is enough."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def create_token(hub: Hub, name: str, role: str = CRM_GROUP) -> str:
    """The token, which nobody can show again. `role`: the database role that its requests work as.

    Raises ConfigurationError: a name that is none or taken, a role that requests may not work as.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r} cannot name a token", where="token create",
                                 todo="a-z, 0-9 and _ . -, at most 60, beginning with a letter or digit")
    token = MARK + secrets.token_urlsafe(32)
    http = hub.store.roles.http
    with hub.engine.begin() as connection:
        if not connection.scalar(_MAY_BE, {"http": http, "crm": CRM_GROUP, "role": role}):
            raise ConfigurationError(
                f"requests may not work as the database role {role!r}", where="token create",
                todo=f"it has to be a member of {CRM_GROUP} and not of navette_hub, and an administrator grants it:"
                     f" GRANT {role} TO {http}")
        try:
            connection.execute(insert(tables.token).values(
                name=name, digest=digest_of(token), role=role, made_by=getuser()))
        except IntegrityError as error:
            if not isinstance(error.orig, psycopg.errors.UniqueViolation):
                raise
            raise ConfigurationError(f"there is a token {name!r} already", where="token create",
                                     todo="choose another name; a revoked one is not used again, so that the journal"
                                          " stays clear") from None
    return token


def tokens(hub: Hub) -> list[Token]:
    """Every token, by name, revoked ones too."""
    token = tables.token
    columns = (token.c.name, token.c.role, token.c.made_at, token.c.made_by, token.c.used_at, token.c.revoked_at)
    with hub.engine.connect() as connection:
        return [Token(*row) for row in connection.execute(select(*columns).order_by(token.c.name))]


def revoke_token(hub: Hub, name: str) -> None:
    """From the next request on it is none. Raises ConfigurationError for one that is unknown or revoked already."""
    token = tables.token
    with hub.engine.begin() as connection:
        change = update(token).where(token.c.name == name, token.c.revoked_at.is_(None))
        if not connection.execute(change.values(revoked_at=func.now())).rowcount:
            raise ConfigurationError(f"there is no token {name!r} to revoke", where="token revoke",
                                     todo="navette token list shows them")
