"""What an answer means: a result, a refusal (under HTTP 200 as a rule), or a state of the server.

::

    200 result            the result
    200 error             Refused; ConcurrencyException ─▶ Stale
    401                   SessionOver: nothing was done
    403 404 405 413 422   Refused, or ConfigurationError
    429 503               NotNow: nothing was done
    other, or no JSON     AnswerLost
"""

from __future__ import annotations

import html
import json
import re
from typing import Any

import orjson

from connectors.remote import RemoteDown
from connectors.tryton.wire import Answer, AnswerLost
from mappings.errors import ConfigurationError, NavetteError

LONGEST = 500
SESSION_GONE = 'of "Session" that don\'t exist'
"""Tryton stumbled over another session of the same user, which ended while it looked for ours; nothing was done."""
TRANSIENT = ("database is locked", "deadlock", "could not serialize", "could not obtain lock", SESSION_GONE)
"""What is said of a write that may pass when it is tried again."""


class Refused(NavetteError):
    """The server understood the call and says no; `code` is the name of its exception, `message` what it says."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def transient(self) -> bool:
        return any(words in self.message for words in TRANSIENT)


class Stale(Refused):
    """A record is newer than the version that the call was decided on; nothing of the call was done."""


class NotNow(RemoteDown):
    """The server is there and takes no call now; nothing was done."""

    def __init__(self, message: str, *, status: int, where: str) -> None:
        super().__init__(message, where=where)
        self.status = status


class SessionOver(NavetteError):
    """The session's token counts no more; the call was not done."""


def result_of(answer: Answer, url: str) -> Any:
    """The result; raises what the module's picture says."""
    if answer.status != 200:
        raise _state(answer, url)
    try:
        content = _parsed(answer.body)
    except ValueError:
        content = None
    if not isinstance(content, dict) or not content.keys() & {"result", "error"}:
        raise AnswerLost(f"the answer is not Tryton's: {_page_text(answer.body) or 'no JSON'}", where=url,
                         todo="Is the address right, and is there a proxy in between?")
    if content.get("error"):
        raise _refusal(content["error"])
    return content.get("result")


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)  # Python's own writer sends NaN, which is no JSON


def _refusal(error: Any) -> NavetteError:
    """From [name, arguments]; for what is no exception of Tryton's own, [text, traceback]: that is for its log."""
    name, told = (error[0], error[1]) if isinstance(error, list) and len(error) > 1 else (error, None)
    name = str(name)[:LONGEST]
    if name.startswith("401"):  # older servers, behind some proxies
        return SessionOver(name)
    if name == "ConcurrencyException":
        return Stale(name, _text(told))
    if name == "UserWarning" and isinstance(told, list) and len(told) > 1:
        return Refused(name, f"{_text(told[1:])} (a warning that only a person may confirm: {told[0]})")
    if name in {"UserError", "LoginException", "RateLimitException"}:
        return Refused(name, _text(told))
    return Refused("ServerError", f"the server failed: {name}")


def _text(told: Any) -> str:
    """A message and its description, from however they are nested."""
    parts = told[:2] if isinstance(told, list) else [told]
    words = [part.strip() for part in parts if isinstance(part, str) and part.strip()]
    return " ".join(words)[:LONGEST] or "without a word"


def _state(answer: Answer, url: str) -> NavetteError:
    status, said = answer.status, _page_text(answer.body)
    told = f"the server answers {status}" + (f": {said}" if said else "")
    if status == 401:
        return SessionOver(told, where=url)
    if status == 403:
        return Refused("403", f"the server does not allow the call: {said}")
    if status in {413, 422}:
        return Refused(str(status), told)
    if status in {429, 503}:
        return NotNow(told, status=status, where=url)
    if status in {400, 404, 405} or 300 <= status < 400:
        to = answer.headers.get("Location", "")
        return ConfigurationError(told + (f" (it points to {to})" if to else ""), where=url,
                                  todo="Check `base_url` and `database`.")
    return AnswerLost(told, where=url)


def _page_text(body: bytes) -> str:
    """What an HTML error page says, in a line."""
    text = body[:20_000].decode("utf-8", "replace")
    text = re.sub(r"(?s)<(script|style)\b.*?</\1>|<title>.*?</title>(?=.*<h1)|<!--.*?-->", " ", text)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())[:LONGEST]
