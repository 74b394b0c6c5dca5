"""What an integrator says of a PostgreSQL database: where it is, who we are there, how far we trust the way to it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr, field_validator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from mappings.language.strict import NUMBER, Position, Strict

SslMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]
_IN_URL = frozenset({"host", "port"})  # a socket's folder cannot stand before the path


class Archived(Strict):
    """How a table marks a row as archived: `column` takes the cell `value`; its default, where the row comes back."""

    column: str
    value: str = "true"


class SqlSettings(Strict):
    """The keys of connector `sql`. No error of this model shows a value: the URL may hold a password."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: SecretStr  # postgresql://user@host:5432/database
    password: SecretStr | None = None  # instead of one in the URL
    sslmode: SslMode | None = None  # default: verify-full, and prefer on loopback and sockets
    root_certificates: Path | None = None  # certificates of those who may vouch for the server; default: the machine's
    schema_name: Annotated[str, Field(alias="schema")] = "public"  # where names without a schema are looked for
    # seconds; for all but streamed reads; 0: none
    statement_timeout: Annotated[float, Field(ge=0, allow_inf_nan=False), NUMBER] = 60.0
    connect_timeout: Position = 10  # seconds
    archived: Mapping[str, Archived] = Field(default_factory=dict)  # by resource

    @field_validator("url")
    @classmethod
    def _is_postgresql(cls, given: SecretStr) -> SecretStr:
        try:
            url = _parsed(given)
        except (ArgumentError, ValueError) as fault:
            raise ValueError("expected postgresql://user@host:5432/database") from fault
        if url.get_backend_name() != "postgresql" or not url.username or not url.database:
            raise ValueError("expected postgresql://user@host:5432/database, with a user and a database")
        if unknown := sorted(set(url.query) - _IN_URL):
            raise ValueError(f"{', '.join(unknown)} cannot stand in the URL: write it as a key beside it")
        return given

    @property
    def address(self) -> str:
        """user@host:port/database, without the password: for messages."""
        url = _parsed(self.url)
        return f"{url.username}@{self._host or 'socket'}:{self._port or 5432}/{url.database}"

    @property
    def _host(self) -> str:
        url = _parsed(self.url)
        return str(url.host or url.query.get("host", ""))

    @property
    def _port(self) -> str:
        url = _parsed(self.url)
        return str(url.port or url.query.get("port", ""))

    def conninfo(self) -> dict[str, str]:
        """The parameters of libpq, the password among them."""
        url = _parsed(self.url)
        mode = self.sslmode or ("prefer" if is_local(self._host) else "verify-full")
        given = {"user": str(url.username), "dbname": str(url.database), "sslmode": mode}
        given |= {"host": self._host} if self._host else {}
        given |= {"port": self._port} if self._port else {}
        word = self.password.get_secret_value() if self.password else url.password
        given |= {"password": str(word)} if word else {}
        if mode.startswith("verify"):
            given["sslrootcert"] = str(self.root_certificates or known_certificates())
        return given


def _parsed(given: SecretStr) -> URL:
    text = given.get_secret_value()
    return make_url(text.replace("postgres://", "postgresql://", 1) if text.startswith("postgres://") else text)


def is_local(host: str) -> bool:
    """Whether what is said to `host` never leaves the machine: loopback, or a socket."""
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def known_certificates() -> str:
    """The machine's file of certificate authorities; `system` leaves it to the TLS library.

    The library that comes with the driver was built elsewhere and looks in that machine's places, so ask Python's.
    """
    found = ssl.get_default_verify_paths().cafile
    return found if found and Path(found).is_file() else "system"
