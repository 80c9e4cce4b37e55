"""System checks of the project around: its account model, databases, migrations and URLs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import models, router
from django.db.migrations.exceptions import CircularDependencyError, NodeNotFoundError
from django.db.migrations.loader import MigrationLoader
from django.urls import URLResolver, get_resolver

from finta_keys import conf
from finta_keys.checks.settings import Messages


@checks.register(checks.Tags.models)
def check_account_model(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    try:
        model, name = conf.account_model(), conf.owner_field()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="finta_keys.E003")]
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        field = None
    if isinstance(field, models.ForeignKey) and field.related_model is get_user_model():
        return _owner_column_errors(model, field)
    return [
        checks.Error(
            f"{model._meta.label} has no foreign key {name!r} to {settings.AUTH_USER_MODEL}.",
            hint="Set FINTA_KEYS_OWNER_FIELD to the name of the account's own foreign key to its owner.",
            obj=model,
            id="finta_keys.E003",
        )
    ]


def _owner_column_errors(model: type[models.Model], field: Any) -> Messages:
    """A key has the primary key of its owner, which another field of a user may happen to equal."""
    if field.target_field.primary_key:
        return []
    return [
        checks.Error(
            f"{model._meta.label}.{field.name} leads to the field {field.target_field.name!r} of "
            f"{settings.AUTH_USER_MODEL}, not to its primary key: keys would see what is somebody else's.",
            hint="Remove to_field from the foreign key, and make a migration that moves its values.",
            obj=model,
            id="finta_keys.E003",
        )
    ]


@checks.register(checks.Tags.models)
def check_account_names(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    if check_account_model(None):
        return []  # That is to be put right first.
    model = conf.account_model()
    named = {
        "FINTA_KEYS_ACCOUNT_GROUP": conf.account_group_attribute(),
        "FINTA_KEYS_ACCOUNT_LABEL": conf.account_label_attribute(),
    }
    return [
        checks.Error(
            f"{setting} is {name!r}, which {model._meta.label} does not have.",
            hint="Set it to the name of a field or property of the account, or leave it out.",
            obj=model,
            id="finta_keys.E007",
        )
        for setting, name in named.items()
        if name and not hasattr(model, name)
    ]


@checks.register(checks.Tags.models)
def check_one_database(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    if check_account_model(None):
        return []  # That is to be put right first.
    together = (*apps.get_app_config("finta_keys").get_models(), conf.account_model(), get_user_model())
    aliases = {model._meta.label: router.db_for_write(model) for model in together}
    if len(set(aliases.values())) == 1:
        return []
    listing = ", ".join(f"{label} in {alias!r}" for label, alias in sorted(aliases.items()))
    return [
        checks.Error(
            f"Keys, scope rows, accounts and owners are written to different databases: {listing}.",
            hint="Let the database router send all of them to one: scope is a join, and a change is one transaction.",
            id="finta_keys.E004",
        )
    ]


@checks.register(checks.Tags.models)
def check_migration_order(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """The migration of this app can name only the *first* one of the account's app. A model made later needs
    ``run_before`` in the migration that makes it."""
    if check_account_model(None):
        return []  # That is to be put right first.
    ours, label = ("finta_keys", "0001_initial"), conf.account_model()._meta.app_label
    try:
        loader = MigrationLoader(None)
        plan = loader.graph.forwards_plan(ours)
    except (ValueError, NodeNotFoundError, CircularDependencyError):
        return []  # For migrate and makemigrations to tell; or the host has switched the migrations of this app off.
    maker = _maker(loader, label, conf.account_model()._meta.model_name)
    if maker is None or maker in plan:
        return []
    return [
        checks.Error(
            f"Migration {maker[1]} of {label!r} makes the account model, but nothing says that it comes before "
            "those of finta_keys.",
            hint=f"Add to its class: run_before = [{ours!r}]",
            id="finta_keys.E005",
        )
    ]


def _maker(loader: MigrationLoader, label: str, model_name: str | None) -> tuple[str, str] | None:
    for key, migration in (loader.disk_migrations or {}).items():
        made = (getattr(operation, "name_lower", None) for operation in migration.operations if _creates(operation))
        if key[0] == label and model_name in made:
            return key
    return None


def _creates(operation: Any) -> bool:
    return type(operation).__name__ == "CreateModel"


@checks.register(checks.Tags.urls)
def check_slashes(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Find pages that are included where their paths get two slashes, or none."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    return [
        checks.Error(
            f"{module} is included below {route!r}, so that the paths of its pages have "
            f"{'two slashes in a row' if module == _PLAIN else 'no slash after that'}.",
            hint=f'Use path("settings/api", include("{_PLAIN}")), or path("settings/api/", include("{_SLASH}")).',
            id="finta_keys.E018",
        )
        for route, module in _includes(get_resolver())
        if route.endswith("/") == (module == _PLAIN)
    ]


_PLAIN, _SLASH = "finta_keys.urls", "finta_keys.slash_urls"


def _includes(resolver: URLResolver, prefix: str = "/") -> Iterator[tuple[str, str]]:
    """Yield the path below which each of the two modules is included, and its name."""
    for entry in resolver.url_patterns:
        if not isinstance(entry, URLResolver):
            continue
        route = prefix + str(entry.pattern).removeprefix("^")
        module = getattr(entry.urlconf_module, "__name__", "")
        if module in (_PLAIN, _SLASH):
            yield route, module
        else:
            yield from _includes(entry, route)
