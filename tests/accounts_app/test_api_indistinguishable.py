"""Hidden and missing accounts get identical responses (S4)."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from accounts_app.models import Account
from finta_keys.testing import EVERY_METHOD, assert_indistinguishable, comparable_parts, make_key
from tests.accounts_app.api_assertions import account_url, assert_error, count_queries, manual_account
from tests.conftest import ApiClient
from tests.factories import AccountFactory, TransactionFactory

pytestmark = pytest.mark.thorough

MALFORMED = (
    "x",
    "0",
    "None",
    "null",
    "a.json",
    "%00",
    "%0A",
    "%FF%FE",
    "..",
    "%2e%2e",
    "x" * 5000,
    "1" * 32,
    "{00000000-0000-0000-0000-000000000000}",
    "urn:uuid:00000000-0000-0000-0000-000000000000",
    "00000000-0000-0000-0000-00000000000g",
    "00000000-0000-0000-0000-000000000000%20",
    "%D9%A0" * 8 + "-0000-0000-0000-000000000000",
    "' OR 1=1 --",
    "a/b",
)
SOME_METHODS = ("GET", "PATCH", "PUT")  # the last two are never allowed
BODIES = {
    "none": {},
    "valid": {"data": json.dumps({"name": "Mine"}), "content_type": "application/json"},
    "valid for creating": {"data": json.dumps(manual_account()), "content_type": "application/json"},
    "invalid": {"data": json.dumps({"nope": 1}), "content_type": "application/json"},
    "not JSON": {"data": b"\xff{", "content_type": "application/json"},
    "huge": {"data": b'"' + b"x" * 200_000 + b'"', "content_type": "application/json"},
    "another type": {"data": "name=Mine", "content_type": "application/x-www-form-urlencoded"},
    "unknown type": {"data": "Mine", "content_type": "text/plain"},
}


@pytest.fixture
def unseen(accounts, bobs_account):
    """A hidden account, another owner's and a missing one."""
    return [accounts.savings.pk, bobs_account.pk, uuid4()]


@pytest.fixture
def caller(restricted):
    """The client of the restricted key, after its usage was saved."""
    restricted.client.get("/v2/me")
    return restricted.client


def filter_url(value, extra=""):
    return f"/v2/transactions?bankAccountId={value}{extra}"


@pytest.mark.rule("S4")
@pytest.mark.parametrize("body", BODIES)
def test_unseen_accounts_get_identical_404(caller, unseen, body):
    for method in EVERY_METHOD:
        assert caller.generic(method, account_url(unseen[0]), **BODIES[body]).status_code == 404
    assert_indistinguishable(caller, *map(account_url, unseen), **BODIES[body])


@pytest.mark.rule("S4")
@pytest.mark.parametrize("body", ["none", "valid"])
def test_malformed_ids_get_same_404(caller, unseen, body):
    urls = [account_url(pk) for pk in (unseen[0], *MALFORMED)]
    assert_indistinguishable(caller, *urls, methods=SOME_METHODS, same_queries=False, **BODIES[body])
    assert_indistinguishable(caller, *urls[:4], same_queries=False, **BODIES[body])


@pytest.mark.rule("S4")
@pytest.mark.parametrize("body", ["none", "valid", "huge"])
def test_filter_gives_identical_404(caller, unseen, body):
    for pk in unseen[:2]:
        TransactionFactory(account_id=pk)
    assert_error(caller.get(filter_url(unseen[0])), 404, "NOT_FOUND")
    assert_indistinguishable(caller, *map(filter_url, unseen), **BODIES[body])


@pytest.mark.rule("S4")
def test_filter_gives_malformed_ids_same_404(caller, unseen):
    values = (unseen[0], "", *(pk for pk in MALFORMED if pk != ".."))
    assert_indistinguishable(caller, *map(filter_url, values), methods=SOME_METHODS, same_queries=False)


@pytest.mark.rule("S4")
def test_filter_404_precedes_other_parameter_errors(caller, unseen):
    for extra in ("&limit=0", "&status=nope", "&cursor=broken", "&startDate=x", "&bankConnectionId=x"):
        assert_indistinguishable(caller, *(filter_url(pk, extra) for pk in unseen), methods=SOME_METHODS)
        assert caller.get(filter_url(unseen[0], extra)).status_code == 404


@pytest.mark.rule("S4")
def test_all_404s_are_identical(caller, unseen):
    urls = [account_url(unseen[0]), filter_url(unseen[0]), "/v2/nowhere", "/v2/", account_url(unseen[0]) + "/"]
    assert_indistinguishable(caller, *urls, same_queries=False)


@pytest.mark.rule("S4")
def test_repeated_filter_hides_accounts(caller, accounts, unseen):
    visible = f"&bankAccountId={accounts.checking.pk}"
    assert len({caller.get(filter_url(pk, visible)).content for pk in unseen}) == 1
    for pk in unseen:
        assert caller.get(filter_url(accounts.checking.pk, f"&bankAccountId={pk}")).status_code == 404


@pytest.mark.rule("S4")
def test_foreign_account_looks_missing_to_unrestricted_key(unrestricted, bobs_account):
    unrestricted.client.get("/v2/me")
    pks = [bobs_account.pk, uuid4()]
    assert_indistinguishable(unrestricted.client, *map(account_url, pks))
    assert_indistinguishable(unrestricted.client, *map(filter_url, pks))


@pytest.mark.rule("S4")
def test_visible_account_is_returned(caller, accounts, unseen):
    with pytest.raises(AssertionError, match="differs"):
        assert_indistinguishable(caller, account_url(accounts.checking.pk), account_url(unseen[0]))


@pytest.mark.rule("S4")
def test_writes_to_unseen_accounts_change_nothing(caller, alice, accounts, bob):
    mine = AccountFactory(owner=alice, provider="manual")
    theirs = AccountFactory(owner=bob, provider="manual")
    before = list(Account.objects.order_by("pk").values())
    for account in (mine, theirs):
        assert caller.send("PATCH", account_url(account.pk), {"name": "Taken"}).status_code == 404
        assert caller.delete(account_url(account.pk)).status_code == 404
    assert list(Account.objects.order_by("pk").values()) == before


@pytest.mark.rule("S4")
def test_hidden_connection_looks_unknown(caller, accounts, bobs_account):
    connections = [uuid4() for _ in range(3)]
    Account.objects.filter(pk=accounts.savings.pk).update(bank_connection_id=connections[0])
    Account.objects.filter(pk=bobs_account.pk).update(bank_connection_id=connections[1])
    for path in ("accounts", "transactions"):
        urls = [f"/v2/{path}?bankConnectionId={connection}" for connection in connections]
        assert_indistinguishable(caller, *urls)
        assert caller.get(urls[0]).status_code == 200


@pytest.mark.rule("S1")
def test_key_without_accounts_sees_nothing(alice, accounts):
    only = AccountFactory(owner=alice)
    _, secret = make_key(alice, "Lonely", [only])
    client, gone = ApiClient(secret), only.pk
    TransactionFactory(account=accounts.checking)
    only.delete()
    assert client.get("/v2/accounts?status=all").json() == {"accounts": []}
    assert client.get("/v2/transactions?status=all").json()["transactions"] == []
    assert_indistinguishable(client, *map(account_url, [gone, accounts.checking.pk, uuid4()]))


@pytest.mark.rule("S3")
def test_transferred_account_leaves_and_returns(caller, alice, bob, accounts, bobs_account):
    account = accounts.checking
    TransactionFactory(account=account)
    hidden = account_url(accounts.savings.pk)
    Account.objects.filter(pk=account.pk).update(owner=bob)
    assert_indistinguishable(caller, hidden, account_url(account.pk))
    assert caller.get("/v2/accounts").json() == {"accounts": []}
    assert caller.get("/v2/transactions").json()["transactions"] == []
    account.owner = alice
    account.save()
    assert caller.get(account_url(account.pk)).status_code == 200
    assert len(caller.get("/v2/transactions").json()["transactions"]) == 1


@pytest.mark.rule("S3")
@pytest.mark.parametrize("flag", ["is_staff", "is_superuser"])
def test_staff_status_does_not_widen_key(caller, alice, unseen, flag):
    type(alice).objects.update(**{flag: True})
    assert len(caller.get("/v2/accounts").json()["accounts"]) == 1
    for pk in unseen:
        assert caller.get(account_url(pk)).status_code == 404


@pytest.mark.rule("S3")
def test_restricted_key_lists_its_scope(caller, accounts, unseen):
    for account in Account.objects.all():
        TransactionFactory(account=account)
    listed = caller.get("/v2/accounts?status=all").json()["accounts"]
    assert [account["id"] for account in listed] == [str(accounts.checking.pk)]
    rows = caller.get("/v2/transactions?status=all").json()["transactions"]
    assert [row["bankAccountId"] for row in rows] == [str(accounts.checking.pk)]


@pytest.mark.rule("S4")
def test_no_rate_limit_headers(caller, unseen):
    first, _ = count_queries(caller, "GET", account_url(unseen[0]))
    for _ in range(3):
        again, _ = count_queries(caller, "GET", account_url(unseen[0]))
        assert comparable_parts(again) == comparable_parts(first)
    assert not [name for name in first.headers if "limit" in name.lower() or "remaining" in name.lower()]
