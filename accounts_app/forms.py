"""Forms to add and edit manual accounts. The rules are those of the API."""

from __future__ import annotations

import re
import uuid
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts_app.models import Account, TooManyAccounts, User
from accounts_app.validators import MONEY_DECIMALS, validate_currency, validate_money, validate_single_line
from finta_keys.database import key_database

# A single comma is rejected: 1,234 is one thousand in some countries and a little over one in
# others.
AMOUNT = re.compile(r"-?([0-9]+(\.[0-9]+)?|[0-9]{1,3}(,[0-9]{3})+\.[0-9]+|[0-9]{1,3}(,[0-9]{3}){2,})")


class Utf8Widget(forms.Widget):
    """Replaces halves of surrogate pairs, which UTF-8 cannot encode, when it shows the value
    again."""

    def format_value(self, value: Any) -> Any:
        return value.encode("utf-8", "replace").decode() if isinstance(value, str) else super().format_value(value)


class TextInput(Utf8Widget, forms.TextInput):
    pass


class HiddenInput(Utf8Widget, forms.HiddenInput):
    pass


class LineField(forms.CharField):
    """One trimmed line of text with the maximum length of a column."""

    widget = TextInput
    hidden_widget = HiddenInput

    def __init__(self, column: str, **options: Any) -> None:
        super().__init__(**options)
        self.column_length = Account._meta.get_field(column).max_length or 0  # type: ignore[union-attr]  # it has one
        # Replaces Django's validators and max_length: they would report a NUL twice, and make
        # browsers truncate pasted text without a message.
        self.validators = [validate_single_line, self._check_length]

    def _check_length(self, text: str) -> None:
        if len(text) > self.column_length:
            raise ValidationError(f"This has {len(text)} characters. Shorten it to {self.column_length} at most.")


class CurrencyField(LineField):
    def __init__(self, **options: Any) -> None:
        super().__init__("currency", **options)
        self.validators = [validate_currency]

    def to_python(self, value: Any) -> str:
        text = str(super().to_python(value))
        return text.upper() if text.isascii() else text  # Other letters can become two.


class MoneyField(forms.Field):
    """An amount with a decimal point and optional thousands separators."""

    widget = TextInput
    hidden_widget = HiddenInput
    default_error_messages = {
        "invalid": "Enter an amount such as 1234.50, 1,234.50 or -20.",
        "decimals": f"Enter at most {MONEY_DECIMALS} decimals.",
    }
    default_validators = [validate_money]

    def to_python(self, value: Any) -> Decimal | None:
        text = (value or "").strip().replace("−", "-")
        if not text:
            return None
        if not AMOUNT.fullmatch(text):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        if len(text.partition(".")[2]) > MONEY_DECIMALS:
            raise ValidationError(self.error_messages["decimals"], code="decimals")
        return Decimal(text.replace(",", ""))

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, Decimal):
            return value
        integer, decimals = f"{value:.{MONEY_DECIMALS}f}".split(".")
        return f"{integer}.{decimals.rstrip('0'):0<2}"

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {"inputmode": "decimal"}


class AccountForm(forms.Form):
    """The fields of a manual account."""

    institution_name = LineField(
        "institution_name", label="Institution", required=False, help_text="The bank or company, if any."
    )
    name = LineField(
        "name",
        label="Name",
        help_text="For example Cash at home.",
        error_messages={"required": "Enter a name, such as Cash."},
    )
    mask = LineField("mask", label="Last digits", required=False, help_text="Of the account number.")
    type = LineField(
        "type",
        label="Type",
        help_text="Choose a suggestion, or type your own.",
        widget=TextInput(attrs={"list": "account-types"}),
        error_messages={"required": "Enter a type, such as depository or other."},
    )
    subtype = LineField(
        "subtype", label="Subtype", required=False, help_text="For example checking, savings or mortgage."
    )
    currency = CurrencyField(
        label="Currency",
        help_text="Three letters, such as USD.",
        widget=TextInput(attrs={"autocapitalize": "characters", "spellcheck": "false"}),
        error_messages={"required": "Enter a currency code of three letters, such as USD."},
    )
    current_balance = MoneyField(
        label="Balance",
        help_text="For example 1234.50, or -20 for a debt.",
        error_messages={"required": "Enter the balance. It can be 0."},
    )
    available_balance = MoneyField(
        label="Available balance",
        required=False,
        help_text="The amount that can be spent. Leave it empty if you do not know it.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        for field in self.fields.values():
            field.widget.attrs["autocomplete"] = "off"

    def values(self) -> dict[str, Any]:
        """Return the submitted values by column."""
        return {column: self.cleaned_data[column] for column in AccountForm.base_fields}


class AddAccountForm(AccountForm):
    """Adds one account, even if it is submitted twice.

    The account's id is derived from the owner and the form's nonce, so it cannot collide with an
    account of another owner.
    """

    nonce = forms.UUIDField(
        widget=HiddenInput,
        error_messages=dict.fromkeys(
            ("required", "invalid"), "This form was incomplete. Check it and click Add account again."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("nonce", uuid.uuid4())

    def clean(self) -> None:
        if "nonce" in self.errors:
            self._renew_nonce()

    def save(self, owner: User) -> Account | None:
        """Return the account, which this form may have added before with the same values.

        If it has added one with other values, or the owner has too many accounts, return None and
        add an error to the form. Raise ``User.DoesNotExist`` if the owner has been deleted.
        """
        pk = uuid.uuid5(owner.pk, self.cleaned_data["nonce"].hex)
        with transaction.atomic(using=key_database()):
            # Locks the owner first (T2). A second submission waits here, and then gets the account.
            User.objects.using(key_database()).select_for_update(no_key=True).get(pk=owner.pk)
            accounts = Account.objects.using(key_database())
            existing = accounts.filter(pk=pk).first()
            if existing is None:
                return self._create(accounts, id=pk, owner_id=owner.pk)
        is_same = all(getattr(existing, column) == value for column, value in self.values().items())
        if is_same and existing.owner_id == owner.pk:
            return existing
        self._renew_nonce()
        message = "You have already added an account with this form. Click Add account again to add another one."
        self.add_error(None, message)
        return None

    def _create(self, accounts: Any, **ids: Any) -> Account | None:
        try:
            account: Account = accounts.create_manual(**ids, **self.values())
        except TooManyAccounts as error:
            self.add_error(None, error)
            return None
        return account

    def _renew_nonce(self) -> None:
        """Show the form again with the submitted values and a new nonce."""
        data: Any = self.data
        self.data = data = data.copy()
        data[self.add_prefix("nonce")] = str(self.initial["nonce"])


class EditAccountForm(AccountForm):
    """Saves only the fields that the user changed, so two tabs do not undo each other's changes.

    For this, the form carries the values that it was shown with. If one of the changed fields has
    another value by now, nothing is saved, and the form says so. If the values are missing, the
    submitted ones are compared with the account.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.show_hidden_initial = not self.is_bound or self.add_initial_prefix(name) in self.data

    def changes(self) -> dict[str, Any]:
        """Return the changed values by column."""
        return {column: value for column, value in self.values().items() if column in self.changed_data}

    def save(self, account: Account, **changes: Any) -> None:
        """Save changes to a locked account, or add errors to the form and save nothing."""
        account.require_writable()
        conflicts = [column for column, value in changes.items() if self._has_conflict(account, column, value)]
        if not conflicts:
            return account.edit(**changes)
        self._show_current_values(account)
        for column in conflicts:
            current = self._shown_value(account, column)
            self.add_error(column, f"This is now {f'“{current}”' if current else 'empty'}. Save again to replace it.")
        self.add_error(
            None, "Nothing was saved. The account was changed after you opened this form. Check the marked fields."
        )
        return None

    def _has_conflict(self, account: Account, column: str, value: Any) -> bool:
        """Return True if the form was shown with another value than the current one, and would
        replace that."""
        field, name = self.fields[column], self.add_initial_prefix(column)
        current = self._shown_value(account, column)
        if name not in self.data or field.to_python(current) == value:
            return False
        try:
            return bool(field.to_python(self.data[name]) != field.to_python(current))
        except ValidationError:  # not a value that the form was shown with
            return True

    def _show_current_values(self, account: Account) -> None:
        """Keep the user's changes, and let the next submission replace the current values."""
        data: Any = self.data
        self.data = data = data.copy()
        for column in self.fields:
            data[self.add_initial_prefix(column)] = current = self._shown_value(account, column)
            if column not in self.changed_data:
                data[self.add_prefix(column)] = current

    def _shown_value(self, account: Account, column: str) -> str:
        """Return the text of a field that shows the account's value."""
        value = self.fields[column].prepare_value(getattr(account, column))
        return "" if value is None else str(value)
