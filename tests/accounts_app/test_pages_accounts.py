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


def main_text(response):
    """Return the text of a page in one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", text(response).split("<main", 1)[1]).split())


def form_values(response):
    """Return the form's values as a browser would submit them."""
    main = text(response).split("<main", 1)[1]
    tags = [dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in re.findall(r"<input [^>]*>", main)]
    return {tag["name"]: tag.get("value", "") for tag in tags}


def add(browser, **values):
    return browser.post("/accounts/new", {**form_values(browser.get("/accounts/new")), **TYPED, **values})


def flash_message(browser, response):
    """Follow a redirect to Accounts and return its messages."""
    assert (response.status_code, response.url) == (302, "/accounts")
    page = text(browser.get(response.url))
    messages = re.search(r'<ul class="finta-messages"[^>]*>(.*?)</ul>', page, re.DOTALL).group(1)
    return " ".join(re.sub(r"<[^>]*>", " ", messages).split()).replace("&quot;", '"')


def rows():
    return list(Account.objects.order_by("pk").values())


# Labels


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({}, "Savings ··0002"),
        ({"mask": ""}, "Savings"),
        ({"status": "closed"}, "Savings ··0002 (closed)"),
        ({"status": "disconnected", "mask": ""}, "Savings (disconnected)"),
    ],
)
def test_account_label(fields, label):
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
def test_money_filter(amount, words):
    assert money(Decimal(amount)) == words


# The list


@pytest.mark.parametrize("path", ["/accounts", "/accounts/new", "/accounts/1/edit", "/accounts/1/close"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_pages_need_sign_in(db, path, method):
    assert getattr(Client(), method)(path).url == f"/login?next={path}"


@pytest.mark.rule("K6")
def test_pages_reject_keys(unrestricted, cash):
    before = rows()
    for path in ("/accounts", "/accounts/new", edit_url(cash), close_url(cash)):
        assert unrestricted.client.get(path).status_code == 302
        assert unrestricted.client.post(path, TYPED).status_code == 302
    assert rows() == before


def test_pages_are_not_cached(alices_browser, cash, accounts):
    for path in ("/accounts", "/accounts/new", edit_url(cash), edit_url(accounts.checking), edit_url("none")):
        assert "no-store" in alices_browser.get(path)["Cache-Control"]


def test_accounts_are_grouped_by_institution(alice, alices_browser):
    for institution, name in (("Zeta Bank", "Loan"), ("", "Cash"), ("Alpha Bank", "A"), ("Zeta Bank", "Card")):
        AccountFactory(owner=alice, institution_name=institution, name=name, mask="")
    page = text(alices_browser.get("/accounts"))
    assert re.findall(r"<h2><bdi>(.*?)</bdi></h2>", page) == ["Alpha Bank", "Zeta Bank", "Other accounts"]
    assert re.findall(r'<th scope="row"><bdi>(.*?)</bdi></th>', page) == ["A", "Card", "Loan", "Cash"]
    assert page.count('<caption class="finta-visually-hidden">') == page.count("<table") == 3


def test_row_shows_balance_type_and_status(alice, alices_browser):
    AccountFactory(
        owner=alice, name="Card", mask="0007", current_balance=Decimal("-1234.5"), available_balance=Decimal("8.7654")
    )
    words = main_text(alices_browser.get("/accounts"))
    assert "Card ··0007 depository, checking −1,234.50 USD 8.7654 available Active" in words


def test_zero_available_balance_is_shown(alice, alices_browser):
    account = AccountFactory(owner=alice)
    assert "available" not in main_text(alices_browser.get("/accounts"))
    Account.objects.filter(pk=account.pk).update(available_balance=0)
    assert "0.00 available" in main_text(alices_browser.get("/accounts"))


def test_row_shows_keys_with_access(alice, alices_browser, restricted, unrestricted, bobs_account):
    page = text(alices_browser.get("/accounts"))
    row = {name: page.split(f'<th scope="row"><bdi>{name}')[1].split("</tr>")[0] for name in ("Checking", "Savings")}
    everywhere = f'<a data-dialog href="/settings/api/keys/{unrestricted.key.pk}/edit-scope"'
    assert all(everywhere in value for value in row.values())
    assert f"/keys/{restricted.key.pk}/edit-scope" in row["Checking"]
    assert 'aria-label="Edit scope of Restricted"' in row["Checking"]
    assert "Restricted" not in row["Savings"]
    assert "Bob" not in page


def test_row_without_keys(alices_browser, restricted):
    assert main_text(alices_browser.get("/accounts")).count("No key") == 2


def test_many_keys_link_to_search(alice, alices_browser):
    account = AccountFactory(owner=alice)
    for number in range(5):
        make_key(alice, f"Key {number}")
    assert "?q=" not in text(alices_browser.get("/accounts"))
    make_key(alice, "Key 5")
    assert f'href="/settings/api?q={quote(str(account))}">6 keys' in text(alices_browser.get("/accounts"))


def test_old_owners_keys_are_not_shown(alice, bob, bobs_browser, accounts, restricted):
    """The transferred account is still in the scope of the old owner's key."""
    Account.objects.filter(pk=accounts.checking.pk).update(owner=bob)
    assert "Restricted" not in text(bobs_browser.get("/accounts"))
    assert "No key" in text(bobs_browser.get("/accounts"))


def test_names_are_escaped(alice, alices_browser):
    AccountFactory(owner=alice, institution_name="<b>Bank</b>", name="<script>", type="<i>")
    make_key(alice, '"><script>')
    page = text(alices_browser.get("/accounts"))
    assert "<b>Bank" not in page
    assert "<i>" not in page
    assert page.count("<script>") == 0


def test_only_writable_accounts_have_actions(alice, alices_browser, accounts):
    closed = AccountFactory(owner=alice, provider="manual", name="Old")
    closed.close()
    page = text(alices_browser.get("/accounts"))
    assert re.findall(r'href="(/accounts/[^"]*/edit)"', page) == [edit_url(accounts.cash)]
    assert re.findall(r'href="(/accounts/[^"]*/close)"', page) == [close_url(accounts.cash)]
    assert f'aria-label="Edit {accounts.cash.label}"' in page
    assert f'aria-label="Close {accounts.cash.label}"' in page


def test_empty_page_explains_manual_accounts(alices_browser):
    page = text(alices_browser.get("/accounts"))
    assert "No accounts yet" in page
    assert "such as cash" in page
    assert page.count('<a class="finta-button" data-dialog href="/accounts/new">Add account</a>') == 1


def test_storage_mode_warning(alice, alices_browser, accounts):
    assert "refused" not in text(alices_browser.get("/accounts"))
    make_key(alice)
    assert "refused" not in text(alices_browser.get("/accounts"))
    storage_mode.switch_off(alice)
    page = text(alices_browser.get("/accounts"))
    assert '<p class="finta-note finta-warning">' in page
    assert '<a href="/settings/data">Data settings</a>' in page


def test_accounts_queries_are_constant(alice, alices_browser, accounts, django_assert_num_queries):
    make_key(alice, "One", [accounts.checking])
    with django_assert_num_queries(5):  # session, user, keys, accounts, their keys
        alices_browser.get("/accounts")
    for number, account in enumerate(AccountFactory.create_batch(50, owner=alice)):
        make_key(alice, f"Key {number}", [account] if number % 2 else None)
    with django_assert_num_queries(5):
        alices_browser.get("/accounts")


@pytest.mark.parametrize("path", ["/accounts", "/accounts/new", "edit", "close", "none", "bank"])
def test_heading_levels(alices_browser, accounts, path):
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
def test_add_account_with_all_fields(alice, alices_browser):
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


def test_optional_fields_can_be_empty(alices_browser):
    assert add(alices_browser).status_code == 302
    assert Account.objects.get().available_balance is None


def test_message_lists_keys_with_access(alice, alices_browser, restricted):
    make_key(alice, "Laptop")
    response = add(alices_browser)
    assert (
        flash_message(alices_browser, response)
        == "Added “Cash”. Keys that can access it: Laptop (it shares all accounts)."
    )
    make_key(alice, "Production")
    response = add(alices_browser, name="Purse")
    message = flash_message(alices_browser, response)
    assert message == "Added “Purse”. Keys that can access it: Production, Laptop (they share all accounts)."


def test_message_lists_at_most_five_keys(alice, alices_browser):
    for number in range(8):
        make_key(alice, f"Key {number}")
    message = flash_message(alices_browser, add(alices_browser))
    assert "Key 7, Key 6, Key 5, Key 4, Key 3 and 3 more (they share all accounts)." in message


def test_message_without_keys(alice, alices_browser, bob):
    make_key(bob)
    assert (
        flash_message(alices_browser, add(alices_browser))
        == "Added “Cash”. No key can access it yet. Create a key to share it."
    )
    make_key(alice, "Restricted", [Account.objects.get()])
    message = flash_message(alices_browser, add(alices_browser))
    assert message == "Added “Cash”. No key can access it yet. Edit the scope of a key to share it."


@pytest.mark.rule("S3")
def test_added_account_is_visible_to_unrestricted_keys(alices_browser, restricted, unrestricted):
    add(alices_browser, name="Brand new")
    assert "Brand new" not in restricted.client.get("/v2/accounts").content.decode()
    assert "Brand new" in unrestricted.client.get("/v2/accounts").content.decode()


def test_adding_changes_no_owner_or_key(alice, alices_browser, restricted):
    before = list(ApiKey.objects.values()), list(User.objects.values())
    made_up = str(uuid.uuid4())
    add(alices_browser, owner="bob", owner_id=made_up, provider="plaid", status="closed", id=made_up)
    account = Account.objects.get(name="Cash", institution_name="")
    assert (account.owner, account.provider, account.status) == (alice, "manual", "active")
    assert (list(ApiKey.objects.values()), list(User.objects.values())) == before


def test_repeated_submission_adds_nothing(alices_browser):
    sent = {**form_values(alices_browser.get("/accounts/new")), **TYPED}
    first, again = (alices_browser.post("/accounts/new", sent) for _ in range(2))
    assert (first.status_code, first.url) == (again.status_code, again.url) == (302, "/accounts")
    assert Account.objects.count() == 1


def test_equal_values_count_as_repeated(alices_browser):
    sent = {**form_values(alices_browser.get("/accounts/new")), **TYPED}
    alices_browser.post("/accounts/new", sent)
    otherwise = {"name": " Cash ", "currency": "usd", "current_balance": "12.5"}
    again = alices_browser.post("/accounts/new", {**sent, **otherwise})
    assert again.status_code == 302
    assert Account.objects.count() == 1


def test_changed_resubmission_asks_first(alices_browser):
    sent = {**form_values(alices_browser.get("/accounts/new")), **TYPED}
    alices_browser.post("/accounts/new", sent)
    page = alices_browser.post("/accounts/new", {**sent, "name": "Purse"})
    assert page.status_code == 409
    assert "You have already added an account" in text(page)
    assert Account.objects.count() == 1
    assert form_values(page)["name"] == "Purse"
    assert alices_browser.post("/accounts/new", form_values(page)).status_code == 302
    assert sorted(Account.objects.values_list("name", flat=True)) == ["Cash", "Purse"]


def test_late_resubmission_keeps_later_edit(alices_browser):
    sent = {**form_values(alices_browser.get("/accounts/new")), **TYPED}
    alices_browser.post("/accounts/new", sent)
    account = Account.objects.get()
    account.edit(name="Wallet")
    account.close()
    before = rows()
    assert alices_browser.post("/accounts/new", sent).status_code == 409
    assert rows() == before


def test_nonce_of_other_owner_is_harmless(alices_browser, bobs_browser, bob):
    sent = {**form_values(bobs_browser.get("/accounts/new")), **TYPED, "name": "Bob's secret hoard"}
    bobs_browser.post("/accounts/new", sent)
    before = Account.objects.values().get(owner=bob)
    stolen = alices_browser.post("/accounts/new", {**sent, "name": "Mine"})
    unused = alices_browser.post("/accounts/new", {**sent, "name": "Mine", "nonce": str(uuid.uuid4())})
    assert (stolen.status_code, stolen.url) == (unused.status_code, unused.url) == (302, "/accounts")
    assert Account.objects.values().get(owner=bob) == before
    assert "hoard" not in text(alices_browser.get("/accounts"))


def test_account_id_as_nonce_is_harmless(alices_browser, bobs_account, cash):
    before = rows()
    for response in (bobs_account, cash):
        sent = {**form_values(alices_browser.get("/accounts/new")), **TYPED, "nonce": str(response.pk)}
        assert alices_browser.post("/accounts/new", sent).status_code == 302
    assert [row for row in rows() if row in before] == before
    assert Account.objects.count() == len(before) + 2


@pytest.mark.parametrize("changes", [{}, {"name": "Bob's secret hoard"}])
def test_resubmission_after_transfer_reveals_nothing(alices_browser, bob, changes):
    sent = {**form_values(alices_browser.get("/accounts/new")), **TYPED}
    alices_browser.post("/accounts/new", sent)
    Account.objects.update(owner=bob, **changes)
    before = rows()
    response = alices_browser.post("/accounts/new", sent)
    assert response.status_code == 409
    assert "hoard" not in text(response)
    assert rows() == before


@pytest.mark.parametrize("nonce", ["", "x", "\0", "\ud800"])
def test_invalid_nonce_is_replaced(alices_browser, nonce):
    response = alices_browser.post("/accounts/new", {**TYPED, "nonce": nonce.encode("utf-8", "replace").decode()})
    assert "This form was incomplete" in text(response)
    assert not Account.objects.exists()
    assert alices_browser.post("/accounts/new", form_values(response)).status_code == 302
    assert Account.objects.get().name == "Cash"


def test_deleted_owner_adds_nothing(alice, alices_browser, monkeypatch):
    sent = {**form_values(alices_browser.get("/accounts/new")), **TYPED}
    save = AddAccountForm.save
    monkeypatch.setattr(AddAccountForm, "save", lambda form, owner: User.objects.get().delete() and save(form, owner))
    assert alices_browser.post("/accounts/new", sent).url == "/login"
    assert not Account.objects.exists()


@pytest.mark.rule("T2")
def test_add_locks_the_owner_first(alices_browser, django_assert_max_num_queries):
    sent = {**form_values(alices_browser.get("/accounts/new")), **TYPED}
    with django_assert_max_num_queries(9) as queries:
        alices_browser.post("/accounts/new", sent)
    statements = [query["sql"] for query in queries]
    save = next(number for number, sql in enumerate(statements) if sql.startswith("SAVEPOINT"))
    assert 'FROM "accounts_app_user"' in statements[save + 1]


# Invalid values


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
def test_invalid_values_are_field_errors(alices_browser, cash, field, value):
    before = rows()
    for path in ("/accounts/new", edit_url(cash)):
        form = alices_browser.get(path)
        response = alices_browser.post(path, {**form_values(form), **TYPED, "name": "As typed", field: value})
        assert response.status_code == 200
        assert list(response.context["form"].errors) == [field]
        assert len(response.context["form"].errors[field]) == 1
        assert 'class="errorlist"' in text(response)
        assert field == "name" or form_values(response)["name"] == "As typed"
    assert rows() == before


@pytest.mark.parametrize("field", [*TEXTS, "currency", "current_balance"])
def test_surrogate_is_rejected_and_shown(alices_browser, cash, field):
    """Browsers send none, but clients can, with a charset that contains them."""
    for path in ("/accounts/new", edit_url(cash)):
        sent = {**form_values(alices_browser.get(path)), **TYPED, field: r"a\ud800"}
        if path != "/accounts/new":
            sent[f"initial-{field}"] = r"b\udfff"
        parts = [f'--B\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in sent.items()]
        body = "".join([*parts, "--B--\r\n"]).encode()
        content_type = "multipart/form-data; boundary=B; charset=unicode_escape"
        response = alices_browser.generic("POST", path, body, content_type=content_type)
        assert response.status_code == 200
        assert field in response.context["form"].errors
    assert not Account.objects.filter(name__contains="?").exists()


def test_unstorable_text_is_rejected():
    form = AccountForm({**TYPED, "name": "a\ud800", "subtype": "\0b"})
    sentence = ["This contains a control character, a line break or a text direction mark. Remove it."]
    assert form.errors == {"name": sentence, "subtype": sentence}


@pytest.mark.parametrize("text", ["🏦 ¥ Ω", "عربي", "a\u200db", "x" * 200, "O'Hara & “Sons” <b>"])
def test_other_text_is_accepted(alices_browser, text):
    assert add(alices_browser, name=text).status_code == 302
    assert Account.objects.get().name == text


@pytest.mark.parametrize(
    ("values", "amount"),
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
def test_amount_accepts_thousands_separators(alices_browser, values, amount):
    add(alices_browser, current_balance=values, available_balance=values)
    account = Account.objects.get()
    assert account.current_balance == account.available_balance == Decimal(amount)


def test_amount_rejects_single_comma(alices_browser):
    page = text(add(alices_browser, current_balance="1,234"))
    assert "Enter an amount such as 1234.50, 1,234.50 or -20." in page


def test_form_labels_and_suggestions(alices_browser):
    page = text(alices_browser.get("/accounts/new"))
    for label in ("Institution", "Name", "Last digits", "Type", "Subtype", "Currency", "Balance", "Available balance"):
        assert re.search(rf'<label for="[^"]+">{label}</label>', page)
    assert 'list="account-types"' in page
    assert '<datalist id="account-types">' in page
    assert "maxlength" not in page
    assert page.count('inputmode="decimal"') == 2


# Editing


def test_edit_saves_only_form_fields(alices_browser, cash):
    Account.objects.filter(pk=cash.pk).update(liability={"type": "credit"}, bank_connection_id=uuid.uuid4())
    before = Account.objects.values().get(pk=cash.pk)
    sent = {
        **form_values(alices_browser.get(edit_url(cash))),
        "name": "Wallet",
        "provider": "plaid",
        "status": "closed",
    }
    assert flash_message(alices_browser, alices_browser.post(edit_url(cash), sent)) == "Saved “Wallet”."
    assert Account.objects.values().get(pk=cash.pk) == {**before, "name": "Wallet"}


def test_changed_balance_updates_its_date(alices_browser, cash):
    sent = form_values(alices_browser.get(edit_url(cash)))
    alices_browser.post(edit_url(cash), {**sent, "subtype": "coins"})
    assert Account.objects.get(pk=cash.pk).balance_as_of is None
    alices_browser.post(edit_url(cash), {**sent, "current_balance": "7"})
    account = Account.objects.get(pk=cash.pk)
    assert account.balance_as_of is not None
    assert (account.subtype, account.current_balance) == ("coins", 7)


def test_edit_clears_optional_field(alices_browser, cash):
    Account.objects.filter(pk=cash.pk).update(available_balance=5)
    sent = form_values(alices_browser.get(edit_url(cash)))
    assert sent["available_balance"] == "5.00"
    alices_browser.post(edit_url(cash), {**sent, "available_balance": "", "institution_name": ""})
    account = Account.objects.get(pk=cash.pk)
    assert (account.available_balance, account.institution_name) == (None, "")


def test_unchanged_form_saves_nothing(alices_browser, cash):
    before = rows()
    sent = form_values(alices_browser.get(edit_url(cash)))
    sent["current_balance"] = "100.250"
    assert flash_message(alices_browser, alices_browser.post(edit_url(cash), sent)) == "Nothing was changed."
    assert rows() == before


def test_two_tabs_keep_each_others_changes(alices_browser, cash):
    one, two = (form_values(alices_browser.get(edit_url(cash))) for _ in range(2))
    alices_browser.post(edit_url(cash), {**one, "name": "Wallet", "available_balance": "3"})
    alices_browser.post(edit_url(cash), {**two, "current_balance": "42"})
    account = Account.objects.get(pk=cash.pk)
    assert (account.name, account.available_balance, account.current_balance) == ("Wallet", 3, 42)


def test_corrected_tab_keeps_other_changes(alices_browser, cash):
    stale = form_values(alices_browser.get(edit_url(cash)))
    Account.objects.filter(pk=cash.pk).update(name="Wallet")
    refused = alices_browser.post(edit_url(cash), {**stale, "current_balance": "x"})
    alices_browser.post(edit_url(cash), {**form_values(refused), "current_balance": "42"})
    account = Account.objects.get(pk=cash.pk)
    assert (account.name, account.current_balance) == ("Wallet", 42)


def test_form_without_initial_values_is_compared(alices_browser, cash):
    alices_browser.post(edit_url(cash), {**TYPED, "current_balance": "100.25", "institution_name": ""})
    account = Account.objects.get(pk=cash.pk)
    assert (account.institution_name, account.mask, account.balance_as_of) == ("", "", None)


def test_disconnected_manual_account_is_writable(alices_browser, cash):
    Account.objects.filter(pk=cash.pk).update(status="disconnected")
    sent = {**form_values(alices_browser.get(edit_url(cash))), "name": "Wallet"}
    assert alices_browser.post(edit_url(cash), sent).status_code == 302


def test_edit_of_closed_account_shows_values(alices_browser, cash):
    sent = form_values(alices_browser.get(edit_url(cash)))
    cash.close()
    before = rows()
    response = alices_browser.post(edit_url(cash), {**sent, "name": "Typed for nothing"})
    assert response.status_code == 409
    assert "This account is closed. Closed accounts cannot be changed. Nothing was saved." in text(response)
    assert form_values(response)["name"] == "Typed for nothing"
    assert ">Save<" not in text(response)
    assert BACK in text(response)
    assert rows() == before


def test_concurrent_close_wins(alices_browser, cash, monkeypatch):
    """The row is loaded again under a lock."""
    sent = form_values(alices_browser.get(edit_url(cash)))
    now = Account.objects.get(pk=cash.pk)
    monkeypatch.setattr(EditAccountForm, "changes", lambda form: now.close() or {"name": "Wallet"})
    assert alices_browser.post(edit_url(cash), {**sent, "name": "Wallet"}).status_code == 409
    account = Account.objects.get(pk=cash.pk)
    assert (account.name, account.status) == ("Cash", "closed")


def test_concurrent_transfer_wins(alices_browser, cash, bob, monkeypatch):
    sent = form_values(alices_browser.get(edit_url(cash)))
    monkeypatch.setattr(EditAccountForm, "changes", lambda form: Account.objects.update(owner=bob) and {"name": "Mine"})
    assert alices_browser.post(edit_url(cash), {**sent, "name": "Mine"}).status_code == 404
    assert Account.objects.get(pk=cash.pk).name == "Cash"


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("page", [edit_url, close_url])
def test_synced_account_page(alices_browser, accounts, page, method):
    before = rows()
    response = getattr(alices_browser, method)(page(accounts.checking), {**TYPED, "name": "x"})
    assert response.status_code == 409
    assert "This account is synced from your bank. Only manual accounts can be changed." in text(response)
    assert BACK in text(response)
    assert rows() == before


@pytest.mark.parametrize("page", [edit_url, close_url])
def test_closed_account_page(alices_browser, cash, page):
    cash.close()
    response = alices_browser.get(page(cash))
    assert response.status_code == 409
    assert "This account is closed. Closed accounts cannot be changed." in text(response)
    assert BACK in text(response)


# Closing


def test_close_asks_for_confirmation(alices_browser, cash):
    page = main_text(alices_browser.get(close_url(cash)))
    assert "Close “ Cash ”?" in page
    assert "can still read it" in page
    assert "can no longer edit it" in page
    assert "cannot be undone" in page
    assert Account.objects.get(pk=cash.pk).status == "active"


def test_keys_can_read_closed_account(alices_browser, cash, unrestricted):
    before = Account.objects.values().get(pk=cash.pk)
    assert flash_message(alices_browser, alices_browser.post(close_url(cash))) == "Closed “Cash”."
    after = Account.objects.values().get(pk=cash.pk)
    assert after == {**before, "status": "closed", "closed_at": after["closed_at"]}
    assert unrestricted.client.get(f"/v2/accounts/{cash.pk}").json()["account"]["status"] == "closed"
    assert f"{cash.label} (closed)" in text(alices_browser.get("/accounts"))


def test_repeated_close_changes_nothing(alices_browser, cash):
    flash_message(alices_browser, alices_browser.post(close_url(cash)))
    before = rows()
    assert flash_message(alices_browser, alices_browser.post(close_url(cash))) == "Closed “Cash”."
    assert rows() == before


# Missing accounts


def without_token(response):
    return re.sub(rb'name="csrfmiddlewaretoken" value="\w+"', b"", response.content)


@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "options", "head"])
@pytest.mark.parametrize("page", [edit_url, close_url])
def test_foreign_missing_and_malformed_look_alike(alice, alices_browser, bobs_account, page, method):
    Account.objects.filter(pk=bobs_account.pk).update(provider="manual")
    before = rows()
    ids = [bobs_account.pk, uuid.uuid4(), "none", "0", "%00", "%F0%9F%8F%A6", f"{bobs_account.pk}x", "x" * 3000, "'--"]
    with time_machine.travel(timezone.now(), tick=False):  # The Expires header contains the second.
        responses = [getattr(alices_browser, method)(page(pk), TYPED if method == "post" else None) for pk in ids]
    assert (
        len(
            {
                (response.status_code, without_token(response), str(sorted(answer_of(response)[2].items())))
                for response in responses
            }
        )
        == 1
    )
    assert rows() == before
    if method in ("get", "post"):
        assert responses[0].status_code == 404
        assert "Account not found" in text(responses[0])
        assert "may have been deleted, or moved" in text(responses[0])
        assert BACK in text(responses[0])


def test_foreign_and_missing_cost_same_queries(alices_browser, bobs_account, django_assert_num_queries):
    for pk in (bobs_account.pk, uuid.uuid4()):
        with django_assert_num_queries(3):  # session, user, account
            alices_browser.get(edit_url(pk))
        with django_assert_num_queries(3):
            alices_browser.post(edit_url(pk), TYPED)


def test_superuser_cannot_open_foreign_account(bobs_account):
    Account.objects.filter(pk=bobs_account.pk).update(provider="manual")
    browser = Client()
    browser.force_login(UserFactory(is_staff=True, is_superuser=True))
    assert browser.post(edit_url(bobs_account), TYPED).status_code == 404
    assert browser.post(close_url(bobs_account)).status_code == 404
    assert Account.objects.get(pk=bobs_account.pk).status == "active"


def test_transferred_account_is_not_found(alices_browser, cash, bob):
    sent = form_values(alices_browser.get(edit_url(cash)))
    Account.objects.filter(pk=cash.pk).update(owner=bob)
    assert alices_browser.post(edit_url(cash), {**sent, "name": "Mine"}).status_code == 404
    assert alices_browser.post(close_url(cash)).status_code == 404
    assert (Account.objects.get(pk=cash.pk).name, Account.objects.get(pk=cash.pk).status) == ("Cash", "active")


@pytest.mark.parametrize("path", ["/accounts/new", "edit", "close"])
def test_forms_need_csrf_token(alice, cash, path):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    before = rows()
    path = {"edit": edit_url(cash), "close": close_url(cash)}.get(path, path)
    assert browser.post(path, TYPED).status_code == 403
    assert rows() == before
