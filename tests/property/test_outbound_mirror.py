"""Records that go out in a file and come back by the mirror mapping are the same records, in every format."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crm_store.entity_tables import compile_entities
from mappings.language.project import require_project
from pipelines.hub import Hub
from pipelines.runs.intake import run_flow
from pipelines.runs.pushing import push_flow

pytestmark = pytest.mark.slow
FIELDS = """
  label: {}
  body: {}
  pieces: {type: number}
  ratio: {type: decimal, scale: 3}
  price: {type: money}
  made_on: {type: date}
  seen_at: {type: datetime}
  good: {type: boolean}
  grade: {type: choice, values: [small, large]}
  tags: {type: choices, values: [blue, green, red]}
"""
MAPPED = """
  fields:
    label: LABEL
    body: BODY
    pieces: PIECES
    ratio: RATIO
    price: {from: PRICE, currency: {from: CURRENCY}}
    made_on: {from: MADE, format: "%d/%m/%Y"}
    seen_at: SEEN
    good: {from: GOOD, true: ["yes"], false: ["no"]}
    grade: {from: GRADE, values: {S: small, L: large}}
    tags: {from: TAGS, split: ","}
    archived: {from: GONE, true: ["1"], false: ["0"]}
"""
COLUMNS = ("ID", "LABEL", "BODY", "PIECES", "RATIO", "PRICE", "CURRENCY", "MADE", "SEEN", "GOOD", "GRADE", "TAGS", "GONE")
WIDE = "{" + ", ".join(f"{name}: [{1 + at * 30}, 30]" for at, name in enumerate(COLUMNS)) + "}"
TRAILER = "trailer: {by: ID, is: END, rows: LABEL, sum: {PIECES: PIECES}}"
FORMATS = {
    "csv": ("csv", 'format: {csv: {delimiter: ";", encoding: utf-8}}'),
    "csv_cp1252": ("csv", 'format: {csv: {delimiter: ";", encoding: cp1252, decimal: ","}}, ' + TRAILER),
    "fixed": ("txt", f"format: {{fixed: {{columns: {WIDE}, encoding: utf-8}}}}"),
    "excel": ("xlsx", "format: {excel: {sheet: Things}}, " + TRAILER),
    "jsonl": ("jsonl", "format: jsonl, " + TRAILER),
}
VALUES = "label, body, pieces, ratio, price, price_currency, made_on, seen_at, good, grade, tags, archived_at IS NULL"
TEXT = st.text(st.sampled_from(list("abcÉœ€ß Ω=+\"'#&\\;.")), max_size=12).map(str.strip).map(lambda text: text or None)
THING = st.fixed_dictionaries({
    "label": TEXT, "body": TEXT, "pieces": st.none() | st.integers(-10**9, 10**9),
    "ratio": st.none() | st.decimals(-10**6, 10**6, places=3), "price": st.none() | st.decimals(-10**6, 10**6, places=2),
    "made_on": st.none() | st.dates(date(1950, 1, 1), date(2100, 1, 1)),
    "seen_at": st.none() | st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(
        lambda at: at.replace(microsecond=0, tzinfo=UTC)),
    "good": st.none() | st.booleans(), "grade": st.sampled_from([None, "small", "large"]),
    "tags": st.none() | st.sets(st.sampled_from(["blue", "green", "red"]), min_size=1).map(sorted),
    "archived_at": st.none() | st.just(datetime(2026, 1, 1, tzinfo=UTC)),
})
_numbers = count(1)


@pytest.fixture(scope="module")
def hub(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """One project with a flow out and a flow back for each format; `thing` goes out, `copy` comes back."""
    root = tmp_path_factory.mktemp("mirror")
    systems = "".join(f"  {name}: {{connector: file, folder: {name}, stable_for: 0s}}\n" for name in FORMATS)
    files = {"systems": "systems:\n" + systems}
    for entity in ("thing", *(f"copy_{name}" for name in FORMATS)):
        files[f"entities/{entity}"] = f"entity: {entity}\nlabel: {entity}\nfields:{FIELDS}masters: {{else: shared}}\n"
    for name, (suffix, form) in FORMATS.items():
        (root / name).mkdir()
        files[f"flows/{name}_out"] = (
            f'flow: {name}_out\nsystem: {name}\ndirection: out\nwrite: {{files: "out_{{number:d}}.{suffix}", reference: ID, '
            f"full: true, {form}}}\nguard: {{rejects: null}}\ninto:\n  entity: thing\n  key: ID{MAPPED}")
        files[f"flows/{name}_back"] = (
            f'flow: {name}_back\nsystem: {name}\nread: {{files: "back_{{number:d}}.{suffix}", {form}}}\n'
            f"into:\n  entity: copy_{name}\n  key: ID{MAPPED}")
    for name, text in files.items():
        path = root / "mappings" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    project = require_project(root, {})
    store = server.new_store(project)
    yield Hub(project, root / "home", store, compile_entities(project.entities))
    server.drop(store)


@pytest.mark.parametrize("name", FORMATS)
# Records stay, so what fails cannot be made smaller.
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
@given(things=st.lists(THING, min_size=1, max_size=8))
def test_what_goes_out_comes_back_the_same(hub: Hub, name: str, things: list[dict[str, Any]]) -> None:
    with psycopg.connect(hub.store.crm_url, autocommit=True) as crm:
        for thing in things:
            values = {**thing, "price_currency": None if thing["price"] is None else "EUR"}
            names, places = ", ".join(values), ", ".join(["%s"] * len(values))
            crm.execute(f"INSERT INTO crm.thing ({names}) VALUES ({places})", list(values.values()))  # type: ignore[arg-type]
    result = push_flow(hub, f"{name}_out", approved=True)
    (written,) = result.files or ()
    path = hub.project.root / name / written
    back: Path = path.with_name(f"back_{next(_numbers)}{path.suffix}")
    path.rename(back)
    run = run_flow(hub, f"{name}_back", file=back)[-1]
    assert run.state == "done", run.problem
    with hub.store.connect(hub.store.roles.hub, autocommit=True) as sees:
        refused = {row[0] for row in sees.execute(
            "SELECT record_id FROM sync.outbox JOIN sync.feed f ON f.id = feed WHERE flow = %s", [f"{name}_out"]).fetchall()}
        out = sees.execute(f"SELECT id::text, {VALUES} FROM crm.thing t ORDER BY t.id").fetchall()  # type: ignore[arg-type]
        came = sees.execute(f"SELECT x.key, {VALUES} FROM crm.copy_{name} c JOIN sync.crosswalk_copy_{name} x "  # type: ignore[arg-type]
                            "ON x.record_id = c.id ORDER BY x.key::bigint").fetchall()
    assert came == [row for row in out if int(row[0]) not in refused]
    assert len(refused) == result.counts["refused"]
    assert isinstance(things[0]["ratio"], Decimal | None)
