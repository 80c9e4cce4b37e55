"""Rename, edit scope, rotate and delete, as an owner meets them."""

import pytest
from django.test import Client

from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.conftest import ApiClient
from tests.finta_keys.pages import hidden_fields, read, shown_secret, submit, url

ONE_KEY_PAGES = ["rename", "edit_scope", "rotate", "delete"]


def columns(key):
    return ApiKey.objects.filter(pk=key.pk).values().get()


@pytest.fixture
def bobs_browser(bob):
    client = Client()
    client.force_login(bob)
    return client


def test_rename_changes_the_name_and_says_so(alices_browser, restricted):
    answer = submit(alices_browser, url("rename", restricted.key), name=" Laptop ")
    assert answer.status_code == 302
    assert "Renamed to “Laptop”" in alices_browser.get(answer.url).content.decode()
    restricted.key.refresh_from_db()
    assert restricted.key.name == "Laptop"
    assert restricted.client.get("/v2/me").status_code == 200


def test_rename_to_a_taken_name_is_refused_and_keeps_what_was_typed(alice, alices_browser, restricted):
    make_key(alice, "Laptop")
    answer = submit(alices_browser, url("rename", restricted.key), name="LAPTOP")
    assert "You already have a key of this name" in read(answer)
    assert 'value="LAPTOP"' in answer.content.decode()
    assert "Rename “Restricted”" in read(answer)


def test_edit_scope_is_in_force_at_once(alices_browser, restricted, accounts):
    submit(alices_browser, url("edit_scope", restricted.key), accounts=[accounts.savings.pk])
    assert restricted.client.get(f"/v2/accounts/{accounts.savings.pk}").status_code == 200
    assert restricted.client.get(f"/v2/accounts/{accounts.checking.pk}").status_code == 404
    submit(alices_browser, url("edit_scope", restricted.key), share_all_accounts="on")
    assert restricted.client.get(f"/v2/accounts/{accounts.checking.pk}").status_code == 200


def test_edit_scope_shows_the_scope_as_it_is(alices_browser, restricted, accounts):
    page = alices_browser.get(url("edit_scope", restricted.key)).content.decode()
    assert page.count("checked") == 1
    assert "Save" in page


def test_S2_edit_scope_with_nothing_chosen_is_refused(alices_browser, restricted, accounts):
    page = submit(alices_browser, url("edit_scope", restricted.key)).content.decode()
    assert "turn on “Share all accounts”" in page
    assert restricted.client.get(f"/v2/accounts/{accounts.checking.pk}").status_code == 200


def test_S6_edit_scope_refuses_somebody_elses_account(alices_browser, restricted, bobs_account):
    page = submit(alices_browser, url("edit_scope", restricted.key), accounts=[bobs_account.pk]).content.decode()
    assert "One of these accounts is not there any more" in page
    assert restricted.key.scope_rows.count() == 1


def test_rotate_shows_a_new_secret_once_and_kills_the_old(alices_browser, restricted):
    asked = alices_browser.get(url("rotate", restricted.key)).content.decode()
    assert "stop working immediately" in asked
    assert "never been used" in asked
    answer = submit(alices_browser, url("rotate", restricted.key))
    secret = shown_secret(answer)
    assert "no-store" in answer["Cache-Control"]
    assert "Update your applications" in answer.content.decode()
    assert restricted.client.get("/v2/me").status_code == 401
    assert ApiClient(secret).get("/v2/me").status_code == 200


def test_K5_rotate_in_two_tabs_gives_one_secret_and_a_409(alices_browser, restricted):
    address = url("rotate", restricted.key)
    tabs = [hidden_fields(alices_browser.get(address)) for _ in range(2)]
    first, second = (alices_browser.post(address, tab) for tab in tabs)
    assert second.status_code == 409
    restricted.key.refresh_from_db()
    assert f"{restricted.key.rotated_at:%H:%M} UTC" in second.content.decode()
    assert ApiClient(shown_secret(first)).get("/v2/me").status_code == 200
    assert restricted.key.rotation == 1


@pytest.mark.parametrize("rotation", ["", "x", "-1", str(2**70)])
def test_K5_rotate_and_delete_without_a_readable_rotation_ask_again(alices_browser, restricted, rotation):
    before = columns(restricted.key)
    for verb in ("rotate", "delete"):
        answer = alices_browser.post(url(verb, restricted.key), {"rotation": rotation})
        assert "Check it and confirm again" in answer.content.decode()
        assert hidden_fields(answer) == {"rotation": "0"}
    assert columns(restricted.key) == before


def test_delete_asks_first_and_then_the_key_is_gone(alices_browser, restricted):
    asked = alices_browser.get(url("delete", restricted.key)).content.decode()
    assert "This cannot be undone" in asked
    assert url("rotate", restricted.key) in asked
    answer = submit(alices_browser, url("delete", restricted.key))
    assert "Deleted “Restricted”" in alices_browser.get(answer.url).content.decode()
    assert restricted.client.get("/v2/me").status_code == 401


def test_K5_delete_after_a_rotation_in_another_tab_deletes_nothing(alices_browser, restricted):
    seen = hidden_fields(alices_browser.get(url("delete", restricted.key)))
    submit(alices_browser, url("rotate", restricted.key))
    answer = alices_browser.post(url("delete", restricted.key), seen)
    assert answer.status_code == 409
    assert "The key was not deleted" in answer.content.decode()
    assert ApiKey.objects.filter(pk=restricted.key.pk).exists()


def test_K3_a_rename_and_a_scope_edit_opened_before_a_rotation_keep_the_new_digest(
    alices_browser, restricted, accounts
):
    rename, scope = (hidden_fields(alices_browser.get(url(verb, restricted.key))) for verb in ("rename", "edit_scope"))
    secret = shown_secret(submit(alices_browser, url("rotate", restricted.key)))
    alices_browser.post(url("rename", restricted.key), {**rename, "name": "Laptop"})
    alices_browser.post(url("edit_scope", restricted.key), {**scope, "accounts": [accounts.savings.pk]})
    assert ApiClient(secret).get(f"/v2/accounts/{accounts.savings.pk}").status_code == 200
    assert restricted.client.get("/v2/me").status_code == 401


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("verb", ONE_KEY_PAGES)
def test_bobs_deleted_and_malformed_keys_are_one_and_the_same_404(
    alices_browser, bobs_browser, restricted, verb, method
):
    address = url(verb, restricted.key)
    before = columns(restricted.key)
    data = {"name": "Mine now", "share_all_accounts": "on", "rotation": "0"}
    missing = address.replace(str(restricted.key.pk), "00000000-0000-4000-8000-000000000000")
    malformed = address.replace(str(restricted.key.pk), "x")
    answers = [getattr(bobs_browser, method)(each, data) for each in (address, missing, malformed)]
    assert {answer.status_code for answer in answers} == {404}
    assert columns(restricted.key) == before
    bodies = {_without_csrf(answer) for answer in answers}
    assert len(bodies) == 1
    assert "may have been deleted" in bodies.pop()


@pytest.mark.parametrize("verb", ["list", "create", *ONE_KEY_PAGES])
@pytest.mark.parametrize("method", ["get", "post"])
def test_K6_every_page_asks_for_a_signed_in_person_and_takes_no_key(restricted, verb, method):
    address = url(verb, None if verb in ("list", "create") else restricted.key)
    before = columns(restricted.key)
    answer = getattr(ApiClient(restricted.secret), method)(address, {"rotation": "0", "name": "x"})
    assert answer.status_code == 302
    assert answer.url.startswith("/login?next=")
    assert columns(restricted.key) == before
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("verb", ["create", *ONE_KEY_PAGES])
def test_looking_at_a_page_changes_nothing(alices_browser, restricted, verb):
    before = columns(restricted.key)
    alices_browser.get(url(verb, None if verb == "create" else restricted.key))
    assert columns(restricted.key) == before
    assert ApiKey.objects.count() == 1


def test_a_form_without_a_csrf_token_is_refused_and_changes_nothing(alice, restricted):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    answer = browser.post(url("rotate", restricted.key), {"rotation": "0"})
    assert answer.status_code == 403
    assert "Nothing was changed" in answer.content.decode()
    restricted.key.refresh_from_db()
    assert restricted.key.rotation == 0


def test_a_key_that_goes_while_its_form_is_sent_is_the_404_page(alices_browser, restricted, monkeypatch):
    """Deleted by another tab between the look-up and the lock."""
    monkeypatch.setattr("finta_keys.views.OneKeyView.key", restricted.key)
    ApiKey.objects.filter(pk=restricted.key.pk).delete()
    for verb, data in [
        ("rename", {"name": "x"}),
        ("edit_scope", {"share_all_accounts": "on"}),
        ("rotate", {"rotation": 0}),
        ("delete", {"rotation": 0}),
    ]:
        assert alices_browser.post(url(verb, restricted.key), data).status_code == 404


def _without_csrf(response):
    import re

    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", response.content.decode())


def test_K2_a_secret_that_was_pasted_into_the_address_is_not_in_the_way_back(restricted):
    answer = Client().get(f"/settings/api/keys/{restricted.secret}/rename")
    assert answer.status_code == 302
    assert restricted.secret not in answer.url
    assert "/settings/api/keys/finta_" in answer.url
