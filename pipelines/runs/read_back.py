"""Rows that are read back after a write, by whose they are: as our write left them, or saved by somebody else since.

Of ours, whatever they have is what the system made of what was sent. Of those of somebody else that is so only as far
as it may be made of it: they are read as any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from connectors.page import Page
from connectors.remote import Remote, Resource
from mappings.codecs.keys import joined_key, keys_of
from mappings.language.strict import Column
from pipelines.runs.news import numbered
from pipelines.stages.sending import remote_key

Part = tuple[Page, Literal["readback", "push"]]
"""Rows, and as what they go down the road."""


def parts_read_back(remote: Remote, resource: Resource, page: Page, key: Sequence[Column]) -> list[Part]:
    """The rows of the page. Who saved them is asked after they were read: one may be told too many, none is missed."""
    keys = keys_of(page.frame, key, {})
    known = [remote_key(one) for one in keys.dropna()]
    edited = {joined_key(one) for one in remote.edited(resource, known)} if known else set()
    theirs = keys.isin(edited).to_numpy(dtype=bool)
    parts: list[Part] = [(page.only(~theirs), "readback"), (page.only(theirs), "push")]
    return [(numbered(rows, 0), trigger) for rows, trigger in parts if len(rows.frame)]
