"""Database routers, made up."""


class ReadsFromReplica:
    """Sends reads to a replica that is not there: whatever reads from it fails."""

    def db_for_read(self, model, **hints):
        return "replica"

    def db_for_write(self, model, **hints):
        return "default"

    def allow_relation(self, one, other, **hints):
        return True


class ReadsKeysFromReplica(ReadsFromReplica):
    """Sends what is about keys there; people and sessions are read as usual."""

    def db_for_read(self, model, **hints):
        return "replica" if model._meta.app_label == "finta_keys" or model.__name__ == "Account" else "default"


class AccountsElsewhere:
    """Sends accounts to a database of their own."""

    def db_for_write(self, model, **hints):
        return "bank" if model._meta.label == "accounts_app.Account" else None


class OwnersElsewhere:
    """Sends people to a database of their own."""

    def db_for_write(self, model, **hints):
        return "people" if model._meta.label == "accounts_app.User" else None
