"""The description of the service's interface (OpenAPI 3.1), which it serves itself."""

from __future__ import annotations

from collections.abc import Mapping

from ..config import STYLES
from ..contract import LONGEST_LINK, Limits, TaskStatus

Schema = Mapping[str, object]


def description() -> Schema:
    """Return the OpenAPI document."""
    limits = Limits()
    style = _parameter("style", {"type": "string", "enum": list(STYLES)})
    refusals = {str(status): _reply("Refused; `msg` says why.", {"$ref": "#/components/schemas/Refusal"})
                for status in (400, 401, 404, 408, 413, 421, 429, 503)}  # fmt: skip
    link = {"type": "string", "format": "uri", "maxLength": LONGEST_LINK, "examples": ["https://example.com/a.png"]}
    work: Schema = {
        "type": "object",
        "required": ["images", "priority"],
        "properties": {
            "images": {"type": "array", "minItems": 1, "maxItems": limits.max_images, "items": link},
            "priority": {"type": "integer", "minimum": limits.min_priority, "maximum": limits.max_priority},
        },
    }
    created = _object({"task_id": {"type": "string"}})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Portrait Cartoonize, embedded service",
            "version": "1",
            "description": "Draws portraits; asynchronous: create a task, then ask for its result.",
        },
        "security": [{"keyPair": []}],
        "paths": {
            "/v1/{style}/batch": {
                "parameters": [style],
                "post": {
                    "operationId": "create",
                    "requestBody": {"required": True, "content": {"application/json": {"schema": work}}},
                    "responses": {"200": _reply("Accepted.", _answer(created)), **refusals},
                },
            },
            "/v1/{style}/result/{task_id}": {
                "parameters": [style, _parameter("task_id", {"type": "string", "minLength": 1, "maxLength": 200})],
                "get": {
                    "operationId": "result",
                    "responses": {"200": _reply("The state of the task.", _answer(_task())), **refusals},
                },
            },
            "/files/{name}": {
                "parameters": [_parameter("name", {"type": "string", "pattern": r"^[A-Za-z0-9_-]{43}\.(png|jpg)$"})],
                "get": {
                    "operationId": "file",
                    "security": [],
                    "responses": {
                        "200": {"description": "The picture.", "content": {"image/png": {}, "image/jpeg": {}}},
                        "206": {"description": "A part of it.", "content": {"image/png": {}, "image/jpeg": {}}},
                        **{status: refusals[status] for status in ("404", "429")},
                    },
                },
            },
        },
        "components": {
            "securitySchemes": {"keyPair": {"type": "http", "scheme": "basic"}},
            "schemas": {
                "Refusal": {
                    "type": "object",
                    "required": ["code", "msg", "data"],
                    "properties": {
                        "code": {"type": "integer", "not": {"const": 0}},
                        "msg": {"type": "string", "minLength": 1},
                        "data": {"type": "null"},
                    },
                }
            },
        },
    }


def _task() -> Schema:
    number = {"type": "string", "pattern": "^[0-9]+$"}  # as documented: numbers are strings
    status = {"type": "string", "enum": [str(status.value) for status in TaskStatus]}
    image = _object({"image_result": {"type": "string"}, "status": status, "reason": {"type": "string"}})
    return _object({"status": status, "wait_time": number, "list": {"type": "array", "items": image}})


def _answer(data: Schema) -> Schema:
    return _object({"code": {"const": 0}, "msg": {"type": "string"}, "data": data})


def _object(properties: Mapping[str, object]) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties, "additionalProperties": False}


def _parameter(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _reply(words: str, schema: Schema) -> Schema:
    return {"description": words, "content": {"application/json": {"schema": schema}}}
