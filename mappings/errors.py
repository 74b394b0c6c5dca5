"""Every error Navette raises, by what the caller does with it.

::

    NavetteError                     what happened, where, what to do next
    ├── ConfigurationError           fix the configuration (exit 1); carries every Problem at once
    ├── RunStopped                   this run cannot go on (exit 4); the state is unchanged
    │   ├── SourceUnreadable         the file or resource cannot be read at all
    │   └── ExpectationFailed        the run as a whole is not what the mapping expects
    ├── RetryLater                   the same call may pass later (server starting, lock held)
    └── StoreError                   the store refused, with what the database said

A row that is refused is no exception: it is a line of `Faults` (mappings.faults).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Problem:
    """One mistake in what an integrator wrote; line and column count from 1."""

    file: str
    line: int
    column: int
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        mark = "" if self.severity == "error" else "warning: "
        return f"{self.file}:{self.line}:{self.column}: {mark}{self.message}"


class NavetteError(Exception):
    """What happened, where it happened, and what to do next."""

    exit_code = 4

    def __init__(self, message: str, *, where: str = "", todo: str = "") -> None:
        super().__init__(message)
        self.message, self.where, self.todo = message, where, todo

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}\n  -> {self.todo}" if self.todo else head


class ConfigurationError(NavetteError):
    """The project's YAML, environment or command line is wrong; nothing has run."""

    exit_code = 1

    def __init__(self, message: str, *, where: str = "", todo: str = "", problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message, where=where, todo=todo)
        self.problems = problems


class RunStopped(NavetteError):
    """This run cannot go on; nothing of it was applied, or what was applied is complete and recorded."""


class SourceUnreadable(RunStopped):
    """The file or resource cannot be read at all (missing, a directory, not the declared format)."""


class ExpectationFailed(RunStopped):
    """The run as a whole does not meet an expectation; nothing was applied.

    `failures`: for each expectation that is not met: into, expectation, arguments, rule and observed.
    """

    def __init__(self, message: str, *, where: str = "", todo: str = "", failures: tuple[dict[str, Any], ...] = ()
                 ) -> None:
        super().__init__(message, where=where, todo=todo)
        self.failures = failures


class RetryLater(NavetteError):
    """The same call may pass later: a server is starting, a lock is held, a file is still being written."""


class StoreError(NavetteError):
    """The store refused; carries what the database said without its statement or parameters."""


class StoreHindered(StoreError):
    """The store cannot work as things are (its disk is full, a right is lacking); what was asked of it is sound."""
