"""The API described in OpenAPI 3.1, generated from the register of operations.

Keeps: whatever is registered is described; nothing else is.
Does not: describe answers beyond "a JSON object": those are in the reference, per operation.
Source: OpenAPI Specification 3.1.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from surefoot import __version__
from surefoot.app.operation import Operation
from surefoot.doors import words
from surefoot.doors.api.table import PREFIX

_PARAMETER = re.compile(r"\{(\w+)\}")
_SCHEMA = "#/components/schemas/{name}"
_ERROR = {
    "type": "object",
    "description": "Every error, on every door.",
    "properties": {
        "kind": {"type": "string", "enum": ["refused", "failed", "corrupt"]},
        **{
            name: {"type": "string"}
            for name in ("code", "subject", "expected", "found", "remedy", "request")
        },
    },
    "required": ["kind", "code", "subject", "expected", "found", "remedy"],
}


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The whole description as plain JSON."""
    listed = sorted(operations, key=lambda operation: operation.name)
    kinds = list(dict.fromkeys(operation.arguments for operation in listed))
    references, schemas = msgspec.json.schema_components(kinds, ref_template=_SCHEMA)
    names = [reference["$ref"].rsplit("/", 1)[-1] for reference in references]
    by_kind = {kind: schemas[name] for kind, name in zip(kinds, names, strict=True)}
    paths: dict[str, Any] = {}
    for operation in listed:
        entry = paths.setdefault(PREFIX + operation.path, {})
        entry[operation.method.lower()] = _operation(operation, by_kind[operation.arguments])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Surefoot",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            # Arguments are described in place; what they refer to stays a component.
            "schemas": {
                **{name: schemas[name] for name in schemas if name not in names},
                "Error": _ERROR,
            },
            "securitySchemes": _security_schemes(),
        },
    }


def _operation(operation: Operation, schema: dict[str, Any]) -> dict[str, Any]:
    in_path = _PARAMETER.findall(operation.path)
    others = [name for name in schema["properties"] if name not in in_path]
    described: dict[str, Any] = {
        "operationId": operation.name.replace(" ", "-"),
        "summary": operation.sentence,
        "tags": [operation.name.split(" ", 1)[0]],
        "parameters": [_parameter(name, "path", schema) for name in in_path],
        "responses": _responses(),
        "security": [] if operation.public else [{key: [] for key in _security_schemes()}],
    }
    if operation.method == "GET":
        described["parameters"] += [_parameter(name, "query", schema) for name in others]
    elif others:
        described["requestBody"] = _body(schema, others)
    return described


def _parameter(name: str, place: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path" or name in schema.get("required", []),
        "schema": schema["properties"][name],
    }


def _body(schema: dict[str, Any], names: list[str]) -> dict[str, Any]:
    required = [name for name in schema.get("required", []) if name in names]
    content = {
        "type": "object",
        "properties": {name: schema["properties"][name] for name in names},
        "required": required,
        "additionalProperties": False,
    }
    return {"required": bool(required), "content": {"application/json": {"schema": content}}}


def _responses() -> dict[str, Any]:
    error = {"$ref": "#/components/schemas/Error"}
    return {
        "200": {
            "description": "The answer.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        "default": {
            "description": "Refused, failed or corrupt; the record says why and what to do.",
            "content": {"application/json": {"schema": error}},
        },
    }


def _security_schemes() -> dict[str, Any]:
    headers = {
        "key": (words.KEY_HEADER, "Fingerprint of the signing key, as `ssh-keygen -l` prints it."),
        "time": (words.TIME_HEADER, "Milliseconds since 1970, within two minutes of the server's."),
        "nonce": (words.NONCE_HEADER, "16 to 64 characters, never used before."),
        "signature": (words.SIGNATURE_HEADER, "Base64 of a raw Ed25519 signature or an SSHSIG."),
    }
    return {
        scheme: {"type": "apiKey", "in": "header", "name": name, "description": text}
        for scheme, (name, text) in headers.items()
    }
