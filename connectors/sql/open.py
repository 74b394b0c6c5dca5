"""From settings to a session with the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.sql.settings import SqlSettings

if TYPE_CHECKING:
    from connectors.sql.remote import SqlRemote


def open_sql(settings: SqlSettings) -> SqlRemote:
    """A session with the database of `settings`.

    Raises RemoteDown (no answer, or not now), LoginRefused, ConfigurationError (no such database, no trusted TLS).
    """
    from connectors.sql.remote import SqlRemote

    return SqlRemote(settings)
