"""Web addresses, and references to files."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

import pyarrow as pa
import pyarrow.compute as pc

from mappings.codecs.cells import TEXT, Cells, judged, matches, nulled, picked, placed, present
from mappings.codecs.reading import Reading, Rule, refuse

_REST = r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}(?:/[!-~]*)?$"
_PLAIN_URL, _PLAIN_HOST = rf"^https?://{_REST}", rf"^www\.{_REST}"
_HOST = re.compile(r"(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_]{2,}|localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]")
_NO_FILE = r"\p{Cc}|[/\\]$|(?:^|[/\\])\.\.(?:[/\\]|$)"
_LONGEST_URL = 2048
_LONGEST_PATH = 1024


def decode_url(cells: Cells, rule: Rule) -> Reading:
    """http or https, scheme and host in lower case; `www.example.org` is taken as https."""
    del rule
    plain = matches(cells, _PLAIN_URL)
    values = cells
    if not plain.all():
        bare = matches(cells, _PLAIN_HOST)
        https = pa.scalar("https://", TEXT)
        found = pc.binary_join_element_wise(https, picked(cells, bare), pa.scalar("", TEXT))
        values = placed(values, bare, found)
        plain |= bare
    rest = present(cells) & ~plain
    if rest.any():
        values = placed(values, rest, judged(picked(cells, rest), url))
    return refuse(values, present(cells) & ~present(values), "not_url")


def url(text: str) -> str | None:
    """One web address; None where it is none (another scheme, no host, spaces inside, a mail address)."""
    if len(text) > _LONGEST_URL or re.search(r"\s", text):
        return None
    bare = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is None
    written = f"https://{text}" if bare else text
    try:
        parts = urlsplit(written)
        port = parts.port
    except ValueError:
        return None
    host = (parts.hostname or "").lower()
    shown = f"[{host}]" if ":" in host else host
    if parts.scheme.lower() not in ("http", "https") or not _HOST.fullmatch(shown):
        return None
    login = parts.netloc.rpartition("@")[0]
    if bare and "@" in parts.netloc:
        return None
    place = f"{login}@{shown}" if login else shown
    return urlunsplit((
        parts.scheme.lower(), place if port is None else f"{place}:{port}", parts.path, parts.query, parts.fragment
    ))


def decode_file(cells: Cells, rule: Rule) -> Reading:
    """A path or address of a file, as it stands: no control characters, no way up (`..`), not a folder."""
    del rule
    long = pc.utf8_length(cells).fill_null(0).to_numpy(zero_copy_only=False) > _LONGEST_PATH
    bad = long | matches(cells, _NO_FILE)
    return refuse(nulled(cells, bad), bad, "not_file")
