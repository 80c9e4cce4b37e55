"""System checks of this app's settings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template
from django.utils.encoding import force_bytes
from django.utils.functional import Promise

from finta_keys import conf, secret

Messages = list[checks.CheckMessage]


@checks.register(checks.Tags.security)
def check_peppers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    try:
        peppers = conf.peppers()
    except ImproperlyConfigured as error:
        hint = "Existing keys need the pepper that they were created with. If there are keys, restore that pepper."
        return [checks.Error(str(error), hint=hint, id="finta_keys.E001")]
    return [
        checks.Error(
            f"Pepper {position} of FINTA_KEYS_PEPPERS is part of SECRET_KEY or SECRET_KEY_FALLBACKS. "
            "Anyone who learns one knows the other.",
            hint="Generate a new SECRET_KEY. Generate a new pepper with: python -c 'import secrets; "
            "print(secrets.token_hex(32))' and add it in front of the others. Keys move to it when they are used; "
            "`manage.py peppers` shows when you can remove the old one.",
            id="finta_keys.E009",
        )
        for position, pepper in enumerate(peppers, start=1)
        if any(pepper in key or pepper.hex().encode() in key.lower() for key in _secret_keys())
    ]


def _secret_keys() -> list[bytes]:
    try:
        return [force_bytes(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
    except ImproperlyConfigured:
        return []  # Django reports a missing SECRET_KEY.


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


@checks.register(checks.Tags.security)
def check_prefix(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    if re.fullmatch(secret.PREFIX_PATTERN, conf.prefix()):
        return []
    return [
        checks.Error(
            f"FINTA_KEYS_PREFIX is {conf.prefix()!r}, which is not a valid prefix of secrets.",
            hint="Use letters, digits and underscores, 32 characters at most. Start with a letter and end with an "
            'underscore, such as "shop_".',
            id="finta_keys.E011",
        )
    ]


@checks.register(checks.Tags.models)
def check_last_used_interval(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    seconds = conf.last_used_seconds()
    if isinstance(seconds, int) and not isinstance(seconds, bool) and 1 <= seconds <= 86_400:
        return []
    return [
        checks.Error(
            f"FINTA_KEYS_LAST_USED_INTERVAL is {seconds!r}.",
            hint="Set it to a whole number of seconds from 1 to 86400 (one day), or remove it.",
            id="finta_keys.E012",
        )
    ]


@checks.register(checks.Tags.models)
def check_account_words(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    words = getattr(settings, "FINTA_KEYS_ACCOUNT_WORDS", None)
    is_pair = isinstance(words, list | tuple) and len(words) == 2
    if words is None or (is_pair and all(isinstance(word, str | Promise) and word for word in words)):
        return []
    return [
        checks.Error(
            f"FINTA_KEYS_ACCOUNT_WORDS is {words!r}.",
            hint='Set it to the words for one account and for several, such as ("store", "stores"), or remove it to '
            "use the verbose names of the account model.",
            id="finta_keys.E013",
        )
    ]


@checks.register(checks.Tags.templates)
def check_base_template(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    if not settings.TEMPLATES:
        return []  # a project without pages
    try:
        get_template(conf.base_template())
    except TemplateDoesNotExist:
        problem = "does not exist"
    except TemplateSyntaxError as error:
        problem = f"has a syntax error ({error})"
    else:
        return []
    return [
        checks.Error(
            f"FINTA_KEYS_BASE_TEMPLATE is {conf.base_template()!r}, which {problem}.",
            hint="Set it to a template with the blocks title and content, or remove it.",
            id="finta_keys.E014",
        )
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
        problem = "it is not callable"
    return [
        checks.Error(
            f"FINTA_KEYS_FRESH_SIGN_IN is {settings.FINTA_KEYS_FRESH_SIGN_IN!r}, which cannot be used: {problem}",
            hint='Set it to the dotted path of a function that takes a request, such as "shops.sign_in.ask_for_password'
            '", or remove it.',
            id="finta_keys.E008",
        )
    ]
