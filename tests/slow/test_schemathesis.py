"""Requests that nobody thought of, made up from the OpenAPI document by schemathesis."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis
from django.test import override_settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks

from accounts_app.models import Account
from config.wsgi import application
from tests.factories import TransactionFactory

HOST = "localhost"  # what schemathesis calls

# Both assume that what was deleted is gone. DELETE closes an account, which can be read as before.
ASSUME_GONE = [checks.use_after_free, checks.ensure_resource_availability]
# It assumes that what the document allows is accepted. No schema can tell which cursor we have signed, nor, in binary
# fractions, that a sum has four decimals at most; and a text may hold a NUL, which no database filters by.
CANNOT_BE_TOLD = [checks.positive_data_acceptance]
# It assumes that 405 comes first. Here the account of a filter is looked for before the method is looked at, so that no
# method tells what is hidden.
NOT_FOUND_FIRST = [checks.unsupported_method]
EXCLUDED = {
    "createAccount": CANNOT_BE_TOLD,
    "updateAccount": CANNOT_BE_TOLD,
    "listAccounts": CANNOT_BE_TOLD,
    "listTransactions": CANNOT_BE_TOLD + NOT_FOUND_FIRST,
}

# Query parameters that the document does not name are ignored, so that they are no mistake to be refused.
config = SchemathesisConfig.from_dict({"generation": {"allow-extra-parameters": False}})

with override_settings(ALLOWED_HOSTS=[HOST]):
    schema = schemathesis.openapi.from_wsgi("/v2/openapi.json", application, config=config)


@pytest.fixture
def caller(unrestricted, accounts, settings):
    """Headers with a good key, whose owner has a manual account of a known id and some transactions."""
    settings.ALLOWED_HOSTS = [HOST]
    TransactionFactory.create_batch(3, account=accounts.checking)
    return {"Authorization": f"Bearer {unrestricted.secret}"}


@pytest.mark.slow
@schema.parametrize()
@hypothesis.settings(max_examples=25, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_no_request_gets_an_answer_that_the_document_does_not_tell(case, caller, accounts):
    excluded = ASSUME_GONE + EXCLUDED.get(case.operation.definition.raw["operationId"], [])
    case.call_and_validate(headers=caller, excluded_checks=excluded)
    if isinstance(case.path_parameters, dict) and "accountId" in case.path_parameters:
        # A made-up id is 404. What comes after that is seen with one that is there.
        case.path_parameters["accountId"] = str(accounts.cash.pk)
        Account.objects.filter(pk=accounts.cash.pk).update(status="active", closed_at=None)
        response = case.call(headers=caller)
        assert response.status_code in (200, 204, 400, 401, 405, 413, 415), response.content
        case.operation.validate_response(response)
