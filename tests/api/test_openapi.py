"""The OpenAPI document: committed, complete, kept; made-up requests against it (more of them: benchmarks/rest_fuzz.py)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from api.rest.openapi import openapi, openapi_text
from api.usecases import load_use_cases

BuiltStore = Any


def test_the_committed_document_is_the_present_one(request: pytest.FixtureRequest) -> None:
    kept = (request.config.rootpath / "docs" / "openapi.json").read_text()
    assert kept == openapi_text(), "docs/openapi.json is out of date: python docs/generate.py"


def test_every_use_case_is_in_it_and_described() -> None:
    document = openapi()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    named = {operation["operationId"] for operation in operations}
    assert set(load_use_cases()) <= named
    assert len(named) == len(operations)
    for operation in operations:
        assert operation["summary"]
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (operation["operationId"], parameter["name"])
        assert "200" in operation["responses"]


def test_units_stand_in_the_descriptions_of_fields() -> None:
    from store.fields import candidate_fields

    material = openapi()["components"]["schemas"]["Material"]["properties"]
    for field in candidate_fields():
        assert field.meaning in material[field.name]["description"]
        if field.unit:
            assert f"Unit: {field.unit}." in material[field.name]["description"]


def test_every_reference_leads_somewhere() -> None:
    document = openapi()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            target: Any = document
            for part in node.get("$ref", "#").split("/")[1:]:
                target = target[part]
            for each in node.values():
                walk(each)
        elif isinstance(node, list):
            for each in node:
                walk(each)

    walk(document)


def test_the_reference_page_names_every_path() -> None:
    from api.rest.reference import reference_html

    page = reference_html()
    assert all(path in page for path in openapi()["paths"] if path != "/nothing")
    assert "<script" not in page


def test_the_listing_for_programs_holds_every_use_case() -> None:
    from api.usecases.registry import listing

    told = listing()
    assert {each["name"] for each in told} == set(load_use_cases())
    assert json.dumps(told)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_made_up_requests_get_no_5xx_and_nothing_that_is_not_documented(
    built: BuiltStore, request: pytest.FixtureRequest
) -> None:
    pytest.importorskip("schemathesis", reason="schemathesis is not installed (extra dev)")
    fuzz = _script(request.config.rootpath / "benchmarks" / "rest_fuzz.py")
    from api.rest.app import create_app

    app = create_app(built.settings)
    try:
        result = fuzz.fuzz(app, 300, 7)
    finally:
        app.state.sandbox.close()
    assert result["cases"] >= 300
    assert result["server_errors"] == 0, result["statuses"]
    assert not result["failures"], "\n".join(result["failures"][:3])


def _script(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
