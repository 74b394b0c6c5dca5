"""A system asked for one row, before a person's word ties its key to a record."""

from __future__ import annotations

from mappings.errors import ConfigurationError, RetryLater
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.remote import resource_of, session
from pipelines.stages.sending import remote_key


def must_be_there(hub: Hub, flow: Flow, into: str | None, key: str) -> None:
    """Raises ConfigurationError where the flow's system has no row of this key.

    Not where it cannot be asked: files, an into whose keys are not the source's, a query without a key; nor where it is
    paused or does not answer now: who mends by hand need not wait for it.
    """
    first = flow.into[0]
    if hub.project.systems[flow.system].connector == "file" or (into or flow.into[-1].label) != first.label:
        return
    parts = remote_key(key)
    if len(parts) != len(first.key):
        raise ConfigurationError(f"{key!r} is no key of this flow", where=f"flow {flow.flow}",
                                 todo=f"the parts of a key are those of: {', '.join(map(str, first.key))}")
    try:
        with session(hub, flow.system) as remote:
            page = remote.fetch(resource_of(flow), [parts])
    except (RetryLater, ConfigurationError):
        return
    if not len(page.frame):
        raise ConfigurationError(f"{flow.system} has no row {key!r}", where=f"flow {flow.flow}",
                                 todo="give a key that is there: navette trace shows those that are known")
