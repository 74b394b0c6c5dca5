"""Validate: what `expect:` asks of each decoded batch, of the whole landed run, and how it is reported."""

from __future__ import annotations

from pipelines.stages.expectations.docs import IntoResults, build_docs
from pipelines.stages.expectations.rows import RowExpectations
from pipelines.stages.expectations.run import RunExpectations, RunFailure

__all__ = ["IntoResults", "RowExpectations", "RunExpectations", "RunFailure", "build_docs"]
