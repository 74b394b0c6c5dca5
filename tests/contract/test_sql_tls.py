"""Whom a connection trusts: a server of PostgreSQL 15 with certificates made here, since the embedded one has no TLS."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import psycopg
import pytest

from connectors.sql.open import open_sql
from connectors.sql.session import dial
from connectors.sql.settings import SqlSettings
from crm_store.server_user import server_user
from mappings.errors import ConfigurationError
from tests.conftest import DEBIAN_15


@dataclass
class Guarded:
    """A server that takes TLS connections only. `ours` signed its certificate, `theirs` signed nothing."""

    port: int
    ours: Path
    theirs: Path

    def settings(self, host: str = "127.0.0.1", **more: object) -> SqlSettings:
        return SqlSettings.model_validate({
            "url": f"postgresql://super@{host}:{self.port}/postgres", "password": "super", "sslmode": "verify-full", **more})


def authority(folder: Path, name: str) -> tuple[Path, Path]:
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-days", "2",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return key, certificate


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    if not DEBIAN_15.is_dir() or shutil.which("openssl") is None:
        pytest.skip(f"no PostgreSQL 15 in {DEBIAN_15}, or no openssl: TLS was not tried")
    folder = Path(mkdtemp(prefix="nvttls-", dir="/tmp"))
    data, word = folder / "data", folder / "word"
    word.write_text("super")
    key, ours = authority(folder, "ours")
    _, theirs = authority(folder, "theirs")
    request, names = folder / "server.csr", folder / "names"
    names.write_text("subjectAltName=IP:127.0.0.1")
    subprocess.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=books", "-keyout", folder / "server.key",
                    "-out", request], check=True, capture_output=True)
    subprocess.run(["openssl", "x509", "-req", "-in", request, "-CA", ours, "-CAkey", key, "-CAcreateserial", "-days", "2",
                    "-extfile", names, "-out", folder / "server.pem"], check=True, capture_output=True)
    (folder / "server.key").chmod(0o600)
    user = server_user(data)
    for path in (folder, word, folder / "server.key", folder / "server.pem"):
        user.give(path)
    as_user = {**user.run_as(), "cwd": folder, "env": {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}}
    subprocess.run([DEBIAN_15 / "initdb", "-D", data, "-U", "super", f"--pwfile={word}", "-A", "scram-sha-256", "--no-sync"],
                   check=True, capture_output=True, **as_user)
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [DEBIAN_15 / "postgres", "-D", data, "-p", str(port), "-k", "", "-h", "127.0.0.1", "-c", "fsync=off", "-c", "ssl=on",
             "-c", f"ssl_cert_file={folder / 'server.pem'}", "-c", f"ssl_key_file={folder / 'server.key'}"],
            stdout=log, stderr=log, **as_user)
    try:
        for _ in range(100):
            try:
                psycopg.connect(host="127.0.0.1", port=port, user="super", password="super", dbname="postgres").close()
                break
            except psycopg.OperationalError:
                time.sleep(0.1)
        else:
            raise AssertionError((folder / "log").read_text())
        yield Guarded(port, ours, theirs)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder)


def test_a_server_that_our_authority_vouches_for_is_trusted(guarded: Guarded) -> None:
    with dial(guarded.settings(root_certificates=str(guarded.ours))) as connection:
        assert connection.pgconn.ssl_in_use


@pytest.mark.parametrize("more", [{}, {"root_certificates": "theirs"}, {"root_certificates": "/nowhere.pem"}])
def test_a_server_that_nobody_vouches_for_is_not(guarded: Guarded, more: dict[str, str]) -> None:
    keys = {name: str(guarded.theirs) if value == "theirs" else value for name, value in more.items()}
    with pytest.raises(ConfigurationError, match="no trusted TLS"):
        open_sql(guarded.settings(**keys))


def test_a_certificate_for_another_name_is_not_enough_unless_said(guarded: Guarded) -> None:
    elsewhere = guarded.settings("localhost", root_certificates=str(guarded.ours))
    with pytest.raises(ConfigurationError, match="no trusted TLS"):
        open_sql(elsewhere)
    open_sql(guarded.settings("localhost", root_certificates=str(guarded.ours), sslmode="verify-ca")).close()


def test_a_server_that_wants_tls_says_so(guarded: Guarded) -> None:
    with pytest.raises(ConfigurationError, match=r"pg_hba\.conf"):
        open_sql(guarded.settings(sslmode="disable"))
