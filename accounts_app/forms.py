"""The form of a manual account. It refuses what the API refuses, in sentences for a person who types."""

from __future__ import annotations

import re
import uuid
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts_app.models import Account, User
from accounts_app.validators import MONEY_DECIMALS, validate_currency, validate_money, validate_single_line
from finta_keys import conf

# One comma alone is refused: 1,234 is a thousand to some, and little more than one to others.
SUM = re.compile(r"-?([0-9]+(\.[0-9]+)?|[0-9]{1,3}(,[0-9]{3})+\.[0-9]+|[0-9]{1,3}(,[0-9]{3}){2,})")


class Printable(forms.Widget):
    """Shows what was typed again, as far as a page can hold it: half of a surrogate pair has no UTF-8."""

    def format_value(self, value: Any) -> Any:
        return value.encode("utf-8", "replace").decode() if isinstance(value, str) else super().format_value(value)


class LineInput(Printable, forms.TextInput):
    pass


class HiddenLine(Printable, forms.HiddenInput):
    pass


class Line(forms.CharField):
    """One line of text for a column of the account, trimmed."""

    widget = LineInput
    hidden_widget = HiddenLine

    def __init__(self, column: str, **options: Any) -> None:
        super().__init__(**options)
        self.limit = Account._meta.get_field(column).max_length or 0  # type: ignore[union-attr]  # it has one
        # In the place of Django's own: it would tell of a NUL twice, and have browsers cut pasted text off in silence.
        self.validators = [validate_single_line, self._check_length]

    def _check_length(self, text: str) -> None:
        if len(text) > self.limit:
            raise ValidationError(f"This has {len(text)} characters. Shorten it to {self.limit} at most.")


class CurrencyField(Line):
    def __init__(self, **options: Any) -> None:
        super().__init__("currency", **options)
        self.validators = [validate_currency]

    def to_python(self, value: Any) -> str:
        text = str(super().to_python(value))
        return text.upper() if text.isascii() else text  # Of others, one letter could become two.


class MoneyField(forms.Field):
    """A sum, typed with a point before its decimals and, if one likes, commas between its thousands."""

    widget = LineInput
    hidden_widget = HiddenLine
    default_error_messages = {
        "invalid": "Write the sum in digits, with a point before the decimals, such as 1234.50, 1,234.50 or -20.",
        "decimals": f"Give at most {MONEY_DECIMALS} decimals.",
    }
    default_validators = [validate_money]

    def to_python(self, value: Any) -> Decimal | None:
        text = (value or "").strip().replace("−", "-")
        if not text:
            return None
        if not SUM.fullmatch(text):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        if len(text.partition(".")[2]) > MONEY_DECIMALS:
            raise ValidationError(self.error_messages["decimals"], code="decimals")
        return Decimal(text.replace(",", ""))

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, Decimal):
            return value
        whole, decimals = f"{value:.{MONEY_DECIMALS}f}".split(".")
        return f"{whole}.{decimals.rstrip('0'):0<2}"

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {"inputmode": "decimal"}


class AccountForm(forms.Form):
    """What an owner can tell of a manual account."""

    institution_name = Line(
        "institution_name", label="Institution", required=False, help_text="The bank or company, if there is one."
    )
    name = Line("name", label="Name", error_messages={"required": "Give the account a name, such as Cash."})
    mask = Line("mask", label="Last digits", required=False, help_text="Of its number, to tell it from others.")
    type = Line(
        "type",
        label="Type",
        help_text="Choose a suggestion, or type your own.",
        widget=LineInput(attrs={"list": "account-types"}),
        error_messages={"required": "Give the account a type, such as depository or other."},
    )
    subtype = Line("subtype", label="Subtype", required=False, help_text="Such as checking, savings or mortgage.")
    currency = CurrencyField(
        label="Currency",
        help_text="Three letters, such as USD.",
        widget=LineInput(attrs={"autocapitalize": "characters", "spellcheck": "false"}),
        error_messages={"required": "Give a currency code of three letters, such as USD."},
    )
    current_balance = MoneyField(
        label="Balance",
        help_text="Such as 1234.50, or -20 for a debt.",
        error_messages={"required": "Give the balance: 0 if there is nothing."},
    )
    available_balance = MoneyField(
        label="Available balance",
        required=False,
        help_text="What can be spent of it. Leave it empty where that is unknown.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        for field in self.fields.values():
            field.widget.attrs["autocomplete"] = "off"

    def values(self) -> dict[str, Any]:
        """Return what was typed, by column."""
        return {column: self.cleaned_data[column] for column in AccountForm.base_fields}


class AddAccountForm(AccountForm):
    """Adds one account, however often it is sent: the account's id follows from the owner and the form's nonce, so
    that it can neither be added twice nor be anybody else's."""

    nonce = forms.UUIDField(
        widget=HiddenLine,
        error_messages=dict.fromkeys(
            ("required", "invalid"), "This form was incomplete. Check it and press Add account again."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("nonce", uuid.uuid4())

    def clean(self) -> None:
        if "nonce" in self.errors:
            self._renew()

    def save(self, owner: User) -> Account | None:
        """Return the account, added now or by the same form before. None, with an error on the form, where the form
        has added another one before. Raises ``User.DoesNotExist``."""
        pk = uuid.uuid5(owner.pk, self.cleaned_data["nonce"].hex)
        with transaction.atomic(using=conf.database()):
            # The owner's row first (T2): a repeated submit waits here, and then finds the account.
            User.objects.using(conf.database()).select_for_update(no_key=True).get(pk=owner.pk)
            accounts = Account.objects.using(conf.database())
            added = accounts.filter(pk=pk).first()
            if added is None:
                return accounts.create_manual(id=pk, owner_id=owner.pk, **self.values())
        if added.owner_id == owner.pk and all(getattr(added, each) == typed for each, typed in self.values().items()):
            return added
        self._renew()
        message = "This form has added an account before, with other details. Press Add account to add another one."
        self.add_error(None, message)
        return None

    def _renew(self) -> None:
        """Have the form shown again with a nonce that is good, and what was typed."""
        typed: Any = self.data
        self.data = typed = typed.copy()
        typed[self.add_prefix("nonce")] = str(self.initial["nonce"])


class EditAccountForm(AccountForm):
    """Tells which fields were changed since it was shown, so that two tabs do not undo one another.

    For that it carries the values that it was shown with. A caller that sends none is compared with the account.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.show_hidden_initial = not self.is_bound or self.add_initial_prefix(name) in self.data

    def changes(self) -> dict[str, Any]:
        """Return what was changed, by column."""
        return {column: value for column, value in self.values().items() if column in self.changed_data}
