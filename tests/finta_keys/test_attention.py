"""The admin shows how keys are used, and which need attention."""

import datetime as dt

import pytest
import time_machine
from django.contrib.admin import site

from finta_keys import admin, attention
from finta_keys.models import ApiKey, KeyUsage, RetiredSecret
from finta_keys.testing import count_usage, key_client, make_key
from tests.factories import AccountFactory
from tests.finta_keys.admin_pages import operator, url
from tests.finta_keys.pages import read

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2027, 3, 1, 12, tzinfo=dt.UTC)
DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)


@pytest.fixture(autouse=True)
def _clock():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def superuser(db):
    return operator()


def change(key, **columns):
    ApiKey.objects.filter(pk=key.pk).update(**columns)


def reasons(key):
    """Return the reasons of a key, as the list shows them and as the filter finds them."""
    listed = ApiKey.objects.get(pk=key.pk)
    attention.add_use([listed])
    matches = [name for name in attention.REASONS if attention.filtered(ApiKey.objects.all(), name).contains(key)]
    assert [str(attention.REASONS[name][0]) for name in matches] == listed.reasons
    assert attention.filtered(ApiKey.objects.all(), "any").contains(key) == bool(matches)
    return matches


def test_new_key_needs_none(restricted):
    assert reasons(restricted.key) == []


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"last_used_at": NOW - 89 * DAY}, []),
        ({"last_used_at": NOW - 91 * DAY}, ["unused"]),
        ({"created_at": NOW - 91 * DAY}, ["unused"]),
        ({"created_at": NOW - 91 * DAY, "last_used_at": NOW}, []),
        ({"created_at": NOW - 366 * DAY, "last_used_at": NOW}, ["not_rotated"]),
        ({"created_at": NOW - 366 * DAY, "rotated_at": NOW - DAY, "last_used_at": NOW}, []),
        ({"rotated_at": NOW - 366 * DAY, "last_used_at": NOW}, ["not_rotated"]),
    ],
)
def test_old_keys_need_attention(restricted, columns, expected):
    change(restricted.key, **columns)
    assert reasons(restricted.key) == expected


@pytest.mark.parametrize(("days", "expected"), [(29, ["retired"]), (31, [])])
def test_tried_retired_secret_needs_attention(restricted, unrestricted, days, expected):
    restricted.key.rotate()
    assert reasons(restricted.key) == []
    RetiredSecret.objects.update(tries=1, last_tried_at=NOW - days * DAY)
    assert reasons(restricted.key) == expected
    assert reasons(unrestricted.key) == []


def test_key_that_uses_few_of_all_needs_attention(unrestricted, restricted, accounts, alice):
    AccountFactory(owner=alice)
    paths = [f"/v2/accounts/{account.pk}" for account in (accounts.checking, accounts.savings, accounts.cash)]
    assert reasons(unrestricted.key) == []  # No account is known to be used.
    for path, expected in zip(paths, (["wide"], ["wide"], []), strict=True):
        with count_usage():
            unrestricted.client.get(path)
            restricted.client.get(path)
        assert reasons(unrestricted.key) == expected
        assert reasons(restricted.key) == []


def test_list_shows_use_and_last_source(superuser, restricted, unrestricted):
    with count_usage():
        for program, address in (("curl/8", "192.0.2.1"), ("wget/1", "198.51.100.7")):
            restricted.client.get("/v2/accounts", HTTP_USER_AGENT=program, REMOTE_ADDR=address)
    with time_machine.travel(NOW + DAY, tick=False), count_usage():
        restricted.client.get("/v2/me", HTTP_USER_AGENT="wget/1", REMOTE_ADDR="198.51.100.7")
        text = read(superuser.get(url("changelist")))
    assert "Requests in 90 days" in text
    with time_machine.travel(NOW + DAY, tick=False):
        keys = superuser.get(url("changelist")).context["cl"].result_list
        by_name = {key.name: (key.requests, key.last_source) for key in keys}
    assert by_name == {"Restricted": (3, "198.51.100.0/24 (wget)"), "All accounts": (0, "")}


def test_last_source_is_that_of_the_key(restricted, unrestricted):
    """Another key was last used at the same moment as this one before."""
    numbers = dict.fromkeys(["requests", "reads", "writes", "refused"], 1)
    for key, at, source in (
        (restricted.key, NOW, "new"),
        (restricted.key, NOW - HOUR, "old"),
        (unrestricted.key, NOW - HOUR, "other"),
    ):
        row = {"day": at.date(), "source": source, "agent": "curl", "first_at": at, "last_at": at}
        KeyUsage.objects.create(key_id=key.pk, **row, **numbers)
    attention.add_use([restricted.key, unrestricted.key])
    assert (restricted.key.last_source, unrestricted.key.last_source) == ("new (curl)", "other (curl)")


def test_list_filters_by_attention(superuser, restricted, unrestricted):
    change(restricted.key, last_used_at=NOW - 91 * DAY)
    for value in ("any", "unused"):
        page = superuser.get(url("changelist"), {"attention": value})
        assert [key.name for key in page.context["cl"].result_list] == ["Restricted"]
        assert "Unused for 90 days" in read(page)
    assert not superuser.get(url("changelist"), {"attention": "wide"}).context["cl"].result_list
    assert len(superuser.get(url("changelist")).context["cl"].result_list) == 2


def test_page_of_key_shows_its_use(superuser, restricted):
    change(restricted.key, last_used_at=NOW - 91 * DAY)
    text = read(superuser.get(url("change", restricted.key.pk)))
    assert "Requests in 90 days: 0 Last source: – Needs attention: Unused" in text
    assert "Unused for 90 days" in text


def test_lists_of_the_project_work(restricted, alice):
    key, secret = make_key(alice)
    with count_usage():
        key_client(secret).get("/v2/me")
    assert admin.ApiKeyAdmin.recent_requests(None, ApiKey.objects.get(pk=key.pk)) == 1


def test_page_counts_keys_by_reason(superuser, restricted, unrestricted, bob):
    change(restricted.key, last_used_at=NOW - 91 * DAY)
    change(unrestricted.key, created_at=NOW - 400 * DAY)
    page = superuser.get(url("attention"))
    numbers = [row["number"] for row in page.context["reasons"]]
    assert numbers == [2, 1, 0, 0]
    text = read(page)
    assert "Unused for 90 days 2 Ask the owner. Delete the key" in text
    for row, number in zip(page.context["reasons"], numbers, strict=True):
        assert f'href="{row["url"]}"' in page.content.decode()
        assert superuser.get(row["url"]).context["cl"].result_count == number
    assert f'href="{url("attention")}"' in superuser.get(url("changelist")).content.decode()


def test_page_counts_only_keys_of_the_operator(superuser, restricted, bob, monkeypatch):
    """A project may limit the keys that an operator can see."""
    change(restricted.key, last_used_at=NOW - 91 * DAY)
    keys = ApiKey.objects.filter(owner=bob)
    model_admin = site.get_model_admin(ApiKey)
    monkeypatch.setattr(model_admin, "get_queryset", lambda request: keys.all())
    assert [row["number"] for row in superuser.get(url("attention")).context["reasons"]] == [0] * 4


@pytest.mark.parametrize(("permission", "status"), [("none", 403), ("add", 403), ("view", 200)])
def test_page_needs_permission_to_view(restricted, permission, status):
    assert operator(permission).get(url("attention")).status_code == status


@pytest.mark.rule("K6")
def test_key_opens_no_page(superuser, restricted):
    response = superuser.get(url("attention"), HTTP_AUTHORIZATION=f"Bearer {restricted.secret}")
    assert response.status_code in (302, 403)
