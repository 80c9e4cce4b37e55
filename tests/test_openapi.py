"""The OpenAPI document says what the API does."""

from __future__ import annotations

import json
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
    return {(path, method): each for path, item in document["paths"].items() for method, each in item.items()}


def component(document, name):
    return document["components"]["schemas"][name]


def validate(document, name, value):
    """Check a value against a component, its ``nullable`` told in the words of JSON Schema."""

    def translated(schema):
        if isinstance(schema, list):
            return [translated(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        schema = {key: translated(each) for key, each in schema.items()}
        if schema.pop("nullable", False):
            return {"anyOf": [schema, {"type": "null"}]}
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        return schema

    whole = {"$ref": f"#/components/schemas/{name}", "components": translated(document["components"])}
    jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker()).validate(value)


def test_spectacular_has_nothing_to_complain_about():
    output = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=output)
    assert json.loads(output.getvalue())["openapi"].startswith("3.")


def test_the_served_document_is_the_one_that_the_command_writes(document):
    output = StringIO()
    call_command("spectacular", "--format", "openapi-json", stdout=output)
    assert json.loads(output.getvalue()) == document


def test_every_operation_is_there_by_a_sensible_name_with_all_its_answers(operations):
    told = {key: (each["operationId"], " ".join(sorted(each["responses"]))) for key, each in operations.items()}
    assert told == OPERATIONS


def test_every_parameter_is_there(operations):
    told = {each["operationId"]: {p["name"] for p in each.get("parameters", ())} for each in operations.values()}
    assert {name: parameters for name, parameters in told.items() if parameters} == PARAMETERS


def test_everything_but_health_and_the_document_itself_asks_for_a_key(document, operations):
    assert document["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    for (path, _), operation in operations.items():
        assert operation.get("security", []) == ([] if path in WITHOUT_KEY else [{"apiKey": []}])
    assert "security" not in document


def test_X1_the_pattern_for_secret_scanners_is_published(document):
    assert f"^{secret.pattern()}$" in document["components"]["securitySchemes"]["apiKey"]["description"]


@pytest.mark.parametrize("name", ["AccountOut", "TransactionOut", "MeAnswer", "PageInfo", "ErrorDetails"])
def test_every_field_of_an_answer_is_always_there(document, name):
    assert sorted(component(document, name)["required"]) == sorted(component(document, name)["properties"])


def test_what_may_be_null_is_told(document):
    def nullable(name):
        return {field for field, schema in component(document, name)["properties"].items() if schema.get("nullable")}

    assert nullable("AccountOut") == {
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
    assert nullable("TransactionOut") == set(component(document, "TransactionOut")["properties"]) - always
    assert nullable("AccountIn") == {"subtype", "institutionName", "mask", "availableBalance", "liability"}


def test_creating_needs_four_fields_and_changing_any_one(document):
    create, change = component(document, "AccountIn"), component(document, "PatchedAccountIn")
    assert set(create["required"]) == {"name", "type", "currency", "currentBalance"}
    assert "required" not in change
    assert change["minProperties"] == 1
    assert create["additionalProperties"] is change["additionalProperties"] is False
    assert create["properties"] == change["properties"]


def test_all_error_codes_are_told(document):
    assert component(document, "CodeEnum")["enum"] == sorted([*errors.CODES.values(), "STORAGE_MODE_REQUIRED"])


def test_answers_are_as_the_document_says(document, unrestricted, accounts):
    client = unrestricted.client
    TransactionFactory(account=accounts.checking)
    TransactionFactory(account=accounts.checking, status="pending", posted_date=None)
    body = manual_account(liability={"type": "credit", "limit": 5})
    validate(document, "AccountIn", body)
    validate(document, "AccountAnswer", client.send("POST", "/v2/accounts", body).json())
    validate(document, "AccountAnswer", client.get(account_url(accounts.checking.pk)).json())
    client.delete(account_url(accounts.cash.pk))
    validate(document, "AccountsAnswer", client.get("/v2/accounts?status=all").json())
    validate(document, "TransactionsAnswer", client.get("/v2/transactions?status=all").json())
    validate(document, "TransactionsAnswer", client.get("/v2/transactions?status=all&limit=1").json())
    validate(document, "MeAnswer", client.get("/v2/me").json())
    validate(document, "HealthAnswer", client.get("/v2/health").json())
    validate(document, "ErrorAnswer", client.get("/v2/nowhere").json())
    validate(document, "UnauthorizedAnswer", ApiClient().get("/v2/me").json())


def test_a_wrong_answer_would_be_noticed(document, unrestricted):
    answer = unrestricted.client.get("/v2/me").json()
    for wrong in ({**answer, "more": 1}, {**answer, "userId": None}, {"email": "x"}):
        with pytest.raises(jsonschema.ValidationError):
            validate(document, "MeAnswer", wrong)
