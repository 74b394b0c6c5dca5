"""What a body has to be declared as, before anybody reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.http.problem import Refused


def require_json(headers: Mapping[str, str], **more: Any) -> None:
    """Raises Refused (415, with `more` members) unless the body is declared as JSON in UTF-8, as it is."""
    kind, _, parameters = headers.get("content-type", "").partition(";")
    charset = parameters.lower().replace(" ", "").replace('"', "")
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise Refused(415, "not JSON", "send Content-Type: application/json, in UTF-8", **more)
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "packed", "send the body as it is, without Content-Encoding", **more)
