"""The exceptions that the methods of a key raise."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from finta_keys.models.key import ApiKey


class AlreadyDone(ValidationError):
    """The form was already submitted, or the key has changed since the form was shown (rule K5).

    ``key`` is the key as it is now, or None if it has been deleted. ``at`` is the time of the
    earlier submission.
    """

    def __init__(self, *, key: ApiKey | None, at: datetime) -> None:
        super().__init__(_("This was already done. Nothing was changed."), code="already_done")
        self.key = key
        self.at = at
