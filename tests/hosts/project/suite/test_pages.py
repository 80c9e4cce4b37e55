"""Keys on the owner's pages."""

import re

import pytest
from django.core.exceptions import ValidationError
from host.variant import LOCAL

from finta_keys.models import ApiKey
from finta_keys.testing import key_client, make_key
from suite.conftest import signed_in
from suite.reading import api, keys_of, secret_in, seen, submit, ticked, url

VERBS = ("rename", "edit_scope", "rotate", "delete")


def test_create_for_all_shops(merchants_browser, shops, foreign):
    response = submit(merchants_browser, url("create"), name="All", share_all_accounts="on")
    assert seen(secret_in(response)) == keys_of(shops)


def test_create_for_one_shop(merchants_browser, shops, foreign):
    for shop in shops:
        response = submit(merchants_browser, url("create"), name=f"For {shop.name}", accounts=[str(shop.pk)])
        assert seen(secret_in(response)) == keys_of([shop])
    assert merchants_browser.get(url("list")).content.count(b"<tr>") >= len(shops)


def test_create_rejects_other_shops(merchants_browser, shops, foreign):
    for choice in (str(foreign.pk), "no such shop", "", "9" * 30, "x" * 500, "a\0b"):
        response = submit(merchants_browser, url("create"), name="Wrong", accounts=[str(shops[0].pk), choice])
        assert response.status_code == 200, choice
        assert ticked(response) == {str(shops[0].pk)}
    assert not ApiKey.objects.exists()


def test_rename_edit_scope_rotate_delete(merchants_browser, shops, restricted):
    key = restricted.key
    assert submit(merchants_browser, url("rename", key.pk), name="Renamed").status_code == 302
    key.refresh_from_db()
    assert key.name == "Renamed"

    assert ticked(merchants_browser.get(url("edit_scope", key.pk))) == {str(shops[0].pk)}
    for selected in (shops[1:], shops[:2]):
        response = submit(merchants_browser, url("edit_scope", key.pk), accounts=keys_of(selected))
        assert response.status_code == 302
        assert seen(restricted.secret) == keys_of(selected)
        assert ticked(merchants_browser.get(url("edit_scope", key.pk))) == set(keys_of(selected))
    assert submit(merchants_browser, url("edit_scope", key.pk), share_all_accounts="on").status_code == 302
    assert seen(restricted.secret) == keys_of(shops)

    fresh = secret_in(submit(merchants_browser, url("rotate", key.pk)))
    assert key_client(restricted.secret).get(api("shops")).status_code == 401
    assert seen(fresh) == keys_of(shops)

    assert submit(merchants_browser, url("delete", key.pk)).status_code == 302
    assert key_client(fresh).get(api("shops")).status_code == 401
    assert not ApiKey.objects.exists()


def test_repeated_submission_is_409(merchants_browser, shops, restricted):
    page = merchants_browser.get(url("create")).content.decode()
    nonce = page.split('name="nonce" value="')[1].split('"')[0]
    fields = {"name": "Once", "share_all_accounts": "on", "nonce": nonce}
    assert merchants_browser.post(url("create"), fields).status_code == 200
    assert merchants_browser.post(url("create"), fields).status_code == 409
    restricted.key.rotate()
    assert merchants_browser.post(url("rotate", restricted.key.pk), {"rotation": 0}).status_code == 409
    assert merchants_browser.post(url("delete", restricted.key.pk), {"rotation": 0}).status_code == 409


@pytest.mark.parametrize("verb", VERBS)
def test_key_of_another_user_is_not_found(verb, rival, restricted):
    browser = signed_in(rival)
    for pk in (restricted.key.pk, "no-such-key"):
        assert browser.get(url(verb, pk)).status_code == 404
        assert browser.post(url(verb, pk), {"name": "Mine", "rotation": 0}).status_code == 404
    assert restricted.client.get(api("shops")).status_code == 200


def test_list_shows_and_searches_scopes(merchants_browser, shops, restricted, foreign):
    page = merchants_browser.get(url("list"), {"q": shops[0].name}).content.decode()
    assert "Restricted" in page
    assert shops[0].name in page
    assert "Restricted" not in merchants_browser.get(url("list"), {"q": foreign.name}).content.decode()


def test_list_shows_last_use(merchants_browser, restricted):
    assert restricted.client.get(api("shops")).status_code == 200
    restricted.key.refresh_from_db()
    assert restricted.key.last_used_at
    for address in (url("list"), *(url(verb, restricted.key.pk) for verb in VERBS)):
        assert merchants_browser.get(address).status_code == 200
    page = merchants_browser.get(url("list")).content.decode()
    assert "Never used" not in page
    assert "ago" in page or "just now" in page.lower()


def test_pages_require_sign_in(client, restricted):
    for address in (url("list"), url("create"), url("rotate", restricted.key.pk)):
        response = client.get(address)
        assert (response.status_code, response.url.split("?")[0]) == (302, "/admin/login/")


def test_model_rejects_invalid_shops(merchant, shops):
    """A project may pass values from JSON. A town may have the same primary key as a shop."""
    for choice in ("\ud800", "a\0b", None, [], {}, shops[0].town):
        with pytest.raises(ValidationError):
            make_key(merchant, accounts=[choice])


def test_pages_use_the_base_template(merchants_browser, restricted):
    for address in (url("list"), url("create"), *(url(verb, restricted.key.pk) for verb in VERBS)):
        page = merchants_browser.get(address).content.decode()
        assert ("<h1>Some shops</h1>" in page) == LOCAL
        assert "store" in page or address == url("rename", restricted.key.pk)
        assert "account" not in re.sub(r"<[^>]*>", "", page)
