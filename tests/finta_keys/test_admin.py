"""The admin's list of keys, the page about one, and who may open what."""

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
from tests.finta_keys.admin_pages import VERBS_OF_A_KEY, digest, operator, signed_in, url

NEEDED = {"rename": "change", "edit_scope": "change", "rotate": "change", "delete": "delete"}


@pytest.fixture
def superuser(db):
    return operator()


def addresses(key):
    """Every page of the admin that is about keys."""
    verbs = [url(verb, key.pk) for verb in VERBS_OF_A_KEY]
    return [
        url("changelist"),
        url("add"),
        url("create", key.owner.pk),
        url("change", key.pk),
        url("history", key.pk),
        *verbs,
    ]


# What is shown


def test_the_list_shows_what_an_operator_needs_to_know(superuser, restricted, alice):
    page = superuser.get(url("changelist"))
    for shown in ("Restricted", alice.email, restricted.key.hint, "1 of 3 accounts", "Created", "Rotated", "Last used"):
        assert shown in page.content.decode()


def test_the_list_tells_a_key_that_sees_all_accounts(superuser, unrestricted):
    assert ">All accounts<" in superuser.get(url("changelist")).content.decode()


def test_S3_an_account_that_changed_owner_is_not_counted_in_the_scope(superuser, restricted, accounts, bob):
    Account.objects.filter(pk=accounts.checking.pk).update(owner=bob)
    assert "0 of 2 accounts" in superuser.get(url("changelist")).content.decode()
    detail = superuser.get(url("change", restricted.key.pk)).content.decode()
    assert "None at the moment." in detail
    assert str(accounts.checking) not in detail


def test_the_page_about_a_key_names_the_accounts_it_can_see(superuser, restricted, accounts):
    page = superuser.get(url("change", restricted.key.pk)).content.decode()
    assert str(accounts.checking) in page
    assert str(accounts.savings) not in page


@pytest.mark.parametrize("verb", ["rotate", "delete"])
def test_groups_of_accounts_are_muted_by_the_admins_own_class(superuser, restricted, verb):
    assert '<span class="quiet">First Bank</span>' in superuser.get(url(verb, restricted.key.pk)).content.decode()


@pytest.mark.parametrize(("term", "found"), [("SHOP", ["Shop"]), ("bob@", ["Till"]), ("nothing", [])])
def test_keys_are_found_by_name_and_by_the_owners_e_mail(superuser, alice, bob, term, found):
    make_key(alice, "Shop")
    make_key(bob, "Till")
    shown = superuser.get(url("changelist"), {"q": term}).context["cl"].result_list
    assert [key.name for key in shown] == found


def test_the_list_filters_by_scope(superuser, restricted, unrestricted):
    shown = superuser.get(url("changelist"), {"share_all_accounts__exact": "0"}).context["cl"].result_list
    assert [key.name for key in shown] == ["Restricted"]


def test_the_list_costs_the_same_number_of_queries_for_any_number_of_keys(superuser, restricted):
    def queries():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert superuser.get(url("changelist")).status_code == 200
        return len(captured)

    superuser.get(url("changelist"))  # Content types are cached from here on.
    with_one = queries()
    for number in range(10):
        account = AccountFactory()
        make_key(account.owner, f"Key {number}", [account])
    assert queries() == with_one


def test_X2_K2_no_page_shows_a_digest_a_pepper_or_a_secret(superuser, restricted):
    stored = digest(restricted.key).hex()
    for address in [*addresses(restricted.key), reverse("admin:index")]:
        response = superuser.get(address)
        page = response.content.decode()
        assert response.status_code == 200, address
        for hidden in (stored, restricted.secret, settings.FINTA_KEYS_PEPPERS[0], restricted.key.pepper_id):
            assert hidden not in page, address


@pytest.mark.parametrize("lookup", ["digest__gt", "digest", "digest__startswith", "pepper_id", "owner__password__gt"])
def test_X2_the_list_answers_no_questions_about_a_digest(superuser, restricted, lookup):
    assert superuser.get(url("changelist"), {lookup: "1"}).status_code == 400


def test_scope_rows_and_nonces_have_no_pages_of_their_own():
    assert ApiKey in admin.site._registry
    assert KeyAccountScope not in admin.site._registry
    assert CreateNonce not in admin.site._registry


# What the stock pages would do


def test_K3_the_page_about_a_key_saves_nothing(superuser, restricted, bob):
    before = ApiKey.objects.filter(pk=restricted.key.pk).values().get()
    data = {"name": "Changed", "owner": bob.pk, "share_all_accounts": "on", "hint": "x", "_save": "Save"}
    assert superuser.post(url("change", restricted.key.pk), data).status_code == 405
    assert ApiKey.objects.filter(pk=restricted.key.pk).values().get() == before


def test_the_page_about_a_key_has_no_save_button(superuser, restricted):
    page = superuser.get(url("change", restricted.key.pk)).content.decode()
    assert 'name="_save"' not in page
    for verb in VERBS_OF_A_KEY:
        assert url(verb, restricted.key.pk) in page


def test_keys_are_not_deleted_in_bulk(superuser, restricted):
    data = {"action": "delete_selected", "_selected_action": restricted.key.pk, "post": "yes"}
    superuser.post(url("changelist"), data)
    assert ApiKey.objects.filter(pk=restricted.key.pk).exists()
    assert "delete_selected" not in superuser.get(url("changelist")).content.decode()


def test_T1_no_page_that_shows_a_secret_is_inside_a_transaction_of_the_request(restricted, alice):
    for address in (url("create", alice.pk), url("rotate", restricted.key.pk)):
        assert "default" in resolve(address).func._non_atomic_requests


# Who may


def test_an_anonymous_visitor_is_sent_to_the_admins_sign_in(client, restricted):
    for address in addresses(restricted.key):
        for response in (client.get(address), client.post(address, {"rotation": 0, "name": "Taken over"})):
            assert response.status_code == 302
            assert response.headers["Location"].startswith(reverse("admin:login"))


def test_K6_a_key_opens_nothing_in_the_admin_even_that_of_a_superuser(db):
    key, secret = make_key(UserFactory(is_staff=True, is_superuser=True))
    caller = Client(headers={"authorization": f"Bearer {secret}"})
    for address in addresses(key):
        assert caller.post(address, {"rotation": 0}).status_code in (302, 405)
        assert caller.get(address).headers["Location"].startswith(reverse("admin:login"))
    assert digest(key) == bytes(key.digest)


def test_an_owner_who_is_not_staff_opens_nothing_in_the_admin_for_the_own_key(alice, restricted):
    owner = signed_in(alice)
    for address in addresses(restricted.key):
        assert owner.get(address).headers["Location"].startswith(reverse("admin:login"))


def attempts(key):
    """Every page that changes something, with a submit that would go through."""
    return {
        url("add"): {"owner": key.owner.email},
        url("create", key.owner.pk): {"name": "New", "share_all_accounts": "on"},
        url("rename", key.pk): {"name": "New"},
        url("edit_scope", key.pk): {"share_all_accounts": "on"},
        url("rotate", key.pk): {"rotation": key.rotation},
        url("delete", key.pk): {"rotation": key.rotation},
    }


class ChoosesAKey(admin.ModelAdmin):
    autocomplete_fields = ("key",)


def test_a_project_may_let_staff_choose_a_key_by_its_name(superuser, restricted, unrestricted):
    assert ChoosesAKey(KeyAccountScope, admin.site).check() == []
    asked = {"app_label": "finta_keys", "model_name": "keyaccountscope", "field_name": "key", "term": "restr"}
    answer = superuser.get(reverse("admin:autocomplete"), asked).json()
    assert answer["results"] == [{"id": str(restricted.key.pk), "text": "Restricted"}]


@pytest.mark.parametrize("permission", ["view", "add", "change", "delete"])
def test_a_page_without_its_permission_is_403_and_changes_nothing(restricted, permission):
    staff = operator(permission)
    allowed = {url(verb, restricted.key.pk) for verb, needed in NEEDED.items() if needed == permission}
    if permission == "add":
        allowed = {url("add"), url("create", restricted.key.owner.pk)}
    before = list(ApiKey.objects.values())
    for address, data in attempts(restricted.key).items():
        if address not in allowed:
            assert staff.get(address).status_code == 403, address
            assert staff.post(address, data).status_code == 403, address
    assert list(ApiKey.objects.values()) == before
    assert all(staff.get(address).status_code == 200 for address in allowed)


def test_staff_without_any_permission_on_keys_sees_none_of_them(restricted):
    staff = operator("none")
    for address in (url("changelist"), url("change", restricted.key.pk), url("history", restricted.key.pk)):
        assert staff.get(address).status_code == 403


def test_a_missing_key_is_403_too_where_the_permission_is_missing(db):
    staff = operator("view")
    assert [staff.get(url(verb, uuid4())).status_code for verb in VERBS_OF_A_KEY] == [403] * 4


def test_who_may_only_view_finds_no_links_to_the_verbs(restricted):
    page = operator("view").get(url("change", restricted.key.pk)).content.decode()
    assert "Restricted" in page
    assert not any(url(verb, restricted.key.pk) in page for verb in VERBS_OF_A_KEY)


def test_a_submit_from_another_site_is_refused(restricted):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(UserFactory(is_staff=True, is_superuser=True))
    before = list(ApiKey.objects.values())
    for address, data in attempts(restricted.key).items():
        assert browser.post(address, data).status_code == 403
    assert list(ApiKey.objects.values()) == before


# What is not there


@pytest.mark.parametrize("pk", [uuid4(), "x", "1", "_", "a%00b", "é", "x" * 300, "%2e%2e"])
def test_a_key_that_is_not_there_is_never_a_500(superuser, pk):
    for verb in VERBS_OF_A_KEY:
        path = f"{url('changelist')}{pk}/{verb.replace('_', '-')}/"
        for response in (superuser.get(path), superuser.post(path, {"rotation": 0, "name": "New"})):
            assert response.status_code == 404
            assert "Key not found" in response.content.decode()
    for page in ("change", "history"):
        assert superuser.get(f"{url('changelist')}{pk}/{page}/").headers["Location"] == reverse("admin:index")


@pytest.mark.parametrize("pk", [uuid4(), "x", "1", "9" * 50, "a%00b"])
def test_an_owner_who_is_not_there_is_a_404_that_says_so(superuser, pk):
    path = f"{url('add')}{pk}/"
    for response in (superuser.get(path), superuser.post(path, {"name": "New", "share_all_accounts": "on"})):
        assert response.status_code == 404
        assert "User not found" in response.content.decode()
