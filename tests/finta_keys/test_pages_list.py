import datetime as dt
import re

import pytest
import time_machine
from django.db import connection
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts_app.models import Account
from finta_keys import attention
from finta_keys import names as key_names
from finta_keys.models import AccountUsage, ApiKey, KeyAccountScope, RetiredSecret
from finta_keys.templatetags import finta_keys as tags
from finta_keys.testing import make_key
from tests.factories import AccountFactory
from tests.finta_keys.pages import read, submit, url

NOW = dt.datetime(2026, 11, 24, 6, 0, tzinfo=dt.UTC)


def page(browser, query=""):
    return browser.get(url("list") + query).content.decode()


def names(browser, query=""):
    return re.findall(r'<th scope="row"><a[^>]*><bdi>(.*?)</bdi><code>', page(browser, query))


@pytest.fixture
def many(alice, accounts):
    """Ten keys; key 0 is the oldest. Key 3 was used last, key 7 before it, the others never."""
    keys = []
    for number in range(10):
        with time_machine.travel(NOW + dt.timedelta(minutes=number), tick=False):
            keys.append(make_key(alice, f"Key {number}", [accounts.savings] if number == 4 else [accounts.checking])[0])
    ApiKey.objects.filter(pk=keys[3].pk).update(last_used_at=NOW)
    ApiKey.objects.filter(pk=keys[7].pk).update(last_used_at=NOW - dt.timedelta(days=2))
    return keys


def test_empty_list_explains_keys(alices_browser):
    assert "Create your first key" in page(alices_browser)
    assert page(alices_browser).count("Create Key") == 1


def test_row_shows_hint_scope_and_actions(alices_browser, restricted, unrestricted, accounts):
    source = page(alices_browser)
    text = read(alices_browser.get(url("list")))
    assert f"{accounts.checking.label} Read and write · 1 of 3 accounts" in text
    assert f'title="First Bank {accounts.checking.label}"' in source
    assert accounts.savings.label not in text
    assert "All accounts, including future ones" in text
    for key in (restricted.key, unrestricted.key):
        assert key.hint in source
        assert all(url(action, key) in source for action in ("rename", "edit_scope", "rotate", "delete"))
        assert f"Rename {key} Edit scope of {key} Rotate {key} Delete {key}" in text
    assert restricted.secret not in source


def test_rows_show_permission(alice, alices_browser):
    make_key(alice, "Reader", read_only=True)
    make_key(alice, "Writer")
    text = read(alices_browser.get(url("list")))
    assert re.search("Writer.*Read and write.*Reader.*Read only", text)


def test_new_secret_is_not_used_yet(alices_browser, restricted):
    ApiKey.objects.update(last_used_at=timezone.now() - dt.timedelta(minutes=21))
    restricted.key.rotate()
    text = read(alices_browser.get(url("list")))
    assert f"Not used yet New secret from {tags.short_day(timezone.now())}" in text
    assert "21 minutes ago" not in text
    assert "which has not been used yet" in read(alices_browser.get(url("rotate", restricted.key)))
    assert restricted.key.rotated_at
    ApiKey.objects.update(last_used_at=timezone.now())
    assert "Not used yet" not in page(alices_browser)


def test_long_scope_is_collapsed(alice, alices_browser):
    make_key(alice, "Many", AccountFactory.create_batch(4, owner=alice))
    source = page(alices_browser)
    assert source.count('<span class="finta-chip"') == 2
    assert re.search(r"<summary>\+2<span[^>]*> more</span></summary>", source)
    assert "· 4 of 4 accounts" in read(alices_browser.get(url("list")))


def test_other_users_keys_are_not_listed(alices_browser, bob, bobs_account):
    make_key(bob, "Bob's key")
    assert "Bob" not in page(alices_browser)


@pytest.mark.rule("S1")
def test_empty_scope_is_reported(alices_browser, restricted, accounts):
    accounts.checking.delete()
    assert "Nothing: the accounts in its scope are gone" in read(alices_browser.get(url("list")))


@pytest.mark.rule("S3")
def test_transferred_account_is_not_named(alices_browser, restricted, accounts, bob):
    Account.objects.filter(pk=accounts.checking.pk).update(owner=bob)
    assert accounts.checking.label not in page(alices_browser)


def test_name_is_escaped(alice, alices_browser):
    make_key(alice, "<script>alert(1)</script>")
    assert "<script>alert" not in page(alices_browser)


def test_query_count_is_constant(alice, alices_browser, restricted, django_assert_num_queries):
    # session, user, numbers of keys, keys, number of accounts, numbers of their accounts, their accounts,
    # calls, retired secrets
    with django_assert_num_queries(9):
        page(alices_browser)
    accounts = AccountFactory.create_batch(5, owner=alice)
    for number in range(5):
        make_key(alice, f"Key {number}", accounts[: number + 1])
    AccountFactory(owner=alice)
    ApiKey.objects.update(created_at=timezone.now() - dt.timedelta(days=100))  # all need attention
    for query, queries in {
        "": 10,  # the accounts to select from
        "?sort=last_used": 10,
        "?q=first": 11,  # a search reads all accounts
        f"?account={accounts[0].pk}": 10,
        "?only=attention": 11,  # the reasons
    }.items():
        with django_assert_num_queries(queries):
            page(alices_browser, query)


@pytest.fixture
def big_scopes(alice):
    """120 keys with 30 accounts each."""
    accounts = AccountFactory.create_batch(30, owner=alice)
    template, _ = make_key(alice, "Key 0", accounts)
    keys = [
        ApiKey(
            owner=alice,
            name=f"Key {number}",
            name_key=f"key {number}",
            digest=bytes([number]) * 32,
            hint=template.hint,
            share_all_accounts=False,
        )
        for number in range(1, 120)
    ]
    ApiKey.objects.bulk_create(keys)
    KeyAccountScope.objects.bulk_create(
        KeyAccountScope(key=key, account=account) for key in keys for account in accounts
    )


def test_page_shows_25_keys(alices_browser, big_scopes):
    pages = [names(alices_browser, f"?sort=name&page={number}") for number in range(1, 6)]
    assert [len(keys) for keys in pages] == [25, 25, 25, 25, 20]
    assert len({name for keys in pages for name in keys}) == 120
    text = read(alices_browser.get(url("list") + "?sort=name&page=2"))
    assert "Page 2 of 5" in text
    source = page(alices_browser, "?sort=name&page=2")
    assert f'rel="prev" href="{url("list")}?sort=name"' in source
    assert f'rel="next" href="{url("list")}?sort=name&amp;page=3"' in source


def test_invalid_page_number_shows_first_page(alices_browser, big_scopes):
    numbers = ["0", "-1", "x", "1.5", "9" * 30, "٣"]
    first = names(alices_browser)
    assert {number: names(alices_browser, f"?page={number}") for number in numbers} == dict.fromkeys(numbers, first)


def test_page_number_after_the_last_shows_last_page(alices_browser, big_scopes):
    assert names(alices_browser, "?page=99") == names(alices_browser, "?page=5")


def test_action_returns_to_same_page(alices_browser, big_scopes):
    key = ApiKey.objects.get(name="Key 0")
    assert submit(alices_browser, url("rename", key) + "?page=2", name="New").url == url("list") + "?page=2"


def test_list_loads_few_accounts(alices_browser, big_scopes):
    loaded = []
    post_init.connect(lambda **kwargs: loaded.append(1), sender=Account, weak=False, dispatch_uid="test")
    try:
        source = page(alices_browser)
    finally:
        post_init.disconnect(sender=Account, dispatch_uid="test")
    assert len(loaded) == 25 * 10 + 30  # to select one of
    assert source.count("and 20 more, listed in Edit scope") == 25


# Filters, search and sort


def test_filters_show_their_numbers(alices_browser, many):
    now = timezone.now()
    ApiKey.objects.update(last_used_at=now - dt.timedelta(days=100))
    ApiKey.objects.filter(pk=many[3].pk).update(last_used_at=now)
    ApiKey.objects.filter(pk=many[5].pk).update(read_only=True, expires_at=now + dt.timedelta(days=20))
    source = page(alices_browser, "?sort=name&page=2")
    filters = re.findall(r'<a href="([^"]*)"[^>]*>([\w ]+) <span>(\d+)</span>', source)
    assert [(label, number) for _, label, number in filters] == [
        ("All", "10"),
        ("Needs attention", "9"),
        ("Unused", "9"),
        ("Expiring", "1"),
        ("Read only", "1"),
    ]
    assert filters[2][0] == f"{url('list')}?sort=name&amp;only=unused"
    assert "Key 3" not in names(alices_browser, "?only=unused")
    assert names(alices_browser, "?only=expiring") == names(alices_browser, "?only=read_only") == ["Key 5"]


def test_attention_filter_uses_admin_reasons(alices_browser, many):
    ApiKey.objects.update(created_at=timezone.now())
    long_ago = timezone.now() - dt.timedelta(days=400)
    ApiKey.objects.filter(pk=many[1].pk).update(created_at=long_ago, last_used_at=timezone.now())
    ApiKey.objects.filter(pk=many[2].pk).update(created_at=long_ago)
    many[6].rotate()
    RetiredSecret.objects.update(tries=1, last_tried_at=timezone.now())
    expected = attention.filtered(ApiKey.objects.order_by("name"), "any")
    assert names(alices_browser, "?only=attention&sort=name") == [key.name for key in expected]
    text = read(alices_browser.get(url("list") + "?only=attention&sort=name"))
    assert "Needs attention 3" in text
    assert "3 of 10 keys" in text
    assert re.search(
        r"Delete Key 1 Secret older than a year\. Rotate the key\. See details.*"
        r"Delete Key 2 Unused for 90 days\. Delete the key if nothing needs it\. Secret older than a year\..*"
        r"Delete Key 6 The old secret is still being tried: 1 time",
        text,
    )
    assert "Secret older than a year" not in page(alices_browser)


def test_wide_key_is_told_to_restrict(alice, alices_browser, many, accounts):
    wide, _ = make_key(alice, "Everything")
    day = timezone.now()
    AccountUsage.objects.create(
        key_id=wide.pk, account_id=str(accounts.cash.pk), day=day.date(), responses=1, first_at=day, last_at=day
    )
    text = read(alices_browser.get(url("list") + "?only=attention"))
    assert "Shares all, used few. Restrict the key to what it uses." in text


class TestAccountFilter:
    def test_keys_that_can_access_an_account(self, alice, alices_browser, many, accounts):
        make_key(alice, "Everything")
        query = f"?account={accounts.savings.pk}"
        assert names(alices_browser, query) == ["Everything", "Key 4"]
        text = read(alices_browser.get(url("list") + query))
        assert "2 of 11 keys. Show all" in text
        assert "All 2 Needs attention 0 Unused 0" in text

    def test_accounts_are_grouped(self, alices_browser, many, accounts):
        source = page(alices_browser, f"?account={accounts.savings.pk}")
        (select,) = re.findall(r'<select name="account".*?</select>', source, re.DOTALL)
        assert re.findall('<optgroup label="(.*?)">', select) == ["First Bank"]
        options = re.findall(r'<option value="(.*?)"( selected)?>(.*?)</option>', select)
        assert options[0] == ("", "", "Any account")
        assert (str(accounts.savings.pk), " selected", accounts.savings.label) in options
        assert len(options) == 1 + 3

    def test_filters_are_combined(self, alice, alices_browser, many, accounts):
        ApiKey.objects.filter(name__in=["Key 4", "Key 5"]).update(read_only=True)
        query = f"?account={accounts.savings.pk}&only=read_only&sort=name"
        assert names(alices_browser, query) == ["Key 4"]
        assert names(alices_browser, f"{query}&q=another+name") == []

    def test_links_keep_the_account(self, alices_browser, big_scopes):
        account = Account.objects.first().pk
        source = page(alices_browser, f"?account={account}&sort=name&page=2")
        for link in (
            f'rel="prev" href="{url("list")}?account={account}&amp;sort=name"',
            f'rel="next" href="{url("list")}?account={account}&amp;sort=name&amp;page=3"',
            f'href="{url("list")}?account={account}&amp;sort=name&amp;only=unused"',
            f'href="{url("create")}?account={account}&amp;sort=name&amp;page=2"',
        ):
            assert link in source
        key = ApiKey.objects.get(name="Key 0")
        response = submit(alices_browser, f"{url('rename', key)}?account={account}", name="New")
        assert response.url == f"{url('list')}?account={account}"

    @pytest.mark.rule("S3")
    @pytest.mark.parametrize("kind", ["foreign", "transferred", "malformed"])
    def test_other_accounts_look_like_missing_ones(self, alice, alices_browser, bobs_account, many, accounts, kind):
        make_key(alice, "Everything")
        Account.objects.filter(pk=accounts.savings.pk).update(owner=bobs_account.owner)  # still in the scope of key 4
        missing = "00000000-0000-4000-8000-000000000000"
        other = {"foreign": str(bobs_account.pk), "transferred": str(accounts.savings.pk), "malformed": "x" * 36}[kind]
        responses = []
        for pk in (missing, other):
            with CaptureQueriesContext(connection) as queries:
                response = alices_browser.get(f"{url('list')}?account={pk}")
            responses.append(re.sub('name="csrf.*?>', "", response.content.decode()).replace(pk, "PK"))
            assert "None of your 11 keys matches" in read(response)
            assert "Show all keys" in read(response)
            responses.append(len(queries))
        assert responses[:2] == responses[2:]

    @pytest.mark.parametrize("number", [0, 1])
    def test_filter_needs_two_accounts(self, alice, alices_browser, many, accounts, number):
        Account.objects.exclude(pk=accounts.checking.pk).delete()
        if not number:
            Account.objects.all().delete()
        assert 'name="account"' not in page(alices_browser)
        assert 'name="q"' in page(alices_browser)

    def test_filter_offers_500_accounts(self, alice, alices_browser, many, accounts):
        Account.objects.bulk_create(AccountFactory.build_batch(497, owner=alice))
        assert page(alices_browser).count("<option") == 1 + 500 + 4
        Account.objects.bulk_create(AccountFactory.build_batch(1, owner=alice))
        assert page(alices_browser).count("<option") == 4
        source = page(alices_browser, f"?account={accounts.savings.pk}")
        assert f'<input type="hidden" name="account" value="{accounts.savings.pk}"' in source
        assert names(alices_browser, f"?account={accounts.savings.pk}") == ["Key 4"]

    @pytest.mark.rule("K2")
    def test_secret_is_removed_from_the_address(self, alices_browser, restricted):
        response = alices_browser.get(url("list"), {"account": restricted.secret})
        assert response.status_code == 302
        assert restricted.secret not in response.url
        form = alices_browser.get(url("rename", restricted.key), {"account": restricted.secret})
        assert restricted.secret not in form.content.decode()

    def test_labels_are_escaped(self, alices_browser, many, accounts):
        Account.objects.filter(pk=accounts.savings.pk).update(name="<script>", institution_name='"><script>')
        assert "<script>·" not in page(alices_browser)
        assert '"><script>' not in page(alices_browser)


def test_first_call_is_that_of_new_secret(alices_browser, restricted, bob, bobs_account):
    address = url("first_call", restricted.key)
    assert alices_browser.get(address).json() == {"used": False}
    restricted.client.get("/v2/me")
    assert alices_browser.get(address).json() == {"used": True}
    restricted.key.rotate()
    assert alices_browser.get(address).json() == {"used": False}
    for key in (make_key(bob, "Bob's")[0].pk, "x"):
        assert alices_browser.get(address.replace(str(restricted.key.pk), str(key))).status_code == 404


def test_newest_key_comes_first(alices_browser, many):
    assert names(alices_browser) == [f"Key {number}" for number in reversed(range(10))]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("LAPTOP", ["Laptop at home"]),
        ("home laptop", ["Laptop at home"]),
        ("ｌａｐｔｏｐ", ["Laptop at home"]),  # look-alike
        ("savings", ["Key 4"]),
        ("first bank savings", ["Key 4"]),
        ("laptop savings", []),
        ("nothing like it", []),
    ],
)
def test_search_matches_names_and_accounts(alices_browser, many, query, expected):
    many[7].rename("Laptop at home")
    assert names(alices_browser, f"?q={query}") == expected


def test_search_matches_the_shown_label(alices_browser, many, accounts):
    Account.objects.filter(pk=accounts.savings.pk).update(status="closed", closed_at=NOW)  # Only the label says so.
    assert names(alices_browser, "?q=closed") == ["Key 4"]


def test_search_matches_hint(alices_browser, many):
    assert names(alices_browser, f"?q={many[2].hint}") == ["Key 2"]


def test_search_normalizes_each_text_once(alices_browser, many, monkeypatch):
    normalized = []
    fold = key_names.fold
    monkeypatch.setattr(key_names, "fold", lambda source: normalized.append(source) or fold(source))
    page(alices_browser, "?q=" + "key+checking+" * 15)
    assert len(normalized) == 1 + 3  # the search text and the owner's accounts


def test_overlong_search_is_ignored(alices_browser, many):
    assert len(names(alices_browser, "?q=" + "x" * 201)) == 10


@pytest.mark.rule("K2")
def test_search_replaces_secret_by_hint(alices_browser, restricted, many):
    response = alices_browser.get(url("list"), {"q": restricted.secret})
    assert response.status_code == 302
    assert restricted.secret not in response.url
    response = alices_browser.get(response.url)
    assert restricted.secret not in response.content.decode()
    assert re.findall(r'<th scope="row"><a[^>]*><bdi>(.*?)</bdi><code>', response.content.decode()) == ["Restricted"]
    form = alices_browser.get(url("rename", restricted.key), {"q": restricted.secret})
    assert restricted.secret not in form.content.decode()


def test_invalid_search_is_ignored(alices_browser, many):
    assert len(names(alices_browser, "?q=a%00b")) == 10


def test_account_search_matches_unrestricted_keys(alice, alices_browser, many):
    make_key(alice, "Everything")
    assert names(alices_browser, "?q=savings") == ["Everything", "Key 4"]
    assert names(alices_browser, "?q=Bob") == []


@pytest.mark.rule("S3")
def test_search_ignores_transferred_account(alices_browser, many, bob, accounts):
    Account.objects.filter(pk=accounts.savings.pk).update(owner=bob)
    assert names(alices_browser, "?q=savings") == []


def test_empty_search_result_links_to_all_keys(alices_browser, many):
    text = read(alices_browser.get(url("list") + "?q=nothing"))
    assert "No matching keys" in text
    assert "None of your 10 keys has this name" in text
    assert "Show all keys" in text
    assert "All 0 Needs attention 0" in text


def test_search_shows_number_of_matches(alices_browser, many):
    assert "1 of 10 keys" in read(alices_browser.get(url("list") + "?q=savings"))


def test_sort_by_last_used_puts_unused_last(alices_browser, many):
    assert names(alices_browser, "?sort=last_used")[:3] == ["Key 3", "Key 7", "Key 9"]


def test_sort_by_name(alices_browser, many):
    assert names(alices_browser, "?sort=name") == [f"Key {number}" for number in range(10)]


def test_unknown_sort_order_is_ignored(alices_browser, many):
    assert names(alices_browser, "?sort=made-up")[0] == "Key 9"


def test_search_is_hidden_for_few_keys(alices_browser, restricted):
    assert 'type="search"' not in page(alices_browser)


def test_actions_return_to_filtered_list(alices_browser, many):
    query = "?q=first+bank&sort=name"
    source = page(alices_browser, "?q=first bank&sort=name&next=//evil.example")
    assert url("rename", many[0]) + query.replace("&", "&amp;") in source
    assert "evil" not in source
    form = alices_browser.get(url("rename", many[0]) + query)
    assert f'href="{url("list")}{query.replace("&", "&amp;")}"' in form.content.decode()
    assert submit(alices_browser, url("rename", many[0]) + query, name="New").url == url("list") + query


# Times


@pytest.mark.parametrize(
    ("since", "words"),
    [
        (dt.timedelta(seconds=-5), "just now"),  # clock skew
        (dt.timedelta(seconds=59), "just now"),
        (dt.timedelta(seconds=60), "1\xa0minute ago"),
        (dt.timedelta(minutes=3, seconds=20), "3\xa0minutes ago"),
        (dt.timedelta(days=9), "1\xa0week ago"),
    ],
)
def test_ago_uses_one_unit(since, words):
    with time_machine.travel(NOW, tick=False):
        assert tags.ago(NOW - since) == words


def test_last_used_shows_age_and_exact_time(alices_browser, restricted):
    used = timezone.now() - dt.timedelta(minutes=3)
    ApiKey.objects.update(last_used_at=used)
    exact = f"{used.day} {used:%B %Y}, {used:%H:%M} UTC"
    assert f'title="{exact}">3\xa0minutes ago' in page(alices_browser)
    assert f"3 minutes ago, on {used.day} {used:%B %Y} at {used:%H:%M} UTC" in read(alices_browser.get(url("list")))


@pytest.mark.parametrize(
    ("created", "used", "is_unused"),
    [(0, None, False), (89, None, False), (91, None, True), (400, 89, False), (400, 91, True), (400, 0, False)],
)
def test_unused_means_the_same_everywhere(alice, alices_browser, restricted, created, used, is_unused):
    """In the filter, as a reason of attention, and as a tag in the list. The days are those since."""
    make_key(alice, "New")  # such as one that its owner has not put into a script yet
    now = timezone.now()
    ApiKey.objects.filter(pk=restricted.key.pk).update(
        created_at=now - dt.timedelta(days=created),
        rotated_at=now,  # not a reason
        last_used_at=None if used is None else now - dt.timedelta(days=used),
    )
    expected = ["Restricted"] if is_unused else []
    assert names(alices_browser, "?only=unused") == names(alices_browser, "?only=attention") == expected
    assert [key.name for key in attention.filtered(ApiKey.objects.all(), "unused")] == expected
    assert page(alices_browser).count("Unused for 90 days") == is_unused


def test_never_used_key_says_so(alices_browser, restricted):
    assert "Never used" in page(alices_browser)


def test_days_of_a_project_without_time_zones(settings):
    settings.USE_TZ = False
    assert tags.short_day(dt.datetime(2020, 6, 5)) == "5 Jun 2020"  # noqa: DTZ001
    assert tags.short_day(dt.datetime.now()) == f"{dt.datetime.now():%-d %b}"  # noqa: DTZ005
