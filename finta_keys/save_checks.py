"""Check the rows that a request by a key saves or shows (rule S7.6). The database decides whether a row is inside."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import models

from finta_keys import account_paths, scope_queries
from finta_keys.models import ApiKey, KeyAccountScope
from finta_keys.request_state import RequestState
from finta_keys.responses import RowOutsideScope

logger = logging.getLogger("finta_keys.scope")
_logged: set[tuple[type, str]] = set()


class SaveChecks:
    """The rows that one handler has saved, and the checks of them. Each raises ``RowOutsideScope``."""

    def __init__(self, state: RequestState, view: type, handler_name: str, *, checks_at_once: bool) -> None:
        self.state, self.view, self.handler_name, self.checks_at_once = state, view, handler_name, checks_at_once
        self.saved: dict[type[models.Model], set[Any]] = {}  # also those in many-to-many changes and in check_rows()
        self.created_accounts: set[Any] = set()
        self.is_rejected = False
        self.targets: list[tuple[Any, Any]] = []  # models and primary keys that the row being saved points to

    def before_save(self, row: models.Model) -> None:
        """Check a row that exists as it is stored."""
        if isinstance(row, KeyAccountScope):  # A key may only add accounts that it has created to its own scope.
            if row.key_id != self._key.pk or row.account_id not in self.created_accounts:
                self._reject(type(row))
            return
        for model, pk in scope_queries.stored_parts(row):
            self._require_inside_before(model, {pk})
        self.targets = [
            (field.related_model, pk)
            for field in type(row)._meta.concrete_fields
            if isinstance(field, models.ForeignKey) and (pk := getattr(row, field.attname)) is not None
        ]

    def after_save(self, row: models.Model, created: bool) -> None:
        """Remember a row for ``check_saved()``, or check it now."""
        self.targets = []
        if not scope_queries.has_paths(type(row)):
            return
        self.saved.setdefault(type(row), set()).add(row.pk)
        if created and scope_queries.is_account(type(row)):
            self.created_accounts.add(row.pk)
        if self.checks_at_once:
            self.require_inside(type(row), {row.pk})

    def before_relating(self, row: models.Model, model: type[models.Model], pks: set[Any]) -> None:
        """Check both ends of a many-to-many change. Rows that do not exist are rejected as hidden ones are."""
        for end, end_pks in ((type(row), {row.pk}), (model, pks)):
            self._require_inside_before(end, end_pks, missing_too=True)
            if scope_queries.has_paths(end):
                self.saved.setdefault(end, set()).update(end_pks)

    def check_saved(self) -> None:
        """Check all rows again, as they are stored now."""
        if self.is_rejected:
            raise RowOutsideScope  # The handler has caught the first one.
        for model, pks in self.saved.items():
            self.require_inside(model, pks)

    def check_targets(self) -> None:
        """Check the rows that a row points to that the database has refused, such as a duplicate in a hidden account.

        Otherwise the error would differ from that of a missing account, which is found after the row is saved.
        """
        for model, pk in self.targets:
            self._require_inside_before(model, {pk})

    def require_inside(
        self,
        model: type[models.Model],
        pks: set[Any],
        paths: tuple[str, ...] | None = None,
        *,
        missing_too: bool = False,
    ) -> None:
        """Reject rows that exist and are outside the scope along these paths, or along any path."""
        outside = partial(scope_queries.outside, model=model, pks=pks, paths=paths, missing_too=missing_too)
        if outside(self._limit) and not self._is_inside_by_now(outside):
            self._reject(model)

    @property
    def _key(self) -> ApiKey:
        key: Any = self.state.key  # Rows are checked for keys only.
        return key  # type: ignore[no-any-return]

    def _limit(self, queryset: Any, account_path: str = "") -> models.QuerySet[Any]:
        return account_paths.limit_to_key(self._key, queryset, account_path)

    def _require_inside_before(self, model: type[models.Model], pks: set[Any], *, missing_too: bool = False) -> None:
        # Skip rows that this handler saved: existing ones were checked, and new ones may still join the scope.
        self.require_inside(model, pks - self.saved.get(model, set()), missing_too=missing_too)

    def _is_inside_by_now(self, outside: Callable[..., set[Any]]) -> bool:
        """Return True if the key was changed to share all accounts since it was authenticated, and may access these."""
        current_key = ApiKey.objects.filter(pk=self._key.pk, share_all_accounts=True).first()
        if self._key.share_all_accounts or current_key is None:
            return False
        return not outside(partial(account_paths.limit_to_key, current_key))

    def _reject(self, model: type[models.Model]) -> None:
        self.is_rejected = True
        if (self.view, model._meta.label) not in _logged:
            _logged.add((self.view, model._meta.label))
            logger.warning(
                "%s used a row of %s that is outside the scope of the API key, or has no account. The response is a "
                "404, and nothing was saved. Limit rows by self.scoped(queryset), add a new account to the scope by "
                "key.add_to_scope(account), or save by unscoped_rows(reason).",
                self.handler_name,
                model._meta.label,
            )
        raise RowOutsideScope
