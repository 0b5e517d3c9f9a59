"""The OpenAPI document. Its schemas are made from the classes that read and write the bodies."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

import loader
from loader.gateway.answers import AddAnswer, BatchAnswer, Errors, Health, TaskAnswer
from loader.gateway.idempotency import MAX_KEY
from loader.gateway.options import ServeOptions
from loader.gateway.requests import AddBatchRequest, AddRequest

DOCUMENT_PATH = "/openapi.json"
PAGE_PATH = "/docs"

Json = dict[str, Any]

_BAD_BODY = "The body is not valid JSON, or not a valid request"
_ERRORS = {
    "400": _BAD_BODY,
    "401": "The API key is wrong or missing",
    "404": "There is no such queue",
    "408": "The body did not arrive in time",
    "415": "The body is compressed in another way than with gzip",
    "413": "The body is too long, or holds too many jobs",
    "422": "This Idempotency-Key was used before with a different request",
    "503": "Redis is not available, or a limit is reached; the text says whether the tasks may be in",
}
_AUTH = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, as in runqy"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same, in place of bearer"},
}
_PART = r"[^\x00-\x20\x7f-\xa0.{}]+"
_EXAMPLE = {"prompt": "Hello"}


def document(options: ServeOptions, *, auth: bool) -> bytes:
    """The document of a gateway with these options.

    Args:
        auth: Whether the gateway requires API keys.
    """
    kinds = (AddRequest, AddBatchRequest, AddAnswer, TaskAnswer, BatchAnswer, Errors, Health)
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    _refine(schemas, options)
    components: Json = {"schemas": schemas}
    content: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "runqy-loader gateway",
            "version": loader.__version__,
            "description": "runqy's API for enqueueing tasks and looking them up.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": {
            "/queue/add": {
                "post": _enqueueing(
                    "Enqueue a task", "addTask", "AddRequest", "AddAnswer", {"timeout": 300, "data": _EXAMPLE}, auth
                )
            },
            "/queue/add-batch": {
                "post": _enqueueing(
                    "Enqueue many tasks at once: all or none",
                    "addTasks",
                    "AddBatchRequest",
                    "BatchAnswer",
                    {"jobs": [{"data": _EXAMPLE}, {"data": {"prompt": "World"}}]},
                    auth,
                )
            },
            "/queue/{id}": {"get": _looking_up(options, auth)},
            "/health": {"get": _alive()},
            "/healthz": {"get": _health()},
            "/metrics": {"get": _metrics()},
        },
        "components": components,
    }
    if auth:
        components["securitySchemes"] = _AUTH
    return orjson.dumps(content)


def _refine(schemas: Json, options: ServeOptions) -> None:
    """Adds what the classes do not state: limits, and runqy's rule for queue names."""
    name = rf"^{_PART}(\.{_PART})?$" if options.defaults.sub_queues else r"^[^\x00-\x20\x7f-\xa0{}]+$"
    for kind in ("AddRequest", "AddBatchRequest"):
        schemas[kind]["properties"]["queue"]["pattern"] = name
    for kind in ("AddRequest", "AddBatchRequest", "Job"):
        number = schemas[kind]["properties"]["timeout"]["anyOf"][0]
        number["type"] = "integer"  # a number that is a multiple of 1 is an integer
        del number["multipleOf"]
    schemas["AddBatchRequest"]["properties"]["jobs"] |= {"minItems": 1, "maxItems": options.max_jobs}


def _enqueueing(summary: str, name: str, request: str, answer: str, example: Json, auth: bool) -> Json:
    header = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "A request that is repeated with the same key and the same body never enqueues twice",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    }
    replayed = {
        "description": "Sent with the value true if an earlier request with this key has enqueued these tasks",
        "schema": {"type": "string", "const": "true"},
    }
    body = {
        "required": True,
        "content": {
            "application/json": {"schema": _ref(request), "example": {"queue": "inference.default", **example}}
        },
    }
    first_id = {"AddAnswer": "/info/id", "BatchAnswer": "/task_ids/0"}[answer]
    link = {"operationId": "getTask", "parameters": {"id": f"$response.body#{first_id}"}}
    enqueued = {
        **_json("Enqueued: the tasks are in Redis", answer),
        "headers": {"Idempotency-Replayed": replayed},
        "links": {"getTask": link},
    }
    return {
        "summary": summary,
        "operationId": name,
        "parameters": [header],
        "requestBody": body,
        "responses": {"200": enqueued, **_errors(_ERRORS)},
        **_security(auth),
    }


def _looking_up(options: ServeOptions, auth: bool) -> Json:
    errors = {
        **{status: _ERRORS[status] for status in ("401", "503")},
        "400": "A parameter has an invalid value",
        "404": "There is no such task",
        "408": "The task did not end in time",
    }
    return {
        "summary": "State and result of a task",
        "operationId": "getTask",
        "parameters": [
            {
                "name": "id",
                "in": "path",
                "required": True,
                "description": "Id of the task",
                "schema": {"type": "string", "minLength": 1},
            },
            {
                "name": "wait",
                "in": "query",
                "required": False,
                "description": f"Wait, up to {options.wait_timeout:g} s, until the task is completed or archived",
                "schema": {"type": "boolean", "default": False},
            },
        ],
        "responses": {"200": _json("The task", "TaskAnswer"), **_errors(dict(sorted(errors.items())))},
        **_security(auth),
    }


def _health() -> Json:
    responses = {"200": _json("Redis answers", "Health"), "503": _json("Redis does not answer", "Health")}
    return {"summary": "Whether the gateway can serve requests", "operationId": "health", "responses": responses}


def _alive() -> Json:
    responses = {"200": _json("It runs, whatever Redis does", "Health")}
    return {"summary": "Whether the gateway runs", "operationId": "alive", "responses": responses}


def _metrics() -> Json:
    text = {"description": "Metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {"summary": "Metrics for Prometheus", "operationId": "metrics", "responses": {"200": text}}


def _errors(texts: dict[str, str]) -> Json:
    answers = {status: _json(text, "Errors") for status, text in texts.items()}
    answers["503"]["headers"] = {
        "Retry-After": {"description": "Seconds after which the request may be repeated", "schema": {"type": "integer"}}
    }
    answers["401"]["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return answers


def _json(text: str, schema: str) -> Json:
    return {"description": text, "content": {"application/json": {"schema": _ref(schema)}}}


def _ref(schema: str) -> Json:
    return {"$ref": f"#/components/schemas/{schema}"}


def _security(auth: bool) -> Json:
    return {"security": [{name: []} for name in _AUTH]} if auth else {}
