"""The admin's list of keys, the page of a key, and the permissions for both."""

from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse

from accounts_app.models import Account
from finta_keys.models import ApiKey, CreateNonce, KeyAccountScope
from finta_keys.testing import make_key
from tests.factories import AccountFactory, UserFactory
from tests.finta_keys.admin_pages import KEY_ACTIONS, digest, operator, signed_in, url

PERMISSIONS = {"rename": "change", "edit_scope": "change", "rotate": "change", "delete": "delete"}


@pytest.fixture
def superuser(db):
    return operator()


def addresses(key):
    """Return the URLs of every admin page for keys."""
    actions = [url(action, key.pk) for action in KEY_ACTIONS]
    return [
        url("changelist"),
        url("add"),
        url("create", key.owner.pk),
        url("change", key.pk),
        url("history", key.pk),
        *actions,
    ]


# Contents


def test_list_shows_key_details(superuser, restricted, alice):
    page = superuser.get(url("changelist"))
    for text in ("Restricted", alice.email, restricted.key.hint, "1 of 3 accounts", "Expires", "Last used"):
        assert text in page.content.decode()


def test_list_shows_unrestricted_scope(superuser, unrestricted):
    assert ">All accounts<" in superuser.get(url("changelist")).content.decode()


@pytest.mark.rule("S3")
def test_transferred_account_is_not_counted(superuser, restricted, accounts, bob):
    Account.objects.filter(pk=accounts.checking.pk).update(owner=bob)
    assert "0 of 2 accounts" in superuser.get(url("changelist")).content.decode()
    detail = superuser.get(url("change", restricted.key.pk)).content.decode()
    assert "None at the moment." in detail
    assert str(accounts.checking) not in detail


def test_key_page_names_accounts_in_scope(superuser, restricted, accounts):
    page = superuser.get(url("change", restricted.key.pk)).content.decode()
    assert str(accounts.checking) in page
    assert str(accounts.savings) not in page


@pytest.mark.parametrize("action", ["rotate", "delete"])
def test_group_names_use_admin_css_class(superuser, restricted, action):
    assert '<bdi class="quiet">First Bank</bdi>' in superuser.get(url(action, restricted.key.pk)).content.decode()


@pytest.mark.parametrize(("term", "expected"), [("SHOP", ["Shop"]), ("bob@", ["Till"]), ("nothing", [])])
def test_search_matches_name_and_owner(superuser, alice, bob, term, expected):
    make_key(alice, "Shop")
    make_key(bob, "Till")
    rows = superuser.get(url("changelist"), {"q": term}).context["cl"].result_list
    assert [key.name for key in rows] == expected


def test_list_filters_by_scope(superuser, restricted, unrestricted):
    rows = superuser.get(url("changelist"), {"share_all_accounts__exact": "0"}).context["cl"].result_list
    assert [key.name for key in rows] == ["Restricted"]


def test_list_query_count_is_constant(superuser, restricted):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert superuser.get(url("changelist")).status_code == 200
        return len(captured)

    superuser.get(url("changelist"))  # fills the cache of content types
    with_one = queries()
    for number in range(10):
        account = AccountFactory()
        make_key(account.owner, f"Key {number}", [account])
    assert queries() == with_one


@pytest.mark.rule("K2")
@pytest.mark.rule("X2")
def test_no_page_shows_digest_pepper_or_secret(superuser, restricted):
    stored = digest(restricted.key).hex()
    for address in [*addresses(restricted.key), reverse("admin:index")]:
        response = superuser.get(address)
        page = response.content.decode()
        assert response.status_code == 200, address
        for hidden in (stored, restricted.secret, settings.FINTA_KEYS_PEPPERS[0], restricted.key.pepper_id):
            assert hidden not in page, address


@pytest.mark.rule("X2")
@pytest.mark.parametrize("lookup", ["digest__gt", "digest", "digest__startswith", "pepper_id", "owner__password__gt"])
def test_list_rejects_lookups_on_digest(superuser, restricted, lookup):
    assert superuser.get(url("changelist"), {lookup: "1"}).status_code == 400


def test_scope_rows_and_nonces_are_not_registered():
    assert ApiKey in admin.site._registry
    assert KeyAccountScope not in admin.site._registry
    assert CreateNonce not in admin.site._registry


# Unlike Django's own pages


@pytest.mark.rule("K3")
def test_key_page_rejects_post(superuser, restricted, bob):
    before = ApiKey.objects.filter(pk=restricted.key.pk).values().get()
    data = {"name": "Changed", "owner": bob.pk, "share_all_accounts": "on", "hint": "x", "_save": "Save"}
    assert superuser.post(url("change", restricted.key.pk), data).status_code == 405
    assert ApiKey.objects.filter(pk=restricted.key.pk).values().get() == before


def test_key_page_has_no_save_button(superuser, restricted):
    page = superuser.get(url("change", restricted.key.pk)).content.decode()
    assert 'name="_save"' not in page
    for action in KEY_ACTIONS:
        assert url(action, restricted.key.pk) in page


@pytest.mark.rule("T1")
def test_secret_pages_are_non_atomic(restricted, alice):
    for address in (url("create", alice.pk), url("rotate", restricted.key.pk)):
        assert "default" in resolve(address).func._non_atomic_requests


# Permissions


def test_anonymous_user_is_redirected_to_login(client, restricted):
    for address in addresses(restricted.key):
        for response in (client.get(address), client.post(address, {"rotation": 0, "name": "Taken over"})):
            assert response.status_code == 302
            assert response.headers["Location"].startswith(reverse("admin:login"))


@pytest.mark.rule("K6")
def test_superusers_key_opens_no_admin_page(db):
    key, secret = make_key(UserFactory(is_staff=True, is_superuser=True))
    caller = Client(headers={"authorization": f"Bearer {secret}"})
    for address in addresses(key):
        assert caller.post(address, {"rotation": 0}).status_code in (302, 405)
        assert caller.get(address).headers["Location"].startswith(reverse("admin:login"))
    assert digest(key) == bytes(key.digest)


@pytest.fixture
def _without_middleware(settings):
    """A project may have no middleware that rejects keys next to sessions."""
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "PagesRejectKeys" not in name]


@pytest.mark.rule("K6")
@pytest.mark.usefixtures("_without_middleware")
@pytest.mark.parametrize("is_valid", [True, False])
def test_admin_rejects_keys_next_to_sessions(superuser, restricted, is_valid):
    headers = {"authorization": f"Bearer {restricted.secret if is_valid else 'finta_invalid'}"}
    for address in addresses(restricted.key):
        assert superuser.get(address).status_code == 200
        assert superuser.get(address, headers=headers).status_code == 403
        assert superuser.post(address, {"rotation": 0, "name": "New"}, headers=headers).status_code in (403, 405)
    assert ApiKey.objects.get() == restricted.key
    assert digest(restricted.key) == bytes(restricted.key.digest)


@pytest.mark.rule("K6")
@pytest.mark.parametrize("name", ["module", "view", "add", "change", "delete"])
def test_admin_gives_keys_no_permission(rf, restricted, name):
    request = rf.get("/", headers={"authorization": f"Bearer {restricted.secret}"})
    request.user = UserFactory(is_staff=True, is_superuser=True)
    has_permission = getattr(admin.site.get_model_admin(ApiKey), f"has_{name}_permission")
    assert not has_permission(request)
    del request.META["HTTP_AUTHORIZATION"]
    assert has_permission(request)


def test_owner_without_staff_status_is_redirected(alice, restricted):
    owner = signed_in(alice)
    for address in addresses(restricted.key):
        assert owner.get(address).headers["Location"].startswith(reverse("admin:login"))


def attempts(key):
    """Return valid data for every page with a form, by URL."""
    return {
        url("add"): {"owner": key.owner.email},
        url("create", key.owner.pk): {"name": "New", "share_all_accounts": "on"},
        url("rename", key.pk): {"name": "New"},
        url("edit_scope", key.pk): {"share_all_accounts": "on"},
        url("rotate", key.pk): {"rotation": key.rotation},
        url("delete", key.pk): {"rotation": key.rotation},
    }


class KeyChoiceAdmin(admin.ModelAdmin):
    autocomplete_fields = ("key",)


def test_autocomplete_finds_keys_by_name(superuser, restricted, unrestricted):
    assert KeyChoiceAdmin(KeyAccountScope, admin.site).check() == []
    query = {"app_label": "finta_keys", "model_name": "keyaccountscope", "field_name": "key", "term": "restr"}
    response = superuser.get(reverse("admin:autocomplete"), query).json()
    assert response["results"] == [{"id": str(restricted.key.pk), "text": "Restricted"}]


@pytest.mark.parametrize("permission", ["view", "add", "change", "delete"])
def test_missing_permission_returns_403(restricted, permission):
    staff = operator(permission)
    allowed = {url(action, restricted.key.pk) for action in KEY_ACTIONS if PERMISSIONS[action] == permission}
    if permission == "add":
        allowed = {url("add"), url("create", restricted.key.owner.pk)}
    before = list(ApiKey.objects.values())
    for address, data in attempts(restricted.key).items():
        if address not in allowed:
            assert staff.get(address).status_code == 403, address
            assert staff.post(address, data).status_code == 403, address
    assert list(ApiKey.objects.values()) == before
    assert all(staff.get(address).status_code == 200 for address in allowed)


def test_staff_without_permissions_gets_403(restricted):
    staff = operator("none")
    for address in (url("changelist"), url("change", restricted.key.pk), url("history", restricted.key.pk)):
        assert staff.get(address).status_code == 403


def test_missing_key_without_permission_returns_403(db):
    staff = operator("view")
    assert [staff.get(url(action, uuid4())).status_code for action in KEY_ACTIONS] == [403] * 4


def test_view_permission_shows_no_action_links(restricted):
    page = operator("view").get(url("change", restricted.key.pk)).content.decode()
    assert "Restricted" in page
    assert not any(url(action, restricted.key.pk) in page for action in KEY_ACTIONS)


def test_missing_csrf_token_returns_403(restricted):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(UserFactory(is_staff=True, is_superuser=True))
    before = list(ApiKey.objects.values())
    for address, data in attempts(restricted.key).items():
        assert browser.post(address, data).status_code == 403
    assert list(ApiKey.objects.values()) == before


# Missing objects


@pytest.mark.thorough
@pytest.mark.parametrize("pk", [uuid4(), "x", "1", "_", "a%00b", "é", "x" * 300, "%2e%2e"])
def test_missing_key_returns_404(superuser, pk):
    for action in KEY_ACTIONS:
        path = f"{url('changelist')}{pk}/{action.replace('_', '-')}/"
        for response in (superuser.get(path), superuser.post(path, {"rotation": 0, "name": "New"})):
            assert response.status_code == 404
            assert "Key not found" in response.content.decode()
    for page in ("change", "history"):
        assert superuser.get(f"{url('changelist')}{pk}/{page}/").headers["Location"] == reverse("admin:index")


@pytest.mark.parametrize("pk", [uuid4(), "x", "1", "9" * 50, "a%00b"])
def test_missing_owner_returns_404(superuser, pk):
    path = f"{url('add')}{pk}/"
    for response in (superuser.get(path), superuser.post(path, {"name": "New", "share_all_accounts": "on"})):
        assert response.status_code == 404
        assert "User not found" in response.content.decode()
