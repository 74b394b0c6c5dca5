"""Writing to a real PostgreSQL: sets, versions, refusals of whole batches, and what each change is told."""

from __future__ import annotations

import json
import threading

import pytest

from connectors.remote import Change, Receipt, Resource
from connectors.sql.remote import BATCH, SqlRemote
from mappings.errors import ConfigurationError
from tests.contract.sql_desk import DEBTOR, Books, books, debtors

__all__ = ["books"]

BY_ID = debtors(key=("id",), columns=("id", "code", "name"), reference="ref", version="xmin")
BY_CODE = debtors(version="xmin")


def states(receipts: list[Receipt]) -> list[str]:
    return [receipt.state for receipt in receipts]


def update(key: str, version: str | None = None, **values: str) -> Change:
    return Change("update", (key,), values, version)


def version_of(remote: SqlRemote, key: str) -> str:
    return str(remote.fetch(BY_CODE, [(key,)]).frame["xmin"].iloc[0])


def test_rows_are_created_and_their_keys_come_back_in_order(books: Books) -> None:
    books.make(DEBTOR)
    remote = books.remote()
    changes = [Change("create", None, {"code": f"C{at}", "name": f"Name {at}", **({"city": "Lille"} if at % 3 else {})},
                      reference=f"crm:{at}") for at in range(BATCH)]
    receipts = remote.write(BY_ID, changes)
    assert set(states(receipts)) == {"delivered"}
    stored = {str(id_): (code, name, city, ref, xmin) for id_, code, name, city, ref, xmin in books.rows(
        "SELECT id, code, name, city, ref, xmin::text FROM debtor")}
    assert len(stored) == BATCH
    for at, receipt in enumerate(receipts):
        assert receipt.key is not None
        assert stored[receipt.key[0]] == (
            f"C{at}", f"Name {at}", "Lille" if at % 3 else None, f"crm:{at}", receipt.version)
    assert remote.find(BY_ID, {"ref": "crm:7"}).frame["code"].tolist() == ["C7"]


def test_a_create_may_bring_its_key(books: Books) -> None:
    books.make(DEBTOR)
    [receipt] = books.remote().write(debtors(), [Change("create", ("K1",), {"name": "x", "balance": "12.5"})])
    assert (receipt.state, receipt.key, receipt.version) == ("delivered", ("K1",), None)
    assert books.rows("SELECT code, balance::text FROM debtor") == [("K1", "12.50")]


def test_cells_become_values_of_the_columns_types(books: Books) -> None:
    books.admin.execute("CREATE TYPE mood AS ENUM ('good', 'so-so')")
    books.admin.execute("CREATE DOMAIN short AS varchar(5)")
    types = {"a": "text NOT NULL", "b": "text", "c": "boolean", "d": "numeric(8,2)", "e": "timestamptz", "f": "date",
             "g": "integer[]", "h": "jsonb", "i": "mood", "j": "short", "k": "text[]", "l": "float8", "m": "money", "n": "json[]"}
    books.make(f"CREATE TABLE kinds (id int PRIMARY KEY, {', '.join(f'{name} {kind}' for name, kind in types.items())})")
    remote = books.remote()
    resource = Resource("kinds", ("id",), ("id", *types))
    full = {"a": "x", "b": "y'\"\\\r\n%s", "c": "true", "d": "3.14", "e": "2026-01-05T08:30:00+00:00", "f": "2026-01-05",
            "g": "[1, 2]", "h": '{"a": 1}', "i": "so-so", "j": "abcde", "k": '["a", "b\\"c", null]', "l": "0.1", "m": "12.50",
            "n": "[]"}
    blank = dict.fromkeys(types, "")
    assert states(remote.write(resource, [Change("create", ("1",), full), Change("create", ("2",), blank)])) == ["delivered"] * 2
    page = remote.fetch(resource, [("1",), ("2",)]).frame.sort_values("id")
    assert json.loads(page["k"].iloc[0]) == ["a", 'b"c', None]
    assert page.iloc[0].to_dict() == {"id": "1", **full, "g": "[1,2]", "k": '["a","b\\"c",null]'}
    assert page.iloc[1].to_dict() == {"id": "2", **blank}
    assert books.rows("SELECT a, b FROM kinds WHERE id = 2") == [("", None)]


def test_what_is_too_long_is_refused_and_never_cut(books: Books) -> None:
    books.make("CREATE DOMAIN short AS varchar(3)", "CREATE TABLE cut (id int PRIMARY KEY, a varchar(3), b char(3), c short)")
    remote = books.remote()
    resource = Resource("cut", ("id",), ("id", "a"))
    for column in "abc":
        [receipt] = remote.write(resource, [Change("create", ("1",), {column: "long"})])
        assert (receipt.state, receipt.code) == ("refused", "22001")
    assert books.rows("SELECT count(*) FROM cut") == [(0,)]


def test_rows_are_updated_by_key_and_only_where_asked(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name, city) VALUES ('A', 'a', 'x'), ('B', 'b', 'x'), ('C', 'c', 'x')")
    receipts = books.remote().write(debtors(), [
        update("A", name="anna"), update("B", city=""), update("NONE", name="?"), update("C", name="cy", city="Lille")])
    assert states(receipts) == ["delivered", "delivered", "refused", "delivered"]
    assert receipts[2].code == "gone"
    assert books.rows("SELECT name, city FROM debtor ORDER BY code") == [("anna", "x"), ("b", None), ("cy", "Lille")]


def test_a_row_without_a_version_is_updated_by_that(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('A', 'a')")
    resource, remote = debtors(version="ref"), books.remote()
    version = remote.fetch(resource, [("A",)]).frame["ref"].iloc[0]
    assert states(remote.write(resource, [update("A", version, name="b", ref="2")])) == ["delivered"]
    assert states(remote.write(resource, [update("A", version, name="c")])) == ["stale"]


@pytest.mark.parametrize("version", ["xmin", "updated_at", "rev"])
def test_an_update_decided_on_an_older_version_is_stale(books: Books, version: str) -> None:
    books.make(DEBTOR, "ALTER TABLE debtor ADD rev int NOT NULL DEFAULT 1",
               "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.rev = OLD.rev + 1;"
               " NEW.updated_at = clock_timestamp(); RETURN NEW; END $$",
               "CREATE TRIGGER stamp BEFORE UPDATE ON debtor FOR EACH ROW EXECUTE FUNCTION stamp()",
               "INSERT INTO debtor (code, name) VALUES ('A', 'a'), ('B', 'b')")
    resource = debtors(version=version)
    remote = books.remote()
    assert remote.capabilities(resource).versions
    page = remote.fetch(resource, [("A",), ("B",)]).frame.set_index("code")[version]
    books.admin.execute("UPDATE debtor SET city = 'Paris' WHERE code = 'B'")
    mine, theirs, gone = remote.write(resource, [
        update("A", page["A"], name="anna"), update("B", page["B"], name="bo"), update("Z", "1", name="?")])
    assert [mine.state, theirs.state, gone.state, gone.code] == ["delivered", "stale", "refused", "gone"]
    now = remote.fetch(resource, [("A",), ("B",)]).frame.set_index("code")
    assert (mine.version, theirs.version) == (now[version]["A"], now[version]["B"])
    assert now["name"].to_dict() == {"A": "anna", "B": "b"}
    assert states(remote.write(resource, [update("A", mine.version, name="again"), update("B", theirs.version, name="bo")])) == [
        "delivered", "delivered"]
    assert states(remote.write(resource, [Change("delete", ("A",), {}, page["A"])])) == ["stale"]


def expecting(key: str, expected: dict[str, str], **values: str) -> Change:
    return Change("update", (key,), values, expected=expected)


def test_an_update_of_cells_that_are_others_by_now_is_stale(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name, balance) VALUES ('A', 'a', 12.5), ('B', 'b', NULL), ('C', 'c', 1)")
    remote, resource = books.remote(), debtors(columns=("code", "name", "balance", "updated_at"))
    assert remote.capabilities(resource).compares
    seen = remote.fetch(resource, [("A",), ("B",), ("C",)]).frame.set_index("code").to_dict("index")
    books.admin.execute("UPDATE debtor SET balance = 2 WHERE code = 'C'")
    changes = [expecting(code, {"balance": seen[code]["balance"]}, balance="7") for code in "ABC"]
    assert states(remote.write(resource, changes)) == ["delivered", "delivered", "stale"]
    assert books.rows("SELECT code, balance::text FROM debtor ORDER BY code") == [
        ("A", "7.00"), ("B", "7.00"), ("C", "2.00")]
    [written] = remote.write(resource, [expecting("A", {"balance": "7"}, balance="8")])
    assert written.state == "delivered"  # it is there as 7.00
    [name] = remote.write(resource, [expecting("C", {"name": "c"}, name="carl")])
    assert name.state == "delivered"  # what is not written may be whatever it is
    [gone, some] = remote.write(resource, [expecting("Z", {"name": "z"}, name="?"), update("C", name="any")])
    assert (gone.state, gone.code, some.state) == ("refused", "gone", "delivered")


def test_a_row_that_a_trigger_passes_over_is_not_stale(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('A', 'a')",
               "CREATE FUNCTION pass_over() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
               "CREATE TRIGGER pass_over BEFORE UPDATE ON debtor FOR EACH ROW EXECUTE FUNCTION pass_over()")
    [receipt] = books.remote().write(debtors(), [expecting("A", {"name": "a"}, name="b")])
    assert (receipt.state, receipt.code) == ("refused", "skipped")


def test_an_update_that_waited_for_another_sees_that_it_is_stale(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('A', 'a')")
    remote = books.remote()
    seen = version_of(remote, "A")
    other = books.session()
    other.execute("UPDATE debtor SET city = 'Paris' WHERE code = 'A'")
    told: list[Receipt] = []
    writer = threading.Thread(target=lambda: told.extend(remote.write(BY_CODE, [update("A", seen, name="mine")])))
    writer.start()
    while not books.rows("SELECT 1 FROM pg_locks WHERE NOT granted"):
        assert writer.is_alive()
    other.commit()
    writer.join(30)
    assert states(told) == ["stale"]
    assert books.rows("SELECT name, city FROM debtor") == [("a", "Paris")]


def test_two_changes_of_one_row_come_in_order(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('A', 'a')")
    receipts = books.remote().write(debtors(), [update("A", name="one"), update("A", name="two"), update("A", city="c")])
    assert states(receipts) == ["delivered"] * 3
    assert books.rows("SELECT name, city FROM debtor") == [("two", "c")]


def test_a_batch_with_a_bad_row_wrote_nothing_and_says_so_in_the_servers_words(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('TAKEN', 'secret name')")
    remote = books.remote()
    assert remote.capabilities(debtors()).whole_batch
    good = [Change("create", None, {"code": f"C{at}", "name": "x"}) for at in range(20)]
    for bad, code in [({"code": "TAKEN", "name": "hidden"}, "23505"), ({"code": "D", "name": "hidden", "balance": "much"}, "22P02"),
                      ({"code": "D", "city": "hidden"}, "23502"), ({"code": "D", "name": "hidden", "balance": "12345678901.00"}, "22003")]:
        receipts = remote.write(debtors(), [*good, Change("create", None, bad)])
        assert states(receipts) == ["refused"] * 21
        assert {receipt.code for receipt in receipts} == {code}
        assert receipts[0].message
        assert "hidden" not in receipts[0].message
        assert "secret" not in receipts[0].message
        assert books.rows("SELECT count(*) FROM debtor") == [(1,)]
    assert states(remote.write(debtors(), good)) == ["delivered"] * 20


def test_what_the_database_itself_forbids_is_refused(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('A', 'a'), ('B', 'b')",
               "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
               " IF NEW.name = 'skip' THEN RETURN NULL; END IF;"
               " IF NEW.name = 'never' THEN RAISE EXCEPTION 'this book is closed'; END IF; RETURN NEW; END $$",
               "CREATE TRIGGER no BEFORE INSERT OR UPDATE ON debtor FOR EACH ROW EXECUTE FUNCTION no()")
    remote = books.remote()
    [never] = remote.write(debtors(), [update("A", name="never")])
    assert (never.state, never.code, never.message) == ("refused", "P0001", "this book is closed")
    assert [(one.state, one.code) for one in remote.write(debtors(), [update("A", name="skip"), update("B", name="bo")])] == [
        ("refused", "skipped"), ("delivered", "")]
    new = [Change("create", (name,), {"name": name}) for name in ("skip", "new")]
    assert states(remote.write(debtors(), new)) == ["refused", "refused"]
    assert [states(remote.write(debtors(), [one])) for one in new] == [["refused"], ["delivered"]]
    assert books.rows("SELECT code, name FROM debtor ORDER BY 1") == [("A", "a"), ("B", "bo"), ("new", "new")]


@pytest.mark.parametrize("numbered", ["serial", "int GENERATED ALWAYS AS IDENTITY", "bigint DEFAULT nextval('own')"])
def test_a_number_that_the_database_gave_twice_is_nothing_of_the_rows(books: Books, numbered: str) -> None:
    sequence = "own" if "own" in numbered else "debtor_id_seq"
    books.make("CREATE SEQUENCE own", DEBTOR.replace("id serial", f"id {numbered}"),
               "INSERT INTO debtor (code, name) VALUES ('A', 'a'), ('B', 'b'), ('C', 'c')",
               f"SELECT setval('{sequence}', 1, false)")  # as in a copy that was restored without its sequences
    remote = books.remote()
    new = [Change("create", None, {"code": f"N{at}", "name": "n"}) for at in range(2)]
    told = "duplicate key value violates unique constraint"
    assert [(one.state, one.message[:46]) for one in remote.write(BY_ID, new)] == [("refused", told)] * 2
    for _ in range(2):
        assert [(one.state, one.code, one.message[:46]) for one in remote.write(BY_ID, new[:1])] == [
            ("retry", "23505", told)]
    assert states(remote.write(BY_ID, new)) == ["delivered"] * 2
    for ours in ({"code": "A", "name": "n"}, {"id": "1", "name": "n"}):
        if "ALWAYS" not in numbered or "id" not in ours:
            assert states(remote.write(BY_ID, [Change("create", None, ours)])) == ["refused"]


def test_a_constraint_that_is_checked_at_commit_refuses_the_batch(books: Books) -> None:
    books.make("CREATE TABLE part (id int PRIMARY KEY, of int REFERENCES part DEFERRABLE INITIALLY DEFERRED)")
    remote = books.remote()
    resource = Resource("part", ("id",), ("id", "of"))
    create = [Change("create", (str(at),), {"of": str(at + 1)}) for at in range(3)]
    assert [(one.state, one.code) for one in remote.write(resource, create)] == [("refused", "23503")] * 3
    assert states(remote.write(resource, [*create, Change("create", ("3",), {"of": ""})])) == ["delivered"] * 4


def test_rows_are_deleted_and_what_is_gone_already_is_delivered(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('A', 'a'), ('B', 'b')")
    receipts = books.remote().write(debtors(), [Change("delete", ("A",), {}), Change("delete", ("NONE",), {})])
    assert [(one.state, one.code) for one in receipts] == [("delivered", ""), ("delivered", "gone")]
    assert books.rows("SELECT code FROM debtor") == [("B",)]


def test_archiving_needs_a_column_that_the_settings_name(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('A', 'a')")
    archive = [Change("archive", ("A",), {})]
    without = books.remote()
    assert not without.capabilities(debtors()).archive
    with pytest.raises(ConfigurationError, match="cannot archive"):
        without.write(debtors(), archive)
    remote = books.remote(archived={"debtor": {"column": "blocked"}})
    assert remote.capabilities(debtors()).archive
    assert states(remote.write(debtors(), archive)) == ["delivered"]
    assert books.rows("SELECT blocked FROM debtor") == [(True,)]
    assert len(remote.fetch(debtors(), [("A",)])) == 1
    stale = Change("archive", ("A",), {"name": "b"}, expected={"name": "another"})
    assert states(remote.write(debtors(), [stale])) == ["stale"]
    assert states(remote.write(debtors(), [Change("archive", ("A",), {"name": "b"})])) == ["delivered"]
    assert books.rows("SELECT name, blocked FROM debtor") == [("b", True)]


def test_a_row_that_is_brought_back_has_what_a_new_row_has_where_the_mark_was(books: Books) -> None:
    books.make("CREATE TABLE debtor (code text PRIMARY KEY, name text, state text NOT NULL DEFAULT 'open', rev int DEFAULT 1)",
               "INSERT INTO debtor (code, name, state) VALUES ('A', 'a', 'X'), ('B', 'b', 'X'), ('C', 'c', 'held')",
               "CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.rev := old.rev + 1; RETURN new; END $$",
               "CREATE TRIGGER counted BEFORE UPDATE ON debtor FOR EACH ROW EXECUTE FUNCTION counted()")
    resource = Resource("debtor", ("code",), ("code", "name"), version="rev")
    remote = books.remote(archived={"debtor": {"column": "state", "value": "X"}})
    changes = [Change("update", ("A",), {"name": "edited too"}, "1", back=True), Change("update", ("B",), {}, "1"),
               Change("update", ("C",), {}, "1", back=True)]
    assert states(remote.write(resource, changes)) == ["delivered"] * 3
    assert books.rows("SELECT code, name, state FROM debtor ORDER BY code") == [
        ("A", "edited too", "open"), ("B", "b", "X"), ("C", "c", "held")]
    assert states(remote.write(resource, [Change("update", ("B",), {"name": "no"}, "7", back=True)])) == ["stale"]
    assert books.rows("SELECT name, state FROM debtor WHERE code = 'B'") == [("b", "X")]
    books.admin.execute("ALTER TABLE debtor ALTER state DROP DEFAULT")
    [told] = remote.write(resource, [Change("update", ("B",), {}, back=True)])
    assert (told.state, "state" in told.message) == ("refused", True)


def test_what_the_login_may_not_do_is_told_before(books: Books) -> None:
    books.make(DEBTOR, "CREATE VIEW counted AS SELECT code, count(*) AS n FROM debtor GROUP BY code",
               "CREATE VIEW plain AS SELECT code, name FROM debtor")
    books.admin.execute(f"REVOKE INSERT, DELETE ON debtor FROM {books.role}")
    remote = books.remote()

    def can(resource: Resource) -> list[bool]:
        told = remote.capabilities(resource)
        return [told.create, told.update, told.delete]

    assert can(debtors()) == [False, True, False]
    assert can(Resource("counted", ("code",), ("code",))) == [False, False, False]
    assert can(Resource("plain", ("code",), ("code",))) == [True, True, True]
    assert can(Resource("plain", (), ("code",))) == [True, False, False]
    with pytest.raises(ConfigurationError, match="cannot create"):
        remote.write(debtors(), [Change("create", ("A",), {"name": "x"})])


def test_a_column_that_is_not_there_is_named_and_one_that_went_is_noticed(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('A', 'a')")
    remote = books.remote()
    with pytest.raises(ConfigurationError, match="did you mean city"):
        remote.write(debtors(), [update("A", cty="x")])
    assert states(remote.write(debtors(), [update("A", ref="x")])) == ["delivered"]
    books.admin.execute("ALTER TABLE debtor RENAME ref TO reference")
    assert states(remote.write(debtors(), [update("A", ref="y")])) == ["refused"]
    assert states(remote.write(debtors(), [update("A", reference="y")])) == ["delivered"]


def test_more_than_a_batch_or_mixed_operations_are_the_callers_mistake(books: Books) -> None:
    books.make(DEBTOR)
    remote = books.remote()
    for changes in ([update("A", name="x")] * (BATCH + 1), [update("A", name="x"), Change("delete", ("A",), {})],
                    [Change("update", None, {"name": "x"})], [Change("create", None, {})]):
        with pytest.raises(ValueError, match=r"batch|key|at least one value"):
            remote.write(debtors(), changes)
    assert remote.write(debtors(), []) == []


def test_an_update_of_nothing_finds_out_whether_the_row_is_there(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('A', 'a')")
    assert states(books.remote().write(debtors(), [update("A"), update("NONE")])) == ["delivered", "refused"]
