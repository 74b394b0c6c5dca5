"""Tables, views and queries of a real PostgreSQL, read as text cells."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.remote import Capabilities, Resource
from connectors.sql.remote import BATCH
from mappings.errors import ConfigurationError
from tests.contract.sql_desk import DEBTOR, Books, books, debtors, read, told, whole

__all__ = ["books"]

KINDS = [
    ("boolean", "true", "true"), ("boolean", "false", "false"), ("boolean", None, ""),
    ("integer", "-7", "-7"), ("numeric", "1234567890123456789.1200", "1234567890123456789.1200"),
    ("numeric(6,2)", "3.5", "3.50"), ("float8", "1e-7", "0.0000001"), ("float8", "1e20", "100000000000000000000"),
    ("float8", "0.1", "0.1"), ("float4", "0.1", "0.1"), ("money", "1234.5", "1234.50"),
    ("timestamptz", "2026-01-05 09:30:00.25+01", "2026-01-05T08:30:00.25+00:00"),
    ("timestamp", "2026-01-05 09:30", "2026-01-05T09:30:00"), ("date", "2026-01-05", "2026-01-05"),
    ("time", "09:30", "09:30:00"), ("interval", "1 day 2 hours", "P1DT2H"),
    ("text[]", '{a,"b c",NULL}', '["a","b c",null]'), ("integer[]", "{1,2}", "[1,2]"),
    ("jsonb", '{"a": [1, null]}', '{"a": [1, null]}'), ("json", '{"a":"l1\\nl2"}', '{"a":"l1\\nl2"}'),
    ("uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("char(5)", "ab", "ab"), ("varchar(9)", " ab ", " ab "), ("text", "", ""), ("mood", "so-so", "so-so"),
    ("short", "abcde", "abcde"), ("inet", "10.0.0.1", "10.0.0.1/32"),
]


def test_every_type_is_a_cell_as_the_port_says(books: Books) -> None:
    books.admin.execute("CREATE TYPE mood AS ENUM ('good', 'so-so')")
    books.admin.execute("CREATE DOMAIN short AS varchar(5) NOT NULL")
    columns = ", ".join(f"c{at} {kind}" for at, (kind, _, _) in enumerate(KINDS))
    books.make(f"CREATE TABLE kinds (id int PRIMARY KEY, {columns})")
    places = ", ".join(f"%s::text::{'numeric::' if kind == 'money' else ''}{kind}" for kind, _, _ in KINDS)
    books.admin.execute("SET timezone = 'America/New_York'")
    books.admin.execute(f"INSERT INTO kinds VALUES (1, {places})", [given for _, given, _ in KINDS])
    names = tuple(f"c{at}" for at in range(len(KINDS)))
    remote = books.remote()
    resource = Resource("kinds", ("id",), ("id", *names))
    [page] = whole(remote.read(resource, None))
    assert dict(zip(names, page.frame.iloc[0, 1:], strict=True)) == {
        f"c{at}": cell for at, (_, _, cell) in enumerate(KINDS)}
    assert remote.fetch(resource, [("1",)]).frame.equals(page.frame)
    assert {str(kind) for kind in page.frame.dtypes} == {"string"}


def test_bytes_are_refused_by_the_name_of_their_column(books: Books) -> None:
    books.make("CREATE TABLE scan (id int PRIMARY KEY, page bytea, pages bytea[])")
    remote = books.remote()
    for column in ("page", "pages"):
        with pytest.raises(ConfigurationError, match=f"column {column} is bytea"):
            remote.read(Resource("scan", ("id",), ("id", column)), None)
    assert told(whole(remote.read(Resource("scan", ("id",), ("id",)), None)), "id") == []


@pytest.mark.parametrize(("resource", "said"), [
    (Resource("debtr", ("code",), ("code",)), "there is no table or view public.debtr"),
    (Resource("debtor", ("code",), ("code", "nam")), "did you mean name"),
    (Resource("debtor", ("code",), ("code",), version="revision"), "there is no column revision"),
    (Resource("debtor", ("code",), ("code",), changed="name"), "is text, no time"),
])
def test_what_is_not_there_is_named(books: Books, resource: Resource, said: str) -> None:
    books.make(DEBTOR)
    with pytest.raises(ConfigurationError, match=said):
        books.remote().read(resource, None)


TEXTS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=30) | st.text(
    st.sampled_from('\r\n\t\\",\'.\x0b\x0c\x1f\x7f\x85\u2028 Né%:{'), max_size=8)


def test_any_text_survives_reading_fetching_and_writing(books: Books) -> None:
    books.make("CREATE TABLE note (id int PRIMARY KEY, one text NOT NULL, two text)")
    remote = books.remote()
    both, single = Resource("note", ("id",), ("id", "one", "two")), Resource("note", ("one",), ("one",))

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=20))
    def trial(rows: list[tuple[str, str]]) -> None:
        books.admin.execute("TRUNCATE note")
        with books.admin.cursor() as cursor:
            cursor.executemany("INSERT INTO note VALUES (%s, %s, %s)", [(at, *row) for at, row in enumerate(rows)])
        wanted = [list(row) for row in rows]
        [page] = whole(remote.read(both, None))
        assert page.frame[["one", "two"]].to_numpy().tolist() == wanted
        assert page.frame.index.tolist() == list(range(1, len(rows) + 1)) == page.lines.tolist()
        fetched = remote.fetch(both, [(str(at),) for at in range(len(rows))]).frame.sort_values("id", key=lambda x: x.astype(int))
        assert fetched[["one", "two"]].to_numpy().tolist() == wanted
        assert told(whole(remote.read(single, None)), "one") == [one for one, _ in rows]

    trial()


def test_pages_have_at_most_as_many_rows_as_asked_for_and_numbers_go_on(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) SELECT 'C' || n, 'x' FROM generate_series(1, 2500) n")
    pages = whole(books.remote().read(debtors(), None), 1200)
    assert [len(page) for page in pages] == [1200, 1200, 100]
    assert [number for page in pages for number in page.frame.index] == list(range(1, 2501))
    assert len(set(told(pages))) == 2500


def test_a_name_that_needs_quotes_is_only_a_name(books: Books) -> None:
    strange = 'de"b; DROP TABLE debtor; --%s {x} :y'
    quoted = strange.replace('"', '""').replace("%", "%%")
    books.admin.execute(f'CREATE TABLE "{quoted}" ("select" text PRIMARY KEY, "{quoted}" text)', ())
    books.make(DEBTOR)
    resource = Resource(strange, ("select",), ("select", strange))
    books.admin.execute(f'INSERT INTO "{quoted}" VALUES (%s, %s)', ("a", "b"))
    remote = books.remote()
    assert whole(remote.read(resource, None))[0].frame.to_numpy().tolist() == [["a", "b"]]
    assert remote.find(resource, {strange: "b"}).frame.to_numpy().tolist() == [["a", "b"]]
    remote.prepare(resource)
    _, start, _ = read(remote, resource)
    books.admin.execute(f'UPDATE "{quoted}" SET "select" = %s', ("c",))
    assert read(remote, resource, start)[::2] == (["c"], [("a",)])
    assert books.rows("SELECT count(*) FROM debtor") == [(0,)]


def test_a_view_is_read_like_a_table_and_tables_lie_in_any_schema(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name, city) VALUES ('A', 'Anna', 'Lille'), ('B', 'Bo', 'Brest')",
               "CREATE VIEW northern AS SELECT code, upper(name) AS name FROM debtor WHERE city = 'Lille'",
               "CREATE SCHEMA compta", "CREATE TABLE compta.ledger (no int PRIMARY KEY)", "INSERT INTO compta.ledger VALUES (4)",
               f"GRANT USAGE ON SCHEMA compta TO {books.role}", f"GRANT SELECT ON compta.ledger TO {books.role}")
    remote = books.remote()
    [page] = whole(remote.read(Resource("northern", ("code",), ("code", "name")), None))
    assert page.frame.to_numpy().tolist() == [["A", "ANNA"]]
    assert told(whole(remote.read(Resource("compta.ledger", ("no",), ("no",)), None)), "no") == ["4"]
    inside = books.remote(schema="compta")
    assert told(whole(inside.read(Resource("ledger", ("no",), ("no",)), None)), "no") == ["4"]


QUERY = """
WITH big AS (SELECT * FROM debtor WHERE balance > 10)   -- 100% of them: a comment with : and %s
SELECT code, name || ':x%' AS name, balance::text AS balance, '{a\\:b}' AS odd FROM big -- the end"""


def test_a_query_is_read_fetched_and_searched_as_it_stands(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name, balance) VALUES ('A', 'Anna', 11), ('B', 'Bo', 9)")
    resource = Resource("rich", ("code",), ("code", "name", "odd"), query=QUERY)
    remote = books.remote()
    wanted = [["A", "Anna:x%", "{a\\:b}"]]
    assert whole(remote.read(resource, None))[0].frame.to_numpy().tolist() == wanted
    assert remote.fetch(resource, [("A",), ("B",)]).frame.to_numpy().tolist() == wanted
    assert remote.find(resource, {"name": "Anna:x%"}).frame.to_numpy().tolist() == wanted
    assert remote.capabilities(resource) == Capabilities(batch=BATCH, whole_batch=True)


@pytest.mark.parametrize(("query", "said"), [
    ("SELECT code FROM debtor;", "semicolon"),
    ("SELECT code FROM debtor; DELETE FROM debtor", "multiple commands"),
    ("SELECT code FROM debtor; -- end", "not one SELECT"),
    ("DELETE FROM debtor RETURNING code", "not one SELECT"),
    ("WITH x AS (DELETE FROM debtor RETURNING code) SELECT code FROM x", "WITH clause containing a data-modifying"),
    ("SELECT code) AS x; DROP TABLE debtor; SELECT (code FROM debtor", "not one SELECT"),
    ("SELECT code, code FROM debtor", "two columns code"),
    ("SELECT nothing FROM debtor", "does not exist"),
    ("", "no columns"),
])
def test_what_is_no_single_select_is_refused(books: Books, query: str, said: str) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('A', 'x')")
    with pytest.raises(ConfigurationError, match=said):
        books.remote().read(Resource("q", ("code",), ("code",), query=query), None)
    assert books.rows("SELECT count(*) FROM debtor") == [(1,)]


def test_a_query_that_writes_through_a_function_is_stopped_by_the_transaction(books: Books) -> None:
    books.make(DEBTOR, "CREATE FUNCTION sneak() RETURNS text LANGUAGE sql AS"
                       " $$ INSERT INTO debtor (code, name) VALUES ('Z', 'z') RETURNING code $$",
               "INSERT INTO debtor (code, name) VALUES ('A', 'x')")
    resource = Resource("q", ("code",), ("code",), query="SELECT sneak() AS code FROM debtor")
    remote = books.remote()
    for call in (lambda: whole(remote.read(resource, None)), lambda: remote.fetch(resource, [("A",)])):
        with pytest.raises(ConfigurationError, match="read-only transaction"):
            call()
    assert books.rows("SELECT count(*) FROM debtor") == [(1,)]


def test_many_keys_composite_and_impossible_ones_are_fetched(books: Books) -> None:
    books.make("CREATE TABLE line (doc text, no int, total numeric, PRIMARY KEY (doc, no))",
               "INSERT INTO line SELECT 'D' || n / 3, n % 3, n FROM generate_series(0, 29999) n")
    remote = books.remote()
    resource = Resource("line", ("doc", "no"), ("doc", "no", "total"))
    keys = [(f"D{n // 3}", str(n % 3)) for n in range(25_000)]
    page = remote.fetch(resource, [*keys, ("D1", "no number"), ("D1", "99999999999999"), ("nowhere", "1"), keys[0]])
    assert sorted(page.frame["total"].astype(int)) == list(range(25_000))
    assert len(remote.fetch(resource, [])) == 0
    assert list(remote.fetch(resource, [("nowhere", "1")]).frame.columns) == ["doc", "no", "total"]


def test_rows_are_found_by_value_and_by_having_none(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name, city, balance) VALUES"
                       " ('A', 'Anna', 'Lille', 1), ('B', 'Bo', NULL, NULL), ('C', 'Cy', '', 1), ('D', 'Anna', 'Lille', 2)")
    remote = books.remote()
    assert told(remote.find(debtors(), {"name": "Anna", "balance": "1.0"})) == ["A"]
    assert told(remote.find(debtors(), {"city": ""})) == ["B", "C"]
    assert told(remote.find(debtors(), {"balance": ""})) == ["B"]
    assert told(remote.find(debtors(), {"balance": "much"})) == []
    assert told(remote.find(debtors(), {"name": "Anna"}, limit=1)) == ["A"]
    with pytest.raises(ConfigurationError, match="there is no column town"):
        remote.find(debtors(), {"town": "x"})


def test_a_read_sees_one_moment_and_the_session_can_be_used_meanwhile(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) SELECT 'C' || n, 'x' FROM generate_series(1, 3000) n")
    remote = books.remote()
    pages = remote.read(debtors(), None).pages(1000)
    first = next(pages)
    books.admin.execute("UPDATE debtor SET name = 'changed'")
    books.admin.execute("DELETE FROM debtor WHERE code = 'C3000'")
    assert told(remote.fetch(debtors(), [("C1",)]), "name") == ["changed"]
    rest = list(pages)
    assert set(told([first, *rest], "name")) == {"x"}
    assert len(told([first, *rest])) == 3000


def test_a_read_that_is_given_up_leaves_no_transaction_behind(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) SELECT 'C' || n, repeat('x', 500) FROM generate_series(1, 50000) n")
    source = books.remote().read(debtors(), None)
    pages = source.pages(100)
    next(pages)
    pages.close()
    assert source.position.mark == {}
    assert books.kill("navette read") <= 1  # it is ending by itself; waits until it has
    assert books.rows("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'navette read'") == [(0,)]


def test_json_cells_are_json(books: Books) -> None:
    books.make("CREATE TYPE place AS (street text, no int)", "CREATE TABLE spot (id int PRIMARY KEY, at place, many place[])",
               "INSERT INTO spot VALUES (1, ROW('Rue \"X\"', 3), ARRAY[ROW('a', 1)::place])")
    [page] = whole(books.remote().read(Resource("spot", ("id",), ("at", "many")), None))
    assert json.loads(page.frame.iloc[0, 0]) == {"street": 'Rue "X"', "no": 3}
    assert json.loads(page.frame.iloc[0, 1]) == [{"street": "a", "no": 1}]
