"""/openapi.json says what a person needs to use a route without trying."""

from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from api.http.describing import EXAMPLES
from api.main import create_app
from core.settings import Settings

DOCUMENT: dict[str, Any] = create_app(Settings()).openapi()
OPERATIONS = [
    (f"{method} {path}", operation) for path, found in DOCUMENT["paths"].items() for method, operation in found.items()
]


@pytest.mark.parametrize(("name", "operation"), OPERATIONS, ids=[name for name, _ in OPERATIONS])
def test_an_operation_is_described_with_its_parameters_errors_and_an_example(
    name: str, operation: dict[str, Any]
) -> None:
    assert operation["description"]
    assert [one["name"] for one in operation.get("parameters", []) if not one["description"]] == []
    for body in operation.get("requestBody", {}).get("content", {}).items():
        if body[0] == "application/json":
            schema = DOCUMENT["components"]["schemas"][body[1]["schema"]["$ref"].rpartition("/")[2]]
            assert schema["examples"]
            assert schema["additionalProperties"] is False  # what is misspelt is refused by name
    for status, response in operation["responses"].items():
        if int(status) >= 400 and name != "get /ready":
            assert response["content"].keys() == {"application/problem+json"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_valid(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name] | {"components": DOCUMENT["components"]}
    Draft202012Validator(schema).validate(EXAMPLES[name])
