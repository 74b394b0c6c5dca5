"""Whose turn it is to create records of one entity: row locks do not cover rows that do not exist yet.

Two keys, taken in this order and held to the end of the transaction::

    who creates             gate        turn
    one transaction         exclusive   exclusive
    a run with lanes        exclusive   waited for   on its own connection, while a pair of lanes is at work
      each of its lanes     -           shared

One lock would do while everybody lives. Run A is killed with a lane's COMMIT on its way: A's own connection, and with
it the gate, is gone at once, but the lane's records are not there yet. Run B passes the gate, and would find nothing
and make the same records; at the turn it waits until the lane's transaction has ended.
"""

from __future__ import annotations

from sqlalchemy import Connection, Integer, Table, func, literal, select

GATE, TURN = 0x6E61, 0x6E62  # first halves of the advisory locks; the second is the entity's table


def take_turn(connection: Connection, record: Table) -> None:
    """Waits until nobody else creates records in `record`, and keeps everybody from it."""
    _lock(connection, GATE, record)
    _lock(connection, TURN, record)


def close_gate(connection: Connection, record: Table) -> None:
    """Waits likewise, and keeps everybody from it but the lanes."""
    _lock(connection, GATE, record)
    with connection.begin_nested() as once:
        _lock(connection, TURN, record)
        once.rollback()  # which gives the turn back, and nothing else


def share_turn(connection: Connection, record: Table) -> None:
    """A lane's part: whoever passes the gate after its run waits for it."""
    connection.execute(select(func.pg_advisory_xact_lock_shared(literal(TURN, Integer), _second(record))))


def _lock(connection: Connection, key: int, record: Table) -> None:
    connection.execute(select(func.pg_advisory_xact_lock(literal(key, Integer), _second(record))))


def _second(record: Table) -> object:
    return func.hashtext(f"crm.{record.name}")
