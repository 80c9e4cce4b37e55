"""System checks of what the settings say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template
from django.template.loader_tags import BlockNode, ExtendsNode
from django.utils.encoding import force_bytes
from django.utils.functional import Promise

from finta_keys import conf, secret

Messages = list[checks.CheckMessage]


@checks.register(checks.Tags.security)
def check_peppers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    try:
        peppers = conf.peppers()
    except ImproperlyConfigured as error:
        hint = "Keys that are there already need the pepper that they were made with: put that one back."
        return [checks.Error(str(error), hint=hint, id="finta_keys.E001")]
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
    seconds = conf.last_used_seconds()
    if isinstance(seconds, int) and not isinstance(seconds, bool) and 1 <= seconds <= 86_400:
        return []
    return [
        checks.Error(
            f"FINTA_KEYS_LAST_USED_INTERVAL is {seconds!r}.",
            hint="Set it to a number of seconds from 1 to 86400, a day, or leave it out.",
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
