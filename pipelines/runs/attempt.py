"""One transaction, tried again when the database says that trying again helps, and what it says of itself."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, Text, bindparam, func, select
from sqlalchemy.exc import DBAPIError

from crm_store.store_faults import sqlstate
from mappings.errors import StoreHindered

T = TypeVar("T")
TRIES = 12
_PASSING = {"40001", "40P01", "55P03"}  # serialisation failure, deadlock, lock timeout


def attempt(connection: Connection, work: Callable[[], T]) -> T:
    """Runs `work` in a transaction of `connection`; deadlocks and serialisation failures are tried again."""
    for turn in range(1, TRIES + 1):
        try:
            with connection.begin():
                return work()
        except DBAPIError as error:
            if sqlstate(error) not in _PASSING:
                raise
            if turn == TRIES:
                raise StoreHindered(
                    f"the store was too busy {TRIES} times in a row ({sqlstate(error)})",
                    todo="run it again; it goes on where it stopped",
                ) from None
            # Two runs that met here must not meet again at once.
            time.sleep(random.uniform(0, 0.05 * 2 ** min(turn, 6)))  # noqa: S311
    raise AssertionError("not reached")


def say(connection: Connection, settings: Mapping[str, str]) -> None:
    """Settings of the transaction, in one statement."""
    connection.execute(_said(tuple(settings)), {f"to_{name}": value for name, value in settings.items()})


@lru_cache(32)
def _said(names: tuple[str, ...]) -> Select[Any]:
    return select(*[func.set_config(name, bindparam(f"to_{name}", type_=Text), True) for name in names])


def durable(connection: Connection) -> None:
    """The transaction's commit waits for the disk."""
    connection.execute(select(func.set_config("synchronous_commit", "on", True)))
