"""What the documents say of commands and of the language is true."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import ruamel.yaml

from mappings.language.entity import EntityFile
from mappings.language.flow import Flow
from mappings.language.system import SystemsFile

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "ARCHITECTURE.md")]
DOCUMENTS = [path for path in [*DOCUMENTS, *sorted((ROOT / "docs").glob("*.md"))] if path.exists()]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
MODELS = {"flow": Flow, "entity": EntityFile, "systems": SystemsFile}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 105


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_that_a_document_names_exists(path: Path) -> None:
    text = path.read_text("utf-8")
    shell = " ".join(re.findall(r"`([^`\n]+)`", text) + blocks(text, "sh"))
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", shell))
    assert named <= TARGETS


def test_plain_make_lists_every_target_with_a_line() -> None:
    made = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in made.stdout.splitlines()[1:]}
    assert set(lines) == TARGETS
    assert all(lines.values())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text("utf-8"))
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_yaml_shown_is_the_language(name: str) -> None:
    shown = blocks((ROOT / name).read_text("utf-8"), "yaml")
    for text in shown:
        content = ruamel.yaml.YAML(typ="safe").load(text)
        model = next((MODELS[key] for key in MODELS if key in content), None)
        assert model is not None, text
        model.model_validate(content)
    assert shown or name != "README.md"


def test_the_readme_names_the_versions_that_are_locked() -> None:
    lock = (ROOT / "requirements" / "lock.txt").read_text("utf-8")
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\d+\.\d+)", lock, re.MULTILINE))
    readme = (ROOT / "README.md").read_text("utf-8")
    told = dict(re.findall(r"(dagster|pandas|sqlalchemy|pyarrow|great-expectations) (\d+\.\d+)", readme))
    assert told
    assert told == {name: locked[name] for name in told}
