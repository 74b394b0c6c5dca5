"""dlt's merge of the file into PostgreSQL, the fastest way it has: Arrow batches, CSV loader, default merge strategy.

Runs in an environment of its own (.venv-bench) and imports nothing of Navette.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
from pyarrow import csv

TYPES = {
    "credit_limit": pa.decimal128(28, 2), "discount": pa.decimal128(28, 4), "opened_on": pa.timestamp("s"),
    "changed_at": pa.timestamp("us"),
}
TEXT = (
    "account", "name", "siret", "vat_number", "street", "postal_code", "city", "country", "phone", "email", "website",
    "payment_mode", "segment", "currency", "is_supplier", "notes",
)
BLOCK = 16 << 20


def batches(path: Path) -> Iterator[Any]:
    """The file as typed Arrow tables of some 80,000 rows."""
    reader = csv.open_csv(
        path,
        read_options=csv.ReadOptions(block_size=BLOCK),
        parse_options=csv.ParseOptions(delimiter=";"),
        convert_options=csv.ConvertOptions(
            column_types={**TYPES, **dict.fromkeys(TEXT, pa.string())}, decimal_point=",", strings_can_be_null=True,
            timestamp_parsers=["%d/%m/%Y", "%Y-%m-%d %H:%M:%S"],
        ),
    )
    for batch in reader:
        table = pa.Table.from_batches([batch])
        place = table.schema.get_field_index("opened_on")
        yield table.set_column(place, "opened_on", table.column(place).cast(pa.date32()))


def main() -> None:
    path, folder = Path(sys.argv[1]), sys.argv[2]
    pipeline = dlt.pipeline(
        "bench", pipelines_dir=folder, dataset_name="dlt_bench",
        destination=dlt.destinations.postgres(os.environ["NAVETTE_BENCH_URL"]),
    )
    resource = dlt.resource(batches(path), name="company", primary_key="siret", write_disposition="merge")
    info = pipeline.run(resource, loader_file_format="csv")
    info.raise_on_failed_jobs()
    print(pipeline.last_trace.last_normalize_info.row_counts.get("company"))


if __name__ == "__main__":
    main()
