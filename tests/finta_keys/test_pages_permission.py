"""Permission and expiry date on the pages."""

from datetime import date, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from finta_keys import expiry
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.finta_keys.pages import create, fields, hidden_fields, read, submit, url
from tests.finta_keys.test_admin_actions import superuser  # noqa: F401  # a fixture

pytestmark = [pytest.mark.rule("K7"), pytest.mark.rule("K8")]

ALL = {"share_all_accounts": "on"}


def in_days(days):
    return expiry.start_of(expiry.today() + timedelta(days=days))


def test_create_sets_permission_and_expiry(alices_browser, accounts):
    create(alices_browser, **ALL, permission="read_only", expires_at="90")
    key = ApiKey.objects.get()
    assert (key.read_only, key.expires_at) == (True, in_days(90))


@pytest.mark.parametrize("sent", [{}, {"permission": "read_write", "expires_at": "never"}])
def test_default_key_writes_and_never_expires(alices_browser, accounts, sent):
    create(alices_browser, **ALL, **sent)
    key = ApiKey.objects.get()
    assert (key.read_only, key.expires_at) == (False, None)


def test_date_is_start_of_day(alices_browser, accounts):
    create(alices_browser, **ALL, expires_at="date", expires_on="2099-03-31")
    assert ApiKey.objects.get().expires_at == expiry.start_of(date(2099, 3, 31))


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"expires_at": "date"}, "Choose a date."),
        ({"expires_at": "date", "expires_on": "soon"}, "Enter a valid date."),
        ({"expires_at": "date", "expires_on": "2001-01-01"}, "This date is past. Choose a later one."),
        ({"expires_at": "date", "expires_on": "9999-12-31"}, "Choose a date before the year 9999"),
        ({"expires_at": "1000000"}, "Select a valid choice."),
        ({"permission": "admin"}, "Select a valid choice."),
    ],
)
def test_bad_value_keeps_input(alices_browser, accounts, sent, message):
    response = create(alices_browser, "Typed", **ALL, **sent)
    assert message in read(response)
    assert fields(response)["name"] == ["Typed"]
    assert not ApiKey.objects.exists()


@pytest.mark.rule("K3")
def test_edit_scope_changes_permission_and_expiry(alices_browser, alice, accounts):
    key, _ = make_key(alice, "Robot", [accounts.checking])
    data = {"accounts": [str(accounts.checking.pk)], "permission": "read_only", "expires_at": "30"}
    submit(alices_browser, url("edit_scope", key), **data)
    key = ApiKey.objects.get()
    assert (key.read_only, key.expires_at) == (True, in_days(30))
    assert list(key.accounts.all()) == [accounts.checking]


@pytest.mark.rule("K3")
@pytest.mark.parametrize("sent", [{}, {"permission": "read_only", "expires_at": "keep"}])
def test_edit_scope_keeps_what_was_not_changed(alices_browser, alice, accounts, sent):
    at = timezone.now() + timedelta(days=3, seconds=7)
    key, _ = make_key(alice, "Robot", read_only=True, expires_at=at)
    submit(alices_browser, url("edit_scope", key), **ALL, **sent)
    key = ApiKey.objects.get()
    assert (key.read_only, key.expires_at, key.scope_edits) == (True, at, 1)


def test_expired_key_can_be_extended(alices_browser, alice, accounts):
    key, secret = make_key(alice, "Robot")
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(days=1))
    assert "Expired " in read(alices_browser.get(url("list")))
    submit(alices_browser, url("edit_scope", key), **ALL, expires_at="never")
    assert ApiKey.objects.authenticate(secret) == key


@pytest.mark.rule("K5")
def test_stale_form_names_difference(alices_browser, alice, accounts):
    key, _ = make_key(alice, "Robot")
    address = url("edit_scope", key)
    stale = hidden_fields(alices_browser.get(address))
    key.edit_scope(expires_at=date(2099, 3, 31))
    data = {**stale, **ALL, "permission": "read_only", "expires_at": "never"}
    response = alices_browser.post(address, data)
    assert response.status_code == 409
    assert "Your form would set: Read only." in read(response)
    assert "Your form would set: Never expires." in read(response)
    response = alices_browser.post(address, {**data, "expires_at": "date", "expires_on": "2099-04-01"})
    assert "Your form would set: Expires on 1 April 2099." in read(response)
    unchanged = {**data, "permission": "read_write", "expires_at": "keep"}
    assert "Your form would set" not in read(alices_browser.post(address, unchanged))
    key.edit_scope(read_only=True)
    response = alices_browser.post(address, unchanged)
    assert "Your form would set: Read and write." in read(response)


def test_maximum_age_removes_never(alices_browser, alice, accounts, settings):
    key, _ = make_key(alice, "Endless")
    settings.FINTA_KEYS_MAX_AGE = 90
    page = alices_browser.get(url("create")).content.decode()
    assert 'value="never"' not in page
    assert 'value="365"' not in page
    assert f'max="{expiry.today() + timedelta(days=90)}"' in page
    assert "Keys expire after 90 days at most." in read(create(alices_browser, **ALL))
    assert 'value="keep"' in alices_browser.get(url("edit_scope", key)).content.decode()


def test_list_shows_permission_and_expiry(alices_browser, alice, accounts):
    make_key(alice, "Robot", read_only=True, expires_at=timezone.now() + timedelta(days=6, hours=1))
    page = read(alices_browser.get(url("list")))
    assert "Read only" in page
    assert "In 6 days" in page


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?sort=expires", ["Expired", "Soon", "Late", "Never"]),
        ("?only=expiring", ["Expired", "Soon"]),
        ("?only=read_only", ["Never"]),
        ("?only=unknown", ["Expired", "Soon", "Late", "Never"]),
    ],
)
def test_list_sorts_and_filters(alices_browser, alice, accounts, query, names):
    for name, days in [("Expired", 1), ("Soon", 20), ("Late", 40), ("Never", None)]:
        make_key(alice, name, read_only=days is None, expires_at=days and timezone.now() + timedelta(days=days))
    ApiKey.objects.filter(name="Expired").update(expires_at=timezone.now() - timedelta(days=1))
    keys = [key.name for key in alices_browser.get(url("list") + query).context["keys"]]
    assert (keys if "sort" in query else sorted(keys)) == (names if "sort" in query else sorted(names))


@pytest.mark.parametrize("page", ["rotate", "delete"])
def test_confirmation_says_what_key_can_do(alices_browser, alice, accounts, page):
    key, _ = make_key(alice, "Robot", read_only=True, expires_at=date(2099, 3, 31))
    text = read(alices_browser.get(url(page, key)))
    assert "It can read accounts and transactions." in text
    assert "It expires on 31 March 2099 at 00:00 UTC." in text
    key.edit_scope(read_only=False, expires_at=None)
    text = read(alices_browser.get(url(page, key)))
    assert "add, edit and close manual accounts" in text
    assert "It does not expire." in text
    ApiKey.objects.update(expires_at=timezone.now())
    assert "It expired on" in read(alices_browser.get(url(page, key)))


def test_admin_log_describes_permission_and_expiry(superuser, alice, accounts):  # noqa: F811
    key, _ = make_key(alice, "Robot", read_only=True)
    data = {"share_all_accounts": "on", "scope_edits": 0, "expires_at": "date", "expires_on": "2099-03-31"}
    superuser.post(f"/admin/finta_keys/apikey/{key.pk}/edit-scope/", data)
    message = LogEntry.objects.get().change_message
    assert message == "Edited scope: all accounts, read only, expires on 2099-03-31."
