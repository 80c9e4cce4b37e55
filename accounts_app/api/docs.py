"""The API's documentation for people, from the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Value:
    """A parameter, or a field of a body."""

    name: str
    place: str  # "path", "query" or "body"
    type: str
    is_required: bool
    description: str


@dataclass(frozen=True)
class Operation:
    name: str
    method: str
    path: str
    description: str
    values: list[Value]
    statuses: list[str]


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    """Yield the operations of the document, in its order."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield Operation(
                name=operation["operationId"],
                method=method.upper(),
                path=path,
                description=operation["description"],
                values=[*_parameters(operation), *_fields(operation, document)],
                statuses=list(operation["responses"]),
            )


def _parameters(operation: dict[str, Any]) -> Iterator[Value]:
    for parameter in operation.get("parameters", ()):
        description = parameter.get("description", "").replace("`", "")
        is_required = parameter.get("required", False)
        yield Value(parameter["name"], parameter["in"], _type(parameter["schema"]), is_required, description)


def _fields(operation: dict[str, Any], document: dict[str, Any]) -> Iterator[Value]:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
        for name, field in schema["properties"].items():
            yield Value(name, "body", _type(field), name in schema.get("required", ()), field.get("description", ""))


def _type(schema: dict[str, Any]) -> str:
    """Return the type of a value in words, such as "string (date)" or "open or closed"."""
    if "enum" in schema:
        return " or ".join(schema["enum"])
    name = str(schema["type"])
    return f"{name} ({schema['format']})" if "format" in schema else name
