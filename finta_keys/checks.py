"""System checks: what would fail late, or not be noticed at all, is refused at the start."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import models, router
from django.db.migrations.exceptions import CircularDependencyError, NodeNotFoundError
from django.db.migrations.loader import MigrationLoader
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template
from django.template.loader_tags import BlockNode, ExtendsNode
from django.urls import URLResolver, get_resolver
from django.utils.encoding import force_bytes
from django.utils.functional import Promise

from finta_keys import conf, secret

Messages = list[checks.CheckMessage]


@checks.register(checks.Tags.security)
def check_peppers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    try:
        peppers = conf.peppers()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="finta_keys.E001")]
    if len(set(peppers)) < len(peppers):
        hint = "Remove the repeated one. To retire a pepper, put a new one in front of it."
        return [checks.Error("FINTA_KEYS_PEPPERS names a pepper twice.", hint=hint, id="finta_keys.E002")]
    return []


@checks.register(checks.Tags.security)
def check_peppers_are_not_secret_key(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Both as the hex digits that are configured and as the bytes that they stand for."""
    return [
        checks.Error(
            f"Pepper {place} of FINTA_KEYS_PEPPERS is part of SECRET_KEY or its fallbacks: who learns one knows both.",
            hint=f"{_NEW_PEPPER} Make a new SECRET_KEY, too.",
            id="finta_keys.E009",
        )
        for place, pepper in enumerate(_peppers(), start=1)
        if any(pepper in key or pepper.hex().encode() in key.lower() for key in _secret_keys())
    ]


@checks.register(checks.Tags.security, deploy=True)
def check_peppers_are_random(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    return [
        checks.Warning(
            f"Pepper {place} of FINTA_KEYS_PEPPERS looks made up: it repeats itself or counts up or down.",
            hint=_NEW_PEPPER,
            id="finta_keys.W010",
        )
        for place, pepper in enumerate(_peppers(), start=1)
        if _looks_made_up(pepper)
    ]


_NEW_PEPPER = (
    "Make one with: python -c 'import secrets; print(secrets.token_hex(32))' and put it in front of the others. "
    "Keys move to it when they are used; `manage.py peppers` says when the old one may be removed."
)


def _peppers() -> tuple[bytes, ...]:
    try:
        return conf.peppers()
    except ImproperlyConfigured:
        return ()  # That is to be put right first.


def _secret_keys() -> list[bytes]:
    try:
        return [force_bytes(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
    except ImproperlyConfigured:
        return []  # There is none, which Django tells.


def _looks_made_up(pepper: bytes) -> bool:
    """Tell what nobody gets by chance: of 32 random bytes about 30 are different, and their steps are, too."""
    steps = {(after - before) % 256 for before, after in pairwise(pepper)}
    return len(set(pepper)) <= len(pepper) // 2 or len(steps) == 1


@checks.register(checks.Tags.security)
def check_names_of_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Find misspelt names: what they were to do would be missing without a word."""
    unknown = [name for name in dir(settings) if name.startswith("FINTA_KEYS_") and name not in conf.SETTINGS]
    return [
        checks.Warning(
            f"{name} is no setting of finta_keys.",
            hint=f"{_meant(name)}The settings are: {', '.join(conf.SETTINGS)}.",
            id="finta_keys.W022",
        )
        for name in unknown
    ]


def _meant(name: str) -> str:
    return "".join(f"Did you mean {like}? " for like in get_close_matches(name, conf.SETTINGS, n=1))


@checks.register(checks.Tags.security)
def check_prefix(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    if re.fullmatch(secret.PREFIX_PATTERN, conf.prefix()):
        return []
    return [
        checks.Error(
            f"FINTA_KEYS_PREFIX is {conf.prefix()!r}, which cannot be the prefix of secrets.",
            hint='Set it to letters, digits and underscores, a letter first and an underscore last, such as "shop_": '
            "at most 32 characters.",
            id="finta_keys.E011",
        )
    ]


@checks.register(checks.Tags.models)
def check_last_used_interval(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    seconds = getattr(settings, "FINTA_KEYS_LAST_USED_INTERVAL", 60)
    if isinstance(seconds, int) and not isinstance(seconds, bool) and 1 <= seconds <= 86_400:
        return []
    return [
        checks.Error(
            f"FINTA_KEYS_LAST_USED_INTERVAL is {seconds!r}.",
            hint="Set it to a number of seconds from 1 to 86400, a day, or leave it out: it is 60 then.",
            id="finta_keys.E012",
        )
    ]


@checks.register(checks.Tags.models)
def check_account_words(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    words = getattr(settings, "FINTA_KEYS_ACCOUNT_WORDS", None)
    two = isinstance(words, list | tuple) and len(words) == 2
    if words is None or (two and all(isinstance(each, str | Promise) and each for each in words)):
        return []
    return [
        checks.Error(
            f"FINTA_KEYS_ACCOUNT_WORDS is {words!r}.",
            hint='Set it to the word for one account and the word for several, such as ("store", "stores"), or leave '
            "it out: then they are the verbose names of the account model.",
            id="finta_keys.E013",
        )
    ]


@checks.register(checks.Tags.templates)
def check_base_template(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    if not settings.TEMPLATES:
        return []  # a project without pages
    try:
        missing = sorted({"title", "content"} - set(_blocks(conf.base_template(), set())))
        problems = [f"has no block {name!r}" for name in missing]
    except TemplateDoesNotExist as error:
        problems = [f"leads to the template {str(error)!r}, which does not exist"]
    except TemplateSyntaxError as error:
        problems = [f"cannot be read ({error})"]
    return [
        checks.Error(
            f"FINTA_KEYS_BASE_TEMPLATE is {conf.base_template()!r}, which {problem}.",
            hint="Set it to the name of a template that has the blocks title and content, or leave it out.",
            id="finta_keys.E014",
        )
        for problem in problems
    ]


def _blocks(name: str, seen: set[str]) -> Iterator[str]:
    """Yield the names of the blocks of a template and of those that it extends; both where that cannot be told."""
    nodes = getattr(getattr(get_template(name), "template", None), "nodelist", None)
    if name in seen or nodes is None:  # It extends its namesake of another folder; another engine
        yield from ("title", "content")
        return
    yield from (block.name for block in nodes.get_nodes_by_type(BlockNode))
    for extends in nodes.get_nodes_by_type(ExtendsNode):
        parent = extends.parent_name.var
        yield from _blocks(parent, seen | {name}) if isinstance(parent, str) else ("title", "content")


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


@checks.register(checks.Tags.security)
def check_fresh_sign_in(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    try:
        hook = conf.fresh_sign_in()
    except ImportError as error:
        problem = str(error)
    else:
        if hook is None or callable(hook):
            return []
        problem = "It cannot be called."
    return [
        checks.Error(
            f"FINTA_KEYS_FRESH_SIGN_IN is {settings.FINTA_KEYS_FRESH_SIGN_IN!r}, which is no function: {problem}",
            hint='Set it to the dotted path of one that takes a request, such as "shops.sign_in.ask_for_password", or '
            "leave it out.",
            id="finta_keys.E008",
        )
    ]


@checks.register(checks.Tags.models)
def check_one_database(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    if check_account_model(None):
        return []  # That is to be put right first.
    own = apps.get_app_config("finta_keys").get_models()
    aliases = {model._meta.label: router.db_for_write(model) for model in (*own, conf.account_model())}
    if len(set(aliases.values())) == 1:
        return []
    listing = ", ".join(f"{label} in {alias!r}" for label, alias in sorted(aliases.items()))
    return [
        checks.Error(
            f"Keys, scope rows and accounts are written to different databases: {listing}.",
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
