"""Changes between two lookups that both use kept SQL: each takes effect at once (rule K4)."""

import subprocess
import sys
import threading

import pytest
from django.db import connection, connections

from accounts_app.models import Account, User
from finta_keys import pk_lookup, secret
from finta_keys.models import ApiKey, KeyAccountScope, RetiredSecret

pytestmark = pytest.mark.rule("K4")


class Lookups:
    """Looks up accounts by kept SQL, with a key that each lookup authenticates again."""

    def __init__(self, secret, executed):
        self.secret, self.executed = secret, executed

    def visible(self, *pks):
        """Return the primary keys that the key sees now, or None if its secret is invalid."""
        key = ApiKey.objects.authenticate(self.secret)
        if key is None:
            return None
        count = len(self.executed)
        rows = [self._get(key, pk) for pk in pks]
        assert len(self.executed) == count + len(pks)
        return [row.pk for row in rows if row]

    def _get(self, key, pk):
        try:
            return pk_lookup.get(key.scoped(Account.objects.all()), pk)
        except Account.DoesNotExist:
            return None


@pytest.fixture
def lookups(restricted, executed):
    return Lookups(restricted.secret, executed)


def changes(key, accounts, bob):
    """Yield changes, and the accounts that the key sees after each; None after a rotation."""
    checking, savings = accounts.checking.pk, accounts.savings.pk
    yield lambda: key.restrict_to([savings]), [savings]
    yield lambda: key.restrict_to([checking, savings]), [checking, savings]
    yield lambda: Account.objects.filter(pk=savings).update(owner=bob), [checking]
    yield lambda: key.share_all(), [checking]
    yield lambda: Account.objects.filter(pk=savings).update(owner=key.owner_id), [checking, savings]
    yield lambda: KeyAccountScope.objects.all().delete(), [checking, savings]
    yield lambda: key.restrict_to([savings]), [savings]
    yield lambda: KeyAccountScope.objects.all().delete(), []
    yield lambda: key.rotate(), None


def test_change_in_this_process_takes_effect(restricted, accounts, bob, lookups):
    pks = accounts.checking.pk, accounts.savings.pk
    assert lookups.visible(*pks) == [accounts.checking.pk]
    for change, visible in changes(restricted.key, accounts, bob):
        change()
        assert lookups.visible(*pks) == visible


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("other_threads_close_connections")
def test_change_in_another_thread_takes_effect(restricted, accounts, bob, lookups):
    pks = accounts.checking.pk, accounts.savings.pk
    assert lookups.visible(*pks) == [accounts.checking.pk]
    for change, visible in changes(restricted.key, accounts, bob):

        def run(change=change):
            change()
            connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert lookups.visible(*pks) == visible


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("other_threads_close_connections")
def test_threads_share_kept_sql(restricted, accounts, lookups):
    pks = accounts.checking.pk, accounts.savings.pk
    results = []

    def look_up():
        results.append(lookups.visible(*pks))
        connection.close()

    for _ in range(3):
        thread = threading.Thread(target=look_up)
        thread.start()
        thread.join()
    assert [*results, lookups.visible(*pks)] == [[accounts.checking.pk]] * 4
    assert list(pk_lookup._queries) == [(Account, "default", ("finta_key_scopes__key", "owner"))]


# --- other databases and processes -----------------------------------------------------------------------------------


class WritesTo:
    """Routes writes to one database, and reads to another that does not exist."""

    def __init__(self, alias):
        self.alias = alias

    def db_for_write(self, model, **hints):
        return self.alias

    def db_for_read(self, model, **hints):
        return "missing"


@pytest.fixture
def files(django_db_blocker, tmp_path, settings):
    """Two databases "one" and "two" with the same owner, key and account ids. The accounts are named after them."""
    aliases = ("one", "two")
    paths = {alias: tmp_path / f"{alias}.sqlite3" for alias in aliases}
    for alias, path in paths.items():
        sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": path, "OPTIONS": {}}
        connections.settings[alias] = {**connections.settings["default"], **sqlite}
    presented = secret.generate()
    with django_db_blocker.unblock():
        rows = make_rows(presented)
        for alias in aliases:
            settings.DATABASE_ROUTERS = [WritesTo(alias)]
            with connections[alias].schema_editor() as editor:
                for model in (User, Account, ApiKey, KeyAccountScope, RetiredSecret):
                    editor.create_model(model)
            for row in rows:
                if isinstance(row, Account):
                    row.name = f"{row.mask} in {alias}"
                row._state.adding = True
                row.save_base(using=alias, force_insert=True)
        yield paths, presented, [row.pk for row in rows if isinstance(row, Account)]
        for alias in aliases:
            connections[alias].close()
    for alias in aliases:
        del connections[alias]
        del connections.settings[alias]


def make_rows(presented):
    owner = User(email="alice@example.com", email_key="alice@example.com")
    columns = {"type": "x", "currency": "USD", "current_balance": 1}
    accounts = [Account(owner=owner, mask=mask, **columns) for mask in ("visible", "hidden")]
    key = ApiKey(
        owner=owner, name="k", name_key="k", digest=secret.digest(presented, b"\x11" * 32), share_all_accounts=False
    )
    return owner, *accounts, key, KeyAccountScope(pk=1, key=key, account=accounts[0])


def names(presented, pks, executed):
    """Return the names of the accounts that the key can access, each looked up by kept SQL."""
    key = ApiKey.objects.authenticate(presented)
    result = []
    executed.clear()
    for pk in pks:
        try:
            result.append(pk_lookup.get(key.scoped(Account.objects.all()), pk).name)
        except Account.DoesNotExist:
            result.append(None)
    assert len(executed) == len(pks)
    return result


def test_each_database_is_read_by_its_own_sql(files, settings, executed):
    _, presented, pks = files
    for alias in ("one", "two", "one"):
        settings.DATABASE_ROUTERS = [WritesTo(alias)]
        assert names(presented, pks, executed) == [f"visible in {alias}", None]
        rows = ApiKey.objects.authenticate(presented).scoped(Account.objects.using("missing"))
        assert pk_lookup.get(rows, pks[0])._state.db == alias


def test_using_after_the_scope_reads_that_database(files, settings, executed):
    _, presented, pks = files
    settings.DATABASE_ROUTERS = [WritesTo("one")]
    rows = ApiKey.objects.authenticate(presented).scoped(Account.objects.all())
    assert pk_lookup.get(rows.using("two"), pks[0]).name == "visible in two"
    assert pk_lookup.get(rows, pks[0]).name == "visible in one"
    assert executed == []


STATEMENTS = {
    "DELETE FROM finta_keys_keyaccountscope": None,
    "UPDATE finta_keys_apikey SET share_all_accounts = 1": "visible in one",
    "UPDATE accounts_app_account SET owner_id = 'another'": None,
}


def test_change_in_another_process_takes_effect(files, settings, executed):
    paths, presented, pks = files
    settings.DATABASE_ROUTERS = [WritesTo("one")]
    assert names(presented, pks[:1], executed) == ["visible in one"]
    for statement, name in STATEMENTS.items():
        change = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()"
        subprocess.run([sys.executable, "-c", change, paths["one"], statement], check=True)  # noqa: S603
        assert names(presented, pks[:1], executed) == [name]
    rotate = "UPDATE finta_keys_apikey SET digest = zeroblob(32)"
    subprocess.run([sys.executable, "-c", change, paths["one"], rotate], check=True)  # noqa: S603
    assert ApiKey.objects.authenticate(presented) is None
