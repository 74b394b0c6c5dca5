"""The JSON Schema of the language, for completion and hints in editors: one document for all three kinds of files.

::

    has `flow:`    -> a flow        (mappings/flows/*.yaml)
    has `entity:`  -> an entity     (mappings/entities/*.yaml)
    else           -> the systems   (mappings/systems.yaml)

A key's description is the comment beside it in its model, so that there is one place for both.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from mappings.language.entity import EntityFile
from mappings.language.flow import Flow
from mappings.language.strict import TEXT
from mappings.language.system import SystemsFile

_KEY = re.compile(r"    (?P<name>[a-z_]+): .*?(?:  # (?P<beside>.+))?$")
_ABOVE = re.compile(r"    # (?P<above>.+)$")


def language_schema() -> dict[str, Any]:
    """The whole document, as JSON Schema 2020-12."""
    definitions: dict[str, Any] = {}
    for model in (SystemsFile, EntityFile, Flow):
        schema = model.model_json_schema(schema_generator=_Schema, ref_template="#/$defs/{model}")
        definitions |= schema.pop("$defs", {})
        definitions[model.__name__] = schema
    # What a flow must have it may inherit, and an abstract flow may leave to its heirs.
    definitions["Flow"]["required"] = ["flow"]
    definitions["Into"].pop("required", None)

    def kind(key: str, model: str, otherwise: dict[str, Any]) -> dict[str, Any]:
        return {"if": {"required": [key]}, "then": {"$ref": f"#/$defs/{model}"}, "else": otherwise}

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Navette's mapping language",
        "type": "object",
        **kind("flow", "Flow", kind("entity", "EntityFile", {"$ref": "#/$defs/SystemsFile"})),
        "$defs": dict(sorted(definitions.items())),
    }


def key_descriptions(model: type[BaseModel]) -> dict[str, str]:
    """What each attribute of a model means: the comment on its line, else the one above it."""
    parent = model.__bases__[0]
    described = key_descriptions(parent) if issubclass(parent, BaseModel) and parent is not BaseModel else {}
    above: list[str] = []
    for line in inspect.getsource(model).splitlines():
        if comment := _ABOVE.match(line):
            above.append(comment["above"])
            continue
        key = _KEY.match(line)
        if key is not None and key["name"] in model.model_fields:
            described[key["name"]] = key["beside"] or " ".join(above)
        above = []
    return described


class _Schema(GenerateJsonSchema):
    """Adds the descriptions, and lets text be written as a number, as the language does."""

    def generate(self, schema: core_schema.CoreSchema, mode: JsonSchemaMode = "validation") -> JsonSchemaValue:
        document = super().generate(schema, mode)
        document.pop("title", None)
        return document

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        written = super().str_schema(schema)
        return written if set(written) - {"type"} else dict(TEXT)

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        written = super().model_schema(schema)
        model = schema["cls"]
        described = key_descriptions(model)
        for name, info in model.model_fields.items():
            held = written["properties"][info.alias or name]
            held["description"] = described[name]
            held.pop("title", None)
        return written

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Defaults that are models of their own say nothing to an editor."""
        written = super().default_schema(schema)
        if isinstance(written.get("default"), dict | list):
            written.pop("default")
        return written


