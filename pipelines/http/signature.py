"""Who calls: HMAC-SHA256 over the time, a dot and the body, as the caller's system and we alone can make it."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

from mappings.errors import ConfigurationError
from mappings.language.system import Hooks
from pipelines.runs.sources import seconds

VERSION = "v1="
SIGNATURES = 4
"""Signatures in one header: a caller that changes its secret sends both."""
_TIME = re.compile(r"[0-9]{1,12}", re.ASCII)

Verdict = Literal["good", "signature", "time"]


@dataclass(frozen=True)
class Caller:
    """A system that calls us."""

    secrets: Sequence[bytes]
    window: timedelta
    rate: float

    @classmethod
    def of(cls, system: str, hooks: Hooks, root: Path) -> Caller:
        """Raises ConfigurationError for a file without a secret."""
        known = [secret.get_secret_value().encode() for secret in hooks.secret]
        if hooks.secret_file is not None:
            known = _kept(system, root / hooks.secret_file)
        return cls(known, timedelta(seconds=seconds(hooks.window)), hooks.rate)


def alike(callers: Mapping[str, Caller]) -> tuple[dict[str, Caller], Caller]:
    """The callers, and nobody: all with as many secrets (made-up ones beside their own), so that how long it takes to
    judge a call does not tell whether there is such a system."""
    most = max((len(caller.secrets) for caller in callers.values()), default=1)

    def made_up(count: int) -> list[bytes]:
        return [secrets.token_bytes(32) for _ in range(count)]

    padded = {name: replace(caller, secrets=[*caller.secrets, *made_up(most - len(caller.secrets))])
              for name, caller in callers.items()}
    return padded, Caller(made_up(most), timedelta(0), 1.0)


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """What stands in `Navette-Signature`."""
    return VERSION + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def digest_of(timestamp: str, body: bytes) -> str:
    """Of what was signed: the same for the same call, whoever repeats it."""
    return hashlib.sha256(timestamp.encode() + b"." + body).hexdigest()


def judge(caller: Caller, headers: Mapping[str, str], body: bytes, now: float) -> Verdict:
    """Whether a call is its system's own, and of now.

    Every signature is compared with every secret, in constant time, whatever the others said.
    """
    timestamp = headers.get("navette-timestamp", "")
    if not _TIME.fullmatch(timestamp):
        timestamp = ""
    given = [one.strip() for one in headers.get("navette-signature", "").split(",")[:SIGNATURES]]
    good = False
    for secret in caller.secrets:
        right = sign(secret, timestamp, body).encode()
        for one in given:
            good |= hmac.compare_digest(right, one.encode("utf-8", "replace"))
    if not good or not timestamp:
        return "signature"
    return "good" if abs(now - int(timestamp)) <= caller.window.total_seconds() else "time"


def _kept(system: str, path: Path) -> list[bytes]:
    where = f"system {system}"
    try:
        lines = path.read_text("utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(f"the secret of its calls cannot be read from {path}: {told}", where=where,
                                 todo="correct hooks.secret_file, or what it names") from error
    if not lines or any(len(line) < 16 for line in lines):
        raise ConfigurationError(f"{path} holds no secret of 16 characters or more", where=where,
                                 todo="put one into it: openssl rand -hex 32")
    return [line.encode() for line in lines]
