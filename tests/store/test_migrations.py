"""Migrations of the hub's own tables end where hub_tables says; a migration of entities adds, and never loses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Thread

import psycopg
import pytest
from alembic import command
from sqlalchemy import text

from crm_store import hub_tables
from crm_store.entity_tables import compile_entities
from crm_store.masters import refresh_masters
from crm_store.migrate import BEFORE_TABLES, alembic_config, migrate, migrate_if_needed, run_file, wanted_digest
from crm_store.store import Store
from mappings.errors import ConfigurationError
from mappings.language.project import Project
from mappings.messages import noticed
from tests.conftest import Server, write_files

WriteProject = Callable[..., Project]

BOAT = """
entity: boat
types: [sail, motor]
fields:
  name:   {required: true, max: 20}
  draught: {type: decimal, scale: 3}
  price:  {type: money}
  home:   {type: link, to: address}
  colour: {type: choice, values: [red, green, "50% : b'lue"]}
  flags:  {type: choices, values: [a, b]}
"""

CATALOGUE = """
SELECT 'column', c.relname, a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
    pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'sync'::regnamespace AND c.relkind = 'r' AND c.relname NOT LIKE 'crosswalk%'
    AND c.relname <> 'alembic_version'
UNION ALL
SELECT 'constraint', r.relname, c.conname, pg_get_constraintdef(c.oid) FROM pg_constraint c
JOIN pg_class r ON r.oid = c.conrelid
WHERE c.connamespace = 'sync'::regnamespace AND r.relname NOT LIKE 'crosswalk%' AND r.relname <> 'alembic_version'
UNION ALL
SELECT 'index', tablename, indexname, indexdef FROM pg_indexes
WHERE schemaname = 'sync' AND tablename NOT LIKE 'crosswalk%' AND tablename <> 'alembic_version'
"""


def test_every_entity_s_tables_leave_room_on_their_pages(store: Store) -> None:
    """In stores that are there already, too: each migration sets it, with the triggers."""
    with store.owner().connect() as connection:
        full = connection.execute(text(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND reloptions IS DISTINCT FROM '{fillfactor=90}' AND"
            " (relnamespace = 'crm'::regnamespace OR relname LIKE 'crosswalk%')")).all()
    assert full == []


def test_migrations_and_hub_tables_end_in_the_same_schema(store: Store, empty: Store) -> None:
    with store.owner().connect() as connection:
        migrated = {tuple(row) for row in connection.execute(text(CATALOGUE))}
    with empty.owner().begin() as connection:
        run_file(connection, "schemas.sql")
        hub_tables.metadata.create_all(connection)
        declared = {tuple(row) for row in connection.execute(text(CATALOGUE))}
    assert migrated == declared


def test_a_second_migration_finds_nothing_to_do_and_a_command_knows_it_at_once(
    store: Store, write_project: WriteProject
) -> None:
    project = write_project()
    assert migrate(store, project) == []
    assert migrate_if_needed(store, project) == []


def test_triggers_of_an_earlier_version_are_brought_up_to_date(store: Store, write_project: WriteProject) -> None:
    """Sets were put in order behind the look at what changed, and every write made a version."""
    project = write_project({"entities/boat": BOAT})
    migrate(store, project)
    with store.owner().begin() as owner:
        owner.execute(text(
            "ALTER TRIGGER arrange_sets ON crm.boat RENAME TO keep_sets; CREATE OR REPLACE TRIGGER keep_record BEFORE"
            " UPDATE ON crm.boat FOR EACH ROW EXECUTE FUNCTION crm.keep_record()"))
    migrate(store, project)
    with store.hub().begin() as hub:
        hub.execute(text("INSERT INTO crm.boat (name, flags) VALUES ('Aurore', '{a,b}')"))
        hub.execute(text("UPDATE crm.boat SET flags = '{b,a}'"))
        assert hub.execute(text("SELECT version FROM crm.boat")).scalar() == 1
        assert hub.execute(text("SELECT count(*) FROM pg_trigger WHERE tgname = 'keep_sets'")).scalar() == 0


def test_a_new_entity_and_new_fields_are_added_and_old_values_stay(store: Store, write_project: WriteProject) -> None:
    migrate(store, write_project({"entities/boat": BOAT}))
    with store.hub().begin() as hub:
        hub.execute(text("INSERT INTO crm.boat (name, colour) VALUES ('Aurore', '50% : b''lue')"))
    wider = BOAT.replace("[red,", "[red, yellow,").replace("scale: 3", "scale: 5").replace("max: 20", "max: 30")
    wider += "  crew: {type: number}\n  length: {type: quantity}\n"
    done = migrate(store, write_project({"entities/boat": wider}))
    assert [line for line in done if "new column" in line] == [
        "boat: new column crew", "boat: new column length", "boat: new column length_unit"]
    with psycopg.connect(store.crm_url) as crm:
        crm.execute("UPDATE crm.boat SET crew = 3, length_unit = 'm', colour = 'yellow', draught = 1.23456")
        row = crm.execute("SELECT name, type, draught::text FROM crm.boat").fetchone()
        assert row == ("Aurore", "sail", "1.23456")
        assert crm.execute("SELECT new ->> 'crew' FROM sync.journal ORDER BY id DESC").fetchone() == ("3",)


REFUSED = {
    "a field is gone": ("  draught: {type: decimal, scale: 3}\n", "", "boat.draught is no longer declared, but 1 rec"),
    "a type changes": ("draught: {type: decimal, scale: 3}", "draught: {type: date}", "its type from NUMERIC(28, 3)"),
    "fewer decimals": ("scale: 3", "scale: 1", "boat.draught: 1 records have more than 1 decimals"),
    "fewer choices": ("[red, green,", "[green,", "boat.colour allows only 'green'"),
    "fewer of several choices": ("values: [a, b]", "values: [b]", "boat.flags allows only 'b'"),
    "fewer types": ("types: [sail, motor]", "types: [motor]", "boat.type allows only 'motor'"),
    "a shorter text": ("max: 20", "max: 3", "boat.name allows at most 3 characters, but 1 records have more (up to 6);"
                       " write `max: 6` or more, or shorten those values first"),
    "now required": ("home:   {type: link, to: address}", "home: {type: link, to: address, required: true}",
                     "boat.home is now required, but 1 records have no value"),
    "new and required": ("fields:\n", "fields:\n  crew: {type: number, required: true}\n", "boat.crew is new and"),
    "no currency any more": ("price:  {type: money}", "price: {type: decimal}", "boat.price_currency is no longer"),
}


@pytest.fixture(scope="module")
def harbour(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with one boat."""
    store = server.new_store(write_files(tmp_path_factory.mktemp("harbour"), {"entities/boat": BOAT}))
    with store.hub().begin() as hub:
        hub.execute(text("INSERT INTO crm.boat (name, type, draught, colour, flags, price, price_currency)"
                         " VALUES ('Aurore', 'sail', 1.234, 'red', '{a,b}', 5, 'EUR')"))
    yield store
    server.drop(store)


@pytest.mark.parametrize("change", REFUSED, ids=str)
def test_what_could_lose_data_is_refused_with_its_place_and_a_way_out(
    harbour: Store, write_project: WriteProject, change: str
) -> None:
    store, project = harbour, write_project({"entities/boat": BOAT})
    was, wanted, told = REFUSED[change]
    changed = write_project({"entities/boat": BOAT.replace(was, wanted)})
    with pytest.raises(ConfigurationError) as refusal:
        migrate(store, changed)
    assert told in str(refusal.value)
    assert [problem.file for problem in refusal.value.problems] == ["mappings/entities/boat.yaml"]
    assert migrate_if_needed(store, project) == []
    with store.hub().connect() as hub:
        row = hub.execute(text("SELECT draught::text, colour, flags FROM crm.boat")).one()
    assert row == ("1.234", "red", ["a", "b"])


def test_every_refusal_is_told_at_once_and_nothing_is_done(harbour: Store, write_project: WriteProject) -> None:
    worse = BOAT.replace("scale: 3", "scale: 1").replace("to: address}", "to: address, required: true}")
    worse += "  crew: {}\n"
    with pytest.raises(ConfigurationError) as refusal:
        migrate(harbour, write_project({"entities/boat": worse}))
    assert sorted(problem.line for problem in refusal.value.problems) == [6, 8]
    with harbour.hub().connect() as hub:
        columns = list(hub.execute(text("SELECT * FROM crm.boat")).keys())
    assert "crew" not in columns


def test_what_holds_nothing_may_go(store: Store, write_project: WriteProject) -> None:
    migrate(store, write_project({"entities/boat": BOAT}))
    migrate(store, write_project({"entities/boat": BOAT.replace("{type: decimal, scale: 3}", "{type: date}")}))
    migrate(store, write_project({"entities/boat": BOAT.replace("  home:   {type: link, to: address}\n", "")}))
    (write_project().root / "mappings/entities/boat.yaml").unlink()
    assert "entity boat dropped: it had no records" in migrate(store, write_project())


def test_a_field_that_was_cleared_may_go_with_what_was_once_agreed_on_it(store: Store, write_project: WriteProject) -> None:
    """Renamed as the refusal says: a new field beside it, the values copied, the old one cleared."""
    migrate(store, write_project({"entities/boat": BOAT}))
    with store.hub().begin() as hub:
        hub.execute(text("INSERT INTO crm.boat (id, name, draught) VALUES (7, 'Aurore', 1.234)"))
        hub.execute(text("INSERT INTO sync.crosswalk_boat (id_space, key, feed, record_id, b_draught)"
                         " VALUES (1, 'A', 1, 7, 1.234)"))
    migrate(store, write_project({"entities/boat": BOAT + "  depth: {type: decimal, scale: 3}\n"}))
    renamed = BOAT.replace("  draught: {type: decimal, scale: 3}\n", "") + "  depth: {type: decimal, scale: 3}\n"
    with pytest.raises(ConfigurationError, match="1 records have a value in it"):
        migrate(store, write_project({"entities/boat": renamed}))
    with psycopg.connect(store.crm_url) as crm:
        crm.execute("UPDATE crm.boat SET depth = draught, draught = NULL")
    assert "boat: empty column draught dropped" in migrate(store, write_project({"entities/boat": renamed}))
    with store.hub().connect() as hub:
        assert hub.execute(text("SELECT depth::text FROM crm.boat")).scalar_one() == "1.234"


def test_an_entity_with_records_is_not_dropped_with_its_file(store: Store, write_project: WriteProject) -> None:
    project = write_project({"entities/boat": BOAT})
    migrate(store, project)
    with store.hub().begin() as hub:
        hub.execute(text("INSERT INTO crm.boat (name) VALUES ('Aurore')"))
    (project.root / "mappings/entities/boat.yaml").unlink()
    with pytest.raises(ConfigurationError, match="boat is no longer declared, but the store holds 1"):
        migrate(store, write_project())


def test_tables_and_indexes_of_others_in_the_schema_stay(store: Store, write_project: WriteProject) -> None:
    with store.owner().begin() as owner:
        owner.execute(text("CREATE TABLE crm.theirs (id int)"))
        owner.execute(text("CREATE INDEX by_hand ON crm.company (workforce)"))
    migrate(store, write_project({"entities/boat": BOAT}))
    with store.owner().connect() as owner:
        assert owner.execute(text("SELECT to_regclass('crm.theirs') IS NOT NULL")).scalar()
        assert owner.execute(text("SELECT count(*) FROM pg_indexes WHERE indexname = 'by_hand'")).scalar() == 1


def test_masters_are_what_the_entities_say(store: Store, write_project: WriteProject) -> None:
    masters = "masters: {name: sage, city: {customer: sage, else: crm}, siret: {system: sage, lock: false}}"
    done = migrate(store, write_project({"entities/company": f"entity: company\n{masters}"}))
    assert {"masters of company.name", "masters of company.city"} < set(done)
    with store.hub().connect() as hub:
        rows = hub.execute(text("SELECT field, type, systems, locked FROM sync.master ORDER BY 1, 2")).all()
    assert rows == [("city", "", [], False), ("city", "customer", ["sage"], True), ("name", "", ["sage"], True),
                    ("siret", "", ["sage"], False)]
    migrate(store, write_project({"entities/company": "entity: company"}))
    with store.owner().begin() as owner:
        assert owner.execute(text("SELECT count(*) FROM sync.master")).scalar() == 0
        assert refresh_masters(owner, write_project().entities) == []
        assert owner.execute(text("SELECT count(*) FROM pg_trigger WHERE tgname = 'refuse_locked'")).scalar() == 0


def test_what_older_runs_had_told_is_kept_as_notices_and_the_work_of_those_that_wait_is_known(empty: Store) -> None:
    detected = ['{"encoding": "cp1252", "trailer": "100% of the sum was not compared"}', '{"late commits": "hidden"}', None]
    with empty.owner().begin() as owner:
        run_file(owner, "schemas.sql")
        command.upgrade(alembic_config(owner), "0009")
        for found in detected:
            owner.execute(text("INSERT INTO sync.run (flow, system, mapping, state, detected, started_at, landed_at) VALUES"
                               " ('f', 's', '', 'review', :found, now() - interval '2 min', now())"), {"found": found})
        command.upgrade(alembic_config(owner), "head")
        told = owner.execute(text("SELECT detected, notices, worked FROM sync.run ORDER BY id")).all()
    assert [(found, noticed(notices), worked) for found, notices, worked in told] == [
        ({"encoding": "cp1252"}, ["100% of the sum was not compared"], 120.0),
        ({}, noticed([{"code": "late_commits", "params": {}}]), 120.0), (None, [], 120.0)]


def test_concurrent_commands_migrate_once(empty: Store, write_project: WriteProject) -> None:
    project, done = write_project(), list[list[str]]()
    threads = [Thread(target=lambda: done.append(migrate(replace(empty), project))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(lines) > 0 for lines in done) == [False, False, True]


def test_the_digest_changes_with_what_the_store_depends_on_and_with_nothing_else(write_project: WriteProject) -> None:
    plain = wanted_digest(write_project())
    assert wanted_digest(write_project({"entities/company": "entity: company\non_conflict: {email: newest}"})) == plain
    for text_ in ("masters: {name: sage}", "fields: {extra: {}}", "fields: {name: {max: 300}}", "families: [a, b]"):
        assert wanted_digest(write_project({"entities/company": f"entity: company\n{text_}"})) != plain


def test_compiling_asks_no_server(write_project: WriteProject) -> None:
    tables = compile_entities(write_project({"entities/boat": BOAT}).entities)
    assert [column.name for column in tables.record["boat"].c][7:] == [
        "name", "draught", "price", "price_currency", "home", "colour", "flags"]
    base = [column.name for column in tables.crosswalk["boat"].c if column.name.startswith("b_")]
    assert base == ["b_type", "b_family", "b_archived", "b_name", "b_draught", "b_price", "b_price_currency", "b_home",
                    "b_colour", "b_flags"]
    assert BEFORE_TABLES[0] == "schemas.sql"
