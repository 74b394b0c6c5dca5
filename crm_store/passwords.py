"""The store's passwords: made on the first start, kept in NAVETTE_HOME/secrets for its owner's eyes only.

::

    NAVETTE_HOME/secrets/            mode 0700
    └── passwords.json               mode 0600: {role: password}
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path


def kept_passwords(home: Path, roles: tuple[str, ...]) -> dict[str, str]:
    """The passwords of `roles`, by role; the missing ones are made and kept. Call it under the home's lock."""
    folder = home / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    path = folder / "passwords.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = [role for role in roles if role not in known]
    if missing:
        known |= {role: secrets.token_urlsafe(24) for role in missing}
        write_private(path, json.dumps(known, indent=2))
    return {role: known[role] for role in roles}


def derived_password(owner_password: str, role: str) -> str:
    """The password of `role` on a server of one's own, where every machine with the owner's URL finds the same."""
    return hmac.new(owner_password.encode(), f"navette role {role}".encode(), hashlib.sha256).hexdigest()


def write_private(path: Path, text: str) -> None:
    """Write whole or not at all, readable by the owner alone (a killed command must not leave half a file)."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    new.replace(path)
