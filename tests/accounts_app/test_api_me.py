"""GET /v2/me, with which integrations verify a key."""

import re

import pytest

from tests.accounts_app.api_assertions import assert_error


def test_it_answers_exactly_who_the_owner_is(unrestricted, alice):
    response = unrestricted.client.get("/v2/me")
    assert response.status_code == 200
    assert response.json() == {"userId": str(alice.pk), "email": "alice@example.com", "storageMode": True}


def test_the_client_that_integrators_ship_works_unchanged(restricted, alice):
    assert re.search(r"^finta_[A-Za-z0-9]+$", restricted.secret)
    response = restricted.client.get("/v2/me", CONTENT_TYPE="application/json")
    assert response.status_code == 200
    assert set(response.json()) == {"userId", "email", "storageMode"}


@pytest.mark.parametrize("charset", ["utf-16", "utf-7", "cp037", "no-such", ""])
def test_no_charset_of_a_content_type_changes_how_a_query_is_read(unrestricted, charset):
    content_type = f"application/json; charset={charset}"
    response = unrestricted.client.get("/v2/transactions?status=posted&type=%FF", CONTENT_TYPE=content_type)
    assert response.status_code == 200
    response = unrestricted.client.get("/v2/transactions?status=nope", CONTENT_TYPE=content_type)
    assert_error(response, 400, "BAD_REQUEST", 'status: "nope"')


def test_it_tells_about_the_keys_owner_not_about_the_session(restricted, bob):
    restricted.client.force_login(bob)
    assert restricted.client.get("/v2/me").json()["email"] == "alice@example.com"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options", "trace"])
def test_it_is_for_reading_only(unrestricted, method):
    response = getattr(unrestricted.client, method)("/v2/me")
    assert_error(response, 405, "METHOD_NOT_ALLOWED")
    assert response["Allow"] == "GET, HEAD"
