"""The exposure report in the admin (rule H4)."""

import csv
import io
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client

from finta_keys.models import ApiKey, KeyEvent
from finta_keys.testing import count_usage
from tests.factories import UserFactory
from tests.finta_keys import admin_pages, pages
from tests.finta_keys.admin_pages import operator, signed_in, url
from tests.finta_keys.pages import read

pytestmark = [pytest.mark.django_db, pytest.mark.rule("H4")]

REPORTS = ["report", "report_file"]


@pytest.fixture
def used(restricted, accounts):
    """A key that was used once, and asked for a hidden account once."""
    with count_usage():
        restricted.client.get(f"/v2/accounts/{accounts.checking.pk}", HTTP_USER_AGENT="curl/8")
        restricted.client.get(f"/v2/accounts/{accounts.savings.pk}", HTTP_USER_AGENT="curl/8")
    return restricted.key


@pytest.fixture
def superuser(db):
    return operator()


def viewer(*codenames):
    """Return a client signed in as staff with these permissions."""
    user = UserFactory(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return signed_in(user)


def own_part(response):
    """Return the text of a report between its first and last number."""
    text = read(response)
    return text[text.index("could access, and did") : text.index("192.0.2.0/24" if "192.0.2" in text else "curl")]


def test_operator_reads_what_the_owner_reads(used, superuser, alices_browser):
    texts = [own_part(superuser.get(url("report", used.pk))), own_part(alices_browser.get(pages.url("report", used)))]
    assert texts[0] == texts[1]
    assert "Requests 2 Reads 1 Writes 0 Rejected 1" in texts[0]
    assert "It could access 1 account and used 1." in texts[0].replace("accounts", "account")


def test_file_is_that_of_the_owner(used, superuser, alices_browser):
    page = superuser.get(url("report", used.pk), {"since": "2026-01-01"}).content.decode()
    assert f'href="{url("report_file", used.pk)}?since=2026-01-01&amp;until=' in page
    files = [
        browser.get(address)
        for browser, address in (
            (superuser, url("report_file", used.pk)),
            (alices_browser, pages.url("report_file", used)),
        )
    ]
    rows = [list(csv.DictReader(io.StringIO(file.content.decode()))) for file in files]
    for row in rows[0] + rows[1]:
        row["until"] = ""  # the moment of the request
    assert rows[0] == rows[1]
    assert files[0]["Content-Disposition"] == files[1]["Content-Disposition"]


def test_page_of_key_links_to_its_report(used, superuser):
    assert f'href="{url("report", used.pk)}"' in superuser.get(url("change", used.pk)).content.decode()
    page = superuser.get(url("report", used.pk)).content.decode()
    assert f'href="{url("change", used.pk)}"' in page


def test_event_links_to_report_of_deleted_key(used, superuser):
    pk = used.pk
    used.delete()
    event = KeyEvent.objects.get(key_id=pk, action="deleted")
    page = superuser.get(admin_pages.reverse("admin:finta_keys_keyevent_change", args=[event.pk])).content.decode()
    assert f'href="{url("report", pk)}"' in page
    assert "This key was deleted." in read(superuser.get(url("report", pk)))


def test_event_of_account_links_to_no_report(used, superuser, accounts):
    accounts.cash.delete()
    event = KeyEvent.objects.get(action="account_lost")
    address = admin_pages.reverse("admin:finta_keys_keyevent_change", args=[event.pk])
    assert "/report/" not in superuser.get(address).content.decode()


# --- Attacks -------------------------------------------------------------------------------------------------------


def answers(browser, *pks):
    """Return the statuses and texts of both pages for keys, without their ids."""
    return {
        name: [
            (response.status_code, read(response).replace(str(pk), "ID"))
            for pk in pks
            for response in [browser.get(url(name, pk))]
        ]
        for name in REPORTS
    }


def assert_not_found(browser, *pks):
    """Assert that each key gets the same 404 as a missing and a malformed one."""
    for responses in answers(browser, *pks, uuid4(), "malformed", "a\x00b").values():
        assert len(set(responses)) == 1
        assert responses[0][0] == 404
        assert "Key not found" in responses[0][1]


@pytest.mark.parametrize("codenames", [[], ["view_user"], ["add_apikey", "delete_apikey"], ["view_keyevent"]])
def test_staff_without_permission_finds_no_report(used, codenames):
    assert_not_found(viewer(*codenames), used.pk)


@pytest.mark.parametrize("codename", ["view_apikey", "change_apikey"])
def test_permission_to_view_keys_shows_reports(used, codename):
    browser = viewer(codename)
    assert all(browser.get(url(name, used.pk)).status_code == 200 for name in REPORTS)
    assert_not_found(browser)


def test_report_of_deleted_key_needs_permission_for_events(used):
    pk = used.pk
    used.delete()
    assert_not_found(viewer("view_apikey"), pk)
    assert_not_found(viewer("view_keyevent"), pk)
    browser = viewer("view_apikey", "view_keyevent")
    assert all(browser.get(url(name, pk)).status_code == 200 for name in REPORTS)


def test_keys_outside_the_operators_list_have_no_report(used, superuser, bob, monkeypatch):
    """A project may limit the keys and events that an operator can see."""
    of_bob = {ApiKey: {"owner": bob}, KeyEvent: {"owner_pk": str(bob.pk)}}
    for model, condition in of_bob.items():
        rows = model.objects.filter(**condition)
        monkeypatch.setattr(admin.site.get_model_admin(model), "get_queryset", lambda request, rows=rows: rows.all())
    pk = used.pk
    assert_not_found(superuser, pk)
    used.delete()
    assert_not_found(superuser, pk)


def test_permission_for_one_key_is_asked(used, superuser, monkeypatch):
    """A project may decide about each key."""
    monkeypatch.setattr(
        admin.site.get_model_admin(ApiKey), "has_view_permission", lambda request, key=None: key is None
    )
    assert_not_found(superuser, used.pk)


def test_site_without_one_of_both_models_works(used, superuser, monkeypatch):
    pk = used.pk
    event = KeyEvent.objects.filter(key_id=pk).first()
    events = admin.site.get_model_admin(KeyEvent)
    assert events.report(event) != "–"
    used.delete()
    monkeypatch.setattr(admin.site, "is_registered", lambda model: False)
    assert_not_found(superuser, pk)
    assert events.report(event) == "–"


@pytest.mark.rule("K6")
def test_key_reads_no_report(used, superuser, restricted):
    for name in REPORTS:
        response = superuser.get(url(name, used.pk), HTTP_AUTHORIZATION=f"Bearer {restricted.secret}")
        assert response.status_code in (302, 403, 404)
        assert "curl" not in read(response)


def test_people_who_are_not_staff_sign_in_first(used, alice):
    for browser in (Client(), signed_in(alice)):
        for name in REPORTS:
            assert browser.get(url(name, used.pk)).status_code == 302


def test_report_cannot_be_posted(used, superuser):
    assert [superuser.post(url(name, used.pk)).status_code for name in REPORTS] == [405, 405]
