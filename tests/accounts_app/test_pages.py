"""Sign-in, Data settings, Accounts and the error pages."""

import re

import pytest
from django.core import mail
from django.test import Client

from accounts_app.models import Account, Transaction, User
from tests.factories import PASSWORD, AccountFactory, TransactionFactory, make_key


def test_slash_goes_to_api_settings_by_way_of_sign_in(alice):
    browser = Client()
    answer = browser.get("/", follow=True)
    assert answer.redirect_chain[-1][0] == "/login?next=/settings/api"
    answer = browser.post(answer.redirect_chain[-1][0], {"username": "alice@example.com", "password": PASSWORD})
    assert answer.url == "/settings/api"


@pytest.mark.parametrize("typed", ["ALICE@example.com", "alice@EXAMPLE.com", "ａlice@example.com"])  # look-alike
def test_sign_in_takes_the_address_in_any_case(alice, typed):
    answer = Client().post("/login", {"username": typed, "password": PASSWORD})
    assert answer.status_code == 302


def test_sign_in_says_the_same_of_a_wrong_password_and_of_nobody(alice):
    wrong = Client().post("/login", {"username": "alice@example.com", "password": "wrong"}).content.decode()
    nobody = Client().post("/login", {"username": "nobody@example.com", "password": "wrong"}).content.decode()
    sentence = re.search(r'<ul class="errorlist nonfield">.*?</ul>', wrong).group()
    assert sentence in nobody


def test_sign_out(alices_browser):
    assert alices_browser.post("/logout").url == "/login"
    assert alices_browser.get("/settings/api").status_code == 302


def test_password_change_signs_other_browsers_out(alice, alices_browser):
    other = Client()
    other.force_login(alice)
    new = "battery horse staple"
    answer = alices_browser.post(
        "/password/change", {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    )
    assert answer.url == "/password/change/done"
    assert "signed out" in alices_browser.get(answer.url).content.decode()
    assert other.get("/settings/api").status_code == 302


def test_password_reset_by_a_link_in_a_mail(alice):
    browser = Client()
    answer = browser.post("/password/reset", {"email": "ALICE@example.com"})
    assert "on its way" in browser.get(answer.url).content.decode()
    link = re.search(r"http://testserver(\S+)", mail.outbox[0].body).group(1)
    form = browser.get(link, follow=True)
    new = "battery horse staple"
    done = browser.post(form.redirect_chain[-1][0], {"new_password1": new, "new_password2": new})
    assert "Sign in" in browser.get(done.url).content.decode()
    assert Client().post("/login", {"username": "alice@example.com", "password": new}).status_code == 302
    assert "not good any more" in Client().get(link, follow=True).content.decode()


def test_password_reset_tells_nothing_of_who_is_here(alice):
    known = Client().post("/password/reset", {"email": "alice@example.com"})
    unknown = Client().post("/password/reset", {"email": "nobody@example.com"})
    assert (known.status_code, known.url) == (unknown.status_code, unknown.url)
    assert len(mail.outbox) == 1


def test_a_user_is_known_by_one_address_however_it_is_written(alice):
    with pytest.raises(Exception, match="A user with this e-mail exists"):
        User.objects.create_user("ALICE@Example.com", PASSWORD)


def test_M1_storage_mode_is_off_at_first_and_switched_at_data_settings(alice, alices_browser):
    assert not alice.storage_mode
    assert "Storage Mode is off" in alices_browser.get("/settings/data").content.decode()
    alices_browser.post("/settings/data/switch-on")
    assert "Storage Mode is on" in alices_browser.get("/settings/data").content.decode()


def test_M4_switching_off_asks_first_and_deletes_the_transactions_only(
    alice, alices_browser, unrestricted, accounts, bob
):
    TransactionFactory.create_batch(3, account=accounts.checking)
    kept = TransactionFactory(account=AccountFactory(owner=bob))
    asked = alices_browser.get("/settings/data/switch-off").content.decode()
    assert "deletes your 3 stored transactions" in asked
    assert "All accounts" in asked  # the name of the key that depends on it
    assert Transaction.objects.count() == 4
    answer = alices_browser.post("/settings/data/switch-off")
    assert "3 stored transactions were deleted" in alices_browser.get(answer.url).content.decode()
    assert Transaction.objects.get() == kept
    assert Account.objects.filter(owner=alice).count() == 3
    assert unrestricted.client.get("/v2/me").status_code == 403


@pytest.mark.parametrize("path", ["/settings/data", "/settings/data/switch-off", "/accounts"])
def test_pages_of_the_owner_ask_for_sign_in(db, path):
    assert Client().get(path).url == f"/login?next={path}"


@pytest.mark.parametrize("path", ["/settings/data/switch-on", "/settings/data/switch-off"])
def test_no_key_switches_storage_mode(restricted, alice, path):
    before = User.objects.get(pk=alice.pk).storage_mode
    assert restricted.client.post(path).status_code == 302
    assert User.objects.get(pk=alice.pk).storage_mode == before


def test_accounts_lists_ones_own_and_which_keys_see_each(alice, alices_browser, restricted, unrestricted, bobs_account):
    page = alices_browser.get("/accounts").content.decode()
    assert page.count(f"/keys/{restricted.key.pk}/edit-scope") == 1
    assert page.count(f"/keys/{unrestricted.key.pk}/edit-scope") == 1
    assert "Checking" in page
    assert "Bob" not in page


def test_accounts_names_no_key_of_an_old_owner(alice, bob, accounts, restricted):
    """An account that was transferred still stands in the scope of the old owner's key."""
    Account.objects.filter(pk=accounts.checking.pk).update(owner=bob)
    browser = Client()
    browser.force_login(bob)
    assert "Restricted" not in browser.get("/accounts").content.decode()


def test_accounts_queries_are_constant(alice, alices_browser, accounts, django_assert_num_queries):
    make_key(alice, "One", [accounts.checking])
    with django_assert_num_queries(5):  # session, user, keys to all, accounts, their keys
        alices_browser.get("/accounts")
    for number, account in enumerate(AccountFactory.create_batch(5, owner=alice)):
        make_key(alice, f"Key {number}", [account])
    with django_assert_num_queries(5):
        alices_browser.get("/accounts")


def test_an_unknown_page_is_a_404_page(client):
    answer = client.get("/nothing-here")
    assert answer.status_code == 404
    assert "There is no page at this address" in answer.content.decode()


def test_an_error_outside_the_api_is_a_page_without_details(alices_browser, monkeypatch):
    monkeypatch.setattr("accounts_app.views.DataSettingsView.get_context_data", lambda self, **_: 1 / 0)
    alices_browser.raise_request_exception = False
    answer = alices_browser.get("/settings/data")
    assert answer.status_code == 500
    assert "Something went wrong" in answer.content.decode()
    assert "ZeroDivision" not in answer.content.decode()


def test_createsuperuser_makes_an_operator(db):
    operator = User.objects.create_superuser("op@example.com", PASSWORD)
    browser = Client()
    assert browser.login(username="OP@example.com", password=PASSWORD)
    assert browser.get("/admin/").status_code == 200
    assert browser.get("/admin").status_code == 302
    assert operator.is_superuser
