"""docs/mapping.md is true: its examples are checked and decoded, and nothing of the language is missing from it.

`python tests/unit/test_docs_mapping.py` writes the list of built-in entities anew.
"""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import BaseModel

from connectors.registry import settings_models
from mappings.check.project import check_project
from mappings.codecs.into import decode_into
from mappings.codecs.registry import CODECS
from mappings.language import entity, flow, read, system, text, write
from mappings.language import field as field_models
from mappings.language.complaints import read_model
from mappings.language.project import Project, dump, read_project
from mappings.language.shapes import aliases
from mappings.language.source import parse_yaml
from mappings.messages import REASONS
from mappings.words import FIELD_TYPES, OUTCOMES

PAGE = Path(__file__).parents[2] / "docs" / "mapping.md"
BEGIN, END = "<!-- built-in entities: begin -->\n", "<!-- built-in entities: end -->\n"


@dataclass
class Example:
    """A fenced block: its info words, its text, the line it begins on, and the table right behind it."""

    info: tuple[str, ...]
    text: str
    line: int
    table: list[list[str]] = field(default_factory=list)

    @property
    def path(self) -> str | None:
        found = re.match(r"# (mappings/\S+\.yaml)\n", self.text)
        return found[1] if found else self.info[1] if self.info[0] == "csv" else None

    def __str__(self) -> str:
        return f"line {self.line}"


@cache
def examples() -> list[Example]:
    found: list[Example] = []
    lines = PAGE.read_text("utf-8").splitlines()
    at = 0
    while at < len(lines):
        if lines[at].startswith("```"):
            info, start = tuple(lines[at][3:].split()), at + 1
            at = next(number for number in range(start, len(lines)) if lines[number] == "```")
            found.append(Example(info or ("",), "\n".join(lines[start:at]) + "\n", start))
        elif lines[at].startswith("|") and found and all(not line for line in lines[_end(found[-1]) : at]):
            while at < len(lines) and lines[at].startswith("|"):
                found[-1].table.append(_cells(lines[at]))
                at += 1
            continue
        at += 1
    return found


def _end(example: Example) -> int:
    return example.line + example.text.count("\n") + 1


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def of_kind(*kinds: str) -> list[Example]:
    asked = [(kind,) for kind in kinds]
    return [example for example in examples() if example.info[0] == "yaml" and example.info[1:2] in asked]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every whole file of the page, as one project."""
    root = tmp_path_factory.mktemp("documented")
    for example in examples():
        if example.path is not None:
            path = root / example.path
            assert not path.exists(), f"{example.path} stands twice"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(example.text, "utf-8")
    return root


def as_flow(example: Example) -> dict[str, Any]:
    """A fragment put where it belongs, in a flow called example."""
    tree, problems = parse_yaml(example.text.encode(), str(example))
    assert problems == []
    assert tree is not None
    written = tree.plain()
    into: dict[str, Any] = {"entity": "company", "key": 1, "create": False}
    if example.info[1] == "flow":
        given = {"read": {"files": "example.csv"}, "into": into, **written}
    elif example.info[1] == "into":
        given = {"into": {**into, **written}}
    else:
        given = {"into": {**into, "entity": (example.info[2:] or ("company",))[0], "fields": written}}
    name = f"example_{example.line}"
    return {"flow": name, "system": "sage", "read": {"files": "X_{company}_{day:%Y%m%d}.csv"}, **given}


@pytest.fixture(scope="module")
def known(project: Path) -> Project:
    return read_project(project, {}).project


@pytest.fixture(scope="module")
def mistakes(project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What check tells of each fragment, put beside the page's own files."""
    root = tmp_path_factory.mktemp("fragments") / "project"
    shutil.copytree(project, root)
    told: dict[str, list[str]] = {}
    for example in of_kind("flow", "into", "fields"):
        (root / f"mappings/flows/{example.line}.yaml").write_text(dump(as_flow(example)), "utf-8")
        told[f"mappings/flows/{example.line}.yaml"] = []
    for problem in check_project(root, {}, connectors=settings_models()):
        if problem.severity == "error":
            told[problem.file].append(str(problem))
    return told


def test_the_page_has_its_examples():
    assert len(examples()) > 50


def test_every_yaml_block_says_what_it_is():
    unknown = [str(example) for example in examples() if example.info[0] == "yaml"
               and example.path is None and example.info[1:2] not in [("flow",), ("into",), ("fields",)]]
    assert unknown == []


def test_its_files_together_are_a_project_without_mistakes(project: Path):
    for env in ({}, {"NAVETTE_ENV": "test"}):
        assert [str(problem) for problem in check_project(project, env, connectors=settings_models())] == []


@pytest.mark.parametrize("example", of_kind("flow", "into", "fields"), ids=str)
def test_its_fragments_have_no_mistakes(mistakes: dict[str, list[str]], example: Example):
    assert mistakes[f"mappings/flows/{example.line}.yaml"] == []


@pytest.mark.parametrize("example", [example for example in of_kind("fields", "flow") if example.table], ids=str)
def test_its_tables_tell_what_becomes_of_each_cell(known: Project, example: Example):
    header, _, *rows = example.table
    tree, _ = parse_yaml(dump(as_flow(example)).encode(), "f")
    assert tree is not None
    into = read_model(flow.Flow, tree)[0].into[0].model_copy(update={"key": ("K",)})
    raw = [name for name in header if name not in into.fields]
    columns = {name: [_raw(row[header.index(name)]) for row in rows] for name in raw}
    frame = pd.DataFrame({"K": [str(number) for number in range(len(rows))], **columns}, dtype="string[pyarrow]")
    decoded = decode_into(frame, into, known.entities[into.entity], variables={}, codes=known.codes,
                          entities=known.entities)
    faults = {(fault.row, fault.field): f"*{fault.code}*" for fault in decoded.faults.frame.itertuples()}
    for number, row in enumerate(rows):
        for name in into.fields:
            kept = name in decoded.kept and decoded.kept[name].iloc[number]
            told = faults.get((number, name)) or ("(kept)" if kept else _shown(decoded.values, number, name))
            assert told == row[header.index(name)], f"row {number + 1}, {name}"


def _raw(cell: str) -> str:
    return cell[1:-1] if cell.startswith("`") else cell


def _shown(values: pd.DataFrame, number: int, name: str) -> str:
    value = values[name].iloc[number]
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    second = next((part for part in (f"{name}_currency", f"{name}_unit") if part in values.columns), None)
    if second is not None:
        return f"`{value} {values[second].iloc[number]}`"
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, pd.Timestamp):
        return f"`{value.strftime('%Y-%m-%dT%H:%M:%SZ')}`"
    return f"`{', '.join(value)}`" if isinstance(value, list) or hasattr(value, "tolist") else f"`{value}`"


# nothing is missing


SECTIONS: dict[type[BaseModel], str] = {
    system.System: "4. Systems",
    system.Limits: "4. Systems",
    system.Hooks: "4. Systems",
    entity.EntityFile: "Keys of an entity file",
    entity.FieldSpec: "Keys of a field",
    entity.MasterRule: "Masters",
    flow.Flow: "7. Flows",
    read.Read: "8. read: files, formats, order",
    read.CsvFormat: "csv",
    read.FixedFormat: "fixed",
    read.ExcelFormat: "excel",
    read.JsonlFormat: "jsonl",
    read.FecFormat: "fec",
    read.Records: "records",
    read.Trailer: "trailer",
    read.Each: "continues",
    flow.Into: "9. into: keys, matching, children",
    flow.MatchRule: "match",
    flow.Owner: "Children: owner, whole, each",
    write.Write: "18. The way back: write",
    write.RecordsAre: "18. The way back: write",
    write.Key: "18. The way back: write",
    write.Live: "18. The way back: write",
    field_models.Out: "18. The way back: write",
    field_models.FieldMap: "10. fields: from a column to a value",
    text.Join: "Where it comes from",
    text.Text: "derive",
    field_models.Part: "Choosing and steering the codec",
    field_models.Refers: "12. Links",
    flow.Guard: "14. Guard and schedule",
    flow.Schedule: "14. Guard and schedule",
}
ELSEWHERE = {system.SystemsFile: "systems:", read.Format: "`csv`, `fixed`, `excel`, `jsonl`, `fec`",
             flow.Not: "`{not: A}`", flow.Matches: "`{matches: "}


def section(title: str) -> str:
    """The text under a heading, up to the next heading of the same or a higher level."""
    page = re.sub(r"^```.*?^```$", "", PAGE.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = re.search(rf"^(#+) {re.escape(title)}$", page, re.MULTILINE)
    assert found, f"there is no heading {title!r}"
    rest = page[found.end() :]
    following = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: following.start()] if following else rest


def language_models() -> list[type[BaseModel]]:
    return [
        model
        for module in (system, entity, flow, read, write, text, field_models)
        for model in vars(module).values()
        if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == module.__name__
    ]


def test_every_model_of_the_language_has_its_place_on_the_page():
    assert set(language_models()) == {*SECTIONS, *ELSEWHERE}
    page = PAGE.read_text("utf-8")
    assert [text for text in ELSEWHERE.values() if text not in page] == []


@pytest.mark.parametrize("model", SECTIONS, ids=lambda model: model.__name__)
def test_every_key_has_a_line_in_a_table(model: type[BaseModel]):
    rows = [line.split("|")[1] for line in section(SECTIONS[model]).splitlines() if line.startswith("| `")]
    documented = {key for row in rows for key in re.findall(r"`([^`]+)`", row)}
    assert [key for key in aliases(model) if key not in documented] == []


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_has_a_section_with_a_table_of_good_and_refused_cells(codec: str):
    assert codec in [line[4:] for line in section("11. Codecs").splitlines() if line.startswith("### ")]
    shown = [example for example in of_kind("fields") if f"as: {codec}" in example.text or codec in ("text", "decimal")]
    assert any(example.table for example in shown)


def test_every_codec_section_is_a_codec():
    assert {line[4:] for line in section("11. Codecs").splitlines() if line.startswith("### ")} == set(CODECS)


@pytest.mark.parametrize("key", ["on_match", "absent", "else", "invalid", "short", "every", "direction", "case"])
def test_every_word_of_a_closed_list_is_explained(key: str):
    words = {
        word
        for model in language_models()
        for name, shape in aliases(model).items()
        if name == key
        for word in re.findall(r"'(\w[\w-]*)'", repr(shape))
    }
    page = PAGE.read_text("utf-8")
    assert words
    assert [word for word in words if f"`{word}`" not in page and f": {word}`" not in page] == []


def test_every_policy_for_conflicts_is_explained():
    assert [word for word in ("newest", "crm", "review") if f"| `{word}` |" not in section("Conflicts")] == []


def test_every_field_type_outcome_and_reason_is_explained():
    types, ends = section("Keys of a field"), section("15. What becomes of a row")
    assert [word for word in FIELD_TYPES if f"`{word}`" not in types] == []
    assert [word for word in OUTCOMES if f"`{word}`" not in ends] == []
    assert [code for code in REASONS if f"*{code}*" not in ends] == []
    assert [code for code in re.findall(r"\*(\w+)\*", ends) if code not in REASONS] == []


def test_the_contents_lead_to_the_headings():
    page = PAGE.read_text("utf-8")
    titles = re.findall(r"^##+ (.+)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    assert [link for link in re.findall(r"\]\(#([^)]+)\)", page) if link not in anchors] == []


def builtin_text() -> str:
    """Every built-in entity with its fields, in short."""
    entities = read_project(PAGE.parents[1], {}).project.entities
    paragraphs: list[str] = []
    for name, known in sorted(entities.items()):
        head = f"**{name}**" + (f" [{', '.join(known.types)}]" if known.types else "")
        fields = ", ".join(f"`{key}`{_kind(spec)}" for key, spec in known.fields.items())
        paragraphs.append("\n".join(textwrap.wrap(f"{head}: {fields}", 140, break_on_hyphens=False)))
    return "\n" + "\n\n".join(paragraphs) + "\n\n"


def _kind(spec: entity.FieldSpec) -> str:
    said = [spec.format or ("" if spec.type == "text" else spec.type)]
    if spec.type in ("link", "links"):
        said = [f"→ {spec.to}" + (", several" if spec.type == "links" else "")]
    if spec.type in ("choice", "choices"):
        said = [f"{spec.type}: {', '.join(spec.values)}"]
    said += ["required"] if spec.required else []
    told = ", ".join(part for part in said if part)
    return f" ({told})" if told else ""


def test_the_built_in_entities_are_listed_as_they_are():
    page = PAGE.read_text("utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0] == builtin_text()


if __name__ == "__main__":
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(before + BEGIN + builtin_text() + END + rest.partition(END)[2], "utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
