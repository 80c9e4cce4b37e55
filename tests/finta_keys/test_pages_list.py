from accounts_app.models import Account
from tests.factories import AccountFactory, make_key
from tests.finta_keys.pages import url


def page(browser):
    return browser.get(url("list")).content.decode()


def test_without_keys_the_page_says_what_a_key_is_for(alices_browser):
    assert "You have no keys yet" in page(alices_browser)
    assert "Create Key" in page(alices_browser)


def test_each_key_shows_its_name_hint_and_scope_and_the_four_actions(
    alices_browser, restricted, unrestricted, accounts
):
    text = page(alices_browser)
    assert "1 of 3 accounts" in text
    assert str(accounts.checking) in text
    assert str(accounts.savings) not in text
    for key in (restricted.key, unrestricted.key):
        assert key.hint in text
        assert all(url(verb, key) in text for verb in ("rename", "edit_scope", "rotate", "delete"))
    assert restricted.secret not in text


def test_bobs_keys_are_not_listed(alices_browser, bob, bobs_account):
    make_key(bob, "Bob's key")
    assert "Bob's key" not in page(alices_browser)


def test_S1_a_restricted_key_whose_accounts_are_gone_says_so(alices_browser, restricted, accounts):
    accounts.checking.delete()
    assert "Nothing: the accounts it could see are gone" in page(alices_browser)


def test_S3_an_account_that_went_to_another_owner_is_not_named(alices_browser, restricted, accounts, bob):
    Account.objects.filter(pk=accounts.checking.pk).update(owner=bob)
    assert str(accounts.checking) not in page(alices_browser)


def test_a_name_is_text_and_never_markup(alice, alices_browser):
    make_key(alice, "<script>alert(1)</script>")
    assert "<script>alert" not in page(alices_browser)


def test_queries_are_constant_in_keys_and_accounts(alice, alices_browser, restricted, django_assert_num_queries):
    with django_assert_num_queries(5):  # session, user, keys, their accounts, the number of accounts
        page(alices_browser)
    more = AccountFactory.create_batch(5, owner=alice)
    for number in range(5):
        make_key(alice, f"Key {number}", more[: number + 1])
    with django_assert_num_queries(5):
        page(alices_browser)
