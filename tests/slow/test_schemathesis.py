"""Requests that schemathesis generates from the OpenAPI document."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis
from django.test import override_settings
from schemathesis.specs.openapi import checks

from accounts_app.models import Account
from config.wsgi import application
from tests.factories import TransactionFactory

HOST = "localhost"  # called by schemathesis

# Both expect deleted rows to be gone, but DELETE closes an account, which stays readable.
ASSUME_GONE = [checks.use_after_free, checks.ensure_resource_availability]
# Expects every value that the schema allows to be accepted. A schema cannot express signed cursors
# or, with binary fractions, a limit of four decimals. Text filters reject NUL.
CANNOT_BE_TOLD = [checks.positive_data_acceptance]
# Expects 405 first. Here the account in a filter is checked before the method, so that no method
# reveals a hidden account.
NOT_FOUND_FIRST = [checks.unsupported_method]
EXCLUDED = {
    "createAccount": CANNOT_BE_TOLD,
    "updateAccount": CANNOT_BE_TOLD,
    "listAccounts": CANNOT_BE_TOLD,
    "listTransactions": CANNOT_BE_TOLD + NOT_FOUND_FIRST,
}

with override_settings(ALLOWED_HOSTS=[HOST]):
    schema = schemathesis.openapi.from_wsgi("/v2/openapi.json", application)


@pytest.fixture
def caller(unrestricted, accounts, settings):
    """Headers with a valid key, whose owner has a known manual account and transactions."""
    settings.ALLOWED_HOSTS = [HOST]
    TransactionFactory.create_batch(3, account=accounts.checking)
    return {"Authorization": f"Bearer {unrestricted.secret}"}


# The same requests in each run. A random one may be invalid only in a parameter that is sent as
# nothing, such as an empty list, and is then accepted. `make fuzz` sends random ones.
@pytest.mark.slow
@schema.parametrize()
@hypothesis.settings(
    max_examples=25, derandomize=True, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
def test_generated_requests_match_document(case, caller, accounts):
    excluded = ASSUME_GONE + EXCLUDED.get(case.operation.definition.raw["operationId"], [])
    case.call_and_validate(headers=caller, excluded_checks=excluded)
    if isinstance(case.path_parameters, dict) and "accountId" in case.path_parameters:
        # Random ids get 404. A known id reaches the checks after that.
        case.path_parameters["accountId"] = str(accounts.cash.pk)
        Account.objects.filter(pk=accounts.cash.pk).update(status="active", closed_at=None)
        response = case.call(headers=caller)
        assert response.status_code in (200, 204, 400, 401, 405, 413, 415), response.content
        case.operation.validate_response(response)
