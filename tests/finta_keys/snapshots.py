"""Snapshots of stored keys, for comparisons before and after a change."""

from accounts_app.models import User
from finta_keys.models import ApiKey, CreateNonce, KeyAccountScope


def columns(key):
    """Return the columns of a key, read from the database."""
    return ApiKey.objects.filter(pk=key.pk).values().get()


def scope(key):
    """Return the primary keys of the accounts in the scope of a key."""
    return set(KeyAccountScope.objects.filter(key=key).values_list("account_id", flat=True))


def everything():
    """Return all rows that a change of a key could affect."""
    models = (ApiKey, KeyAccountScope, CreateNonce, User)
    return {model.__name__: sorted(map(str, model.objects.values_list())) for model in models}


def attributes(key):
    """Return the attributes of an instance."""
    return {name: value for name, value in vars(key).items() if name != "_state"}


def changed(before, after):
    """Return the names of columns with different values."""
    return {name for name in before if before[name] != after[name]}
