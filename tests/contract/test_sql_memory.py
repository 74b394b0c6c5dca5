"""A read takes the memory of a page, however many rows the table has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.contract.sql_desk import DEBTOR, PASSWORD, Books, books

__all__ = ["books"]

MEASURE = """
import sys
from pathlib import Path
from connectors.remote import Resource
from connectors.sql.open import open_sql
from connectors.sql.settings import SqlSettings

settings = SqlSettings.model_validate({"url": sys.argv[1], "password": sys.stdin.read()})
resource = Resource("debtor", ("code",), ("code", "name", "city", "balance", "updated_at"), changed="updated_at")
source = open_sql(settings).read(resource, None)
rows = sum(len(page) for page in source.pages(5_000))
assert rows == int(sys.argv[2]), rows
assert source.position.mark["changed"]
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(peak.split()[1])
"""


def peak_kb(books: Books, rows: int) -> int:
    """The most memory (kB) that the process of one read had."""
    books.make("TRUNCATE debtor",
               "INSERT INTO debtor (code, name, city, balance) SELECT 'C' || n, repeat('name ', 40) || n, 'Lille', n"
               f" FROM generate_series(1, {rows}) n")
    url = f"postgresql://{books.role}@127.0.0.1:{books.port}/{books.database}"
    done = subprocess.run([sys.executable, "-c", MEASURE, url, str(rows)], input=PASSWORD, capture_output=True, text=True,
                          cwd=Path(__file__).parents[2], timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return int(done.stdout)


def test_ten_times_the_rows_take_no_more_memory_to_read(books: Books) -> None:
    books.make(DEBTOR)
    small, large = peak_kb(books, 20_000), peak_kb(books, 200_000)
    # All rows at once would be 50 MB more, half as much again as the process itself.
    assert large < small * 1.1, f"{small} kB for 20,000 rows, {large} kB for 200,000"
