"""System checks of this app's settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import models
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template
from django.utils.encoding import force_bytes
from django.utils.functional import Promise

from finta_keys import conf, secret, standby

Messages = list[checks.CheckMessage]
Problems = Iterator[tuple[str, str | None]]  # the message and the hint of each


@checks.register(checks.Tags.security)
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Report invalid values of settings."""
    return [
        checks.Error(problem, hint=hint, id="finta_keys.E001") for problems in _SOURCES for problem, hint in problems()
    ]


@checks.register(checks.Tags.security)
def check_names_of_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Report misspelled settings, which would be ignored."""
    return [
        checks.Warning(
            f"{name} is not a setting of finta_keys.",
            hint=f"Correct its name. The settings are: {', '.join(conf.SETTINGS)}.",
            id="finta_keys.W022",
        )
        for name in dir(settings)
        if name.startswith("FINTA_KEYS_") and name not in conf.SETTINGS
    ]


def _peppers_problems() -> Problems:
    try:
        peppers = conf.peppers()
    except ImproperlyConfigured as error:
        yield (
            str(error),
            "Existing keys need the pepper that they were created with. If there are keys, restore that pepper.",
        )
        return
    for position, pepper in enumerate(peppers, start=1):
        if any(pepper in key or pepper.hex().encode() in key.lower() for key in _secret_keys()):
            yield (
                f"Pepper {position} of FINTA_KEYS_PEPPERS is part of SECRET_KEY or SECRET_KEY_FALLBACKS. "
                "Anyone who learns one knows the other.",
                "Generate a new SECRET_KEY. Generate a new pepper with: python -c 'import secrets; "
                "print(secrets.token_hex(32))' and add it in front of the others. Keys move to it when they are used; "
                "`manage.py peppers` shows when you can remove the old one.",
            )


def _secret_keys() -> list[bytes]:
    try:
        return [force_bytes(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
    except ImproperlyConfigured:
        return []  # Django reports a missing SECRET_KEY.


def _prefix_problems() -> Problems:
    if not re.fullmatch(secret.PREFIX_PATTERN, conf.prefix()):
        yield (
            f"FINTA_KEYS_PREFIX is {conf.prefix()!r}, which is not a valid prefix of secrets.",
            "Use letters, digits and underscores, 32 characters at most. Start with a letter and end with an "
            'underscore, such as "shop_".',
        )


def _last_used_interval_problems() -> Problems:
    seconds = conf.last_used_seconds()
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 1 <= seconds <= 86_400:
        yield (
            f"FINTA_KEYS_LAST_USED_INTERVAL is {seconds!r}.",
            "Set it to a whole number of seconds from 1 to 86400 (one day), or remove it.",
        )


def _days_problems() -> Problems:
    for name in ("FINTA_KEYS_MAX_AGE", "FINTA_KEYS_HISTORY_DAYS", "FINTA_KEYS_RETIRED_SECRET_DAYS"):
        days = getattr(settings, name, None)
        if days is not None and (not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= 36_500):
            yield (
                f"{name} is {days!r}.",
                "Set it to a whole number of days from 1 to 36500 (100 years), or remove it.",
            )


def _account_words_problems() -> Problems:
    words = getattr(settings, "FINTA_KEYS_ACCOUNT_WORDS", None)
    is_pair = isinstance(words, list | tuple) and len(words) == 2
    if words is not None and not (is_pair and all(isinstance(word, str | Promise) and word for word in words)):
        yield (
            f"FINTA_KEYS_ACCOUNT_WORDS is {words!r}.",
            'Set it to the words for one account and for several, such as ("store", "stores"), or remove it to '
            "use the verbose names of the account model.",
        )


def _base_template_problems() -> Problems:
    if not settings.TEMPLATES:
        return  # a project without pages
    try:
        get_template(conf.base_template())
    except TemplateDoesNotExist:
        problem = "does not exist"
    except TemplateSyntaxError as error:
        problem = f"has a syntax error ({error})"
    else:
        return
    yield (
        f"FINTA_KEYS_BASE_TEMPLATE is {conf.base_template()!r}, which {problem}.",
        "Set it to a template with the blocks title and content, or remove it.",
    )


def _fresh_sign_in_problems() -> Problems:
    return _function_problems(
        "FINTA_KEYS_FRESH_SIGN_IN", conf.fresh_sign_in, "takes a request", "shops.sign_in.ask_for_password"
    )


def _client_address_problems() -> Problems:
    takes = "takes a request and returns an address"
    return _function_problems("FINTA_KEYS_CLIENT_ADDRESS", conf.client_address, takes, "shops.proxies.client_address")


def _function_problems(name: str, load: Callable[[], Any], takes: str, example: str) -> Problems:
    try:
        function = load()
    except ImportError as error:
        problem = str(error)
    else:
        if function is None or callable(function):
            return
        problem = "it is not callable"
    yield (
        f"{name} is {getattr(settings, name)!r}, which cannot be used: {problem}",
        f'Set it to the dotted path of a function that {takes}, such as "{example}", or remove it.',
    )


def _standby_timeout_problems() -> Problems:
    seconds = conf.standby_timeout()
    if seconds is None:
        return
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 < seconds <= 60:
        yield (
            f"FINTA_KEYS_STANDBY_TIMEOUT is {seconds!r}.",
            "Set it to a number of seconds above 0 and up to 60, or remove it.",
        )
    if not standby.is_supported():
        yield (
            "FINTA_KEYS_STANDBY_TIMEOUT is set, but the keys are not in PostgreSQL, or not reached by psycopg 3.2 "
            "or newer.",
            "Remove the setting. Other databases are not asked about their standbys.",
        )


def account_model_problems() -> Problems:
    """Yield the problems of the account model and its foreign key to the owner."""
    try:
        model, name = conf.account_model(), conf.owner_field()
    except ImproperlyConfigured as error:
        yield str(error), None
        return
    try:
        field: Any = model._meta.get_field(name)
    except FieldDoesNotExist:
        field = None
    if not isinstance(field, models.ForeignKey) or field.related_model is not get_user_model():
        yield (
            f"{model._meta.label} has no foreign key {name!r} to {settings.AUTH_USER_MODEL}.",
            "Set FINTA_KEYS_OWNER_FIELD to the name of the account's own foreign key to its owner.",
        )
    elif not field.target_field.primary_key:
        # Scopes compare this column with the owner's primary key, which may be another user's value
        # of the field.
        yield (
            f"{model._meta.label}.{name} points to the field {field.target_field.name!r} of "
            f"{settings.AUTH_USER_MODEL}, not to its primary key. Keys could access accounts of other users.",
            "Remove to_field from the foreign key, and migrate its values.",
        )


def _account_attributes_problems() -> Problems:
    if any(account_model_problems()):
        return
    attributes = {
        "FINTA_KEYS_ACCOUNT_GROUP": conf.account_group_attribute(),
        "FINTA_KEYS_ACCOUNT_LABEL": conf.account_label_attribute(),
    }
    model = conf.account_model()
    for setting, name in attributes.items():
        if name and not hasattr(model, name):
            yield (
                f"{setting} is {name!r}, but {model._meta.label} has no such attribute.",
                "Set it to the name of a field or property of the account, or remove it.",
            )


_SOURCES: tuple[Callable[[], Problems], ...] = (
    _peppers_problems,
    _prefix_problems,
    _last_used_interval_problems,
    _days_problems,
    _account_words_problems,
    _base_template_problems,
    _fresh_sign_in_problems,
    _standby_timeout_problems,
    _client_address_problems,
    account_model_problems,
    _account_attributes_problems,
)
