"""The fields of Create Key and Edit scope for the permission and the expiry date."""

from __future__ import annotations

from datetime import date, timedelta
from types import EllipsisType
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from finta_keys import conf, expiry
from finta_keys.models import ApiKey

PRESETS = (30, 90, 365)  # days
KEEP, NEVER, ON_DATE = "keep", "never", "date"


class PermissionFields(forms.Form):
    """*Permission* and *Expires*. A field that is not submitted, for example because a template of
    the project lacks it, changes nothing."""

    permission = forms.ChoiceField(
        label=gettext_lazy("Permission"),
        required=False,
        choices=[("read_write", gettext_lazy("Read and write")), ("read_only", gettext_lazy("Read only"))],
        initial="read_write",
        widget=forms.RadioSelect,
    )
    expires_at = forms.ChoiceField(label=gettext_lazy("Expires"), required=False)  # the model's name, for its errors
    expires_on = forms.DateField(
        label=capfirst(gettext_lazy("expiry date")),
        required=False,
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
    )

    key: ApiKey | None = None  # the key that is edited

    def set_expiry_choices(self) -> None:
        """Offer the expiry dates that are possible now. The first one is selected."""
        cast(forms.ChoiceField, self.fields["expires_at"]).choices = list(self._expiry_choices())
        last = expiry.latest()
        self.fields["expires_on"].widget.attrs |= {"min": str(expiry.today() + timedelta(days=1))}
        if last is not None:
            self.fields["expires_on"].widget.attrs["max"] = str(expiry.day_of(last))

    def _expiry_choices(self) -> list[tuple[str, Any]]:
        longest = conf.max_age()
        if self.key is None:
            kept = []
        elif self.key.expires_at is None:
            kept = [(KEEP, _("Never"))]
        else:
            kept = [(KEEP, _("On %(day)s") % {"day": _day(expiry.day_of(self.key.expires_at))})]
        may_never_expire = longest is None and not (self.key and self.key.expires_at is None)
        return [
            *kept,
            *([(NEVER, _("Never"))] if may_never_expire else []),
            *(
                (f"{days}", _("In %(days)s days") % {"days": days})
                for days in PRESETS
                if longest is None or days <= longest.days
            ),
            (ON_DATE, _("On a date")),
        ]

    def changes(self) -> list[str]:
        """Describe the changes that the form would make to the permission and the expiry date of
        ``key``."""
        key = cast(ApiKey, self.key)
        read_only, day = self.read_only(), self.expiry_date()
        described = []
        if read_only is not ... and read_only != key.read_only:
            described.append(_("Read only") if read_only else _("Read and write"))
        if day is None and key.expires_at is not None:
            described.append(_("Never expires"))
        elif isinstance(day, date) and (key.expires_at is None or expiry.day_of(key.expires_at) != day):
            described.append(_("Expires on %(day)s") % {"day": _day(day)})
        return described

    def clean_expires_on(self) -> date | None:
        day: date | None = self.cleaned_data["expires_on"]
        if day is None and self.cleaned_data.get("expires_at") == ON_DATE:
            raise ValidationError(_("Choose a date."))
        return day

    def read_only(self) -> bool | EllipsisType:
        """Return the permission, or ``...`` if it was not sent."""
        permission = self.cleaned_data["permission"]
        return permission == "read_only" if permission else ...

    def expiry_date(self) -> date | EllipsisType | None:
        """Return the date, None for never, or ``...`` if it stays."""
        value = self.cleaned_data["expires_at"]
        if value in ("", KEEP):
            return ...
        if value == NEVER:
            return None
        day: date = self.cleaned_data["expires_on"] if value == ON_DATE else expiry.parse(f"{value}d")
        return day


def _day(day: date) -> str:
    return date_format(day, pgettext("format of a day", "j F Y"))
