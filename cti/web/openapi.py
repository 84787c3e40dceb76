"""The OpenAPI 3.1 document, made from the same operations that are routed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

import cti
from cti.web.auth.groups import group_of
from cti.web.auth.permissions import PERMISSIONS
from cti.web.operations import Answer, Operation


class ErrorDetail(Answer):
    """One field that was wrong. `problem` is stable, where it is given; `values` are what its words speak of."""

    field: str
    message: str
    problem: str | None = None
    values: dict[str, str | int] | None = None


class ErrorBody(Answer):
    """`id` is stable and for programs; `message` and `remedy` are for people."""

    id: str
    message: str
    remedy: str
    details: list[ErrorDetail] | None = None


class ErrorAnswer(Answer):
    """What every refusal looks like."""

    error: ErrorBody


def _content(schema: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    return {kind: {"schema": schema}}


def _parameters(place: str, model: type[BaseModel] | None) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.get("$defs", {})
    required = set(schema.get("required", ()))
    found = []
    for name, described in schema["properties"].items():
        # Parameters are few and flat: write referenced enums out in place.
        text = described
        for option in (described, *described.get("anyOf", ())):
            reference = option.get("$ref")
            if reference:
                text = {"anyOf": [definitions[reference.rsplit("/", 1)[1]], {"type": "null"}]}
        found.append({"name": name, "in": place, "required": place == "path" or name in required, "schema": text})
    return found


def openapi(operations: Sequence[Operation]) -> dict[str, Any]:
    """The document."""
    wanted: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [("error", "serialization", TypeAdapter(ErrorAnswer))]
    for operation in operations:
        if operation.body is not None:
            wanted.append((f"{operation.name}.body", "validation", TypeAdapter(operation.body)))
        if operation.answer is not None:
            wanted.append((f"{operation.name}.answer", "serialization", TypeAdapter(operation.answer)))
    refs, definitions = TypeAdapter.json_schemas(wanted, ref_template="#/components/schemas/{model}")
    error = refs[("error", "serialization")]
    paths: dict[str, Any] = {}
    for operation in operations:
        roles = PERMISSIONS[operation.name]
        answers: dict[str, Any] = {}
        if operation.answer is str:
            files = {kind: {"schema": {"type": "string"}} for kind in operation.media}
            answers["200"] = {"description": "OK", "content": files}
        elif operation.upgrade:
            answers["101"] = {
                "description": "Switched to WebSocket; every message is one of these",
                "content": _content(refs[(f"{operation.name}.answer", "serialization")]),
            }
        else:
            schema = refs.get((f"{operation.name}.answer", "serialization"), {"type": "object"})
            answers["200"] = {"description": "OK", "content": _content(schema)}
        failures = dict(operation.errors)
        if operation.body is not None or operation.query is not None or operation.params is not None:
            failures.setdefault(400, "bad_json or invalid_input")
        if operation.body is not None:
            failures.setdefault(408, "body_too_slow")
            failures.setdefault(413, "too_large")
            failures.setdefault(415, "unsupported_media_type")
        if 503 in failures:
            failures.setdefault(502, "remote_failed: the same, and it may or may not have happened")
        if roles is not None:
            failures.setdefault(401, "not_logged_in")
            failures.setdefault(403, "forbidden, or wrong_origin")
        elif operation.method != "GET":
            failures.setdefault(403, "wrong_origin")
        for status, when in sorted(failures.items()):
            answers[str(status)] = {"description": when, "content": _content(error)}
        entry: dict[str, Any] = {
            "operationId": operation.name,
            "summary": operation.summary,
            "security": [] if roles is None else [{"bearer": []}, {"cookie": []}],
            "responses": answers,
        }
        if roles is not None:
            entry["x-roles"] = sorted(roles)
            group = group_of(operation.path)
            if group is not None:
                verb = "read" if operation.method == "GET" else "write"
                entry["security"].insert(1, {"token": []})
                entry["x-token-scope"] = f"{group}:{verb}"
        parameters = _parameters("path", operation.params) + _parameters("query", operation.query)
        if parameters:
            entry["parameters"] = parameters
        taken = _content(refs[(f"{operation.name}.body", "validation")]) if operation.body is not None else {}
        taken |= {kind: {"schema": {"type": "string", "format": "binary"}} for kind in operation.files}
        if taken:
            entry["requestBody"] = {"required": True, "content": taken}
        path = re.sub(r"\{(\w+)[^}]*\}", r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = entry
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "CTI server",
            "version": getattr(cti, "__version__", "0.1.0"),
            "description": "Log in, be an agent, see the floor. docs/api.md walks through it.",
        },
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token that a log-in answers.",
                },
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token for programs (cti_...), made on the page /account. Its scopes must name the"
                    " operation's x-token-scope.",
                },
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "cti_session",
                    "description": "Of a browser; __Host-cti_session over TLS.",
                },
            },
        },
    }
