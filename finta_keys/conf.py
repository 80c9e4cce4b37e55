"""The settings of this app, read when they are used. ``checks`` refuses bad ones at the start."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache, lru_cache
from typing import Any, cast

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db import models
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

from finta_keys import secret

SETTINGS = (
    "FINTA_KEYS_PEPPERS",
    "FINTA_KEYS_ACCOUNT_MODEL",
    "FINTA_KEYS_OWNER_FIELD",
    "FINTA_KEYS_ACCOUNT_LABEL",
    "FINTA_KEYS_ACCOUNT_GROUP",
    "FINTA_KEYS_ACCOUNT_WORDS",
    "FINTA_KEYS_PREFIX",
    "FINTA_KEYS_BASE_TEMPLATE",
    "FINTA_KEYS_LAST_USED_INTERVAL",
    "FINTA_KEYS_FRESH_SIGN_IN",
)
PEPPER_LENGTH = 32  # bytes; 64 hex digits


def peppers() -> tuple[bytes, ...]:
    """Return the peppers of ``FINTA_KEYS_PEPPERS``, each 64 hex digits: the first makes new digests.

    Raises ``ImproperlyConfigured`` where there is none or one is not of that form.
    """
    return _decoded(tuple(getattr(settings, "FINTA_KEYS_PEPPERS", None) or ()))


@lru_cache(maxsize=8)
def _decoded(configured: tuple[str, ...]) -> tuple[bytes, ...]:
    try:
        decoded = tuple(bytes.fromhex(pepper) for pepper in configured)
    except (TypeError, ValueError):
        # Not chained: the message of the original quotes the pepper.
        decoded = ()
    if not decoded or any(len(pepper) != PEPPER_LENGTH for pepper in decoded):
        raise ImproperlyConfigured(
            "FINTA_KEYS_PEPPERS must be a list of peppers of 64 hex digits each. "
            "Make one with: python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return decoded


@cache  # Each call of a key asks, and a setting that is not set costs an exception.
def prefix() -> str:
    """Return what secrets start with: ``FINTA_KEYS_PREFIX``, such as ``"shop_"``."""
    return str(getattr(settings, "FINTA_KEYS_PREFIX", secret.PREFIX))


@receiver(setting_changed)
def _forget(**kwargs: object) -> None:
    """Settings change in tests only, which say so by this signal."""
    prefix.cache_clear()


def last_used_interval() -> timedelta:
    """Return how long the time at which a key was last used is not written again: ``FINTA_KEYS_LAST_USED_INTERVAL``, in
    seconds."""
    return timedelta(seconds=last_used_seconds())


def last_used_seconds() -> Any:
    """Return that setting as it is written down, or its default."""
    return getattr(settings, "FINTA_KEYS_LAST_USED_INTERVAL", 60)


def account_label() -> str:
    """Return the label of the host's account model, such as ``"accounts_app.Account"``: ``FINTA_KEYS_ACCOUNT_MODEL``.

    Raises ``ImproperlyConfigured`` where it is not set, or no label.
    """
    label = getattr(settings, "FINTA_KEYS_ACCOUNT_MODEL", None)
    if isinstance(label, str) and label.count(".") == 1:
        return label
    value = repr(label) if hasattr(settings, "FINTA_KEYS_ACCOUNT_MODEL") else "not set"
    raise ImproperlyConfigured(
        f"FINTA_KEYS_ACCOUNT_MODEL is {value}. Set it to the labels of an app and of a model of it, such as "
        '"shops.Shop": the model that keys are limited to.'
    )


def account_model() -> type[models.Model]:
    """Return the host's account model. Raises ``ImproperlyConfigured`` where the setting names none."""
    label = account_label()
    try:
        return apps.get_model(label)
    except LookupError:
        raise ImproperlyConfigured(
            f"FINTA_KEYS_ACCOUNT_MODEL is {label!r}, which is no model of an installed app. "
            'Set it to one, such as "shops.Shop".'
        ) from None


def owner_field() -> str:
    """Return the name of the account model's foreign key to the owner: ``FINTA_KEYS_OWNER_FIELD``."""
    return str(getattr(settings, "FINTA_KEYS_OWNER_FIELD", "owner"))


def account_group_attribute() -> str:
    """Return the name of the account's attribute by which pages group accounts, such as ``"institution_name"``:
    ``FINTA_KEYS_ACCOUNT_GROUP``. Empty where they are not grouped."""
    return str(getattr(settings, "FINTA_KEYS_ACCOUNT_GROUP", ""))


def account_label_attribute() -> str:
    """Return the name of the account's attribute that names it within its group: ``FINTA_KEYS_ACCOUNT_LABEL``. Empty
    where ``str()`` does."""
    return str(getattr(settings, "FINTA_KEYS_ACCOUNT_LABEL", ""))


def account_words() -> tuple[str, str]:
    """Return what pages call one account and several, such as ``("store", "stores")``: ``FINTA_KEYS_ACCOUNT_WORDS``,
    else the verbose names of the account model."""
    options = account_model()._meta
    one, several = getattr(settings, "FINTA_KEYS_ACCOUNT_WORDS", None) or (
        options.verbose_name,
        options.verbose_name_plural,
    )
    return str(one), str(several)


def base_template() -> str:
    """Return the name of the template that all pages extend, which has the blocks ``title`` and ``content``:
    ``FINTA_KEYS_BASE_TEMPLATE``."""
    return str(getattr(settings, "FINTA_KEYS_BASE_TEMPLATE", "finta_keys/base.html"))


def fresh_sign_in() -> Callable[[HttpRequest], HttpResponse | None] | None:
    """Return what is asked before a page that shows a secret is shown or acts: the callable whose dotted path is
    ``FINTA_KEYS_FRESH_SIGN_IN``. It takes the request of a signed-in person, and returns None to let it go on, else the
    answer, such as a page that asks for the password. None where the setting is not set.

    Raises ``ImportError`` where there is nothing of that path.
    """
    path = str(getattr(settings, "FINTA_KEYS_FRESH_SIGN_IN", None) or "")
    return cast(Callable[[HttpRequest], HttpResponse | None], import_string(path)) if path else None
