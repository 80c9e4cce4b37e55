"""Check the rows that a request by a key saves or shows (rule S7.6). The database decides
whether a row is inside."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import models

from finta_keys import account_paths, scope_queries
from finta_keys.callers import is_unlimited, limited
from finta_keys.models import ApiKey, KeyAccountScope
from finta_keys.request_state import active_guard, state_of
from finta_keys.responses import RowOutsideScope

if TYPE_CHECKING:
    from finta_keys.guard import Guard

logger = logging.getLogger("finta_keys.scope")
_logged: set[tuple[type, str]] = set()  # views and models


class SaveChecks:
    """Checks of the rows that a handler saves. All of them raise ``RowOutsideScope``.

    Existing rows are checked before they are saved, so that a handler cannot move a hidden row into
    the scope. All rows are checked again after the handler, because a new account may join the
    scope after it was created.
    """

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.checks_immediately = guard.handler is None  # Otherwise check_saved() checks all rows after the handler.
        self.saved: dict[type[models.Model], set[Any]] = {}  # also those in many-to-many changes and in check_rows()
        self.created_accounts: set[Any] = set()
        self.is_rejected = False
        self.referenced: list[tuple[Any, Any]] = []  # foreign keys of the row being saved, and their values

    def before_save(self, row: models.Model) -> None:
        """If the row exists, check it as it is in the database, without the handler's changes."""
        if isinstance(row, KeyAccountScope):  # A key may only add accounts that it has created to its own scope.
            if row.key_id != self._key.pk or row.account_id not in self.created_accounts:
                self._reject(type(row))
            return
        for model, pk in scope_queries.rows_changed_by_save(row):
            self._require_inside_unless_saved(model, {pk})
        self.referenced = [
            (field, value)
            for field in type(row)._meta.concrete_fields
            if isinstance(field, models.ForeignKey) and (value := getattr(row, field.attname)) is not None
        ]

    def after_save(self, row: models.Model, created: bool) -> None:
        """Remember a row for ``check_saved()``, or check it now."""
        self.referenced = []
        if not scope_queries.belongs_to_account(type(row)):
            return
        self.add(type(row), {row.pk})
        if created and scope_queries.is_account(type(row)):
            self.created_accounts.add(row.pk)
        if self.checks_immediately:
            self.require_inside(type(row), {row.pk})

    def before_m2m_change(self, row: models.Model, model: type[models.Model], values: set[Any], field: str) -> None:
        """Check both ends of a many-to-many change: ``row``, and the rows of ``model`` with these
        values of ``field``.

        Rows that do not exist are rejected as hidden ones are.
        """
        for end, end_values, name in ((type(row), {row.pk}, "pk"), (model, values, field)):
            self._require_inside_unless_saved(end, end_values, name, include_missing=True)
            if scope_queries.belongs_to_account(end):
                self.add(end, scope_queries.converted(end, end_values, name, "pk"))

    def add(self, model: type[models.Model], pks: set[Any]) -> None:
        """Remember rows for ``check_saved()``."""
        self.saved.setdefault(model, set()).update(pks)

    def check_saved(self) -> None:
        """Check all rows again, as they are stored now."""
        if self.is_rejected:
            raise RowOutsideScope  # The handler has caught the first one.
        for model, pks in self.saved.items():
            self.require_inside(model, pks)

    def check_referenced(self) -> None:
        """Check the foreign keys of a row that the database has rejected, such as a duplicate in a
        hidden account.

        Otherwise the response would differ from that for a missing account.
        """
        for foreign_key, value in self.referenced:
            name = scope_queries.target_name(foreign_key)
            self._require_inside_unless_saved(foreign_key.related_model, {value}, name, include_missing=True)

    def require_inside(
        self,
        model: type[models.Model],
        values: set[Any],
        paths: tuple[str, ...] | None = None,
        field: str = "pk",
        *,
        include_missing: bool = False,
    ) -> None:
        """Reject rows that exist and are outside the scope along these paths, or along any path."""
        outside = partial(
            scope_queries.values_outside,
            model=model,
            values=values,
            paths=paths,
            field=field,
            include_missing=include_missing,
        )
        if outside(partial(account_paths.limit_to_key, self._key)) and not self._is_inside_new_scope(outside):
            self._reject(model)

    @property
    def _key(self) -> ApiKey:
        key: Any = self.guard.state.key  # Rows are checked for keys only.
        return key  # type: ignore[no-any-return]

    def _require_inside_unless_saved(
        self, model: type[models.Model], values: set[Any], field: str = "pk", *, include_missing: bool = False
    ) -> None:
        # Skip rows that this handler saved: existing ones were checked, and new ones may still join
        # the scope.
        saved = scope_queries.converted(model, self.saved.get(model, set()), "pk", field)
        self.require_inside(model, values - saved, field=field, include_missing=include_missing)

    def _is_inside_new_scope(self, outside: Callable[..., set[Any]]) -> bool:
        """Return True if the key was changed to share all accounts since it was authenticated,
        and may access these."""
        current_key = ApiKey.objects.filter(pk=self._key.pk, share_all_accounts=True).first()
        if self._key.share_all_accounts or current_key is None:
            return False
        return not outside(partial(account_paths.limit_to_key, current_key))

    def _reject(self, model: type[models.Model]) -> None:
        self.is_rejected = True
        entry = type(self.guard.view), model._meta.label
        if entry not in _logged:
            _logged.add(entry)
            logger.warning(
                "%s used a row of %s that is outside the scope of the API key, or has no account. The response is a "
                "404. Limit rows by self.scoped(queryset), add a new account to the scope by "
                "key.add_to_scope(account), or save the row inside unscoped_rows(reason).",
                self.guard.handler_label,
                model._meta.label,
            )
        raise RowOutsideScope


def check_rows(view: Any, rows: Iterable[models.Model]) -> None:
    """Raise ``Http404`` if the caller of a view may not access one of these rows."""
    if is_unlimited(view.request, view):
        return
    guard = active_guard()
    for model, pks in scope_queries.pks_by_model(rows).items():
        if guard is not None:
            guard.save_checks.require_inside(model, pks)
            guard.save_checks.add(model, pks)
        elif scope_queries.values_outside(partial(limited, view.request), model, pks):
            raise RowOutsideScope
    state_of(view.request).scoped_count += 1
