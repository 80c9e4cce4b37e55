"""Database routers for tests."""

from django.conf import settings


class WritesToFile:
    """Routes everything to the database "file"."""

    def db_for_write(self, model, **hints):
        return "file"


class ReadsFromReplica:
    """Routes all reads to a replica."""

    def db_for_read(self, model, **hints):
        return "replica"

    def db_for_write(self, model, **hints):
        return "default"

    def allow_relation(self, obj1, obj2, **hints):
        return True


class ReadsKeysFromReplica(ReadsFromReplica):
    """Routes only reads of keys and accounts to the replica. Users and sessions are read as usual."""

    def db_for_read(self, model, **hints):
        return "replica" if model._meta.app_label == "finta_keys" or model.__name__ == "Account" else "default"


class AccountsElsewhere:
    """Writes accounts to a database of their own."""

    def db_for_write(self, model, **hints):
        return "bank" if model._meta.label == "accounts_app.Account" else None


class OwnersElsewhere:
    """Writes users to a database of their own."""

    def db_for_write(self, model, **hints):
        return "people" if model._meta.label == settings.AUTH_USER_MODEL else None
