"""The order of row locks in changes, and the database they use."""

import pytest
from django.db import transaction
from django.db.models.sql.compiler import SQLCompiler
from django.utils.connection import ConnectionDoesNotExist

from finta_keys import usage
from finta_keys.models import ApiKey


@pytest.fixture
def locks(monkeypatch):
    """The locks that queries request, in order: the model, the kind of lock and the order of the rows.

    Read from the queries before they become SQL, because SQLite has no row locks.
    """
    requested = []
    as_sql = SQLCompiler.as_sql

    def record(compiler, *args, **kwargs):
        query = compiler.query
        if query.select_for_update:
            kind = "no key" if query.select_for_no_key_update else "full"
            requested.append((query.model.__name__, kind, query.order_by))
        return as_sql(compiler, *args, **kwargs)

    monkeypatch.setattr(SQLCompiler, "as_sql", record)
    return requested


OWNER, KEY, ACCOUNTS = (("User", "no key", ("pk",)), ("ApiKey", "no key", ()), ("Account", "no key", ("pk",)))


@pytest.mark.rule("T2")
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda key, account: ApiKey.objects.create_key(owner=key.owner, name="New", accounts=[account]),
            [OWNER, ACCOUNTS],
        ),
        (lambda key, account: key.rename("Laptop"), [OWNER, KEY]),
        (lambda key, account: key.share_all(), [OWNER, KEY]),
        (lambda key, account: key.restrict_to([account]), [OWNER, KEY, ACCOUNTS]),
        (lambda key, account: key.rotate(), [OWNER, KEY]),
        (lambda key, account: key.delete(), [OWNER, KEY]),
    ],
    ids=["create", "rename", "share all", "restrict", "rotate", "delete"],
)
def test_changes_lock_owner_key_and_accounts(restricted, accounts, locks, change, expected):
    """Accounts in the order of their primary keys, so that two changes cannot deadlock.

    "No key" locks do not block inserting rows with a foreign key to the locked row.
    """
    change(restricted.key, accounts.cash)
    assert locks == expected


@pytest.mark.rule("T3")
def test_recording_a_use_skips_locked_rows(restricted, monkeypatch):
    kinds = []
    as_sql = SQLCompiler.as_sql

    def record(compiler, *args, **kwargs):
        if compiler.query.select_for_update:
            kinds.append(compiler.query.select_for_update_skip_locked)
        return as_sql(compiler, *args, **kwargs)

    monkeypatch.setattr(SQLCompiler, "as_sql", record)
    usage.record(ApiKey.objects.authenticate(restricted.secret))
    assert kinds == [True]


class MissingDatabase:
    """Routes everything to a database that does not exist."""

    def db_for_read(self, model, **hints):
        return "missing"

    db_for_write = db_for_read


@pytest.mark.rule("K4")
@pytest.mark.parametrize(
    "change",
    [
        lambda key, account: ApiKey.objects.create_key(owner=key.owner, name="New"),
        lambda key, account: key.rename("Laptop"),
        lambda key, account: key.share_all(),
        lambda key, account: key.restrict_to([account]),
        lambda key, account: key.rotate(),
        lambda key, account: key.delete(),
    ],
    ids=["create", "rename", "share all", "restrict", "rotate", "delete"],
)
def test_changes_use_no_other_database(settings, restricted, accounts, django_assert_num_queries, change):
    """Not even for a transaction or a savepoint."""
    restricted.key.owner  # noqa: B018  # load it
    settings.DATABASE_ROUTERS = ["tests.finta_keys.test_key_locks.MissingDatabase"]
    with django_assert_num_queries(0), pytest.raises(ConnectionDoesNotExist):
        change(restricted.key, accounts.cash)


def test_delete_uses_the_given_database(restricted):
    with pytest.raises(ConnectionDoesNotExist), transaction.atomic():
        restricted.key.delete(using="missing")
    assert ApiKey.objects.filter(pk=restricted.key.pk).exists()
