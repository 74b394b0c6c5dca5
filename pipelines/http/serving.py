"""Serving: uvicorn around the application, on this machine alone unless the way in is encrypted."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from mappings.errors import ConfigurationError

AT_ONCE = 200
"""Connections; more are answered 503."""


@dataclass(frozen=True)
class Place:
    """Where to listen. `certificate` and `key`: PEM files; `plain`: something before us encrypts."""

    host: str = "127.0.0.1"
    port: int = 8400
    certificate: Path | None = None
    key: Path | None = None
    plain: bool = False


def server_of(app: ASGIApp, place: Place) -> uvicorn.Server:
    """A server that does not run yet. Raises ConfigurationError (an open network without TLS, a missing file)."""
    if not (_is_loopback(place.host) or place.certificate or place.plain):
        raise ConfigurationError(
            f"{place.host} can be reached from other machines, and nothing is encrypted", where="navette serve",
            todo="give --certificate and --key; or --plain where a proxy before it encrypts")
    for path in (place.certificate, place.key):
        if path is not None and not path.is_file():
            raise ConfigurationError(f"there is no file {path}", where="navette serve", todo="correct its name")
    return uvicorn.Server(uvicorn.Config(
        app, host=place.host, port=place.port, http="h11", ws="none", log_level="warning", access_log=False,
        server_header=False, proxy_headers=False, limit_concurrency=AT_ONCE, timeout_keep_alive=15,
        h11_max_incomplete_event_size=32 << 10, timeout_graceful_shutdown=10,
        ssl_certfile=place.certificate, ssl_keyfile=place.key,
    ))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
