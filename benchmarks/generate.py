"""The bench's file: customers in 20 columns, CSV, UTF-8; a row is a pure function of its number and version.

So the shuffled copy and the copy with one row in a hundred changed need no first file, no memory and no sorting,
and two
runs on two machines write the same bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from demo.names import LAST, SIGNS, STREETS, TOWNS, TRADES

Numbers = npt.NDArray[np.uint64]
Kind = Literal["first", "shuffled", "changed"]
CHUNK = 50_000
AREAS = ("0140", "0144", "0147", "0149", "0240", "0241", "0251", "0380", "0381", "0388", "0472", "0476", "0478",
    "0556", "0561")
"""Where telephone numbers of the bench begin: areas that are in use, so that the common case decides as it would."""
COLUMNS = (
    "account", "name", "siret", "vat_number", "street", "postal_code", "city", "country", "phone", "email", "website",
    "payment_mode", "segment", "credit_limit", "currency", "discount", "opened_on", "changed_at", "is_supplier",
    "notes",
)


def mixed(rows: Numbers, salt: int) -> Numbers:
    """64 well mixed bits for each row (splitmix64's finaliser), one stream for each salt."""
    with np.errstate(over="ignore"):
        x = rows * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt * 0x632BE59BD9B4E019 & 0xFFFFFFFFFFFFFFFF)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def below(rows: Numbers, salt: int, limit: int) -> npt.NDArray[np.int64]:
    return (mixed(rows, salt) % np.uint64(limit)).astype(np.int64)


def _padded(numbers: npt.NDArray[Any], width: int) -> npt.NDArray[np.str_]:
    return np.char.zfill(numbers.astype(f"U{width}"), width)


def _luhn(body: npt.NDArray[np.int64], digits: int) -> npt.NDArray[np.int64]:
    """The check digit of each number of `digits` digits."""
    total = np.zeros_like(body)
    for place in range(digits):
        digit = body // 10**place % 10
        digit = digit * 2 if place % 2 == 0 else digit
        total += np.where(digit > 9, digit - 9, digit)
    return -total % 10


def sirens(rows: Numbers) -> npt.NDArray[np.int64]:
    """Nine digits; different for each row up to ten million rows."""
    body = 90_000_000 + rows.astype(np.int64)
    return body * 10 + _luhn(body, 8)


def sirets(rows: Numbers) -> npt.NDArray[np.int64]:
    body = sirens(rows) * 10_000 + below(rows, 3, 20) + 1
    return body * 10 + _luhn(body, 13)


def _chosen(words: tuple[str, ...], rows: Numbers, salt: int) -> npt.NDArray[np.object_]:
    return np.array(words, dtype=object)[below(rows, salt, len(words))]


def _phones(rows: Numbers, versions: Numbers) -> npt.NDArray[np.object_]:
    """Ten digits, written in three ways; one in ten is missing. The changed file changes them."""
    seed = rows + versions * np.uint64(1 << 40)
    digits = np.char.add(_chosen(AREAS, seed, 8).astype("U4"), _padded(below(seed, 9, 1_000_000), 6))
    area, *pairs = [np.strings.slice(digits, start, start + 2) for start in range(0, 10, 2)]
    spaced, dotted, plain = area, area, area
    for pair in pairs:
        spaced = np.char.add(np.char.add(spaced, " "), pair)
        dotted = np.char.add(np.char.add(dotted, "."), pair)
        plain = np.char.add(plain, pair)
    way = below(rows, 10, 10)
    return np.select([way < 5, way < 7, way < 9], [spaced, dotted, plain], "").astype(object)


def _dates(rows: Numbers, salt: int, first: str, days: int, form: str) -> npt.NDArray[np.object_]:
    stamps = np.datetime64(first) + below(rows, salt, days).astype("timedelta64[D]")
    return np.asarray(pc.strftime(pa.array(stamps), form).to_numpy(zero_copy_only=False), dtype=object)


def table_of(rows: Numbers, versions: Numbers) -> pa.Table:
    """The rows of these numbers as cells of a CSV file (notes alone need quotes); `versions` is 1 where changed."""
    number = rows.astype(np.int64)
    name = _chosen(TRADES, rows, 1) + " " + _chosen((*LAST, *SIGNS), rows, 2)
    town = below(rows, 5, len(TOWNS))
    siren = sirens(rows)
    key = (12 + 3 * (siren % 97)) % 97
    mail = np.char.add(np.char.add("contact@c", number.astype("U8")), ".example").astype(object)
    cents = below(rows + versions * np.uint64(1 << 40), 14, 5_000_000)
    second = below(rows, 18, 86_400)
    columns: dict[str, Any] = {
        "account": np.char.add("C", _padded(number, 8)),
        "name": name,
        "siret": sirets(rows).astype("U14"),
        "vat_number": np.char.add(np.char.add("FR", _padded(key, 2)), siren.astype("U9")),
        "street": below(rows, 4, 250).astype(str).astype(object) + " " + _chosen(STREETS, rows, 6),
        "postal_code": np.array([code for code, _ in TOWNS], dtype=object)[town],
        "city": np.array([city for _, city in TOWNS], dtype=object)[town],
        "country": np.full(len(rows), "FR", dtype=object),
        "phone": _phones(rows, versions),
        "email": np.where(below(rows, 11, 10) < 8, mail, ""),
        "website": np.where(below(rows, 12, 10) < 3,
            "https://www.c" + number.astype(str).astype(object) + ".example", ""),
        "payment_mode": _chosen(("VIR", "CHQ", "PRL", "LCR"), rows, 13),
        "segment": _chosen(("A", "B", "C", ""), rows, 15),
        "credit_limit": (cents // 100).astype(str).astype(object) + "," + _padded(cents % 100, 2).astype(object),
        "currency": np.where(below(rows, 16, 50) == 0, "CHF", "EUR"),
        "discount": _chosen(("0", "2,5", "5", "7,25", "10"), rows, 17),
        "opened_on": _dates(rows, 19, "1998-01-01", 9_800, "%d/%m/%Y"),
        "changed_at": _dates(rows, 20, "2024-01-01", 900, "%Y-%m-%d").astype("U10").astype(object) + " "
        + _padded(second // 3600, 2).astype(object) + ":" + _padded(second // 60 % 60, 2).astype(object) + ":"
        + _padded(second % 60, 2).astype(object),
        "is_supplier": _chosen(("N", "N", "N", "O"), rows, 21),
        "notes": np.where(below(rows, 22, 10) < 2, '"Appeler avant ' + name + '; accès par la cour"', ""),
    }
    return pa.table({column: pa.array(columns[column], pa.string()) for column in COLUMNS})


def _orders(rows: int, kind: Kind) -> Iterator[tuple[Numbers, Numbers]]:
    """Row numbers and versions, chunk by chunk. Shuffled: i -> i * step mod rows, with step and rows coprime."""
    step = 1
    if kind == "shuffled":
        step = next(n for n in range(int(rows * 0.618), 2 * rows + 2) if np.gcd(n, rows) == 1)
    for start in range(0, rows, CHUNK):
        places = np.arange(start, min(start + CHUNK, rows), dtype=np.uint64)
        numbers = places * np.uint64(step) % np.uint64(rows)
        versions = (mixed(numbers, 99) % np.uint64(100) == 0).astype(np.uint64)
        yield numbers, versions if kind == "changed" else np.zeros_like(versions)


def write(path: Path, rows: int, kind: Kind = "first") -> Path:
    """Write one file of `rows` rows and say where; a file that is there already is taken as it is."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="") as out:
        out.write(";".join(COLUMNS) + "\n")
        for numbers, versions in _orders(rows, kind):
            lines = pc.binary_join_element_wise(*table_of(numbers, versions).columns, ";")
            out.writelines(line + "\n" for line in lines.to_pylist())
    part.replace(path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the bench's file.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kind", choices=("first", "shuffled", "changed"), default="first")
    given = parser.parse_args()
    write(given.path, given.rows, given.kind)


if __name__ == "__main__":
    main()
