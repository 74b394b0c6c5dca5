"""One POST to a Tryton server, and what can happen to it on the way.

::

    ConfigurationError   the certificate is not trusted
    RemoteDown           it did not go out: nothing can have been done
    └── AnswerLost       it went out, and no whole answer came back: something may have been done
        ├── ConnectionBroke   before the first byte of an answer: mostly a kept connection that the server gave up
        └── AnswerTooLarge
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProtocolError, SSLError

from connectors.remote import RemoteDown
from connectors.tryton.settings import TrytonSettings
from mappings.errors import ConfigurationError

CHUNK = 1 << 16
CONNECT = 10.0
GZIP = b"\x1f\x8b"
PATIENCE = 10
"""How many times the timeout an answer may take in all, if it comes in drops."""


class AnswerLost(RemoteDown):
    """The request went out and no whole answer came back; whether it was done must be found out by reading."""


class ConnectionBroke(AnswerLost):
    """The connection ended before an answer began."""


class AnswerTooLarge(AnswerLost):
    """The answer is larger than `largest_answer`."""


@dataclass(frozen=True)
class Answer:
    """A whole answer; `body` unpacked, `headers` by their names in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """Keeps connections to one server; follows no redirect and repeats nothing."""

    def __init__(self, settings: TrytonSettings) -> None:
        self.url = f"{settings.base_url}/{settings.database}/rpc/"
        self._timeout, self._limit = settings.timeout, settings.largest_answer
        self._pool = urllib3.PoolManager(
            num_pools=1, maxsize=1, retries=False, cert_reqs="CERT_REQUIRED" if settings.verify else "CERT_NONE",
            ca_certs=None if isinstance(settings.verify, bool) else str(settings.verify),
        )

    def post(self, body: bytes, authorization: str | None) -> Answer:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "gzip"}
        if authorization:
            headers["Authorization"] = authorization
        try:
            response = self._pool.urlopen(
                "POST", self.url, body=body, headers=headers, redirect=False, retries=False, preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=min(CONNECT, self._timeout), read=self._timeout),
            )
        except (NewConnectionError, ConnectTimeoutError) as error:
            raise RemoteDown(f"cannot connect: {_reason(error)}", where=self.url,
                             todo="Is the server running, and the address right?") from None
        except SSLError as error:
            raise ConfigurationError(f"the connection is not trusted: {_reason(error)}", where=self.url,
                                     todo="Check the address, or name the authority's file in `verify`.") from None
        except (ProtocolError, OSError) as error:
            raise ConnectionBroke(f"the connection broke: {_reason(error)}", where=self.url) from None
        except HTTPError as error:
            raise AnswerLost(f"no answer came: {_reason(error)}", where=self.url) from None
        try:
            return Answer(response.status, response.headers, self._read(response))
        except (HTTPError, OSError) as error:
            raise AnswerLost(f"the answer broke off: {_reason(error)}", where=self.url) from None
        finally:
            response.close()
            response.release_conn()

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        until, parts, size = time.monotonic() + PATIENCE * self._timeout, [], 0
        while chunk := response.read(CHUNK, decode_content=False):
            parts.append(chunk)
            size += len(chunk)
            if size > self._limit:
                raise self._too_large()
            if time.monotonic() > until:
                raise AnswerLost(f"the answer was not whole after {PATIENCE * self._timeout:.0f} s", where=self.url)
        body = b"".join(parts)
        # Tryton declares gzip on long answers that it did not pack, to those who did not offer it; proxies unpack too.
        return self._unpacked(body) if body.startswith(GZIP) else body

    def _unpacked(self, body: bytes) -> bytes:
        unpack = zlib.decompressobj(wbits=31)
        try:
            plain = unpack.decompress(body, self._limit + 1)
        except zlib.error as error:
            raise AnswerLost(f"the answer cannot be unpacked: {error}", where=self.url) from None
        if len(plain) > self._limit:
            raise self._too_large()
        if not unpack.eof:
            raise AnswerLost("the answer broke off", where=self.url)
        return plain

    def _too_large(self) -> AnswerTooLarge:
        return AnswerTooLarge(f"the answer is larger than {self._limit:,} bytes", where=self.url,
                              todo="Read fewer columns, or raise `largest_answer`.")

    def close(self) -> None:
        self._pool.clear()


def _reason(error: BaseException) -> str:
    """The last words of an error that libraries have wrapped again and again."""
    text = str(error.args[-1] if error.args else error)
    return text.rsplit(": ", 1)[-1].strip("()'\" ")[:200] or type(error).__name__
