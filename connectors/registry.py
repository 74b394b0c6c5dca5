"""The connectors to live systems: the model of each one's keys in systems.yaml, and what opens it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any

from pydantic import BaseModel, ValidationError

from connectors.remote import Remote
from mappings.errors import ConfigurationError

_PLACES: dict[str, tuple[str, str, str]] = {
    # connector: module of its settings, model, function that opens it (in the package's module `open`)
    "sql": ("connectors.sql.settings", "SqlSettings", "open_sql"),
    "tryton": ("connectors.tryton.settings", "TrytonSettings", "open_tryton"),
}
CONNECTORS = ("file", *_PLACES)
PREPARED = ("sql",)
"""Connectors whose systems are told to record changes before these are told at once (connectors.remote.Prepares)."""


def settings_models(of: Collection[str] = CONNECTORS) -> dict[str, type[BaseModel] | None]:
    """Connector to the model of its own keys; None where there are none beyond those that every system has, and where
    it is not asked for (`of`): to import one takes time."""
    return {"file": None, **{name: getattr(import_module(module), model) if name in of else None
                             for name, (module, model, _) in _PLACES.items()}}


def open_remote(system: str, connector: str, keys: Mapping[str, Any]) -> Remote:
    """A session with the system. Raises ConfigurationError, RemoteDown, LoginRefused."""
    module, model, opener = _PLACES[connector]
    try:
        settings = getattr(import_module(module), model).model_validate(dict(keys))
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in
                         error.errors(include_url=False, include_input=False, include_context=False))
        raise ConfigurationError(f"the system's keys are wrong: {told}", where=f"system {system}",
                                 todo="navette check names each with its line") from None
    opened: Callable[[Any], Remote] = getattr(import_module(module.rpartition(".")[0] + ".open"), opener)
    return opened(settings)
