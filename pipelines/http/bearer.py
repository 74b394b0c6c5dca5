"""Who asks for records: a token, and the database role that its requests work as. Never the hub's.

A request is one transaction of the login navette_http, which can become no role but members of navette_crm: journal,
locks and outbox see it as any writer of the CRM's, and its author is the token's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from crm_store.store import Store
from pipelines.http.problem import Refused
from pipelines.http.store_refusals import refusal
from pipelines.ops.tokens import MARK, digest_of

STATEMENT_TIMEOUT, LOCK_TIMEOUT = "10s", "5s"
_scheme = HTTPBearer(auto_error=False, description="A token of `navette token create`.")


@dataclass(frozen=True)
class Bearer:
    """A token that is good."""

    store: Store
    name: str
    role: str

    @contextmanager
    def work(self, *, reads: bool) -> Iterator[Connection]:
        """One transaction as the token's role; raises Refused for what the store refuses."""
        try:
            with self.store.http().begin() as connection:
                said = {"navette.author": self.name, "statement_timeout": STATEMENT_TIMEOUT,
                        "lock_timeout": LOCK_TIMEOUT, "transaction_read_only": "on" if reads else "off",
                        "role": self.role}
                connection.execute(select(*[func.set_config(name, value, True) for name, value in said.items()]))
                yield connection
        except DBAPIError as error:
            if (told := refusal(error)) is not None:
                raise told from None
            raise


class Door:
    """Lets requests with a good token in."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __call__(self, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)]) -> Bearer:
        """Raises Refused."""
        if given is not None and given.credentials.startswith(MARK):
            with self.store.http().begin() as connection:
                found = connection.execute(
                    select("*").select_from(func.sync.bearer(digest_of(given.credentials)).table_valued("name", "role"))
                ).one_or_none()
            if found is not None and found.name is not None:
                return Bearer(self.store, found.name, found.role)
        raise Refused(401, "who asks?", "send Authorization: Bearer and a token (navette token create NAME)",
                      headers={"WWW-Authenticate": 'Bearer realm="navette"'})
