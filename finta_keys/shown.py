"""Record which accounts a response shows (rule H2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models

from finta_keys import account_paths, conf
from finta_keys.request_state import RequestState, state_of


def record_shown(request: Any, accounts: Iterable[Any]) -> None:
    """Count the response to a key as one that shows these accounts, once each.

    ``accounts`` are accounts or their primary keys. Call it with what you have loaded: it makes no
    query. Does nothing for other callers, or if the response is an error. ``request`` is one of
    Django REST framework or Django's own.
    """
    state_of(request).shown.update(getattr(account, "pk", account) for account in accounts)


def record_url_row(view: Any, state: RequestState, row: Any) -> None:
    """Record the account of the row that a URL names, if it can be known without a query."""
    pk = _account_pk(row, view.account_path) if isinstance(row, models.Model) else None
    if pk is not None:
        state.shown.add(pk)


def _account_pk(row: models.Model, account_path: str) -> Any:
    fields = _fields_to_account(row._meta.model, account_path)
    if not fields:
        return row.pk if fields == () else None
    *steps, last = fields
    current: Any = row
    for field in steps:
        current = field.get_cached_value(current, default=None)
        if current is None:
            return None
    if last.target_field.primary_key:
        return vars(current).get(last.attname)  # not getattr(), which would load a deferred column
    account = last.get_cached_value(current, default=None)
    return account and account.pk


@conf.cached
def _fields_to_account(model: Any, account_path: str) -> tuple[Any, ...] | None:
    """Return the foreign keys from a model to the account, or None if there is no path."""
    leads_there = account_paths.leads_to_account(model, account_path)
    path = account_path if leads_there else account_paths.shortest_path(model)
    if path is None:
        return None
    fields = []
    for name in path.split("__") if path else ():
        fields.append(model._meta.get_field(name))
        model = fields[-1].related_model
    return tuple(fields)
