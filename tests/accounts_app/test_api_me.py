"""GET /v2/me."""

import re

import pytest

from tests.accounts_app.api_assertions import assert_error


def test_me_returns_owner(unrestricted, alice):
    response = unrestricted.client.get("/v2/me")
    assert response.status_code == 200
    assert response.json() == {"userId": str(alice.pk), "email": "alice@example.com", "storageMode": True}


def test_existing_client_request_works(restricted, alice):
    assert re.search(r"^finta_[A-Za-z0-9]+$", restricted.secret)
    response = restricted.client.get("/v2/me", CONTENT_TYPE="application/json")
    assert response.status_code == 200
    assert set(response.json()) == {"userId", "email", "storageMode"}


@pytest.mark.parametrize("charset", ["utf-16", "utf-7", "cp037", "no-such", ""])
def test_query_is_utf8_for_any_charset(unrestricted, charset):
    content_type = f"application/json; charset={charset}"
    response = unrestricted.client.get("/v2/accounts?status=all&type=%FF", CONTENT_TYPE=content_type)
    assert response.status_code == 200
    response = unrestricted.client.get("/v2/transactions?status=nope", CONTENT_TYPE=content_type)
    assert_error(response, 400, "BAD_REQUEST", 'status: "nope"')


def test_key_takes_precedence_over_session(restricted, bob):
    restricted.client.force_login(bob)
    assert restricted.client.get("/v2/me").json()["email"] == "alice@example.com"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options", "trace"])
def test_me_rejects_other_methods(unrestricted, method):
    response = getattr(unrestricted.client, method)("/v2/me")
    assert_error(response, 405, "METHOD_NOT_ALLOWED")
    assert response["Allow"] == "GET, HEAD"
