"""The owner's Accounts page, and adding, editing and closing manual accounts there."""

import datetime as dt
import itertools
import re
import uuid
from decimal import Decimal
from urllib.parse import quote

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts_app import storage_mode
from accounts_app.forms import AccountForm, AddAccountForm, EditAccountForm
from accounts_app.models import Account, User
from accounts_app.templatetags.money import money
from finta_keys.models import ApiKey
from finta_keys.testing import answer_of, make_key
from tests.factories import AccountFactory, UserFactory

TYPED = {
    "institution_name": "",
    "name": "Cash",
    "mask": "",
    "type": "other",
    "subtype": "",
    "currency": "USD",
    "current_balance": "12.50",
    "available_balance": "",
}
BACK = '<a class="finta-button" href="/accounts">Back to Accounts</a>'


@pytest.fixture
def bobs_browser(bob):
    client = Client()
    client.force_login(bob)
    return client


@pytest.fixture
def cash(accounts):
    return accounts.cash


def edit_url(account):
    return f"/accounts/{getattr(account, 'pk', account)}/edit"


def close_url(account):
    return f"/accounts/{getattr(account, 'pk', account)}/close"


def text(response):
    return response.content.decode()


def shown(response):
    """Return what a page says, as one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", text(response).split("<main", 1)[1]).split())


def filled(response):
    """Return the fields of a page's form as a browser would send them."""
    main = text(response).split("<main", 1)[1]
    tags = [dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in re.findall(r"<input [^>]*>", main)]
    return {tag["name"]: tag.get("value", "") for tag in tags}


def add(browser, **typed):
    return browser.post("/accounts/new", {**filled(browser.get("/accounts/new")), **TYPED, **typed})


def told(browser, response):
    """Follow a redirect to Accounts and return what its messages say."""
    assert (response.status_code, response.url) == (302, "/accounts")
    page = text(browser.get(response.url))
    messages = re.search(r'<ul class="finta-messages"[^>]*>(.*?)</ul>', page, re.DOTALL).group(1)
    return " ".join(re.sub(r"<[^>]*>", " ", messages).split()).replace("&quot;", '"')


def rows():
    return list(Account.objects.order_by("pk").values())


# The model's words


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({}, "Savings ··0002"),
        ({"mask": ""}, "Savings"),
        ({"status": "closed"}, "Savings ··0002 (closed)"),
        ({"status": "disconnected", "mask": ""}, "Savings (disconnected)"),
    ],
)
def test_a_label_names_an_account_within_its_institution(fields, label):
    account = Account(institution_name="First Bank", name="Savings", **{"mask": "0002", **fields})
    assert account.label == label
    assert str(account).startswith("First Bank Savings")
    assert "closed" not in str(account)


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("0", "0.00"),
        ("-0", "0.00"),
        ("5", "5.00"),
        ("1234.5", "1,234.50"),
        ("-1234567.0000", "−1,234,567.00"),
        ("0.0001", "0.0001"),
        ("12.3450", "12.345"),
        ("99999999999.9999", "99,999,999,999.9999"),
        ("999999999999999", "999,999,999,999,999.00"),
    ],
)
def test_sums_have_separators_and_two_to_four_decimals(amount, words):
    assert money(Decimal(amount)) == words


# The list


@pytest.mark.parametrize("path", ["/accounts", "/accounts/new", "/accounts/1/edit", "/accounts/1/close"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_pages_of_accounts_ask_for_sign_in(db, path, method):
    assert getattr(Client(), method)(path).url == f"/login?next={path}"


def test_no_key_opens_a_page_of_accounts(unrestricted, cash):
    before = rows()
    for path in ("/accounts", "/accounts/new", edit_url(cash), close_url(cash)):
        assert unrestricted.client.get(path).status_code == 302
        assert unrestricted.client.post(path, TYPED).status_code == 302
    assert rows() == before


def test_no_cache_keeps_a_page_of_accounts(alices_browser, cash, accounts):
    for path in ("/accounts", "/accounts/new", edit_url(cash), edit_url(accounts.checking), edit_url("none")):
        assert "no-store" in alices_browser.get(path)["Cache-Control"]


def test_accounts_are_grouped_by_institution_those_without_one_last(alice, alices_browser):
    for institution, name in (("Zeta Bank", "Loan"), ("", "Cash"), ("Alpha Bank", "A"), ("Zeta Bank", "Card")):
        AccountFactory(owner=alice, institution_name=institution, name=name, mask="")
    page = text(alices_browser.get("/accounts"))
    assert re.findall(r"<h2><bdi>(.*?)</bdi></h2>", page) == ["Alpha Bank", "Zeta Bank", "Other accounts"]
    assert re.findall(r'<th scope="row"><bdi>(.*?)</bdi></th>', page) == ["A", "Card", "Loan", "Cash"]
    assert page.count('<caption class="finta-visually-hidden">') == page.count("<table") == 3


def test_a_row_tells_balance_type_and_status(alice, alices_browser):
    AccountFactory(
        owner=alice, name="Card", mask="0007", current_balance=Decimal("-1234.5"), available_balance=Decimal("8.7654")
    )
    words = shown(alices_browser.get("/accounts"))
    assert "Card ··0007 depository, checking −1,234.50 USD 8.7654 available Active" in words


def test_an_available_balance_of_zero_is_shown_and_an_unknown_one_is_not(alice, alices_browser):
    account = AccountFactory(owner=alice)
    assert "available" not in shown(alices_browser.get("/accounts"))
    Account.objects.filter(pk=account.pk).update(available_balance=0)
    assert "0.00 available" in shown(alices_browser.get("/accounts"))


def test_each_account_names_the_keys_that_can_see_it(alice, alices_browser, restricted, unrestricted, bobs_account):
    page = text(alices_browser.get("/accounts"))
    row = {name: page.split(f'<th scope="row"><bdi>{name}')[1].split("</tr>")[0] for name in ("Checking", "Savings")}
    everywhere = f'<a data-dialog href="/settings/api/keys/{unrestricted.key.pk}/edit-scope"'
    assert all(everywhere in each for each in row.values())
    assert f"/keys/{restricted.key.pk}/edit-scope" in row["Checking"]
    assert 'aria-label="Edit scope of Restricted"' in row["Checking"]
    assert "Restricted" not in row["Savings"]
    assert "Bob" not in page


def test_an_account_that_no_key_sees_says_so(alices_browser, restricted):
    assert shown(alices_browser.get("/accounts")).count("No key") == 2


def test_many_keys_are_a_search_for_them(alice, alices_browser):
    account = AccountFactory(owner=alice)
    for number in range(5):
        make_key(alice, f"Key {number}")
    assert "?q=" not in text(alices_browser.get("/accounts"))
    make_key(alice, "Key 5")
    assert f'href="/settings/api?q={quote(str(account))}">6 keys' in text(alices_browser.get("/accounts"))


def test_accounts_names_no_key_of_an_old_owner(alice, bob, bobs_browser, accounts, restricted):
    """An account that was transferred still stands in the scope of the old owner's key."""
    Account.objects.filter(pk=accounts.checking.pk).update(owner=bob)
    assert "Restricted" not in text(bobs_browser.get("/accounts"))
    assert "No key" in text(bobs_browser.get("/accounts"))


def test_names_are_shown_as_text(alice, alices_browser):
    AccountFactory(owner=alice, institution_name="<b>Bank</b>", name="<script>", type="<i>")
    make_key(alice, '"><script>')
    page = text(alices_browser.get("/accounts"))
    assert "<b>Bank" not in page
    assert "<i>" not in page
    assert page.count("<script>") == 0


def test_only_open_manual_accounts_can_be_edited_and_closed(alice, alices_browser, accounts):
    closed = AccountFactory(owner=alice, provider="manual", name="Old")
    closed.close()
    page = text(alices_browser.get("/accounts"))
    assert re.findall(r'href="(/accounts/[^"]*/edit)"', page) == [edit_url(accounts.cash)]
    assert re.findall(r'href="(/accounts/[^"]*/close)"', page) == [close_url(accounts.cash)]
    assert f'aria-label="Edit {accounts.cash.label}"' in page
    assert f'aria-label="Close {accounts.cash.label}"' in page


def test_without_accounts_the_page_says_what_a_manual_one_is_for(alices_browser):
    page = text(alices_browser.get("/accounts"))
    assert "No accounts yet" in page
    assert "such as cash" in page
    assert page.count('<a class="finta-button" data-dialog href="/accounts/new">Add account</a>') == 1


def test_keys_without_storage_mode_are_warned_about(alice, alices_browser, accounts):
    assert "refused" not in text(alices_browser.get("/accounts"))
    make_key(alice)
    assert "refused" not in text(alices_browser.get("/accounts"))
    storage_mode.switch_off(alice)
    page = text(alices_browser.get("/accounts"))
    assert '<p class="finta-note finta-warning">' in page
    assert '<a href="/settings/data">Data settings</a>' in page


def test_queries_for_accounts_are_constant(alice, alices_browser, accounts, django_assert_num_queries):
    make_key(alice, "One", [accounts.checking])
    with django_assert_num_queries(5):  # session, user, keys, accounts, their keys
        alices_browser.get("/accounts")
    for number, account in enumerate(AccountFactory.create_batch(50, owner=alice)):
        make_key(alice, f"Key {number}", [account] if number % 2 else None)
    with django_assert_num_queries(5):
        alices_browser.get("/accounts")


@pytest.mark.parametrize("path", ["/accounts", "/accounts/new", "edit", "close", "none", "bank"])
def test_headings_are_in_order(alices_browser, accounts, path):
    path = {
        "edit": edit_url(accounts.cash),
        "close": close_url(accounts.cash),
        "none": edit_url("none"),
        "bank": edit_url(accounts.checking),
    }.get(path, path)
    levels = [int(level) for level in re.findall(r"<h(\d)", text(alices_browser.get(path)))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


# Adding


@time_machine.travel(dt.datetime(2026, 1, 15, 12, 0, tzinfo=dt.UTC), tick=False)
def test_an_account_is_added_with_what_was_typed(alice, alices_browser):
    alices_browser.force_login(alice)
    add(
        alices_browser,
        institution_name=" Second Bank ",
        name="Car loan",
        mask="0042",
        type="loan",
        subtype="car",
        currency="eur",
        current_balance="-1,234.5",
        available_balance="0",
    )
    account = Account.objects.get()
    assert (account.owner, account.provider, account.status) == (alice, "manual", "active")
    assert (account.institution_name, account.name, account.mask) == ("Second Bank", "Car loan", "0042")
    assert (account.type, account.subtype, account.currency) == ("loan", "car", "EUR")
    assert (account.current_balance, account.available_balance) == (Decimal("-1234.5"), 0)
    assert account.balance_as_of == dt.datetime(2026, 1, 15, 12, 0, tzinfo=dt.UTC)


def test_what_is_optional_can_be_left_empty(alices_browser):
    assert add(alices_browser).status_code == 302
    assert Account.objects.get().available_balance is None


def test_the_message_names_the_keys_that_can_see_the_new_account(alice, alices_browser, restricted):
    make_key(alice, "Laptop")
    answer = add(alices_browser)
    assert told(alices_browser, answer) == "Added “Cash”. Keys that can see it: Laptop (it shares all accounts)."
    make_key(alice, "Production")
    answer = add(alices_browser, name="Purse")
    said = told(alices_browser, answer)
    assert said == "Added “Purse”. Keys that can see it: Production, Laptop (they share all accounts)."


def test_the_message_names_five_keys_and_counts_the_rest(alice, alices_browser):
    for number in range(8):
        make_key(alice, f"Key {number}")
    said = told(alices_browser, add(alices_browser))
    assert "Key 7, Key 6, Key 5, Key 4, Key 3 and 3 more (they share all accounts)." in said


def test_the_message_says_when_no_key_can_see_the_new_account(alice, alices_browser, bob):
    make_key(bob)
    assert told(alices_browser, add(alices_browser)) == "Added “Cash”. No key can see it yet: create a key to share it."
    make_key(alice, "Restricted", [Account.objects.get()])
    said = told(alices_browser, add(alices_browser))
    assert said == "Added “Cash”. No key can see it yet: edit the scope of a key to share it."


def test_a_restricted_key_does_not_see_what_is_added_here_and_one_that_shares_all_does(
    alices_browser, restricted, unrestricted
):
    add(alices_browser, name="Brand new")
    assert "Brand new" not in restricted.client.get("/v2/accounts").content.decode()
    assert "Brand new" in unrestricted.client.get("/v2/accounts").content.decode()


def test_adding_never_writes_the_owner_or_a_key(alice, alices_browser, restricted):
    before = list(ApiKey.objects.values()), list(User.objects.values())
    made_up = str(uuid.uuid4())
    add(alices_browser, owner="bob", owner_id=made_up, provider="plaid", status="closed", id=made_up)
    account = Account.objects.get(name="Cash", institution_name="")
    assert (account.owner, account.provider, account.status) == (alice, "manual", "active")
    assert (list(ApiKey.objects.values()), list(User.objects.values())) == before


def test_the_same_submit_again_adds_nothing(alices_browser):
    sent = {**filled(alices_browser.get("/accounts/new")), **TYPED}
    first, again = (alices_browser.post("/accounts/new", sent) for _ in range(2))
    assert (first.status_code, first.url) == (again.status_code, again.url) == (302, "/accounts")
    assert Account.objects.count() == 1


def test_a_submit_is_the_same_however_its_values_are_written(alices_browser):
    sent = {**filled(alices_browser.get("/accounts/new")), **TYPED}
    alices_browser.post("/accounts/new", sent)
    otherwise = {"name": " Cash ", "currency": "usd", "current_balance": "12.5"}
    again = alices_browser.post("/accounts/new", {**sent, **otherwise})
    assert again.status_code == 302
    assert Account.objects.count() == 1


def test_the_same_form_with_other_details_asks_first_and_then_adds_another(alices_browser):
    sent = {**filled(alices_browser.get("/accounts/new")), **TYPED}
    alices_browser.post("/accounts/new", sent)
    asked = alices_browser.post("/accounts/new", {**sent, "name": "Purse"})
    assert asked.status_code == 409
    assert "has added an account before" in text(asked)
    assert Account.objects.count() == 1
    assert filled(asked)["name"] == "Purse"
    assert alices_browser.post("/accounts/new", filled(asked)).status_code == 302
    assert sorted(Account.objects.values_list("name", flat=True)) == ["Cash", "Purse"]


def test_a_late_repeat_undoes_no_later_edit(alices_browser):
    sent = {**filled(alices_browser.get("/accounts/new")), **TYPED}
    alices_browser.post("/accounts/new", sent)
    account = Account.objects.get()
    account.edit(name="Wallet")
    account.close()
    before = rows()
    assert alices_browser.post("/accounts/new", sent).status_code == 409
    assert rows() == before


def test_the_nonce_of_another_owner_neither_touches_nor_reveals_their_account(alices_browser, bobs_browser, bob):
    sent = {**filled(bobs_browser.get("/accounts/new")), **TYPED, "name": "Bob's secret hoard"}
    bobs_browser.post("/accounts/new", sent)
    before = Account.objects.values().get(owner=bob)
    stolen = alices_browser.post("/accounts/new", {**sent, "name": "Mine"})
    unused = alices_browser.post("/accounts/new", {**sent, "name": "Mine", "nonce": str(uuid.uuid4())})
    assert (stolen.status_code, stolen.url) == (unused.status_code, unused.url) == (302, "/accounts")
    assert Account.objects.values().get(owner=bob) == before
    assert "hoard" not in text(alices_browser.get("/accounts"))


def test_an_existing_id_as_nonce_touches_no_account(alices_browser, bobs_account, cash):
    before = rows()
    for taken in (bobs_account, cash):
        sent = {**filled(alices_browser.get("/accounts/new")), **TYPED, "nonce": str(taken.pk)}
        assert alices_browser.post("/accounts/new", sent).status_code == 302
    assert [row for row in rows() if row in before] == before
    assert Account.objects.count() == len(before) + 2


@pytest.mark.parametrize("changes", [{}, {"name": "Bob's secret hoard"}])
def test_a_repeat_after_the_account_was_moved_adds_nothing_and_tells_nothing(alices_browser, bob, changes):
    sent = {**filled(alices_browser.get("/accounts/new")), **TYPED}
    alices_browser.post("/accounts/new", sent)
    Account.objects.update(owner=bob, **changes)
    before = rows()
    answer = alices_browser.post("/accounts/new", sent)
    assert answer.status_code == 409
    assert "hoard" not in text(answer)
    assert rows() == before


@pytest.mark.parametrize("nonce", ["", "x", "\0", "\ud800"])
def test_a_form_without_a_good_nonce_is_shown_again_with_one(alices_browser, nonce):
    answer = alices_browser.post("/accounts/new", {**TYPED, "nonce": nonce.encode("utf-8", "replace").decode()})
    assert "This form was incomplete" in text(answer)
    assert not Account.objects.exists()
    assert alices_browser.post("/accounts/new", filled(answer)).status_code == 302
    assert Account.objects.get().name == "Cash"


def test_an_owner_who_is_deleted_meanwhile_adds_nothing(alice, alices_browser, monkeypatch):
    sent = {**filled(alices_browser.get("/accounts/new")), **TYPED}
    save = AddAccountForm.save
    monkeypatch.setattr(AddAccountForm, "save", lambda form, owner: User.objects.get().delete() and save(form, owner))
    assert alices_browser.post("/accounts/new", sent).url == "/login"
    assert not Account.objects.exists()


def test_T2_adding_locks_the_owner_first(alices_browser, django_assert_max_num_queries):
    sent = {**filled(alices_browser.get("/accounts/new")), **TYPED}
    with django_assert_max_num_queries(9) as queries:
        alices_browser.post("/accounts/new", sent)
    statements = [query["sql"] for query in queries]
    save = next(number for number, sql in enumerate(statements) if sql.startswith("SAVEPOINT"))
    assert 'FROM "accounts_app_user"' in statements[save + 1]


# What is refused


TEXTS = ("name", "mask", "type", "subtype", "institution_name")
REFUSED = [
    *[(field, "") for field in ("name", "type", "currency", "current_balance")],
    *[(field, " ") for field in ("name", "type", "currency", "current_balance")],
    *[(field, f"a{bad}b") for field in TEXTS for bad in "\0\x07\x1b\n\u2028"],
    ("name", "x" * 201),
    ("institution_name", "x" * 201),
    ("type", "x" * 51),
    ("subtype", "x" * 51),
    ("mask", "x" * 11),
    *[("currency", bad) for bad in ("US", "USDT", "ÜSD", "U D", "ßd", "12A", "US\0", "ｕｓｄ")],
    *[
        (field, bad)
        for field in ("current_balance", "available_balance")
        for bad in (
            *("x", "1,234", "12,34", "1.234,50", "1,23.50", "1 234", "$5", "5 USD", "1e5", "NaN", "Infinity", "--5"),
            *("٣", "0x1", "1_000", ".", "5.", "1,,234.50", "\0", "1\0", "9" * 16, "9" * 5000, "1.00001"),
            *("999999999999.9999", "99999999999999999", "-1234567890123456", "1,234.5.6", "1.5\n2"),
        )
    ],
]


@pytest.mark.parametrize(("field", "value"), REFUSED, ids=lambda value: repr(value)[:20])
def test_what_is_wrong_is_refused_at_its_field_and_what_was_typed_is_kept(alices_browser, cash, field, value):
    before = rows()
    for path in ("/accounts/new", edit_url(cash)):
        form = alices_browser.get(path)
        answer = alices_browser.post(path, {**filled(form), **TYPED, "name": "As typed", field: value})
        assert answer.status_code == 200
        assert list(answer.context["form"].errors) == [field]
        assert len(answer.context["form"].errors[field]) == 1
        assert 'class="errorlist"' in text(answer)
        assert field == "name" or filled(answer)["name"] == "As typed"
    assert rows() == before


@pytest.mark.parametrize("field", [*TEXTS, "currency", "current_balance"])
def test_half_of_a_surrogate_pair_is_refused_and_can_be_shown_again(alices_browser, cash, field):
    """No browser sends one. A client can, by a charset that has them."""
    for path in ("/accounts/new", edit_url(cash)):
        sent = {**filled(alices_browser.get(path)), **TYPED, field: r"a\ud800"}
        if path != "/accounts/new":
            sent[f"initial-{field}"] = r"b\udfff"
        parts = [f'--B\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in sent.items()]
        body = "".join([*parts, "--B--\r\n"]).encode()
        content_type = "multipart/form-data; boundary=B; charset=unicode_escape"
        answer = alices_browser.generic("POST", path, body, content_type=content_type)
        assert answer.status_code == 200
        assert field in answer.context["form"].errors
    assert not Account.objects.filter(name__contains="?").exists()


def test_the_page_refuses_what_cannot_be_stored_in_a_sentence():
    form = AccountForm({**TYPED, "name": "a\ud800", "subtype": "\0b"})
    sentence = ["This contains a control character or a line break. Type it without."]
    assert form.errors == {"name": sentence, "subtype": sentence}


@pytest.mark.parametrize("text", ["🏦 ¥ Ω", "عربي", "a\u200db", "x" * 200, "O'Hara & “Sons” <b>"])
def test_any_other_text_is_a_name(alices_browser, text):
    assert add(alices_browser, name=text).status_code == 302
    assert Account.objects.get().name == text


@pytest.mark.parametrize(
    ("typed", "amount"),
    [
        ("1234.50", "1234.5"),
        ("1,234.50", "1234.5"),
        ("−1,234.50", "-1234.5"),
        ("-20", "-20"),
        (" 7 ", "7"),
        ("0", "0"),
        ("1,234,567", "1234567"),
        ("999,999,999,999,999.0", "999999999999999"),
        ("99999999999.9999", "99999999999.9999"),
        ("0001", "1"),
    ],
)
def test_a_sum_may_have_commas_where_they_can_only_part_thousands(alices_browser, typed, amount):
    add(alices_browser, current_balance=typed, available_balance=typed)
    account = Account.objects.get()
    assert account.current_balance == account.available_balance == Decimal(amount)


def test_a_sum_with_one_comma_is_refused_with_the_form_to_use(alices_browser):
    page = text(add(alices_browser, current_balance="1,234"))
    assert "Write the sum in digits, with a point before the decimals, such as 1234.50, 1,234.50 or -20." in page


def test_the_fields_have_labels_help_and_suggestions(alices_browser):
    page = text(alices_browser.get("/accounts/new"))
    for label in ("Institution", "Name", "Last digits", "Type", "Subtype", "Currency", "Balance", "Available balance"):
        assert re.search(rf'<label for="[^"]+">{label}</label>', page)
    assert 'list="account-types"' in page
    assert '<datalist id="account-types">' in page
    assert "maxlength" not in page
    assert page.count('inputmode="decimal"') == 2


# Editing


def test_editing_saves_the_fields_of_the_form_and_nothing_else(alices_browser, cash):
    Account.objects.filter(pk=cash.pk).update(liability={"type": "credit"}, bank_connection_id=uuid.uuid4())
    before = Account.objects.values().get(pk=cash.pk)
    sent = {**filled(alices_browser.get(edit_url(cash))), "name": "Wallet", "provider": "plaid", "status": "closed"}
    assert told(alices_browser, alices_browser.post(edit_url(cash), sent)) == "“Wallet” is saved."
    assert Account.objects.values().get(pk=cash.pk) == {**before, "name": "Wallet"}


def test_a_changed_balance_is_as_of_now_and_an_unchanged_one_is_not(alices_browser, cash):
    sent = filled(alices_browser.get(edit_url(cash)))
    alices_browser.post(edit_url(cash), {**sent, "subtype": "coins"})
    assert Account.objects.get(pk=cash.pk).balance_as_of is None
    alices_browser.post(edit_url(cash), {**sent, "current_balance": "7"})
    account = Account.objects.get(pk=cash.pk)
    assert account.balance_as_of is not None
    assert (account.subtype, account.current_balance) == ("coins", 7)


def test_an_optional_field_can_be_emptied(alices_browser, cash):
    Account.objects.filter(pk=cash.pk).update(available_balance=5)
    sent = filled(alices_browser.get(edit_url(cash)))
    assert sent["available_balance"] == "5.00"
    alices_browser.post(edit_url(cash), {**sent, "available_balance": "", "institution_name": ""})
    account = Account.objects.get(pk=cash.pk)
    assert (account.available_balance, account.institution_name) == (None, "")


def test_saving_without_a_change_writes_nothing_and_says_so(alices_browser, cash):
    before = rows()
    sent = filled(alices_browser.get(edit_url(cash)))
    sent["current_balance"] = "100.250"
    assert told(alices_browser, alices_browser.post(edit_url(cash), sent)) == "Nothing was changed."
    assert rows() == before


def test_two_tabs_that_edit_different_fields_do_not_undo_one_another(alices_browser, cash):
    one, two = (filled(alices_browser.get(edit_url(cash))) for _ in range(2))
    alices_browser.post(edit_url(cash), {**one, "name": "Wallet", "available_balance": "3"})
    alices_browser.post(edit_url(cash), {**two, "current_balance": "42"})
    account = Account.objects.get(pk=cash.pk)
    assert (account.name, account.available_balance, account.current_balance) == ("Wallet", 3, 42)


def test_a_tab_that_was_refused_first_still_undoes_nothing(alices_browser, cash):
    stale = filled(alices_browser.get(edit_url(cash)))
    Account.objects.filter(pk=cash.pk).update(name="Wallet")
    refused = alices_browser.post(edit_url(cash), {**stale, "current_balance": "x"})
    alices_browser.post(edit_url(cash), {**filled(refused), "current_balance": "42"})
    account = Account.objects.get(pk=cash.pk)
    assert (account.name, account.current_balance) == ("Wallet", 42)


def test_a_caller_that_does_not_say_what_it_was_shown_is_compared_with_the_account(alices_browser, cash):
    alices_browser.post(edit_url(cash), {**TYPED, "current_balance": "100.25", "institution_name": ""})
    account = Account.objects.get(pk=cash.pk)
    assert (account.institution_name, account.mask, account.balance_as_of) == ("", "", None)


def test_a_disconnected_manual_account_can_be_edited(alices_browser, cash):
    Account.objects.filter(pk=cash.pk).update(status="disconnected")
    sent = {**filled(alices_browser.get(edit_url(cash))), "name": "Wallet"}
    assert alices_browser.post(edit_url(cash), sent).status_code == 302


def test_an_account_that_is_closed_while_its_form_is_open_is_not_changed_and_what_was_typed_stays(alices_browser, cash):
    sent = filled(alices_browser.get(edit_url(cash)))
    cash.close()
    before = rows()
    answer = alices_browser.post(edit_url(cash), {**sent, "name": "Typed for nothing"})
    assert answer.status_code == 409
    assert "This account is closed. A closed account cannot be changed. Nothing was saved." in text(answer)
    assert filled(answer)["name"] == "Typed for nothing"
    assert ">Save<" not in text(answer)
    assert BACK in text(answer)
    assert rows() == before


def test_an_account_that_is_closed_between_finding_and_saving_is_not_changed(alices_browser, cash, monkeypatch):
    """The row is read anew under its lock."""
    sent = filled(alices_browser.get(edit_url(cash)))
    now = Account.objects.get(pk=cash.pk)
    monkeypatch.setattr(EditAccountForm, "changes", lambda form: now.close() or {"name": "Wallet"})
    assert alices_browser.post(edit_url(cash), {**sent, "name": "Wallet"}).status_code == 409
    account = Account.objects.get(pk=cash.pk)
    assert (account.name, account.status) == ("Cash", "closed")


def test_an_account_that_is_moved_between_finding_and_saving_is_not_there(alices_browser, cash, bob, monkeypatch):
    sent = filled(alices_browser.get(edit_url(cash)))
    monkeypatch.setattr(EditAccountForm, "changes", lambda form: Account.objects.update(owner=bob) and {"name": "Mine"})
    assert alices_browser.post(edit_url(cash), {**sent, "name": "Mine"}).status_code == 404
    assert Account.objects.get(pk=cash.pk).name == "Cash"


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("page", [edit_url, close_url])
def test_an_account_that_its_bank_keeps_up_has_a_page_that_says_so(alices_browser, accounts, page, method):
    before = rows()
    answer = getattr(alices_browser, method)(page(accounts.checking), {**TYPED, "name": "x"})
    assert answer.status_code == 409
    assert "This account is kept up by its bank. Only manual accounts can be changed." in text(answer)
    assert BACK in text(answer)
    assert rows() == before


@pytest.mark.parametrize("page", [edit_url, close_url])
def test_a_closed_account_has_a_page_that_says_so(alices_browser, cash, page):
    cash.close()
    answer = alices_browser.get(page(cash))
    assert answer.status_code == 409
    assert "This account is closed. A closed account cannot be changed." in text(answer)
    assert BACK in text(answer)


# Closing


def test_closing_asks_first_and_says_what_it_means(alices_browser, cash):
    page = shown(alices_browser.get(close_url(cash)))
    assert "Close “ Cash ”?" in page
    assert "can still read it, as closed" in page
    assert "cannot be edited" in page
    assert "cannot be undone" in page
    assert Account.objects.get(pk=cash.pk).status == "active"


def test_a_closed_account_is_read_as_closed_by_the_keys_that_see_it(alices_browser, cash, unrestricted):
    before = Account.objects.values().get(pk=cash.pk)
    assert told(alices_browser, alices_browser.post(close_url(cash))) == "“Cash” is closed."
    after = Account.objects.values().get(pk=cash.pk)
    assert after == {**before, "status": "closed", "closed_at": after["closed_at"]}
    assert unrestricted.client.get(f"/v2/accounts/{cash.pk}").json()["account"]["status"] == "closed"
    assert f"{cash.label} (closed)" in text(alices_browser.get("/accounts"))


def test_closing_again_changes_nothing(alices_browser, cash):
    told(alices_browser, alices_browser.post(close_url(cash)))
    before = rows()
    assert told(alices_browser, alices_browser.post(close_url(cash))) == "“Cash” is closed."
    assert rows() == before


# What is not there


def without_token(response):
    return re.sub(rb'name="csrfmiddlewaretoken" value="\w+"', b"", response.content)


@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "options", "head"])
@pytest.mark.parametrize("page", [edit_url, close_url])
def test_the_account_of_somebody_else_a_missing_and_a_malformed_one_are_one_page(
    alice, alices_browser, bobs_account, page, method
):
    Account.objects.filter(pk=bobs_account.pk).update(provider="manual")
    before = rows()
    ids = [bobs_account.pk, uuid.uuid4(), "none", "0", "%00", "%F0%9F%8F%A6", f"{bobs_account.pk}x", "x" * 3000, "'--"]
    with time_machine.travel(timezone.now(), tick=False):  # Expires tells the second.
        answers = [getattr(alices_browser, method)(page(each), TYPED if method == "post" else None) for each in ids]
    assert (
        len({(each.status_code, without_token(each), str(sorted(answer_of(each)[2].items()))) for each in answers}) == 1
    )
    assert rows() == before
    if method in ("get", "post"):
        assert answers[0].status_code == 404
        assert "This account is not there" in text(answers[0])
        assert "may have been closed or moved" in text(answers[0])
        assert BACK in text(answers[0])


def test_somebody_elses_and_a_missing_account_cost_the_same_queries(
    alices_browser, bobs_account, django_assert_num_queries
):
    for pk in (bobs_account.pk, uuid.uuid4()):
        with django_assert_num_queries(3):  # session, user, account
            alices_browser.get(edit_url(pk))
        with django_assert_num_queries(3):
            alices_browser.post(edit_url(pk), TYPED)


def test_a_superuser_has_no_page_for_the_account_of_somebody_else(bobs_account):
    Account.objects.filter(pk=bobs_account.pk).update(provider="manual")
    browser = Client()
    browser.force_login(UserFactory(is_staff=True, is_superuser=True))
    assert browser.post(edit_url(bobs_account), TYPED).status_code == 404
    assert browser.post(close_url(bobs_account)).status_code == 404
    assert Account.objects.get(pk=bobs_account.pk).status == "active"


def test_an_account_that_moved_away_is_not_there_any_more(alices_browser, cash, bob):
    sent = filled(alices_browser.get(edit_url(cash)))
    Account.objects.filter(pk=cash.pk).update(owner=bob)
    assert alices_browser.post(edit_url(cash), {**sent, "name": "Mine"}).status_code == 404
    assert alices_browser.post(close_url(cash)).status_code == 404
    assert (Account.objects.get(pk=cash.pk).name, Account.objects.get(pk=cash.pk).status) == ("Cash", "active")


@pytest.mark.parametrize("path", ["/accounts/new", "edit", "close"])
def test_a_form_without_its_token_changes_nothing(alice, cash, path):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    before = rows()
    path = {"edit": edit_url(cash), "close": close_url(cash)}.get(path, path)
    assert browser.post(path, TYPED).status_code == 403
    assert rows() == before
