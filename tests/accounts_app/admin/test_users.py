"""Users in the admin, and what all pages have in common."""

from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts_app import storage_mode
from accounts_app.admin import UserAdmin
from accounts_app.models import Account, Transaction, User
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.accounts_app.admin.helpers import NEW_PASSWORD, edit, errors, form_data, url
from tests.factories import PASSWORD, AccountFactory, TransactionFactory, UserFactory

pytestmark = pytest.mark.thorough

# All pages


def test_pages_open(superuser, alice, accounts):
    things = [alice, accounts.checking, TransactionFactory(account=accounts.checking)]
    for thing in things:
        for page in ("changelist", "add"):
            assert superuser.get(url(type(thing), page)).status_code == 200
        for page in ("change", "delete", "history"):
            assert superuser.get(url(type(thing), page, thing.pk)).status_code == 200
    assert superuser.get(reverse("admin:auth_user_password_change", args=[alice.pk])).status_code == 200


@pytest.mark.parametrize("model", [User, Account, Transaction])
@pytest.mark.parametrize("pk", [uuid4(), "x", "_", "a%00b"])
def test_missing_rows_redirect(superuser, model, pk):
    for page in ("change", "delete", "history"):
        address = f"{url(model, 'changelist')}{pk}/{page}/"
        assert superuser.get(address).headers["Location"] == reverse("admin:index")


@pytest.mark.parametrize("model", [User, Account, Transaction])
def test_search_lists(superuser, model):
    transaction = TransactionFactory(
        summary="Needle", account__name="Needle", account__owner__email="needle@example.com"
    )
    matches = superuser.get(url(model, "changelist"), {"q": "needle"}).context["cl"].result_list
    assert [type(row) for row in matches] == [model]
    assert transaction.pk


@pytest.mark.parametrize("make", [UserFactory, AccountFactory, TransactionFactory])
def test_list_queries_are_constant(superuser, make):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            superuser.get(url(make._meta.model, "changelist"))
        return len(captured)

    make()
    queries()  # loads the content types
    with_one = queries()
    make.create_batch(3)
    assert queries() == with_one


# Users


def new_user(browser, email, password=PASSWORD, **data):
    fields = {"email": email, "usable_password": "true", "password1": password, "password2": password}
    return browser.post(url(User, "add"), {**fields, **data})


def test_added_user_can_sign_in(superuser):
    response = new_user(superuser, "Carol@example.com")
    carol = User.objects.get_by_natural_key("carol@EXAMPLE.com")
    assert response.headers["Location"] == url(User, "change", carol.pk)
    assert carol.check_password(PASSWORD)
    assert Client().login(username="carol@example.com", password=PASSWORD)


@pytest.mark.parametrize(
    "email", ["alice@example.com", "ALICE@example.com", "ａlice@example.com", "", "x", "a\0@example.com"]
)
def test_add_rejects_taken_or_invalid_email(superuser, alice, email):
    assert errors(new_user(superuser, email))["email"]
    assert User.objects.count() == 2


@pytest.mark.parametrize("email", ["bob@example.com", "BOB@Example.com", "", "x"])
def test_edit_rejects_taken_or_invalid_email(superuser, alice, bob, email):
    assert errors(edit(superuser, alice, email=email))["email"]
    assert User.objects.get(pk=alice.pk).email == "alice@example.com"


def test_edit_changes_case_of_email(superuser, alice):
    assert edit(superuser, alice, email="Alice@example.com").status_code == 302
    alice.refresh_from_db()
    assert (alice.email, alice.email_key) == ("Alice@example.com", "alice@example.com")


def test_edit_keeps_password_and_session(superuser, alice):
    assert edit(superuser, alice, email="alicia@example.com", is_staff="on").status_code == 302
    assert User.objects.get(pk=alice.pk).is_staff
    assert Client().login(username="alicia@example.com", password=PASSWORD)


def test_set_password(superuser, alice):
    address = reverse("admin:auth_user_password_change", args=[alice.pk])
    data = {"usable_password": "true", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert superuser.post(address, data).status_code == 302
    assert Client().login(username=alice.email, password=NEW_PASSWORD)


@pytest.mark.rule("M1")
def test_storage_mode_is_read_only(superuser, alice):
    page = superuser.get(url(User, "change", alice.pk))
    assert "Storage Mode" in page.content.decode()
    assert "storage_mode" not in page.context["adminform"].form.fields
    edit(superuser, alice, storage_mode="on", is_staff="on")
    assert not User.objects.get(pk=alice.pk).storage_mode


@pytest.mark.rule("M2")
def test_edit_keeps_storage_mode_of_new_key(superuser, alice, monkeypatch):
    save = UserAdmin.save_model

    def key_created_meanwhile(*args, **kwargs):
        storage_mode.switch_on(User.objects.get(pk=alice.pk))
        save(*args, **kwargs)

    monkeypatch.setattr(UserAdmin, "save_model", key_created_meanwhile)
    edit(superuser, alice, is_staff="on")
    alice.refresh_from_db()
    assert alice.is_staff
    assert alice.storage_mode


@pytest.mark.rule("X5")
def test_deactivation_invalidates_keys(superuser, alice):
    _, secret = make_key(alice)
    data = form_data(superuser.get(url(User, "change", alice.pk)))
    superuser.post(url(User, "change", alice.pk), {name: value for name, value in data.items() if name != "is_active"})
    assert ApiKey.objects.authenticate(secret) is None


@pytest.mark.rule("T2")
@pytest.mark.parametrize("make", [UserFactory, AccountFactory])
def test_admin_deletes_by_the_method_that_locks(superuser, make, monkeypatch):
    model, deleted = make._meta.model, []
    delete = model.delete
    monkeypatch.setattr(model, "delete", lambda obj: (deleted.append(obj.pk), delete(obj)))
    one, *many = make.create_batch(3)
    superuser.post(url(model, "delete", one.pk), {"post": "yes"})
    action = {"action": "delete_selected", "_selected_action": [account.pk for account in many], "post": "yes"}
    superuser.post(url(model, "changelist"), action)
    assert sorted(deleted) == sorted([one.pk, *[account.pk for account in many]])
    assert not model.objects.filter(pk__in=deleted).exists()


def test_deleting_user_deletes_related_rows(superuser, alice, accounts, restricted):
    TransactionFactory(account=accounts.checking)
    page = superuser.get(url(User, "delete", alice.pk)).content.decode()
    assert bytes(restricted.key.digest).hex() not in page
    superuser.post(url(User, "delete", alice.pk), {"post": "yes"})
    assert not any(model.objects.exists() for model in (Account, Transaction, ApiKey))


def test_concurrently_taken_email_shows_message(superuser, alice, monkeypatch):
    monkeypatch.setattr(User, "clean", lambda user: None)
    response = new_user(superuser, "ALICE@example.com")
    assert response.headers["Location"] == url(User, "add")
    assert "try again" in str(next(iter(get_messages(response.wsgi_request))))
    assert User.objects.count() == 2


def test_delete_page_counts_related_rows(superuser, alice, accounts, restricted):
    TransactionFactory.create_batch(5, account=accounts.checking, summary="Not listed")
    for address, data in (
        (url(User, "delete", alice.pk), None),
        (url(User, "changelist"), {"action": "delete_selected", "_selected_action": [alice.pk]}),
    ):
        page = superuser.post(address, data) if data else superuser.get(address)
        counts = {str(name): count for name, count in page.context["model_count"]}
        assert counts == {"users": 1, "accounts": 3, "transactions": 5, "API keys": 1, "key account scopes": 1}
        assert "Not listed" not in page.content.decode()
        assert alice.email in page.content.decode()


def test_delete_needs_permission_for_related_rows(alice, accounts):
    staff = operator_with("delete_user", "view_user")
    assert staff.post(url(User, "delete", alice.pk), {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=alice.pk).exists()
    for account in accounts.__dict__.values():
        account.delete()
    assert staff.post(url(User, "delete", alice.pk), {"post": "yes"}).status_code == 302


def operator_with(*permissions):
    user = UserFactory(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(user)
    return browser
