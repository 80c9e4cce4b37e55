"""An old session of an operator: changes ask for the password first."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.urls import reverse

from accounts_app.models import Account, Transaction, User
from finta_keys.models import ApiKey, KeyEvent
from tests.accounts_app.admin.helpers import form_data, url
from tests.accounts_app.confirm_password.helpers import asks_for_password, confirm
from tests.factories import PASSWORD, AccountFactory, TransactionFactory, UserFactory

MAKE = {
    User: UserFactory,
    Account: AccountFactory,
    Transaction: TransactionFactory,
    Group: lambda: Group.objects.create(name="Support"),
}


def address_of(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def make_old(browser):
    session = browser.session
    del session["accounts_app.password_given_at"]
    session.save()


def test_every_model_is_covered():
    """Keys have tests of their own, and events cannot be changed."""
    assert set(admin.site._registry) == {*MAKE, ApiKey, KeyEvent}


@pytest.mark.parametrize("model", MAKE)
def test_old_session_must_confirm_before_changes(superuser, model):
    pk = MAKE[model]().pk
    make_old(superuser)
    for address in (address_of(model, "add"), address_of(model, "change", pk)):
        assert asks_for_password(superuser.get(address))
        assert asks_for_password(superuser.post(address, {}))


def test_old_session_cannot_take_an_account(superuser, accounts, bob):
    address = url(Account, "change", accounts.cash.pk)
    data = {**form_data(superuser.get(address)), "owner": bob.pk}
    make_old(superuser)
    response = superuser.post(address, data)
    assert Account.objects.get(pk=accounts.cash.pk).owner != bob
    assert confirm(superuser, response, address, PASSWORD).status_code == 302
    assert Account.objects.get(pk=accounts.cash.pk).owner == bob


def test_old_session_may_delete(superuser, accounts):
    make_old(superuser)
    superuser.post(url(Account, "delete", accounts.cash.pk), {"post": "yes"})
    assert not Account.objects.filter(pk=accounts.cash.pk).exists()
