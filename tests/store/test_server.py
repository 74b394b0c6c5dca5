"""The embedded server: made once, shared, private, and back after anything that is killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp

import psutil
import psycopg
import pytest
from sqlalchemy import create_engine, text

from crm_store import server as embedded
from crm_store.server_settings import socket_path_fits
from crm_store.store import Store, admin_connection
from mappings.errors import ConfigurationError, RetryLater
from tests.french_server import BAD_PASSWORD, FrenchServer

COMMAND = """
import sys
from pathlib import Path
from sqlalchemy import text
from crm_store.store import Store
with Store.open(Path(sys.argv[1])).hub().connect() as connection:
    print(connection.execute(text("SELECT pg_postmaster_start_time()::text")).scalar())
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    folder = Path(mkdtemp(prefix="nvt-", dir="/tmp"))
    try:
        Store.open(folder / "home")
        yield folder / "home"
    finally:
        Store.stop(folder / "home")
        subprocess.run(["rm", "-rf", folder], check=True)


def start_commands(home: Path, count: int) -> list[subprocess.Popen[str]]:
    return [
        subprocess.Popen(
            [sys.executable, "-c", COMMAND, home], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(count)
    ]


def answers(commands: list[subprocess.Popen[str]]) -> set[str]:
    told = [command.communicate() for command in commands]
    assert [error for _, error in told if error] == []
    return {out for out, _ in told}


def postmaster(home: Path) -> psutil.Process:
    return psutil.Process(int((home / "pg" / "postmaster.pid").read_text().split()[0]))


def test_commands_that_start_together_make_one_server_and_share_it() -> None:
    folder = Path(mkdtemp(prefix="nvt-", dir="/tmp"))
    try:
        assert len(answers(start_commands(folder / "home", 3))) == 1
    finally:
        Store.stop(folder / "home")
        subprocess.run(["rm", "-rf", folder], check=True)


def test_the_server_outlives_the_command_that_started_it_and_is_no_child_of_its_terminal(home: Path) -> None:
    Store.stop(home)
    first = answers(start_commands(home, 1))
    assert answers(start_commands(home, 1)) == first
    process = postmaster(home)
    assert os.getsid(process.pid) != os.getsid(0)
    assert os.getpgid(process.pid) != os.getpgid(0)


def test_it_does_not_run_as_root_and_knows_no_secret_of_ours(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store.stop(home)
    monkeypatch.setenv("SAGE_TOKEN", "very-secret")
    Store.open(home)
    process = postmaster(home)
    assert process.uids().real != 0
    assert "very-secret" not in str(process.environ())


def test_secrets_are_private_and_the_data_is_the_server_s_alone(home: Path) -> None:
    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    assert mode(home / "secrets") == 0o700
    assert mode(home / "secrets" / "passwords.json") == 0o600
    assert mode(home / "pg") == 0o700
    assert mode(home) & 0o007 == 0
    passwords = Store.open(home).passwords.values()
    for path in (home / "pg" / "server.log", home / "server.json", home / "pg" / "navette.conf"):
        assert not any(word in path.read_text() for word in passwords)


@pytest.mark.parametrize("role", ["navette_admin", "navette_owner", "navette_hub", "navette_app", "postgres"])
def test_nobody_gets_in_without_a_password_by_socket_or_loopback(home: Path, role: str) -> None:
    at = embedded.ensure_running(home)
    for host in (at.socket_dir, "127.0.0.1"):
        with pytest.raises(psycopg.OperationalError, match=r"no password|password authentication failed"):
            psycopg.connect(host=host, port=at.port, user=role, dbname="navette")


def test_dagster_gets_a_database_of_its_own_and_sees_nothing_of_the_store(home: Path) -> None:
    store = Store.open(home)
    assert store.dagster_url.startswith("postgresql+psycopg2://navette_dagster:")
    engine = create_engine(store.dagster_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS runs (id int)"))
        assert connection.execute(text("SELECT current_database()")).scalar() == "navette_dagster"
    engine.dispose()
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(store.crm_url, user="navette_dagster", password=store.passwords["navette_dagster"])


def test_after_a_killed_server_the_next_command_finds_everything_and_commands_at_once_share_one(home: Path) -> None:
    store = Store.open(home)
    with store.owner().begin() as connection:
        connection.execute(text("DROP SCHEMA IF EXISTS kept CASCADE"))
        connection.execute(text("CREATE SCHEMA kept"))
        connection.execute(text("CREATE TABLE kept.word AS SELECT 'committed' AS said"))
    for _ in range(2):
        postmaster(home).send_signal(signal.SIGKILL)
        assert len(answers(start_commands(home, 3))) == 1
    with store.owner().connect() as connection:  # the same engine: its old connections are dead
        assert connection.execute(text("SELECT said FROM kept.word")).scalar() == "committed"


def test_a_killed_server_whose_sessions_still_work_is_cleared_away_first(home: Path) -> None:
    """A backend in the middle of a long statement does not notice that its postmaster is gone."""
    store = Store.open(home)
    with closing(store.connect(store.roles.hub)) as busy:
        backend = busy.info.backend_pid
        busy.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 1000000000)")
        time.sleep(0.3)
        process = postmaster(home)
        process.send_signal(signal.SIGKILL)
        psutil.wait_procs([process], timeout=10)
        assert len(answers(start_commands(home, 2))) == 1
        assert not psutil.pid_exists(backend) or psutil.Process(backend).status() == psutil.STATUS_ZOMBIE


def test_killed_commands_leave_a_server_that_works(home: Path) -> None:
    Store.stop(home)
    for pause in (0.4, 0.7, 1.0):
        command = start_commands(home, 1)[0]
        time.sleep(pause)
        command.kill()
        command.communicate()
    assert len(answers(start_commands(home, 1))) == 1


def test_a_first_start_killed_at_any_moment_is_made_up_for_by_the_next() -> None:
    for pause in (0.7, 1.1):
        folder = Path(mkdtemp(prefix="nvt-", dir="/tmp"))
        try:
            command = start_commands(folder / "home", 1)[0]
            time.sleep(pause)
            command.kill()
            command.communicate()
            assert len(answers(start_commands(folder / "home", 1))) == 1
        finally:
            Store.stop(folder / "home")
            subprocess.run(["rm", "-rf", folder], check=True)


def test_a_pid_file_that_names_a_stranger_keeps_nobody_out(home: Path) -> None:
    """After a reboot the old number may be any process's, even one of the same user."""
    Store.stop(home)
    (home / "pg" / "postmaster.pid").write_text(f"{os.getpid()}\n{home}/pg\n1\n5432\n\n\n0 0\nready\n")
    assert len(answers(start_commands(home, 1))) == 1


def rewrite(status: Path, lines: list[str]) -> None:
    """At once: a server that finds its status file empty for a moment stops itself."""
    beside = status.with_suffix(".new")
    beside.write_text("\n".join(lines))
    shutil.copymode(status, beside)
    os.chown(beside, status.stat().st_uid, status.stat().st_gid)
    beside.replace(status)


def test_a_server_that_still_starts_or_stops_is_waited_for(home: Path) -> None:
    Store.open(home)
    process = postmaster(home)
    status = home / "pg" / "postmaster.pid"
    lines = status.read_text().split("\n")
    rewrite(status, [*lines[:7], "starting", ""])
    waiting = start_commands(home, 2)
    time.sleep(1)
    assert all(command.poll() is None for command in waiting)
    rewrite(status, lines)
    assert len(answers(waiting)) == 1
    assert process.is_running()


def test_data_of_another_version_are_left_alone(home: Path) -> None:
    Store.stop(home)
    (home / "pg" / "PG_VERSION").write_text("17\n")
    try:
        with pytest.raises(ConfigurationError, match="made by PostgreSQL 17, and this version of navette brings 18"):
            Store.open(home)
    finally:
        (home / "pg" / "PG_VERSION").write_text("18\n")


def test_a_port_taken_meanwhile_is_exchanged_for_another(home: Path) -> None:
    Store.stop(home)
    taken = int(str(embedded.read_state(home)["port"]))
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", taken))
        other.listen()
        at = embedded.ensure_running(home)
    assert at.tcp
    assert at.port != taken
    with psycopg.connect(Store.open(home).crm_url) as connection:
        assert connection.info.port == at.port


def test_a_deep_folder_with_odd_characters_gets_a_short_private_socket() -> None:
    top = Path(mkdtemp(prefix="nvt-", dir="/tmp"))
    folder = top / "a long name, with 'quotes' and blanks" / ("x" * 80) / "été"
    assert not socket_path_fits(folder / "run")
    try:
        store = Store.open(folder)
        at = embedded.ensure_running(folder)
        assert len(at.socket_dir) < 60
        assert stat.S_IMODE(Path(at.socket_dir).stat().st_mode) == 0o700
        with store.hub().connect() as connection:
            assert connection.execute(text("SELECT 1")).scalar() == 1
        store.let_go()
    finally:
        assert Store.stop(folder)
        subprocess.run(["rm", "-rf", top], check=True)
    assert not Path(at.socket_dir).exists()


def test_stop_says_whether_there_was_one_to_stop(home: Path, tmp_path: Path) -> None:
    Store.open(home)
    assert Store.stop(home) is True
    assert Store.stop(home) is False
    assert Store.stop(tmp_path / "nowhere") is False


def test_a_home_that_is_no_folder_is_told_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="NAVETTE_HOME cannot be used: Not a directory"):
        Store.open(tmp_path / "file" / "home")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("no url at all", "is no URL"), ("mysql://a@b/c", "must name a PostgreSQL server"),
        ("postgresql://host", "must name a PostgreSQL server"), ("postgresql://user@host/", "must name a PostgreSQL"),
    ],
)
def test_a_wrong_address_of_one_s_own_server_is_told_with_what_to_write(tmp_path: Path, url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as refusal:
        Store.open(tmp_path, url)
    assert "postgresql://user:password@host:5432/database" in refusal.value.todo


def test_a_server_that_does_not_answer_is_worth_a_retry_and_a_refused_login_is_not(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_store.store._CONNECT_SECONDS", 0)
    with pytest.raises(RetryLater, match="does not answer"):
        Store.open(tmp_path, "postgresql://boss:word@127.0.0.1:1/navette")
    at = embedded.ensure_running(home)
    with pytest.raises(ConfigurationError, match="refused the login") as refusal:
        Store.open(tmp_path, f"postgresql://boss:wrong-word@127.0.0.1:{at.port}/navette")
    assert "wrong-word" not in str(refusal.value)


@pytest.mark.parametrize(("words", "error"), [(BAD_PASSWORD, ConfigurationError), (None, RetryLater)])
def test_a_login_that_is_refused_in_another_language_is_not_tried_again_and_one_without_answer_is(
    home: Path, tmp_path: Path, words: str | None, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_store.store._CONNECT_SECONDS", 1)
    with closing(FrenchServer(embedded.ensure_running(home).port, words)) as server:
        with pytest.raises(error, match=words or "does not answer"):
            Store.open(tmp_path, f"postgresql://boss:wrong-word@127.0.0.1:{server.port}/navette")
        assert (server.logins == 1) == (words is not None)


def test_an_owner_without_superuser_s_rights_is_enough_on_18_and_one_without_createrole_is_told_so(
    home: Path, tmp_path: Path
) -> None:
    with admin_connection(Store.open(home)) as admin:
        admin.execute("CREATE ROLE boss18 LOGIN PASSWORD 'w' CREATEROLE CREATEDB")
        admin.execute("CREATE ROLE weak18 LOGIN PASSWORD 'w'")
        admin.execute("CREATE DATABASE sales OWNER boss18")
        admin.execute("CREATE DATABASE poor OWNER weak18")
        admin.execute("GRANT navette_hub, navette_crm TO boss18 WITH ADMIN OPTION")
    at = embedded.ensure_running(home)
    store = Store.open(tmp_path / "sales", f"postgres://boss18:w@127.0.0.1:{at.port}/sales")
    again = Store.open(tmp_path / "another machine", f"postgres://boss18:w@127.0.0.1:{at.port}/sales")
    for one in (store, again):
        with one.hub().connect() as connection:
            row = connection.execute(text("SELECT current_user, pg_has_role('navette_hub', 'MEMBER')")).one()
        assert row == ("navette_hub_sales", True)
    with psycopg.connect(store.crm_url) as crm:
        assert crm.execute("SELECT current_user").fetchone() == ("navette_app_sales",)
    with pytest.raises(ConfigurationError, match="may not do this: CREATE ROLE") as refusal:
        Store.open(tmp_path / "poor", f"postgresql://weak18:w@127.0.0.1:{at.port}/poor")
    assert "CREATEROLE" in refusal.value.todo
