"""POST /v2/accounts."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
import time_machine

from accounts_app.models import Account
from tests.accounts_app.api_account_writes.helpers import FULL, NOON, body_with_raw, post
from tests.accounts_app.api_assertions import account_url, assert_error, manual_account


@time_machine.travel(NOON, tick=False)
def test_post_creates_account_with_all_fields(client, alice):
    response = client.send("POST", "/v2/accounts", FULL)
    assert response.status_code == 201
    account = response.json()["account"]
    assert {name: account[name] for name in FULL} == FULL
    rest = {name: value for name, value in account.items() if name not in FULL}
    assert rest == {
        "id": account["id"],
        "providerAccountId": None,
        "bankConnectionId": None,
        "provider": "manual",
        "balanceAsOf": "2026-01-15T12:00:00Z",
        "closedAt": None,
        "status": "active",
    }
    assert Account.objects.get(pk=account["id"]).owner == alice
    assert client.get(account_url(account["id"])).json() == response.json()


def test_post_needs_only_required_fields(client):
    response = client.send("POST", "/v2/accounts", manual_account())
    assert response.status_code == 201
    account = response.json()["account"]
    assert {k for k, v in account.items() if v is None} == {
        "providerAccountId",
        "bankConnectionId",
        "institutionName",
        "mask",
        "subtype",
        "availableBalance",
        "closedAt",
        "liability",
    }


def test_post_accepts_null_for_optional_fields(client):
    optional = dict.fromkeys(("subtype", "institutionName", "mask", "availableBalance", "liability"))
    account = client.send("POST", "/v2/accounts", manual_account(**optional)).json()["account"]
    assert {name: account[name] for name in optional} == optional


@pytest.mark.parametrize("field", ["name", "type", "currency", "currentBalance"])
def test_post_names_missing_required_field(client, field):
    body = manual_account()
    del body[field]
    assert_error(client.send("POST", "/v2/accounts", body), 400, "BAD_REQUEST", f"{field}: ")
    assert_error(client.send("POST", "/v2/accounts", manual_account(**{field: None})), 400, "BAD_REQUEST", f"{field}: ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "00000000-0000-0000-0000-000000000000"),
        ("owner", "bob"),
        ("owner_id", 1),
        ("provider", "plaid"),
        ("status", "closed"),
        ("closedAt", None),
        ("balanceAsOf", "2020-01-01T00:00:00Z"),
        ("bankConnectionId", None),
        ("current_balance", 1),
        ("Name", "x"),
        ("", 1),
        ("x" * 3000, 1),
        ("\ud800", 1),
        ("\0", 1),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_unknown_and_read_only_fields_are_rejected(client, cash, method, field, value):
    url = "/v2/accounts" if method == "POST" else account_url(cash.pk)
    before = list(Account.objects.values())
    response = client.send(method, url, json.dumps(manual_account(**{field: value})))
    assert_error(response, 400, "BAD_REQUEST", field[:50].replace("\ud800", "?"))
    assert len(response.content) < 4000
    assert list(Account.objects.values()) == before


WRONG = [
    *[
        (field, value)
        for field in ("name", "type", "currency")
        for value in (1, True, [], {}, "", "  ", "\0", "\ud800")
    ],
    *[
        (field, value)
        for field in ("subtype", "institutionName", "mask")
        for value in (1, True, [], {}, "\0", "\ud800")
    ],
    *[(field, value) for field in ("currentBalance", "availableBalance") for value in ("1", "", True, False, [], {})],
    ("name", "x" * 201),
    ("type", "x" * 51),
    ("subtype", "x" * 51),
    ("institutionName", "x" * 201),
    ("mask", "x" * 11),
    ("currency", "usd"),
    ("currency", "USDT"),
    ("currency", "US"),
    ("currency", "USD\nX"),
    ("currency", "ÜSD"),
    ("currentBalance", 999999999999.9999),
    ("currentBalance", 9999999999999999),
    ("currentBalance", 1000000000000000),
    ("currentBalance", 1234567890123456),
    ("currentBalance", -1234567890123456),
    ("currentBalance", 1.00001),
    ("currentBalance", 1e16),
    ("currentBalance", 1e-5),
    ("currentBalance", 10**1000),
    ("liability", []),
    ("liability", "credit"),
    ("liability", {}),
    ("liability", {"type": None}),
    ("liability", {"type": ["credit"]}),
    ("liability", {"type": {}}),
    ("liability", {"type": "loan"}),
    ("liability", {"type": "credit", "x": "\0"}),
    ("liability", {"type": "credit", "\0": 1}),
    ("liability", {"type": "credit", "x": ["\ud800"]}),
    ("liability", {"type": "credit", "\udfff": 1}),
    ("liability", {"type": "credit", "x": "y" * 8192}),
    ("liability", {"type": "credit", "x": "ü" * 4090}),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("field", "value"), WRONG, ids=lambda value: repr(value)[:20])
def test_invalid_value_changes_nothing(client, cash, field, value):
    before = list(Account.objects.values())
    for method, url in (("POST", "/v2/accounts"), ("PATCH", account_url(cash.pk))):
        response = client.send(method, url, json.dumps(manual_account(**{field: value})))
        assert_error(response, 400, "BAD_REQUEST", f"{field}: ")
    assert list(Account.objects.values()) == before


@pytest.mark.parametrize("raw", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" * 5000, "01", "1.", "0x1"])
@pytest.mark.parametrize("field", ["currentBalance", "availableBalance"])
def test_money_rejects_infinity_and_nan(client, field, raw):
    assert_error(post(client, body_with_raw(field, raw)), 400, "BAD_REQUEST")


@pytest.mark.parametrize("raw", ["NaN", "Infinity", "1e400", "-1e999", '[{"a": 1e400}]', '"\\ud83d"', '"\\u0000"'])
def test_liability_rejects_values_that_cannot_be_stored(client, raw):
    response = post(client, body_with_raw("liability", f'{{"type": "credit", "x": {raw}}}'))
    assert_error(response, 400, "BAD_REQUEST")


@pytest.mark.parametrize("amount", [99999999999.9999, 9999999999999.99, -999999999999999, 0, 0.0001, 7, -12.3456, 1e10])
def test_money_round_trip_is_exact(client, amount):
    response = client.send("POST", "/v2/accounts", manual_account(currentBalance=amount, availableBalance=amount))
    assert response.status_code == 201
    stored = Account.objects.get(pk=response.json()["account"]["id"])
    shown = client.get(account_url(stored.pk)).json()["account"]
    assert shown["currentBalance"] == shown["availableBalance"] == amount
    assert stored.current_balance == Decimal(str(amount))


def nested_liability(levels):
    value = 1
    for level in range(levels):
        value = {"x": value} if level % 2 else [value]
    return value


@pytest.mark.parametrize(
    "liability",
    [
        {"type": "credit"},
        {"type": "student", "x": "y" * 8100},
        {"type": "mortgage", "x": nested_liability(7)},
        {"type": "credit", "ü": "🏠", "float": 0.1, "int": 2**70, "bool": False, "list": [[], {}, None, ""]},
        {"type": "credit", "id": "mine", "owner": 1, "__proto__": {}, "$where": "1"},
    ],
)
def test_liability_is_returned_unchanged(client, liability):
    response = client.send("POST", "/v2/accounts", manual_account(liability=liability))
    assert response.status_code == 201
    shown = client.get(account_url(response.json()["account"]["id"])).json()["account"]["liability"]
    assert shown == liability


@pytest.mark.parametrize("levels", [8, 500, 2000])
def test_liability_depth_limit(client, levels):
    nested_liability = '{"x":' * levels + "1" + "}" * levels
    response = post(client, body_with_raw("liability", f'{{"type": "credit", "x": {nested_liability}}}'))
    assert_error(response, 400, "BAD_REQUEST")


@pytest.mark.parametrize(("size", "status"), [(8192, 201), (8193, 400)])
def test_liability_size_limit(client, size, status):
    frame = len('{"type":"credit","x":""}')
    liability = {"type": "credit", "x": "y" * (size - frame)}
    assert client.send("POST", "/v2/accounts", manual_account(liability=liability)).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"nope", b"[]", b"[{}]", b"null", b"1", b'"name"', b"name=x&type=y", b"{'name': 'x'}", b"{}{}"),
        *(b"\xff\xfe", b"\xef\xbb\xbf{}", b"\0", json.dumps(manual_account()).encode("utf-16")),
        *(b"{" * 10, b'{"a":1', b"[" * 60_000, b'{"x":' * 13_000),
    ],
    ids=lambda body: repr(body[:12]),
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_body_must_be_a_json_object(client, cash, method, body):
    url = "/v2/accounts" if method == "POST" else account_url(cash.pk)
    response = client.generic(method, url, body, content_type="application/json")
    assert_error(response, 400, "BAD_REQUEST")
    for detail in ("codec", "sys.", "Python", "recursion"):
        assert detail not in response.json()["error"]["message"]


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "latin-1", "hex", "zlib", "undefined", "no-such", ""])
def test_body_is_utf8_for_any_charset(client, charset):
    body = json.dumps(manual_account(name="Züri"), ensure_ascii=False).encode()
    content_type = f"application/json; charset={charset}"
    response = client.generic("POST", "/v2/accounts", body, content_type=content_type)
    assert response.status_code == 201
    assert response.json()["account"]["name"] == "Züri"


def test_chunked_body_is_rejected(client):
    response = client.generic("POST", "/v2/accounts", headers={"transfer-encoding": "chunked"})
    assert_error(response, 400, "BAD_REQUEST", "Send the body in one piece")


def test_interrupted_body_is_a_400(client):
    class BrokenStream:
        def read(self, *args):
            raise OSError("the other side hung up")

        readline = read

    request = {"wsgi.input": BrokenStream(), "CONTENT_LENGTH": "100", "CONTENT_TYPE": "application/json"}
    assert_error(client.post("/v2/accounts", **request), 400, "BAD_REQUEST", "The request is malformed or incomplete")


@pytest.mark.parametrize("length", ["-1", "x", "²", "1e3", "5", " ", "99999999999999999999"])
def test_wrong_content_length_is_not_a_500(client, length):
    body = json.dumps(manual_account()).encode()
    request = {"content_type": "application/json", "CONTENT_LENGTH": length}
    response = client.generic("POST", "/v2/accounts", body, **request)
    assert response.status_code in (400, 413)


def test_body_size_limit(client):
    body = json.dumps(manual_account()).encode()
    assert post(client, body.ljust(64 * 1024)).status_code == 201
    assert_error(post(client, body.ljust(64 * 1024 + 1)), 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("field", ["name", "type", "subtype", "institutionName", "mask"])
@pytest.mark.parametrize("text", ["a\nb", "a\x07b", "a\u202eb", "a\u2028b", "\u200b", "\u3164\u200d"])
def test_text_must_be_one_visible_line(client, field, text):
    response = client.send("POST", "/v2/accounts", manual_account(**{field: text}))
    assert_error(response, 400, "BAD_REQUEST", f"{field}: This contains")


@pytest.mark.parametrize("balance", [10**15, 10**18, 1e300, 1234567890123.4567, 0.00001])
def test_money_limits_do_not_contradict(client, balance):
    response = client.send("POST", "/v2/accounts", manual_account(currentBalance=balance))
    assert_error(response, 400, "BAD_REQUEST", "currentBalance: ")
    message = response.json()["error"]["message"]
    assert message in (
        "currentBalance: Give at most 15 digits.",
        "currentBalance: Ensure that there are no more than 4 decimal places.",
    )


def test_text_is_trimmed(client):
    account = client.send("POST", "/v2/accounts", manual_account(name="  Wallet ", mask=" 1 ")).json()["account"]
    assert (account["name"], account["mask"]) == ("Wallet", "1")
