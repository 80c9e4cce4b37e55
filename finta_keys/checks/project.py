"""System checks of the project: its account model, databases, migrations and URLs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.db import connections, router
from django.db.migrations.exceptions import CircularDependencyError, NodeNotFoundError
from django.db.migrations.loader import MigrationLoader
from django.urls import URLResolver, get_resolver

from finta_keys import conf
from finta_keys.checks.settings import Messages, account_model_problems
from finta_keys.database import key_database


@checks.register(checks.Tags.models)
def check_one_database(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    if any(account_model_problems()):
        return []  # Reported by check_settings().
    related = (*apps.get_app_config("finta_keys").get_models(), conf.account_model(), get_user_model())
    aliases = {model._meta.label: router.db_for_write(model) for model in related}
    if len(set(aliases.values())) == 1:
        return []
    listing = ", ".join(f"{label} in {alias!r}" for label, alias in sorted(aliases.items()))
    return [
        checks.Error(
            f"Keys, scope rows, accounts and owners are written to different databases: {listing}.",
            hint="Let the database router send all of them to one: a scope is a join, and a change is one transaction.",
            id="finta_keys.E004",
        )
    ]


@checks.register(checks.Tags.models)
def check_migration_order(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Report an account model that may be created after the tables of this app.

    The migration of this app can depend only on the *first* migration of the account's app. If a
    later one creates the model, it needs ``run_before``.
    """
    if any(account_model_problems()):
        return []  # Reported by check_settings().
    first, model = ("finta_keys", "0001_initial"), conf.account_model()._meta
    name = (model.app_label, str(model.model_name))
    try:
        loader = MigrationLoader(None)
        if model.app_label in loader.unmigrated_apps or name in loader.project_state(first).models:
            return []
        creator = _creating_migration(loader, name)
    except (ValueError, NodeNotFoundError, CircularDependencyError):
        return []  # Reported by migrate and makemigrations; or the project has disabled the migrations of this app.
    if creator is None:
        return []  # Reported by makemigrations.
    return [
        checks.Error(
            f"Migration {creator} of {model.app_label!r} creates or renames the account model, but is not ordered "
            "before the migrations of finta_keys.",
            hint=f"Add to its class: run_before = [{first!r}]",
            id="finta_keys.E005",
        )
    ]


def _creating_migration(loader: MigrationLoader, name: tuple[str, str]) -> str | None:
    """Return the first migration of the app after which the model exists under its current name."""
    for app_label, migration in loader.graph.leaf_nodes(name[0]):
        for node in loader.graph.forwards_plan((app_label, migration)):
            if node[0] == name[0] and name in loader.project_state(node).models:
                return str(node[1])
    return None


@checks.register(checks.Tags.urls)
def check_slashes(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Report an ``include()`` of the pages that makes paths with a double slash, or with none."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    return [
        checks.Error(
            f"{module} is included below {route!r}, so the paths of its pages have "
            f"{'two slashes in a row' if module == _PLAIN else 'no slash after that'}.",
            hint=f'Use path("settings/api", include("{_PLAIN}")), or path("settings/api/", include("{_SLASH}")).',
            id="finta_keys.E018",
        )
        for route, module in _includes(get_resolver())
        if route.endswith("/") == (module == _PLAIN)
    ]


@checks.register(checks.Tags.database)
def check_standbys(app_configs: Sequence[AppConfig] | None, databases: Any = None, **kwargs: Any) -> Messages:
    """Report synchronous standbys without the setting that waits for them, or the reverse.

    Django runs checks with the tag ``database`` for ``check --database`` and before ``migrate``.
    """
    connection = connections[key_database()]
    if connection.alias not in (databases or ()) or connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_standby_names")
        has_standbys, waits = bool(cursor.fetchone()[0]), conf.standby_timeout() is not None
    if has_standbys == waits:
        return []
    if waits:
        problem = "FINTA_KEYS_STANDBY_TIMEOUT is set, but PostgreSQL has no synchronous_standby_names."
        hint = "Set them to your standbys, such as 'ANY 1 (*)'. Until then, no change is confirmed."
    else:
        problem = "PostgreSQL has synchronous_standby_names, and FINTA_KEYS_STANDBY_TIMEOUT is not set."
        hint = (
            "Set it, such as to 5 seconds, and the server's synchronous_commit to 'local'. Otherwise changes of keys "
            "wait without a limit while the standbys are away, and are not in effect until then."
        )
    return [checks.Warning(problem, hint=hint, id="finta_keys.W028")]


_PLAIN, _SLASH = "finta_keys.urls", "finta_keys.slash_urls"


def _includes(resolver: URLResolver, prefix: str = "/") -> Iterator[tuple[str, str]]:
    """Yield the path and the module name of each ``include()`` of the pages' two URL modules."""
    for entry in resolver.url_patterns:
        if not isinstance(entry, URLResolver):
            continue
        route = prefix + str(entry.pattern).removeprefix("^")
        module = getattr(entry.urlconf_module, "__name__", "")
        if module in (_PLAIN, _SLASH):
            yield route, module
        else:
            yield from _includes(entry, route)
