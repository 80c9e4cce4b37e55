"""Values that the form rejects."""

import re
from decimal import Decimal

import pytest

from accounts_app.forms import AccountForm
from accounts_app.models import Account
from tests.accounts_app.accounts_page.helpers import TYPED, add, edit_url, form_values, rows, text

pytestmark = pytest.mark.thorough

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
