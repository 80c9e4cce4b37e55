"""The OpenAPI document matches the API."""

from __future__ import annotations

import json
import re
from io import StringIO

import jsonschema
import pytest
from django.core.management import call_command

from accounts_app.api import errors
from finta_keys import secret
from tests.accounts_app.api_assertions import account_url, manual_account
from tests.conftest import ApiClient
from tests.factories import TransactionFactory

WITHOUT_KEY = {"/health", "/openapi.json"}
OPERATIONS = {
    ("/health", "get"): ("getHealth", "200 405 503"),
    ("/openapi.json", "get"): ("getOpenApi", "200 405"),
    ("/me", "get"): ("getMe", "200 401 403 405 429 500 503"),
    ("/key", "get"): ("getKey", "200 401 403 405 429 500 503"),
    ("/accounts", "get"): ("listAccounts", "200 400 401 403 405 429 500 503"),
    ("/accounts", "post"): ("createAccount", "201 400 401 403 405 413 415 429 500 503"),
    ("/accounts/{accountId}", "get"): ("getAccount", "200 401 403 404 405 429 500 503"),
    ("/accounts/{accountId}", "patch"): ("updateAccount", "200 400 401 403 404 405 413 415 429 500 503"),
    ("/accounts/{accountId}", "delete"): ("closeAccount", "204 400 401 403 404 405 429 500 503"),
    ("/transactions", "get"): ("listTransactions", "200 400 401 403 404 405 429 500 503"),
}
PARAMETERS = {
    "listAccounts": {"status", "type", "bankConnectionId"},
    "listTransactions": {
        "bankAccountId",
        "bankConnectionId",
        "categoryId",
        "status",
        "startDate",
        "endDate",
        "limit",
        "cursor",
    },
    **{name: {"accountId"} for name in ("getAccount", "updateAccount", "closeAccount")},
}


@pytest.fixture(scope="module")
def document():
    return ApiClient().get("/v2/openapi.json").json()


@pytest.fixture(scope="module")
def operations(document):
    return {(path, method): operation for path, item in document["paths"].items() for method, operation in item.items()}


def component(document, name):
    return document["components"]["schemas"][name]


def validate(document, name, value):
    """Validate a value against a component, with ``nullable`` translated to JSON Schema."""

    def translated(schema):
        if isinstance(schema, list):
            return [translated(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        schema = {key: translated(child) for key, child in schema.items()}
        if schema.pop("nullable", False):
            return {"anyOf": [schema, {"type": "null"}]}
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        return schema

    schema_with_components = {"$ref": f"#/components/schemas/{name}", "components": translated(document["components"])}
    jsonschema.Draft202012Validator(schema_with_components, format_checker=jsonschema.FormatChecker()).validate(value)


def test_spectacular_has_no_warnings():
    output = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=output)
    assert json.loads(output.getvalue())["openapi"].startswith("3.")


def test_served_document_matches_command(document):
    output = StringIO()
    call_command("spectacular", "--format", "openapi-json", stdout=output)
    assert json.loads(output.getvalue()) == {**document, "servers": [{"url": "/v2"}]}


@pytest.mark.parametrize(("secure", "scheme"), [(True, "https"), (False, "http")])
def test_server_url_is_absolute(secure, scheme):
    response = ApiClient().get("/v2/openapi.json", secure=secure)
    assert response.json()["servers"] == [{"url": f"{scheme}://testserver/v2"}]


def test_operations_and_responses(operations):
    summary = {}
    for key, operation in operations.items():
        summary[key] = (operation["operationId"], " ".join(sorted(operation["responses"])))
    assert summary == OPERATIONS


def test_parameters(operations):
    message = {value["operationId"]: {p["name"] for p in value.get("parameters", ())} for value in operations.values()}
    assert {name: parameters for name, parameters in message.items() if parameters} == PARAMETERS


def test_operations_need_key(document, operations):
    assert document["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    for (path, _), operation in operations.items():
        assert operation.get("security", []) == ([] if path in WITHOUT_KEY else [{"apiKey": []}])
    assert "security" not in document


@pytest.mark.rule("X1")
def test_secret_pattern_is_published(document):
    assert f"^{secret.pattern()}$" in document["components"]["securitySchemes"]["apiKey"]["description"]


@pytest.mark.parametrize("name", ["Account", "Transaction", "MeResponse", "PageInfo", "ErrorDetails"])
def test_response_fields_are_required(document, name):
    assert sorted(component(document, name)["required"]) == sorted(component(document, name)["properties"])


def test_nullable_fields(document):
    def nullable(name):
        return {field for field, schema in component(document, name)["properties"].items() if schema.get("nullable")}

    assert nullable("Account") == {
        "providerAccountId",
        "bankConnectionId",
        "institutionName",
        "mask",
        "subtype",
        "availableBalance",
        "balanceAsOf",
        "closedAt",
        "liability",
    }
    always = {"id", "bankAccountId", "provider", "providerId", "summary", "status", "amount", "currency"}
    assert nullable("Transaction") == set(component(document, "Transaction")["properties"]) - always
    assert nullable("AccountInput") == {"subtype", "institutionName", "mask", "availableBalance", "liability"}


def test_required_request_fields(document):
    create, change = component(document, "AccountInput"), component(document, "PatchedAccountInput")
    assert set(create["required"]) == {"name", "type", "currency", "currentBalance"}
    assert "required" not in change
    assert change["minProperties"] == 1
    assert create["additionalProperties"] is change["additionalProperties"] is False
    assert create["properties"] == change["properties"]


def test_error_codes(document):
    code = component(document, "ErrorDetails")["properties"]["code"]
    assert code["type"] == "string"
    assert "enum" not in code
    assert set(re.findall("[A-Z_]{5,}", code["description"])) == {*errors.CODES.values(), *errors.FORBIDDEN}


def test_responses_match_document(document, unrestricted, accounts):
    client = unrestricted.client
    TransactionFactory(account=accounts.checking)
    TransactionFactory(account=accounts.checking, status="pending", posted_date=None)
    body = manual_account(liability={"type": "credit", "limit": 5})
    validate(document, "AccountInput", body)
    validate(document, "AccountResponse", client.send("POST", "/v2/accounts", body).json())
    validate(document, "AccountResponse", client.get(account_url(accounts.checking.pk)).json())
    client.delete(account_url(accounts.cash.pk))
    validate(document, "AccountsResponse", client.get("/v2/accounts?status=all").json())
    validate(document, "TransactionsResponse", client.get("/v2/transactions?status=all").json())
    validate(document, "TransactionsResponse", client.get("/v2/transactions?status=all&limit=1").json())
    validate(document, "MeResponse", client.get("/v2/me").json())
    validate(document, "HealthResponse", client.get("/v2/health").json())
    validate(document, "ErrorResponse", client.get("/v2/nowhere").json())
    validate(document, "UnauthorizedResponse", ApiClient().get("/v2/me").json())


def test_validation_detects_mismatch(document, unrestricted):
    response = unrestricted.client.get("/v2/me").json()
    for wrong in ({**response, "more": 1}, {**response, "userId": None}, {"email": "x"}):
        with pytest.raises(jsonschema.ValidationError):
            validate(document, "MeResponse", wrong)
