from types import SimpleNamespace

import pytest

from finta_keys import display
from finta_keys.checks.project import check_account_names
from finta_keys.testing import make_key
from tests.factories import AccountFactory
from tests.finta_keys.pages import read, submit, url


def group_names(accounts):
    return [(name, [account.name for account in group]) for name, group in display.grouped(accounts)]


def test_accounts_come_in_groups_in_their_order_and_those_without_one_last(settings):
    cash, one, two, three = (
        SimpleNamespace(institution_name=bank, name=name)
        for bank, name in [("", "Cash"), ("First Bank", "1"), ("Chase", "2"), ("First Bank", "3")]
    )
    assert group_names([cash, one, two, three]) == [("First Bank", ["1", "3"]), ("Chase", ["2"]), ("", ["Cash"])]
    settings.FINTA_KEYS_ACCOUNT_GROUP = ""
    assert group_names([cash, one]) == [("", ["Cash", "1"])]


def test_a_group_of_none_is_no_group(settings):
    settings.FINTA_KEYS_ACCOUNT_GROUP = "bank_connection_id"
    assert group_names([SimpleNamespace(bank_connection_id=None, name="Cash")]) == [("", ["Cash"])]


def test_a_host_that_names_no_label_gets_the_str_of_its_accounts(settings):
    account = AccountFactory.build(mask="0001", name="Savings")
    assert display.label(account) == "Savings ··0001"
    del settings.FINTA_KEYS_ACCOUNT_LABEL
    assert display.label(account) == "First Bank Savings ··0001"


def test_the_form_has_a_fieldset_for_each_group(alice, alices_browser):
    for bank in ("Chase", "Wise", ""):
        AccountFactory(owner=alice, institution_name=bank)
    answer = alices_browser.get(url("create"))
    assert answer.content.decode().count("<fieldset") == 3
    assert all(f"{bank} All of {bank} None of {bank}" in read(answer) for bank in ("Chase", "Wise", "Other accounts"))


def test_a_host_without_groups_gets_one_fieldset(alice, alices_browser, accounts, settings):
    del settings.FINTA_KEYS_ACCOUNT_GROUP
    answer = alices_browser.get(url("create"))
    assert answer.content.decode().count("<fieldset") == 1
    assert "Accounts All of" in read(answer)


def test_from_ten_accounts_on_there_is_a_search(alice, alices_browser):
    AccountFactory.create_batch(9, owner=alice)
    assert "Find an account" not in read(alices_browser.get(url("create")))
    AccountFactory(owner=alice)
    assert "Find an account" in read(alices_browser.get(url("create")))


def test_an_owner_without_accounts_is_told_that_there_is_none_to_choose(alices_browser):
    assert "You have no accounts to select yet" in read(alices_browser.get(url("create")))


def test_edit_scope_marks_what_the_key_sees_now_whatever_was_typed(alices_browser, restricted, accounts):
    for answer in (
        alices_browser.get(url("edit_scope", restricted.key)),
        submit(alices_browser, url("edit_scope", restricted.key), accounts=["made-up", accounts.cash.pk]),
    ):
        assert answer.content.decode().count("data-accessible") == 1
        gains = f"Gains 2: {accounts.cash.label}, {accounts.savings.label}. Includes accounts you add later."
        assert gains in read(answer)


def test_edit_scope_of_a_key_that_shares_all_marks_everything(alices_browser, unrestricted):
    answer = alices_browser.get(url("edit_scope", unrestricted.key))
    assert answer.content.decode().count("data-accessible") == 4  # the switch and three accounts
    assert "Loses every account that you do not select" in read(answer)


@pytest.mark.parametrize("verb", ["rotate", "delete"])
def test_a_confirmation_says_which_accounts_the_key_reads(alices_browser, restricted, accounts, verb):
    answer = alices_browser.get(url(verb, restricted.key))
    assert f"It can access 1 of 3 accounts: First Bank {accounts.checking.label}" in read(answer)
    restricted.key.share_all()
    said = read(alices_browser.get(url(verb, restricted.key)))
    assert "It can access all accounts, including future ones. Currently 3 accounts:" in said
    restricted.key.restrict_to([accounts.checking])
    accounts.checking.delete()
    assert "It can access nothing" in read(alices_browser.get(url(verb, restricted.key)))


@pytest.mark.parametrize("setting", ["FINTA_KEYS_ACCOUNT_GROUP", "FINTA_KEYS_ACCOUNT_LABEL"])
def test_an_attribute_that_accounts_do_not_have_is_refused_at_the_start(settings, setting):
    assert check_account_names(None) == []
    setattr(settings, setting, "made_up")
    (error,) = check_account_names(None)
    assert error.id == "finta_keys.E007"
    assert setting in error.msg
    setattr(settings, setting, "")
    assert check_account_names(None) == []


def test_a_wrong_account_model_is_to_be_put_right_first(settings):
    settings.FINTA_KEYS_ACCOUNT_LABEL = "made_up"
    settings.FINTA_KEYS_OWNER_FIELD = "made_up"
    assert check_account_names(None) == []


def test_a_scope_of_hundreds_of_accounts_names_a_hundred(alice, alices_browser):
    make_key(alice, "Many", AccountFactory.create_batch(103, owner=alice))
    answer = alices_browser.get(url("list"))
    assert answer.content.decode().count("··") == 100
    assert "and 3 more, listed in Edit scope" in read(answer)
