"""What is told when the way to the database, the login or the server itself fails, at every moment of a call."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest

from connectors.remote import Change, LoginRefused, Receipt, RemoteDown
from connectors.sql.open import open_sql
from connectors.sql.settings import SqlSettings
from mappings.errors import ConfigurationError
from tests.contract.sql_desk import DEBTOR, PASSWORD, Books, books, debtors, read, told, whole
from tests.french_server import BAD_PASSWORD, FrenchServer

__all__ = ["books"]

MANY = "INSERT INTO debtor (code, name) SELECT 'C' || n, repeat('x', 200) FROM generate_series(1, 30000) n"


@pytest.mark.parametrize(("more", "error", "said"), [
    ({"password": "wrong-word"}, LoginRefused, "refused the login"),
    ({"password": None}, LoginRefused, "refused the login"),
    ({"user": "nobody"}, LoginRefused, "refused the login"),
    ({"database": "nowhere"}, ConfigurationError, "no such database"),
    ({"sslmode": "require"}, ConfigurationError, "no trusted TLS"),
    ({"port": 1}, RemoteDown, "does not answer"),
])
def test_why_a_connection_is_not_made_says_what_to_do(
    books: Books, more: dict[str, object], error: type[Exception], said: str
) -> None:
    at = {"user": books.role, "database": books.database, "port": books.port, **more}
    keys = {"url": f"postgresql://{at['user']}@127.0.0.1:{at['port']}/{at['database']}",
            "password": more.get("password", PASSWORD), "sslmode": more.get("sslmode")}
    with pytest.raises(error, match=said) as caught:
        open_sql(SqlSettings.model_validate(keys))
    assert isinstance(caught.value, LoginRefused) == (error is LoginRefused)
    assert PASSWORD not in str(caught.value)
    assert "wrong-word" not in str(caught.value)


@pytest.mark.parametrize(("words", "error"), [(BAD_PASSWORD, LoginRefused), (None, RemoteDown)])
def test_a_login_is_refused_in_any_language_and_one_without_answer_is_not(
    books: Books, words: str | None, error: type[Exception]
) -> None:
    with closing(FrenchServer(books.port, words)) as server, pytest.raises(error, match=words or "does not answer"):
        open_sql(SqlSettings.model_validate({
            "url": f"postgresql://{books.role}@127.0.0.1:{server.port}/{books.database}", "password": "wrong-word"}))


def test_a_socket_is_reached_by_its_folder(books: Books) -> None:
    books.make(DEBTOR)
    folder = books.rows("SELECT split_part(current_setting('unix_socket_directories'), ',', 1)")[0][0]
    remote = books.remote(url=f"postgresql://{books.role}@/{books.database}?host={folder}&port={books.port}")
    assert read(remote, debtors())[0] == []


def test_a_login_without_a_right_to_the_table_is_told_the_table(books: Books) -> None:
    books.admin.execute(DEBTOR)
    with pytest.raises(ConfigurationError, match="permission denied for table debtor"):
        whole(books.remote().read(debtors(), None))


def test_a_full_server_is_down_for_now(books: Books) -> None:
    books.admin.execute(f"ALTER ROLE {books.role} CONNECTION LIMIT 1")
    books.remote()
    with pytest.raises(RemoteDown, match="too many connections"):
        books.remote()


def test_a_database_that_is_closed_for_a_while_is_down_for_now(books: Books) -> None:
    with books.server.superuser("postgres") as closer:
        closer.execute(f"ALTER DATABASE {books.database} ALLOW_CONNECTIONS false")
        try:
            with pytest.raises(RemoteDown, match="not currently accepting connections"):
                books.remote()
        finally:
            closer.execute(f"ALTER DATABASE {books.database} ALLOW_CONNECTIONS true")
    books.remote()


def test_a_backend_killed_during_a_read_moves_no_position_and_the_next_read_works(books: Books) -> None:
    books.make(DEBTOR, MANY)
    remote = books.remote()
    source = remote.read(debtors(changed="updated_at"), None)
    pages = source.pages(100)
    next(pages)
    assert books.kill("navette read") == 1
    with pytest.raises(RemoteDown, match="connection was lost"):
        list(pages)
    assert source.position.mark == {}
    assert len(read(remote, debtors())[0]) == 30_000


def test_a_reading_connection_that_died_while_it_waited_is_down_once_and_then_new(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('A', 'a')")
    remote = books.remote()
    assert read(remote, debtors())[0] == ["A"]
    assert books.kill("navette read") == 1
    with pytest.raises(RemoteDown):
        read(remote, debtors())
    assert read(remote, debtors())[0] == ["A"]


def test_two_reads_at_once_have_a_connection_each_and_one_is_kept(books: Books) -> None:
    books.make(DEBTOR, MANY)
    remote = books.remote()
    one, other = remote.read(debtors(), None).pages(100), remote.read(debtors(), None).pages(100)
    next(one), next(other)
    assert sum(len(page) for page in one) == sum(len(page) for page in other) == 29_900
    open_ones = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'navette read'"
    while books.rows(open_ones) != [(1,)]:
        pass
    remote.close()
    while books.rows(open_ones) != [(0,)]:
        pass


def test_a_backend_killed_between_two_calls_is_down_once_and_then_new(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('A', 'a')")
    remote = books.remote()
    assert told(remote.fetch(debtors(), [("A",)])) == ["A"]
    assert books.kill("navette") == 1
    with pytest.raises(RemoteDown):
        remote.fetch(debtors(), [("A",)])
    assert told(remote.fetch(debtors(), [("A",)])) == ["A"]
    assert books.kill("navette") == 1
    with pytest.raises(RemoteDown, match="before anything was written"):
        remote.write(debtors(), [Change("update", ("A",), {"name": "b"})])
    assert [one.state for one in remote.write(debtors(), [Change("update", ("A",), {"name": "b"})])] == ["delivered"]


def test_a_backend_killed_while_it_writes_wrote_nothing(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('A', 'a'), ('B', 'b')")
    remote, caught = books.remote(), list[BaseException]()

    def write() -> None:
        try:
            remote.write(debtors(), [Change("update", (key,), {"name": "mine"}) for key in "AB"])
        except RemoteDown as error:
            caught.append(error)

    with blocked(books, write):
        assert books.kill("navette") == 1
    assert len(caught) == 1
    assert books.rows("SELECT name FROM debtor ORDER BY 1") == [("a",), ("b",)]


@contextmanager
def blocked(books: Books, call: object) -> Iterator[psycopg.Connection]:
    """Runs `call` in a thread that waits for a lock on debtor B; afterwards the lock is freed and the thread ended."""
    other = books.session()
    other.execute("UPDATE debtor SET city = 'Paris' WHERE code = 'B'")
    thread = threading.Thread(target=call)
    thread.start()
    while not books.rows("SELECT 1 FROM pg_locks WHERE NOT granted"):
        assert thread.is_alive()
    yield other
    thread.join(30)
    assert not thread.is_alive()
    other.rollback()


def test_a_deadlock_may_pass_later(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('A', 'a'), ('B', 'b')")
    remote, receipts = books.remote(), list[Receipt]()
    changes = [Change("update", ("A",), {"name": "x", "city": "y"}), Change("update", ("B",), {"name": "x"})]
    with blocked(books, lambda: receipts.extend(remote.write(debtors(), changes))) as other:
        other.execute("SET LOCAL deadlock_timeout = '60s'")  # so that the other side finds it, and is the victim
        other.execute("UPDATE debtor SET city = 'Lyon' WHERE code = 'A'")
    assert [(one.state, one.code) for one in receipts] == [("retry", "40P01")] * 2


def test_a_statement_out_of_time_may_pass_later(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('B', 'b')")
    remote, receipts = books.remote(statement_timeout=0.2), list[Receipt]()
    with blocked(books, lambda: receipts.extend(remote.write(debtors(), [Change("delete", ("B",), {})]))):
        pass
    assert [(one.state, one.code) for one in receipts] == [("retry", "57014")]


def test_a_server_that_became_a_standby_may_pass_later(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('B', 'b')")
    books.admin.execute(f"ALTER ROLE {books.role} SET default_transaction_read_only = on")
    assert [one.state for one in books.remote().write(debtors(), [Change("delete", ("B",), {})])] == ["retry"]


class Cutting:
    """A proxy on loopback that hands everything on until it has seen `word` from the client; then no answer comes back."""

    def __init__(self, port: int, word: bytes, *, deliver: bool) -> None:
        self.port, self.word, self.deliver = port, word, deliver
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.threads: list[threading.Thread] = []
        self.cut = threading.Event()
        self._start(self._accept)

    def _start(self, target: object, *args: object) -> None:
        self.threads.append(threading.Thread(target=target, args=args, daemon=True))
        self.threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            self._start(self._forward, client, server)
            self._start(self._back, client, server)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while data := client.recv(65536):
                if self.word in data:
                    self.cut.set()
                    if self.deliver:
                        server.sendall(data)
                        server.shutdown(socket.SHUT_WR)
                    else:
                        server.shutdown(socket.SHUT_RDWR)
                    client.shutdown(socket.SHUT_RDWR)
                    return
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _back(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while data := server.recv(65536):
                if not self.cut.is_set():
                    client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        self.listener.close()


@pytest.mark.parametrize("deliver", [True, False])
def test_when_the_answer_to_commit_is_lost_nobody_knows(books: Books, deliver: bool) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('A', 'a')")
    with closing(Cutting(books.port, b"COMMIT", deliver=deliver)) as proxy:
        url = f"postgresql://{books.role}@127.0.0.1:{proxy.listener.getsockname()[1]}/{books.database}"
        remote = books.remote(url=url)
        receipts = remote.write(debtors(), [Change("update", ("A",), {"name": "b"})])
        assert [one.state for one in receipts] == ["unclear"]
        assert proxy.cut.is_set()
        while books.rows("SELECT 1 FROM pg_stat_activity WHERE application_name = 'navette' AND usename = %s", books.role):
            pass
    assert books.rows("SELECT name FROM debtor") == [("b" if deliver else "a",)]


def test_when_the_way_breaks_before_commit_nothing_was_written(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) VALUES ('A', 'a')")
    with closing(Cutting(books.port, b"UPDATE public.debtor", deliver=True)) as proxy:
        remote = books.remote(url=f"postgresql://{books.role}@127.0.0.1:{proxy.listener.getsockname()[1]}/{books.database}")
        with pytest.raises(RemoteDown, match="before anything was written"):
            remote.write(debtors(), [Change("update", ("A",), {"name": "b"})])
        assert proxy.cut.is_set()
    while books.rows("SELECT 1 FROM pg_stat_activity WHERE application_name = 'navette' AND usename = %s", books.role):
        pass
    assert books.rows("SELECT name FROM debtor") == [("a",)]


def test_a_listening_connection_that_is_killed_is_down_once_and_then_new(books: Books) -> None:
    books.make(DEBTOR)
    remote = books.remote()
    remote.prepare(debtors())
    hints = remote.changes(debtors(), 30.0)
    next(hints)
    assert books.kill("navette listen") == 1
    with pytest.raises(RemoteDown):
        next(hints)
    assert next(remote.changes(debtors(), 30.0)) is None
