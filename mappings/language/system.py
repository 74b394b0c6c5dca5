"""systems.yaml: the outside applications, each declared once."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from mappings.language.strict import NUMBER, Duration, Expected, OneOrMore, Positive, Strict

# as Dagster takes them
_OWNER = r"^(team:\S+|[A-Za-z0-9_][A-Za-z0-9._%+-]*@[A-Za-z0-9.-]+\.[A-Za-z]{2,7})$"
Owner = Annotated[str, Field(pattern=_OWNER), Expected("an e-mail address or team:NAME")]


FOLDER_KEYS = frozenset({"folder", "done", "failed", "stable_for", "marker", "outbound"})
"""The keys of connector file."""


class Limits(Strict):
    """How hard a system may be worked."""

    requests_per_second: Positive | None = None  # calls; default: as fast as it answers
    parallel_writes: Annotated[int, Field(ge=1, le=32), NUMBER] = 1  # writes under way at once


class Hooks(Strict):
    """How a system that calls us proves who it is, and how often it may call. No error of this model shows a value."""

    model_config = ConfigDict(hide_input_in_errors=True)

    # what calls are signed with; two while one takes the other's place
    secret: Annotated[tuple[Annotated[SecretStr, Field(min_length=16)], ...], OneOrMore] = ()
    secret_file: str | None = None  # or the file that holds it, one a line; relative to the project
    window: Duration = "5m"  # a call that was signed longer ago, or further ahead, is refused
    rate: Positive = 50.0  # calls in a second; twice as many at once
    keep: Duration = "30d"  # how long the body of a call stays readable after it was taken in

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if bool(self.secret) == (self.secret_file is not None):
            raise PydanticCustomError("said", "what are its calls signed with? Write `secret` or `secret_file`")
        return self


class System(Strict):
    """One outside application. The keys a connector needs beyond these are checked by the connector's own model."""

    connector: str  # file, sql or tryton; each has keys of its own beside these
    label: str = ""  # what people call it
    owners: Annotated[tuple[Owner, ...], OneOrMore] = ()  # whom to ask: e-mail addresses, team:NAME; shown in Dagster
    folder: str | None = None  # file: the drop folder, relative to the project
    done: str = "done"  # file: where read files go, below the folder
    failed: str = "failed"  # file: where files go whose run failed, below the folder
    stable_for: str = "2s"  # file: size and time must stand still this long before a file is read
    marker: str | None = None  # file: read NAME only once NAME + this suffix lies beside it (".ok")
    outbound: str | None = None  # file: where files are written, relative to the project; default: `folder`
    limits: Limits = Limits()  # what the system stands
    hooks: Hooks | None = None  # it may call us (`navette serve`): what its calls are signed with
    settle: Duration = "10s"  # after a lost answer, wait this long before looking whether the write was done


class SystemsFile(Strict):
    """mappings/systems.yaml, and systems.$NAVETTE_ENV.yaml, which is laid over it."""

    systems: dict[str, System]  # name to system
