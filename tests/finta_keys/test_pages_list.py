import datetime as dt
import re

import pytest
import time_machine
from django.utils import timezone

from accounts_app.models import Account
from finta_keys import names as key_names
from finta_keys.models import ApiKey
from finta_keys.templatetags import finta_keys as tags
from finta_keys.testing import make_key
from tests.factories import AccountFactory
from tests.finta_keys.pages import read, submit, url

NOW = dt.datetime(2026, 11, 24, 6, 0, tzinfo=dt.UTC)


def page(browser, query=""):
    return browser.get(url("list") + query).content.decode()


def names(browser, query=""):
    return re.findall(r'<th scope="row"><bdi>(.*?)</bdi>', page(browser, query))


@pytest.fixture
def many(alice, accounts):
    """Ten keys, number 0 the oldest; 3 was used last, 7 before it, the others never."""
    keys = []
    for number in range(10):
        with time_machine.travel(NOW + dt.timedelta(minutes=number), tick=False):
            keys.append(make_key(alice, f"Key {number}", [accounts.savings] if number == 4 else [accounts.checking])[0])
    ApiKey.objects.filter(pk=keys[3].pk).update(last_used_at=NOW)
    ApiKey.objects.filter(pk=keys[7].pk).update(last_used_at=NOW - dt.timedelta(days=2))
    return keys


def test_without_keys_the_page_says_what_a_key_is_for(alices_browser):
    assert "You have no keys yet" in page(alices_browser)
    assert page(alices_browser).count("Create Key") == 1


def test_each_key_shows_its_name_hint_and_scope_and_the_four_actions(
    alices_browser, restricted, unrestricted, accounts
):
    text = page(alices_browser)
    said = read(alices_browser.get(url("list")))
    assert "1 of 3 accounts First Bank Checking ··" in said
    assert accounts.savings.label not in said
    assert "All accounts, including future ones" in said
    for key in (restricted.key, unrestricted.key):
        assert key.hint in text
        assert all(url(verb, key) in text for verb in ("rename", "edit_scope", "rotate", "delete"))
        assert f"Rename {key} Edit scope of {key} Rotate {key} Delete {key}" in said
    assert restricted.secret not in text


def test_a_scope_of_many_accounts_is_folded(alice, alices_browser):
    make_key(alice, "Many", AccountFactory.create_batch(4, owner=alice))
    assert re.search(r"<summary>\s*4 of 4 accounts\s*</summary>", page(alices_browser))


def test_bobs_keys_are_not_listed(alices_browser, bob, bobs_account):
    make_key(bob, "Bob's key")
    assert "Bob" not in page(alices_browser)


def test_S1_a_restricted_key_whose_accounts_are_gone_says_so(alices_browser, restricted, accounts):
    accounts.checking.delete()
    assert "Nothing: the accounts in its scope are gone" in read(alices_browser.get(url("list")))


def test_S3_an_account_that_went_to_another_owner_is_not_named(alices_browser, restricted, accounts, bob):
    Account.objects.filter(pk=accounts.checking.pk).update(owner=bob)
    assert accounts.checking.label not in page(alices_browser)


def test_a_name_is_text_and_never_markup(alice, alices_browser):
    make_key(alice, "<script>alert(1)</script>")
    assert "<script>alert" not in page(alices_browser)


def test_queries_are_constant_in_keys_and_accounts(alice, alices_browser, restricted, django_assert_num_queries):
    with django_assert_num_queries(5):  # session, user, keys, their accounts, the owner's accounts
        page(alices_browser)
    more = AccountFactory.create_batch(5, owner=alice)
    for number in range(5):
        make_key(alice, f"Key {number}", more[: number + 1])
    for query in ("", "?q=first", "?sort=last_used"):
        with django_assert_num_queries(5):
            page(alices_browser, query)


# Search and sort


def test_the_newest_key_comes_first(alices_browser, many):
    assert names(alices_browser) == [f"Key {number}" for number in reversed(range(10))]


@pytest.mark.parametrize(
    ("query", "found"),
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
def test_a_search_finds_names_and_accounts(alices_browser, many, query, found):
    many[7].rename("Laptop at home")
    assert names(alices_browser, f"?q={query}") == found


def test_a_search_finds_the_hint_of_a_secret_that_leaked(alices_browser, many):
    assert names(alices_browser, f"?q={many[2].hint}") == ["Key 2"]


def test_a_search_folds_each_name_and_account_once_however_many_words_it_has(alices_browser, many, monkeypatch):
    folded = []
    fold = key_names.fold
    monkeypatch.setattr(key_names, "fold", lambda text: folded.append(text) or fold(text))
    page(alices_browser, "?q=" + "key+checking+" * 15)
    assert len(folded) == 1 + 10 + 2  # the search, the keys, the accounts that they see


def test_a_search_that_is_too_long_is_none(alices_browser, many):
    assert len(names(alices_browser, "?q=" + "x" * 201)) == 10


def test_K2_a_secret_that_is_searched_for_leaves_the_address_and_its_key_is_found(alices_browser, restricted, many):
    answer = alices_browser.get(url("list"), {"q": restricted.secret})
    assert answer.status_code == 302
    assert restricted.secret not in answer.url
    answer = alices_browser.get(answer.url)
    assert restricted.secret not in answer.content.decode()
    assert re.findall(r'<th scope="row"><bdi>(.*?)</bdi>', answer.content.decode()) == ["Restricted"]
    form = alices_browser.get(url("rename", restricted.key), {"q": restricted.secret})
    assert restricted.secret not in form.content.decode()


def test_a_search_that_cannot_be_is_none(alices_browser, many):
    assert len(names(alices_browser, "?q=a%00b")) == 10


def test_a_search_for_an_account_finds_the_keys_that_share_all(alice, alices_browser, many):
    make_key(alice, "Everything")
    assert names(alices_browser, "?q=savings") == ["Everything", "Key 4"]
    assert names(alices_browser, "?q=Bob") == []


def test_a_search_knows_no_account_of_another_owner(alices_browser, many, bob, accounts):
    Account.objects.filter(pk=accounts.savings.pk).update(owner=bob)
    assert names(alices_browser, "?q=savings") == []


def test_a_search_without_a_hit_says_so_and_leads_back(alices_browser, many):
    said = read(alices_browser.get(url("list") + "?q=nothing"))
    assert "No matching keys" in said
    assert "Show all keys" in said


def test_a_search_says_how_many_of_all_it_shows(alices_browser, many):
    assert "1 of 10 keys" in read(alices_browser.get(url("list") + "?q=savings"))


def test_sorted_by_last_used_those_never_used_come_last(alices_browser, many):
    assert names(alices_browser, "?sort=last_used")[:3] == ["Key 3", "Key 7", "Key 9"]


def test_sorted_by_name(alices_browser, many):
    assert names(alices_browser, "?sort=name") == [f"Key {number}" for number in range(10)]


def test_a_sort_that_does_not_exist_is_left_out(alices_browser, many):
    assert names(alices_browser, "?sort=made-up")[0] == "Key 9"


def test_few_keys_need_no_search(alices_browser, restricted):
    assert 'type="search"' not in page(alices_browser)


def test_an_action_leads_back_to_the_list_as_it_was(alices_browser, many):
    query = "?q=first+bank&sort=name"
    text = page(alices_browser, "?q=first bank&sort=name&next=//evil.example")
    assert url("rename", many[0]) + query.replace("&", "&amp;") in text
    assert "evil" not in text
    form = alices_browser.get(url("rename", many[0]) + query)
    assert f'href="{url("list")}{query.replace("&", "&amp;")}"' in form.content.decode()
    assert submit(alices_browser, url("rename", many[0]) + query, name="New").url == url("list") + query


# Times


@pytest.mark.parametrize(
    ("since", "words"),
    [
        (dt.timedelta(seconds=-5), "just now"),  # a clock that is behind
        (dt.timedelta(seconds=59), "just now"),
        (dt.timedelta(seconds=60), "1\xa0minute ago"),
        (dt.timedelta(minutes=3, seconds=20), "3\xa0minutes ago"),
        (dt.timedelta(days=9), "1\xa0week ago"),
    ],
)
def test_how_long_ago(since, words):
    with time_machine.travel(NOW, tick=False):
        assert tags.ago(NOW - since) == words


def test_last_used_says_how_long_ago_and_exactly_when(alices_browser, restricted):
    used = timezone.now() - dt.timedelta(minutes=3)
    ApiKey.objects.update(last_used_at=used)
    exact = f"{used.day} {used:%B %Y}, {used:%H:%M} UTC"
    assert f'title="{exact}">3\xa0minutes ago' in page(alices_browser)
    assert f"3 minutes ago, on {used.day} {used:%B %Y} at {used:%H:%M} UTC" in read(alices_browser.get(url("list")))


@pytest.mark.parametrize(("days", "said"), [(89, False), (90, True), (400, True)])
def test_a_key_that_is_not_used_for_90_days_says_so(alices_browser, restricted, days, said):
    ApiKey.objects.update(last_used_at=timezone.now() - dt.timedelta(days=days))
    assert ("Unused for 90 days" in page(alices_browser)) is said


def test_a_key_that_was_never_used_says_so(alices_browser, restricted):
    assert "Never used" in page(alices_browser)
