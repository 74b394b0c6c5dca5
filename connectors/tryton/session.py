"""A session with Tryton: logged in when first needed, renewed when it is over, ended for good by a refused login."""

from __future__ import annotations

import logging
from base64 import b64encode
from contextlib import suppress
from typing import Any

import orjson

from connectors.remote import LoginRefused, RemoteDown
from connectors.tryton.answer import SESSION_GONE, NotNow, Refused, SessionOver, result_of
from connectors.tryton.clock import Clock
from connectors.tryton.settings import TrytonSettings
from connectors.tryton.wire import AnswerLost, ConnectionBroke, Wire
from mappings.errors import NavetteError

log = logging.getLogger(__name__)


class Session:
    """Calls methods of models. The context of every call is the user's own (company, language), and ours on top."""

    def __init__(self, settings: TrytonSettings) -> None:
        self.settings = settings
        self.wire = Wire(settings)
        self.clock = Clock()
        self.user = 0  # who we are there, once logged in
        self._authorization: str | None = None
        self._context: dict[str, Any] = {}
        self._refusal: LoginRefused | None = None

    def read(self, method: str, *params: Any, context: dict[str, Any] | None = None) -> Any:
        """A call that changes nothing: once more when the connection turned out to be dead, or when Tryton stumbled
        over another session of the same user that ended while it looked for ours."""
        try:
            return self.write(method, *params, context=context)
        except ConnectionBroke as broke:
            log.info("%s: again, since %s", method, broke.message)
            return self.write(method, *params, context=context)
        except Refused as refused:
            if SESSION_GONE not in refused.message:
                raise
            log.info("%s: again, since another session of this user ended meanwhile", method)
            return self.write(method, *params, context=context)

    def write(self, method: str, *params: Any, context: dict[str, Any] | None = None) -> Any:
        """A call that is made once. Raises RemoteDown when it did not go out, AnswerLost when it may have been done,
        Refused when the server says no, LoginRefused when it does not take our credentials."""
        for renewed in (False, True):
            if self._authorization is None:
                self._login()
            told = () if method.startswith("system.") else ({**self._context, **(context or {})},)
            try:
                return self._call(method, *params, *told)
            except SessionOver as over:  # told before anything was done
                self._authorization = None
                if renewed:
                    raise RemoteDown("the session ends as soon as it has begun", where=self.wire.url,
                                     todo="Do several servers behind one address share their database?") from over
        raise AssertionError

    def _call(self, method: str, *params: Any) -> Any:
        # exactly these three keys: with others Tryton does not take it for a call
        body = orjson.dumps({"id": 0, "method": method, "params": params})
        answer = self.wire.post(body, self._authorization)
        self.clock.hear(answer.headers.get("Date"))
        return result_of(answer, self.wire.url)

    def _login(self) -> None:
        """Asks once. After a refusal every call of this session is refused here: a few bad logins lock the account."""
        if self._refusal is not None:
            raise self._refusal
        settings = self.settings
        try:
            told = self._call("common.db.login", settings.user, {"password": settings.secret()},
                              settings.language or "en")
        except SessionOver:
            raise self._refuse("no such user, or not this password") from None
        except Refused as refused:  # it asks for a second factor, as a rule
            raise self._refuse(refused.message) from None
        except NotNow as later:
            if later.status == 429:
                raise self._refuse("too many bad logins: the account is locked for some minutes") from None
            raise
        except AnswerLost as lost:  # of the login, not of the call that needed it
            raise RemoteDown(lost.message, where=lost.where, todo=lost.todo) from None
        if not told:
            raise self._refuse("no such user, or not this password")
        user, token = told[0], told[1]
        self.user = int(user)
        self._authorization = "Session " + b64encode(f"{settings.user}:{user}:{token}".encode()).decode()
        self._context = self._own_context()

    def _own_context(self) -> dict[str, Any]:
        """What Tryton's own client sends with every call: company, employee, language …"""
        try:
            preferences = self._call("model.res.user.get_preferences", True, {})
        except (SessionOver, AnswerLost) as failed:
            self._authorization = None
            raise RemoteDown(f"logged in, but not taken in: {failed.message}", where=self.wire.url) from None
        language = {"language": self.settings.language} if self.settings.language else {}
        return {**preferences, **language}

    def _refuse(self, why: str) -> LoginRefused:
        self._refusal = LoginRefused(
            f"Tryton refused the login of {self.settings.user!r}: {why}", where=self.wire.url,
            todo="Check user and password; it is not tried again by itself, since a few more lock the account.",
        )
        return self._refusal

    def close(self) -> None:
        if self._authorization is not None:
            with suppress(NavetteError):  # a session that cannot be ended runs out
                self._call("common.db.logout")
            self._authorization = None
        self.wire.close()
