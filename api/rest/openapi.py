"""The OpenAPI document, made from the use-cases: what can be asked, with bounds and units, and every reply, errors too."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from api.rest.reading import Reader
from api.rest.routes import PREFIX, VERSION
from api.usecases import UseCase, load_use_cases
from api.usecases.replies import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import BaseModel

_REF: Final = "#/components/schemas/{model}"
_DESCRIPTION: Final = (
    "Materials, what is like them, and what is predicted of them. Every number's unit stands in its field's description and in "
    "the `meta.fields` of each answer. Pages are walked with `links.next`. Answers have an ETag; errors are problem+json with "
    "what mends them. A key goes into the header `Authorization: Bearer ia_...`."
)
_PROBLEMS: Final = {
    400: "What was asked cannot be understood.",
    401: "A key is needed, or the one given is not valid.",
    403: "The key is not good for this.",
    404: "There is no such material.",
    409: "What is asked for was not built yet.",
    413: "What was sent is too large.",
    414: "The address is too long.",
    429: "Too many requests.",
    503: "The database is away, or enough is being computed.",
    504: "The query took too long.",
}
_RETRY: Final = {
    "Retry-After": {"description": "Seconds after which to try again.", "required": True, "schema": {"type": "string"}}
}


def openapi(public_url: str | None = None) -> dict[str, Any]:
    """Return the OpenAPI document.

    Parameters
    ----------
    public_url : str, optional
        Where the server is reached.

    Examples
    --------
    >>> openapi()["paths"]["/v1/materials"]["get"]["operationId"]
    'query'
    """
    made = dict(_document())
    if public_url:
        made["servers"] = [{"url": public_url}]
    return made


def openapi_text() -> str:
    """Write the document as ``docs/openapi.json`` holds it."""
    import json

    return json.dumps(openapi(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    cases = list(load_use_cases().values())
    paths: dict[str, Any] = {}
    for case in cases:
        paths.setdefault(PREFIX + case.route, {}).update(_operations(case))
    paths["/healthz"] = {"get": _health()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ionatlas",
            "version": VERSION,
            "summary": "A store of crystal structures and what is derived from them.",
            "description": _DESCRIPTION,
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "tags": [{"name": name} for name in dict.fromkeys(case.tag for case in cases)],
        "paths": paths,
        "components": {
            "schemas": _schemas(cases),
            "responses": {f"Problem{status}": _problem(status) for status in _PROBLEMS},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "ionatlas key create makes one."},
                "basic": {"type": "http", "scheme": "basic", "description": "For browsers: the key as the password."},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
        "security": [{}, {"bearer": []}, {"basic": []}, {"header": []}],
    }


def _schemas(cases: Iterable[UseCase]) -> dict[str, Any]:
    from pydantic.json_schema import models_json_schema

    wanted: dict[type[BaseModel], str] = {Problem: "serialization"}
    for case in cases:
        wanted[case.reply] = "serialization"
        if case.body is not None:
            wanted[case.body] = "validation"
    listed: Any = list(wanted.items())
    _, found = models_json_schema(listed, ref_template=_REF)
    schemas: dict[str, Any] = found["$defs"]
    for schema in schemas.values():
        _plain(schema)
    return schemas


def _plain(schema: Any) -> None:
    """Leave out the titles that pydantic makes of names: they say nothing."""
    if isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        for value in schema.values():
            _plain(value)
    elif isinstance(schema, list):
        for value in schema:
            _plain(value)


def _operations(case: UseCase) -> dict[str, Any]:
    operations = {"get": _operation(case, case.name, ("400", "401", "403", "429", "414", "503", "504"))}
    operations["get"]["parameters"] = _parameters(case)
    if case.body is not None:
        post = _operation(case, f"{case.name}-post", ("400", "401", "403", "413", "429", "503", "504"))
        post["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": _REF.format(model=case.body.__name__)}}},
        }
        operations["post"] = post
    if case.upload:
        post = _operation(case, f"{case.name}-post", ("400", "401", "403", "413", "429", "503", "504"))
        post["summary"] += ", of a file"
        post["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": _form(case)}}}
        operations["post"] = post
    for operation in operations.values() if case.body or case.upload else ():
        if operation["operationId"].endswith("-post"):
            del operation["responses"]["304"]
    return operations


def _operation(case: UseCase, name: str, problems: Iterable[str]) -> dict[str, Any]:
    # Whatever names a material, or looks at an index, may not find it.
    further = ("404", "409") if case.name not in ("fields", "status", "complete", "aggregate") else ()
    return {
        "operationId": name,
        "summary": case.summary,
        "description": case.description,
        "tags": [case.tag],
        "responses": {
            "200": {"description": _first_line(case.reply), "content": _content(case), "headers": _headers()},
            "304": {"description": "The answer did not change."},
            **{status: {"$ref": f"#/components/responses/Problem{status}"} for status in sorted({*problems, *further})},
        },
    }


def _content(case: UseCase) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if case.name != "export":
        content["application/json"] = {"schema": {"$ref": _REF.format(model=case.reply.__name__)}}
    for media in case.formats.values():
        content[media] = {"schema": {"type": "string"} if media.startswith(("text/", "chemical/")) else {}}
    return content


def _headers() -> dict[str, Any]:
    return {"X-Request-Id": {"description": "Id of the request in the server's log.", "schema": {"type": "string"}}}


def _parameters(case: UseCase) -> list[dict[str, Any]]:
    schema = case.ask.model_json_schema()
    in_path = [part[1:-1] for part in case.route.split("/") if part.startswith("{")]
    parameters = []
    for name, rule in schema.get("properties", {}).items():
        place = "path" if name in in_path else "query"
        wanted = place == "path" or name in schema.get("required", ()) or (case.upload and name == "id")
        parameters.append(
            {
                "name": name,
                "in": place,
                "required": wanted,
                "description": rule.get("description", ""),
                "schema": _value(rule),
            }
        )
    return parameters


def _value(rule: dict[str, Any]) -> dict[str, Any]:
    """The schema of one value in a query string, where nothing is null."""
    outer = {key: value for key, value in rule.items() if key not in ("anyOf", "description", "title", "default")}
    inner: dict[str, Any] = next((each for each in rule.get("anyOf", ()) if each.get("type") != "null"), {})
    made = {**outer, **inner}
    if rule.get("default") is not None:
        made["default"] = rule["default"]
    return made


def _form(case: UseCase) -> dict[str, Any]:
    file = {
        "type": "string",
        "format": "binary",
        "description": "A file with one structure: CIF, POSCAR, JSON or extended XYZ; compressed or not.",
    }
    rules = case.ask.model_json_schema().get("properties", {})
    kinds = Reader(case.ask).kinds
    fields = {
        name: {**_value(rule), "description": rule.get("description", "")}
        for name, rule in rules.items()
        if name in kinds and name != "id"
    }
    return {
        "type": "object",
        "required": ["file"],
        "additionalProperties": False,
        "properties": {"file": file, **fields},
    }


def _problem(status: int) -> dict[str, Any]:
    made: dict[str, Any] = {
        "description": _PROBLEMS[status],
        "content": {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}},
    }
    if status in (429, 503, 504):
        made["headers"] = _RETRY
    return made


def _health() -> dict[str, Any]:
    schema = {"type": "object", "required": ["status"], "properties": {"status": {"const": "ok"}}}
    return {
        "operationId": "health",
        "summary": "Whether the server and its database answer",
        "tags": ["Store"],
        "responses": {
            "200": {"description": "They do.", "content": {"application/json": {"schema": schema}}},
            "400": {"$ref": "#/components/responses/Problem400"},
            "503": {"$ref": "#/components/responses/Problem503"},
        },
    }


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or model.__name__).strip().splitlines()[0]
