"""The description of the API in the order and words in which the page and the manual show it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from ctxhub.errors import CtxhubError, every_error
from ctxhub.model.event import TOLD

_BODY_LEVELS = 2
_METHODS = ("get", "post", "put", "patch", "delete")
_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_FORMATS = {"date-time": "time", "date": "date"}

#: The groups in reading order, each with what it is for.
GROUPS = {
    "interactions": "A call, a chat, a visit: find or start it, name it, say who it really is, end it.",
    "events": "All that happens is told the same way. The types and their data stand below under Events.",
    "context": "What the hub knows about a customer, as the asking interaction may see it; and whether to ask.",
    "handoffs": "An interaction on its way to another party or channel, with its context.",
    "queues": "Where customers wait for agents.",
    "agents": "Who is there for work, what he can do, and what he has.",
    "customers": "Who a customer is, by identifier; and forgetting one.",
    "streams": "Server-sent events. The first is `ready`; `Last-Event-ID` or `after` goes on where it stopped.",
    "tenant": "What a tenant declares, and its keys.",
    "numbers": "What is counted, with definitions.",
    "health": "For whoever watches the hub. These need no key.",
}


class Field(NamedTuple):
    """One field or parameter: its path, what it may hold, whether it must be there; and the shape it holds, if any."""

    name: str
    type: str
    required: bool
    note: str
    shape: str = ""


class Operation(NamedTuple):
    """One thing that can be called."""

    method: str
    path: str
    anchor: str
    promise: str
    parameters: list[Field]
    body: list[Field]
    example: str
    status: str
    answer: list[Field]
    answer_example: str


class Group(NamedTuple):
    """Operations about one noun."""

    name: str
    promise: str
    operations: list[Operation]


class Shape(NamedTuple):
    """What several bodies and answers hold, described once."""

    name: str
    promise: str
    fields: list[Field]


class Problem(NamedTuple):
    """One code that a refusal may carry."""

    code: str
    status: int
    title: str
    remedy: str


class Told(NamedTuple):
    """One type of event that can be told, with its data."""

    type: str
    promise: str
    data: list[Field]


@cache
def _kept(name: str) -> dict[str, Any]:
    """Return what stands beside the page: `examples`, by method and path, or `words`, by the name of a field."""
    found: dict[str, Any] = json.loads(files("ctxhub.api").joinpath(f"pages/{name}.json").read_text("utf-8"))
    return found


def _examples() -> dict[str, dict[str, Any]]:
    """Return the examples, by method and path."""
    return _kept("examples")


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Put into an OpenAPI document what fields mean, examples, and which routes need no key.

    One idea has one word, so that a field's name says what it means wherever it stands. Done twice it changes nothing.
    """
    for named in _named(document):
        _with_meaning(*named)
    for method, path, operation in _operations(document):
        example = _examples().get(f"{method.upper()} {path}", {})
        if "request" in example:
            operation["requestBody"]["content"]["application/json"]["example"] = example["request"]
        if isinstance(example.get("answer"), dict):
            _success(operation)[1]["content"]["application/json"]["example"] = example["answer"]
        if "health" in operation["tags"]:
            operation["security"] = []
    return document


def _named(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every field and parameter with its name."""
    for schema in document["components"]["schemas"].values():
        yield from schema.get("properties", {}).items()
    for _, _, operation in _operations(document):
        yield from ((parameter["name"], parameter) for parameter in operation.get("parameters", ()))


def _with_meaning(name: str, described: dict[str, Any]) -> None:
    """Say what a field means, unless it says so itself."""
    meaning = _kept("words").get(name)
    if meaning and not described.get("description"):
        described["description"] = meaning


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield every operation with its method and path."""
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield method, path, item[method]


def _success(operation: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the answer of a call that went well, with its status."""
    return next((status, answer) for status, answer in operation["responses"].items() if status.startswith("2"))


def groups_of(document: dict[str, Any]) -> list[Group]:
    """Return all operations by group; one with several tags stands under its last, the narrowest."""
    found: dict[str, list[Operation]] = {name: [] for name in GROUPS}
    for method, path, operation in _operations(document):
        found.setdefault(operation["tags"][-1], []).append(_operation(document, method, path, operation))
    return [Group(name, GROUPS.get(name, ""), operations) for name, operations in found.items() if operations]


def _operation(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> Operation:
    """Return one operation as shown."""
    status, answer = _success(operation)
    return Operation(
        method=method.upper(),
        path=path,
        anchor=anchor_of(method, path),
        promise=operation["description"],
        parameters=[_parameter(document, parameter) for parameter in operation.get("parameters", ())],
        body=fields_of(document, _schema(operation.get("requestBody", {})), _BODY_LEVELS),
        example=_request_example(document, method, path, operation),
        status=status,
        answer=_given(fields_of(document, _schema(answer))),
        answer_example=_written(_examples().get(f"{method.upper()} {path}", {}).get("answer")),
    )


def anchor_of(method: str, path: str) -> str:
    """Return where an operation stands on the page."""
    return "-".join([method.lower(), *re.findall(r"\w+", path.removeprefix("/v1"))])


def _schema(carrier: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema that a request or an answer carries; an empty one where it is no JSON."""
    schema: dict[str, Any] = carrier.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _request_example(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    """Return an example of a request's body."""
    given = _examples().get(f"{method.upper()} {path}", {}).get("request")
    declared = _resolved(document, _schema(operation.get("requestBody", {}))).get("examples", [None])
    return _written(given or declared[0])


def _written(example: Any) -> str:
    """Write an example for eyes; a text stands as it is."""
    if example is None or isinstance(example, str):
        return example or ""
    return json.dumps(example, ensure_ascii=False, indent=2)


def _parameter(document: dict[str, Any], parameter: dict[str, Any]) -> Field:
    """Return a parameter of a path or query."""
    schema = parameter["schema"]
    note = _note(schema | {"description": parameter.get("description") or schema.get("description", "")})
    return Field(parameter["name"], _type(document, schema), parameter["required"], note)


def fields_of(document: dict[str, Any], schema: dict[str, Any], levels: int = 1, above: str = "") -> list[Field]:
    """Return the fields of a schema, each followed by those of what it holds, as many levels down as wanted."""
    found: list[Field] = []
    resolved = _resolved(document, schema)
    for name, inner in resolved.get("properties", {}).items():
        within, mark = _within(inner)
        required = name in resolved.get("required", ())
        found.append(Field(above + name, _type(document, inner), required, _note(inner), _shape_of(document, within)))
        if levels > 1:
            found += fields_of(document, within, levels - 1, f"{above}{name}{mark}.")
    return found


def _given(fields: list[Field]) -> list[Field]:
    """Return fields that we send: nobody is required to do anything about them."""
    return [field._replace(required=False) for field in fields]


def _shape_of(document: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return the name of the shape that a schema refers to; nothing where it spells itself out."""
    resolved = _resolved(document, schema)
    return str(resolved["title"]) if "$ref" in schema and "properties" in resolved else ""


def shapes_of(document: dict[str, Any]) -> list[Shape]:
    """Return every shape that a body or an answer refers to, by name."""
    known = {schema.get("title", name): schema for name, schema in document["components"]["schemas"].items()}
    found: dict[str, Shape] = {}
    wanted = [f.shape for g in groups_of(document) for o in g.operations for f in (*o.body, *o.answer) if f.shape]
    while wanted:
        name = wanted.pop()
        if name not in found:
            fields = _given(fields_of(document, known[name]))
            found[name] = Shape(name, known[name].get("description", "").split("\n")[0], fields)
            wanted += [field.shape for field in fields if field.shape]
    return [found[name] for name in sorted(found)]


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference points at."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["schemas"][name] if name else schema
    return found


def _within(schema: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the schema of what a field holds, and how a path says so: `[]` for lists, `.*` for maps."""
    chosen = next(iter(_alternatives(schema)), schema)
    if "items" in chosen:
        return chosen["items"], "[]"
    if isinstance(chosen.get("additionalProperties"), dict):
        return chosen["additionalProperties"], ".*"
    return chosen, ""


def _alternatives(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a field may hold, beside null."""
    return [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]


def _type(document: dict[str, Any], schema: dict[str, Any]) -> str:
    """Say in words what a field may hold."""
    words = [_plain_type(document, one) for one in _alternatives(schema)]
    nullable = any(one.get("type") == "null" for one in schema.get("anyOf", ()))
    return " or ".join([*words, *(["null"] if nullable else [])])


def _plain_type(document: dict[str, Any], schema: dict[str, Any]) -> str:
    """Say in words what a field holds that has one type."""
    schema = _resolved(document, schema)
    choices = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    if choices:
        return " | ".join(json.dumps(choice) if not isinstance(choice, str) else choice for choice in choices)
    if schema.get("type") == "array":
        return f"list of {_type(document, schema.get('items', {}))}{_bounds(schema, 'minItems', 'maxItems')}"
    if schema.get("type") == "object":
        return _object(document, schema)
    return _scalar(schema)


def _object(document: dict[str, Any], schema: dict[str, Any]) -> str:
    """Say in words what an object is: by its shape's name, as a map, or anything."""
    if "properties" in schema:
        return str(schema["title"])
    values = schema.get("additionalProperties")
    return f"map to {_type(document, values)}" if isinstance(values, dict) and values else "object"


def _scalar(schema: dict[str, Any]) -> str:
    """Say in words what a single value may be."""
    word = _FORMATS.get(schema.get("format", "")) or _TYPES.get(schema.get("type", ""), "anything")
    if "pattern" in schema:
        return f"{word} like `{schema['pattern']}`"
    return word + _bounds(schema, "minLength", "maxLength") + _bounds(schema, "minimum", "maximum")


def _bounds(schema: dict[str, Any], least: str, most: str) -> str:
    """Say between what bounds something lies."""
    low, high = schema.get(least), schema.get(most)
    if low is not None and high is not None:
        return f", {low:g} to {high:g}"
    if high is not None:
        return f", up to {high:g}"
    return f", at least {low:g}" if low is not None else ""


def _note(schema: dict[str, Any]) -> str:
    """Say what a field means, and what an absent one counts as."""
    return "; ".join(part for part in (schema.get("description", ""), _default(schema)) if part)


def _default(schema: dict[str, Any]) -> str:
    """Say what an absent field counts as; nothing where that goes without saying."""
    default = schema.get("default")
    return "" if default in (None, [], {}) else f"default {json.dumps(default)}"


def problems() -> list[Problem]:
    """Return every code that a refusal may carry, by status."""
    found = [Problem(e.code, e.status, e.title, e.remedy) for e in every_error() if e is not CtxhubError]
    return sorted(found, key=lambda problem: (problem.status, problem.code))


def told() -> list[Told]:
    """Return every type of event that can be told."""
    return [Told(type_, _promise_of(kind), _data_of(kind)) for type_, kind in TOLD.items()]


def _promise_of(kind: type) -> str:
    """Return what an event's data stands for."""
    return (kind.__doc__ or "").strip()


def _data_of(kind: Any) -> list[Field]:
    """Return the fields of an event's data."""
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    return fields_of({"components": {"schemas": schema.pop("$defs", {})}}, schema)
