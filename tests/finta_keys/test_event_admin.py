"""The history of keys in the admin is read only."""

import datetime as dt

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from finta_keys import history
from finta_keys.models import KeyEvent
from finta_keys.testing import make_key
from tests.factories import UserFactory
from tests.finta_keys import admin_pages
from tests.finta_keys.pages import read

pytestmark = [pytest.mark.django_db, pytest.mark.rule("H1")]


def url(page="changelist", *args):
    return reverse(f"admin:finta_keys_keyevent_{page}", args=args)


@pytest.fixture
def operator():
    """A superuser."""
    return admin_pages.operator()


def viewer(codename):
    user = UserFactory(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename=codename))
    return admin_pages.signed_in(user)


def rows(operator, query=""):
    """Return the number of events in the list."""
    response = operator.get(url() + query)
    assert response.status_code == 200
    return response.context["cl"].result_count


def test_list_shows_who_did_what(operator, alice, restricted, bob):
    with history.acting(user=bob):
        restricted.key.rename("Laptop")
    text = read(operator.get(url()))
    assert f"Laptop {restricted.key.hint}" in text
    assert f"by {bob.email}" in text
    assert "Renamed from “Restricted” to “Laptop”." in text
    assert alice.email in text


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("", 4),
        ("?action__exact=renamed", 1),
        ("?actor__exact=operator", 1),
        ("?q=Laptop", 1),
        ("?q=alice@example.com", 3),
        ("?q=bob@example.com", 2),
        ("?q=nothing", 0),
    ],
)
def test_list_can_be_filtered(operator, restricted, accounts, bob, query, number):
    make_key(bob, "Bob's")
    with history.acting(user=bob):
        restricted.key.rename("Laptop")
    accounts.savings.delete()
    assert rows(operator, query) == number


def test_list_can_be_filtered_by_time(operator, restricted):
    KeyEvent.objects.update(at=timezone.now() - dt.timedelta(days=9))
    restricted.key.rename("Laptop")
    response = operator.get(url(), {"at__gte": timezone.now() - dt.timedelta(days=1)})
    assert response.context["cl"].result_count == 1


def test_page_of_key_links_to_its_events(operator, restricted, unrestricted):
    page = operator.get(admin_pages.url("change", restricted.key.pk)).content.decode()
    assert f'href="{url()}?key_id__exact={restricted.key.pk}"' in page
    assert rows(operator, f"?key_id__exact={restricted.key.pk}") == 1


def test_page_of_event_shows_its_changes(operator, alice, restricted, accounts):
    text = read(operator.get(url("change", KeyEvent.objects.get().pk)))
    assert alice.email in text
    assert str(accounts.checking.pk) in text


@pytest.mark.parametrize("owner_pk", ["", "no uuid"])
def test_missing_owner_is_shown_by_id(operator, restricted, owner_pk):
    KeyEvent.objects.update(owner_pk=owner_pk)
    assert rows(operator) == 1


def test_nothing_can_be_changed(operator, restricted):
    pk = KeyEvent.objects.get().pk
    for address in (url("add"), url("delete", pk)):
        assert operator.get(address).status_code == 403
        assert operator.post(address, {"post": "yes"}).status_code == 403
    assert operator.post(url("change", pk), {"key_name": "X"}).status_code == 403
    operator.post(url(), {"action": "delete_selected", "_selected_action": [pk], "post": "yes"})
    assert KeyEvent.objects.get().key_name == "Restricted"


@pytest.mark.parametrize(("codename", "status"), [("view_keyevent", 200), ("view_apikey", 403)])
def test_permission_to_view_is_its_own(codename, status):
    assert viewer(codename).get(url()).status_code == status


@pytest.mark.rule("K6")
def test_key_opens_no_history(operator, restricted, settings):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "PagesRejectKeys" not in name]
    headers = {"authorization": f"Bearer {restricted.secret}"}
    assert operator.get(url(), headers=headers).status_code == 403


def test_queries_do_not_grow_with_events(operator, alice, restricted, django_assert_max_num_queries):
    for number in range(30):
        restricted.key.rename(f"A{number}")
    operator.get(url())
    with django_assert_max_num_queries(8):
        operator.get(url())
