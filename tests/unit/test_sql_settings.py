"""What a SQL system's settings mean for the connection, and that they keep their secrets."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from connectors.sql.settings import SqlSettings, is_local


def conninfo(url: str, **more: object) -> dict[str, str]:
    return SqlSettings.model_validate({"url": url, **more}).conninfo()


@pytest.mark.parametrize(("url", "mode"), [
    ("postgresql://u@db.example.com/books", "verify-full"),
    ("postgres://u@10.0.0.7:5433/books", "verify-full"),
    ("postgresql://u@127.0.0.1/books", "prefer"),
    ("postgresql://u@[::1]/books", "prefer"),
    ("postgresql://u@localhost/books", "prefer"),
    ("postgresql://u@/books?host=/run/postgresql", "prefer"),
    ("postgresql://u@127.0.0.1.example.com/books", "verify-full"),
])
def test_only_what_stays_on_the_machine_needs_no_certificate(url: str, mode: str) -> None:
    told = conninfo(url)
    assert told["sslmode"] == mode
    assert ("sslrootcert" in told) == (mode == "verify-full")


def test_the_mode_and_the_authority_can_be_said() -> None:
    assert conninfo("postgresql://u@db.example.com/b", sslmode="require")["sslmode"] == "require"
    assert "sslrootcert" not in conninfo("postgresql://u@db.example.com/b", sslmode="disable")
    assert conninfo("postgresql://u@127.0.0.1/b", sslmode="verify-ca", root_certificates="/x/ca.pem")["sslrootcert"] == "/x/ca.pem"


def test_the_password_stands_in_the_url_or_beside_it_and_the_second_wins() -> None:
    assert conninfo("postgresql://u:in%2Furl@127.0.0.1/b")["password"] == "in/url"
    assert conninfo("postgresql://u:in%2Furl@127.0.0.1/b", password="beside")["password"] == "beside"
    assert "password" not in conninfo("postgresql://u@127.0.0.1/b")


def test_no_text_of_the_settings_shows_a_password() -> None:
    settings = SqlSettings.model_validate({"url": "postgresql://u:s3cret@127.0.0.1:5433/b", "password": "s3cret"})
    assert "s3cret" not in repr(settings) + str(settings) + settings.address + settings.model_dump_json()
    assert settings.address == "u@127.0.0.1:5433/b"
    socket = SqlSettings.model_validate({"url": "postgresql://u@/b?host=/run/pg&port=5499"})
    assert (socket.address, socket.conninfo()["port"]) == ("u@/run/pg:5499/b", "5499")


@pytest.mark.parametrize("bad", [
    {"url": "mysql://u:s3cret@h/b"}, {"url": "postgresql://u:s3cret@h"}, {"url": "s3cret"},
    {"url": "postgresql://u:s3cret@h/b?sslmode=disable"}, {"url": "postgresql://u:s3cret@h/b", "sslmod": "s3cret"},
    {"url": "postgresql://u:s3cret@h/b", "statement_timeout": -1}, {"url": "postgresql://u:s3cret@h:port/b"},
])
def test_a_mistake_is_told_without_what_was_given(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        SqlSettings.model_validate(bad)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "/run/postgresql", ""])
def test_loopback_is_local(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "db", "localhost.example.com", "0.0.0.0"])
def test_elsewhere_is_not_local(host: str) -> None:
    assert not is_local(host)
