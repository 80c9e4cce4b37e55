"""Secrets pasted into text that is stored and shown (rule K2)."""

import json

import pytest

from accounts_app import validators
from tests.accounts_app.accounts_page.helpers import add
from tests.accounts_app.admin.helpers import edit, errors
from tests.accounts_app.admin.test_accounts_and_transactions import new_account
from tests.accounts_app.api_assertions import assert_error, manual_account
from tests.factories import TransactionFactory
from tests.finta_keys.admin_pages import everything_stored, operator

pytestmark = [pytest.mark.thorough, pytest.mark.rule("K2")]
REASON = "contains the secret of a key"


@pytest.fixture
def superuser(db):
    return operator()


@pytest.fixture(autouse=True)
def _nothing_stored(unrestricted):
    yield
    assert unrestricted.secret not in everything_stored()


def test_page_rejects_secret_as_name(alices_browser, unrestricted):
    for field in ("name", "institution_name"):
        response = add(alices_browser, **{field: f"Cash {unrestricted.secret}"})
        assert REASON in str(response.context["form"].errors[field])


def test_api_rejects_secret_in_text(unrestricted, accounts):
    secret = unrestricted.secret
    values = {
        "name": f"({secret})",
        "institutionName": secret,
        "liability": {"type": "credit", "note": [{"x": f" {secret}"}]},
    }
    for field, value in [*values.items(), ("liability", {"type": "credit", secret: 1})]:
        response = unrestricted.client.send("POST", "/v2/accounts", manual_account(**{field: value}))
        assert_error(response, 400, "BAD_REQUEST", f"{field}: ")
        response = unrestricted.client.send("PATCH", f"/v2/accounts/{accounts.cash.pk}", {field: value})
        assert_error(response, 400, "BAD_REQUEST", f"{field}: ")


@pytest.mark.parametrize("field", ["name", "provider_account_id", "liability"])
def test_admin_rejects_secret_in_account(superuser, alice, unrestricted, field):
    secret = unrestricted.secret
    value = json.dumps({"type": "credit", "note": secret}) if field == "liability" else secret
    assert REASON in str(errors(new_account(superuser, alice, **{field: value}))[field])


@pytest.mark.parametrize("field", ["summary", "provider_id", "merchant_name", "original_description"])
def test_admin_rejects_secret_in_transaction(superuser, accounts, unrestricted, field):
    transaction = TransactionFactory(account=accounts.cash)
    assert REASON in str(errors(edit(superuser, transaction, **{field: unrestricted.secret}))[field])


def test_admin_rejects_secret_as_email(superuser, alice, unrestricted):
    response = edit(superuser, alice, email=f"{unrestricted.secret}@example.com")
    assert REASON in str(errors(response)["email"])


def test_long_text_is_not_normalized_completely(monkeypatch):
    lengths = []
    monkeypatch.setattr(validators.names, "normalize", lambda text: lengths.append(len(text)) or text)
    validators.validate_single_line("\u0316\u0301" * 100_000)
    assert max(lengths) <= 500
