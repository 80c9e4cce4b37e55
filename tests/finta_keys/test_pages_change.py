"""Rename, Edit scope, Rotate and Delete at API settings."""

import re

import pytest
from django.test import Client

from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.conftest import ApiClient
from tests.finta_keys.pages import hidden_fields, read, shown_secret, submit, url

KEY_ACTIONS = ["rename", "edit_scope", "rotate", "delete"]


def columns(key):
    return ApiKey.objects.filter(pk=key.pk).values().get()


@pytest.fixture
def bobs_browser(bob):
    client = Client()
    client.force_login(bob)
    return client


def test_rename_saves_name_and_confirms(alices_browser, restricted):
    response = submit(alices_browser, url("rename", restricted.key), name=" Laptop ")
    assert response.status_code == 302
    assert "Renamed to “Laptop”" in alices_browser.get(response.url).content.decode()
    restricted.key.refresh_from_db()
    assert restricted.key.name == "Laptop"
    assert restricted.client.get("/v2/me").status_code == 200


def test_rename_rejects_taken_name_and_keeps_input(alice, alices_browser, restricted):
    make_key(alice, "Laptop")
    response = submit(alices_browser, url("rename", restricted.key), name="LAPTOP")
    assert "You already have a key with this name" in read(response)
    assert 'value="LAPTOP"' in response.content.decode()
    assert "Rename “Restricted”" in read(response)


@pytest.mark.rule("K4")
def test_edit_scope_takes_effect_immediately(alices_browser, restricted, accounts):
    submit(alices_browser, url("edit_scope", restricted.key), accounts=[accounts.savings.pk])
    assert restricted.client.get(f"/v2/accounts/{accounts.savings.pk}").status_code == 200
    assert restricted.client.get(f"/v2/accounts/{accounts.checking.pk}").status_code == 404
    submit(alices_browser, url("edit_scope", restricted.key), share_all_accounts="on")
    assert restricted.client.get(f"/v2/accounts/{accounts.checking.pk}").status_code == 200


def test_edit_scope_shows_current_scope(alices_browser, restricted, accounts):
    page = alices_browser.get(url("edit_scope", restricted.key)).content.decode()
    assert page.count("checked") == 2  # the account and the permission
    assert "Save" in page


@pytest.mark.rule("S2")
def test_edit_scope_rejects_empty_selection(alices_browser, restricted, accounts):
    page = submit(alices_browser, url("edit_scope", restricted.key)).content.decode()
    assert "turn on “Share all accounts”" in page
    assert restricted.client.get(f"/v2/accounts/{accounts.checking.pk}").status_code == 200


@pytest.mark.rule("S6")
def test_edit_scope_rejects_account_of_another_user(alices_browser, restricted, bobs_account):
    page = submit(alices_browser, url("edit_scope", restricted.key), accounts=[bobs_account.pk]).content.decode()
    assert "At least one of these accounts is gone" in page
    assert restricted.key.scope_rows.count() == 1


@pytest.mark.rule("K5")
def test_stale_edit_scope_returns_409_with_difference(alices_browser, restricted, accounts):
    address = url("edit_scope", restricted.key)
    tabs = [hidden_fields(alices_browser.get(address)) for _ in range(2)]
    alices_browser.post(address, {**tabs[0], "accounts": [accounts.savings.pk]})
    response = alices_browser.post(address, {**tabs[1], "accounts": [accounts.checking.pk, accounts.cash.pk]})
    assert response.status_code == 409
    text = read(response)
    restricted.key.refresh_from_db()
    assert f"{restricted.key.scope_edited_at:%H:%M} UTC" in text
    assert f"add: {accounts.cash.label}, {accounts.checking.label}" in text
    assert f"remove: {accounts.savings.label}" in text
    assert address in response.content.decode()
    assert restricted.client.get(f"/v2/accounts/{accounts.cash.pk}").status_code == 404


@pytest.mark.rule("K5")
@pytest.mark.parametrize("counter", [{}, {"scope_edits": "x"}, {"scope_edits": "-1"}, {"scope_edits": 2**70}])
def test_invalid_scope_counter_asks_again(alices_browser, restricted, counter):
    before = columns(restricted.key)
    response = alices_browser.post(url("edit_scope", restricted.key), {"share_all_accounts": "on", **counter})
    assert "Check it and press Save again." in read(response)
    assert hidden_fields(response)["scope_edits"] == "0"
    assert columns(restricted.key) == before


@pytest.mark.rule("K5")
@pytest.mark.parametrize("shown", [{}, *({"shown": value} for value in ("", "[&quot;", "5", "null", "[" * 100_000))])
def test_edit_scope_without_shown_accounts_replaces_scope(alices_browser, restricted, accounts, shown):
    """A host's own template may lack the field. A malformed one must not keep accounts that were deselected."""
    data = {"scope_edits": 0, "accounts": [accounts.savings.pk], **shown}
    assert alices_browser.post(url("edit_scope", restricted.key), data).status_code == 302
    assert restricted.client.get(f"/v2/accounts/{accounts.checking.pk}").status_code == 404


@pytest.mark.rule("K5")
def test_edit_scope_keeps_accounts_added_by_key(alices_browser, restricted, accounts):
    address = url("edit_scope", restricted.key)
    data = hidden_fields(alices_browser.get(address))
    with restricted.key.locked() as key:
        key.add_to_scope(accounts.cash)
    alices_browser.post(address, {**data, "accounts": [accounts.savings.pk]})
    assert restricted.client.get(f"/v2/accounts/{accounts.cash.pk}").status_code == 200
    assert restricted.client.get(f"/v2/accounts/{accounts.savings.pk}").status_code == 200
    assert restricted.client.get(f"/v2/accounts/{accounts.checking.pk}").status_code == 404


@pytest.mark.rule("K3")
def test_rotate_shows_new_secret_and_invalidates_old(alices_browser, restricted):
    page = alices_browser.get(url("rotate", restricted.key)).content.decode()
    assert "stops working immediately" in page
    assert "never been used" in page
    response = submit(alices_browser, url("rotate", restricted.key))
    secret = shown_secret(response)
    assert "no-store" in response["Cache-Control"]
    assert "Update your applications" in response.content.decode()
    assert restricted.client.get("/v2/me").status_code == 401
    assert ApiClient(secret).get("/v2/me").status_code == 200


@pytest.mark.rule("K5")
def test_second_rotate_returns_409(alices_browser, restricted):
    address = url("rotate", restricted.key)
    tabs = [hidden_fields(alices_browser.get(address)) for _ in range(2)]
    first, second = (alices_browser.post(address, tab) for tab in tabs)
    assert second.status_code == 409
    restricted.key.refresh_from_db()
    assert f"{restricted.key.rotated_at:%H:%M} UTC" in second.content.decode()
    assert ApiClient(shown_secret(first)).get("/v2/me").status_code == 200
    assert restricted.key.rotation == 1


@pytest.mark.rule("K5")
@pytest.mark.parametrize("rotation", ["", "x", "-1", str(2**70)])
def test_invalid_rotation_asks_again(alices_browser, restricted, rotation):
    before = columns(restricted.key)
    for action in ("rotate", "delete"):
        response = alices_browser.post(url(action, restricted.key), {"rotation": rotation})
        assert "Check it and confirm again" in response.content.decode()
        assert hidden_fields(response) == {"rotation": "0"}
    assert columns(restricted.key) == before


def test_delete_asks_first_then_removes_key(alices_browser, restricted):
    page = alices_browser.get(url("delete", restricted.key)).content.decode()
    assert "This cannot be undone" in page
    assert url("rotate", restricted.key) in page
    response = submit(alices_browser, url("delete", restricted.key))
    assert "Deleted “Restricted”" in alices_browser.get(response.url).content.decode()
    assert restricted.client.get("/v2/me").status_code == 401


@pytest.mark.rule("K5")
def test_delete_after_rotation_returns_409(alices_browser, restricted):
    fields = hidden_fields(alices_browser.get(url("delete", restricted.key)))
    submit(alices_browser, url("rotate", restricted.key))
    response = alices_browser.post(url("delete", restricted.key), fields)
    assert response.status_code == 409
    assert "The key was not deleted" in response.content.decode()
    assert ApiKey.objects.filter(pk=restricted.key.pk).exists()


@pytest.mark.rule("K3")
def test_rename_and_edit_scope_keep_new_secret(alices_browser, restricted, accounts):
    rename = hidden_fields(alices_browser.get(url("rename", restricted.key)))
    scope = hidden_fields(alices_browser.get(url("edit_scope", restricted.key)))
    secret = shown_secret(submit(alices_browser, url("rotate", restricted.key)))
    alices_browser.post(url("rename", restricted.key), {**rename, "name": "Laptop"})
    alices_browser.post(url("edit_scope", restricted.key), {**scope, "accounts": [accounts.savings.pk]})
    assert ApiClient(secret).get(f"/v2/accounts/{accounts.savings.pk}").status_code == 200
    assert restricted.client.get("/v2/me").status_code == 401


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("action", KEY_ACTIONS)
def test_foreign_missing_and_malformed_keys_return_same_404(alices_browser, bobs_browser, restricted, action, method):
    address = url(action, restricted.key)
    before = columns(restricted.key)
    data = {"name": "Mine now", "share_all_accounts": "on", "rotation": "0"}
    missing = address.replace(str(restricted.key.pk), "00000000-0000-4000-8000-000000000000")
    malformed = address.replace(str(restricted.key.pk), "x")
    responses = [getattr(bobs_browser, method)(path, data) for path in (address, missing, malformed)]
    assert {response.status_code for response in responses} == {404}
    assert columns(restricted.key) == before
    bodies = {_without_csrf(response) for response in responses}
    assert len(bodies) == 1
    assert "may have been deleted" in bodies.pop()


@pytest.mark.rule("K6")
@pytest.mark.parametrize("action", ["list", "create", *KEY_ACTIONS])
@pytest.mark.parametrize("method", ["get", "post"])
def test_pages_redirect_requests_with_key_to_login(restricted, action, method):
    address = url(action, None if action in ("list", "create") else restricted.key)
    before = columns(restricted.key)
    response = getattr(ApiClient(restricted.secret), method)(address, {"rotation": "0", "name": "x"})
    assert response.status_code == 302
    assert response.url.startswith("/login?next=")
    assert columns(restricted.key) == before
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("action", ["create", *KEY_ACTIONS])
def test_get_changes_nothing(alices_browser, restricted, action):
    before = columns(restricted.key)
    alices_browser.get(url(action, None if action == "create" else restricted.key))
    assert columns(restricted.key) == before
    assert ApiKey.objects.count() == 1


def test_missing_csrf_token_returns_403(alice, restricted):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    response = browser.post(url("rotate", restricted.key), {"rotation": "0"})
    assert response.status_code == 403
    assert "Nothing was changed" in response.content.decode()
    restricted.key.refresh_from_db()
    assert restricted.key.rotation == 0


def test_key_deleted_during_submit_returns_404(alices_browser, restricted, monkeypatch):
    """Another tab deletes the key between the lookup and the lock."""
    monkeypatch.setattr("finta_keys.views.OneKeyView.key", restricted.key)
    ApiKey.objects.filter(pk=restricted.key.pk).delete()
    for action, data in [
        ("rename", {"name": "x"}),
        ("edit_scope", {"share_all_accounts": "on", "scope_edits": 0}),
        ("rotate", {"rotation": 0}),
        ("delete", {"rotation": 0}),
    ]:
        assert alices_browser.post(url(action, restricted.key), data).status_code == 404


def _without_csrf(response):
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", response.content.decode())


@pytest.mark.rule("K2")
def test_login_redirect_omits_secret_in_path(restricted):
    response = Client().get(f"/settings/api/keys/{restricted.secret}/rename")
    assert response.status_code == 302
    assert restricted.secret not in response.url
    assert "/settings/api/keys/finta_" in response.url
