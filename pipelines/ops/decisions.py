"""What a person decided, who, when and why: kept with the row or the conflict that it settles."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from getpass import getuser
from typing import Any


def decided(what: str, why: str | None = None, *, at: datetime | None = None, **more: Any) -> dict[str, Any]:
    """The value of a `decision` column: by, at (ISO, UTC; default: now), what, why and whatever else belongs to it."""
    said = {"by": person(), "at": (at or datetime.now(UTC)).isoformat(), "what": what}
    return said | ({"why": why} if why else {}) | more


def person() -> str:
    """Who runs this command; a container's user may have a number and no name."""
    try:
        return getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
