"""The floor: the file copied and inserted by hand-written SQL, as a command of its own, so that it is measured alike.

Prints the seconds of each statement as JSON.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

import psycopg

STATEMENTS = Path(__file__).with_suffix(".sql")
URL = "NAVETTE_BENCH_URL"
"""The environment variable with the server's address: a command line could be read by others."""
_BLOCK = 1 << 20


def statements() -> dict[str, str]:
    """Name to SQL, as floor.sql has them."""
    parts = re.split(r"^-- name: (\w+)\n", STATEMENTS.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def load(connection: psycopg.Connection, path: Path) -> dict[str, float]:
    """Copy, insert, insert, commit; the tables are made before the clock starts."""
    sql = statements()
    connection.execute(sql["tables"].encode())
    connection.commit()
    seconds: dict[str, float] = {}
    with connection.cursor() as cursor:
        start = time.perf_counter()
        with cursor.copy(sql["copy"].encode()) as copy, path.open("rb") as source:
            while block := source.read(_BLOCK):
                copy.write(block)
        seconds["copy"] = time.perf_counter() - start
        for name in ("records", "crosswalk"):
            start = time.perf_counter()
            cursor.execute(sql[name].encode())
            seconds[name] = time.perf_counter() - start
        start = time.perf_counter()
        connection.commit()
        seconds["commit"] = time.perf_counter() - start
    return seconds


def main() -> None:
    with psycopg.connect(os.environ[URL]) as connection:
        print(json.dumps(load(connection, Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
