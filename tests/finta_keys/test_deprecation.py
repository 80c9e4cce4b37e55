"""Names that were renamed work for one more release, and warn."""

from types import SimpleNamespace

import pytest

from accounts_app.models import Account
from finta_keys.deprecation import RenamedWarning
from finta_keys.models import ApiKey
from finta_keys.scoping import AccountScopeMixin, visible
from tests.factories import AccountFactory


class View(AccountScopeMixin):
    pass


def test_old_manager_methods_work(alice):
    with pytest.warns(RenamedWarning, match=r"Use ApiKey.objects.create_key\(\)"):
        key, secret = ApiKey.objects.issue(owner=alice, name="Laptop")
    with pytest.warns(RenamedWarning, match=r"Use ApiKey.objects.authenticate\(\)"):
        assert ApiKey.objects.with_secret(secret) == key


def test_old_scoping_names_limit_rows(restricted, accounts):
    request = SimpleNamespace(auth=restricted.key)
    view = View()
    view.request = request
    for limit in (restricted.key.narrow, view.narrow, lambda rows: visible(request, rows)):
        with pytest.warns(RenamedWarning, match=r"scoped\(\)"):
            assert list(limit(Account.objects.all())) == [accounts.checking]


def test_old_name_adds_account_to_scope(alice, restricted):
    account = AccountFactory(owner=alice)
    with restricted.key.locked() as key, pytest.warns(RenamedWarning, match=r"add_to_scope\(\)"):
        key.admit(account)
    assert account in restricted.key.scoped(Account.objects.all())
