"""One store that reads both days, each twice, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from mappings.language.project import require_project
from tests.real_exports.raw_exports import EXPORTS
from tests.real_exports.story import Story

PROJECT = Path(__file__).parent / "project"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == PROJECT.parent:
            item.add_marker(pytest.mark.timeout(900))  # the first test pays for reading everything


@pytest.fixture(scope="session")
def fresh(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A store with the project's entities in which nothing was read yet."""
    if not EXPORTS.is_dir():
        pytest.skip(f"the real exports are not in {EXPORTS}: NOTHING of them was tried")
    root = copytree(PROJECT, tmp_path_factory.mktemp("real") / "project")
    project = require_project(root, {"NAVETTE_ENV": "test"})
    store = server.new_store(project)
    yield Story(project, store)
    server.drop(store)


@pytest.fixture(scope="session")
def first_day(fresh: Story) -> Story:
    """The first day was read, and then the same files again."""
    fresh.read("first", "day1")
    fresh.read_again("first again", "day1")
    return fresh


@pytest.fixture(scope="session")
def second_day(first_day: Story) -> Story:
    """The second day was read after the first, and then the same files again."""
    first_day.read("second", "day2")
    first_day.read_again("second again", "day2")
    return first_day
