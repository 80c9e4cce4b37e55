"""Foreign-key paths from a model to the account model."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models import F, Value
from django.test.utils import isolate_apps

from accounts_app.models import Account, Transaction, User
from finta_keys import account_paths
from finta_keys.models import ApiKey, KeyAccountScope
from tests.finta_keys.extra_models import Label, Note


@pytest.mark.parametrize(
    ("model", "path"),
    [(Account, ""), (Transaction, "account"), (KeyAccountScope, "account"), (User, None), (Group, None)],
)
def test_shortest_path_leads_to_the_account(model, path):
    assert account_paths.shortest_path(model) == path


def test_no_path_leads_through_the_user(settings):
    settings.FINTA_KEYS_ACCOUNT_MODEL = "auth.Group"
    assert account_paths.shortest_path(LogEntry) is None


def test_path_of_two_steps_is_found_despite_circle(settings):
    settings.FINTA_KEYS_ACCOUNT_MODEL = "contenttypes.ContentType"
    with isolate_apps("accounts_app"):

        class Node(models.Model):
            parent = models.ForeignKey("self", on_delete=models.CASCADE)
            permission = models.ForeignKey(Permission, on_delete=models.CASCADE)

            class Meta:
                app_label = "accounts_app"

            def __str__(self):
                return ""

    paths = ("permission__content_type", "parent__permission__content_type")
    assert account_paths.all_paths(Node) == paths
    assert account_paths.shortest_path(Node) == paths[0]


@pytest.mark.rule("S7.6")
def test_all_paths_includes_every_foreign_key():
    assert set(account_paths.all_paths(Note)) == {"account", "transaction__account"}
    assert account_paths.all_paths(Label) == ("account",)


def test_lookups_follow_a_foreign_key():
    assert account_paths.lookups(KeyAccountScope, "account") == ("account__owner", "account__finta_key_scopes__key")


@pytest.mark.rule("S3")
@pytest.mark.parametrize(
    ("model", "path"),
    [
        (Account, "nothing"),
        (Account, "owner"),
        (Account, "transactions"),
        (Account, "finta_key_scopes"),
        (Account, "finta_keys"),
        (Account, "name"),
        (Account, "pk"),
        (Account, "__"),
        (Account, "owner__accounts"),
        (Transaction, ""),
        (Transaction, "accounts"),
        (Transaction, "account__"),
        (Transaction, "__account"),
        (Transaction, "account__owner"),
        (Transaction, "account__name"),
        (Transaction, "account__owner__accounts"),
        (Transaction, "account.owner"),
        (Transaction, "summary__account"),
        (ApiKey, ""),
        (ApiKey, "accounts"),
        (ApiKey, "scope_rows__account"),
        (User, "accounts"),
        (User, ""),
    ],
)
def test_path_not_leading_to_one_account_raises(restricted, model, path):
    with pytest.raises(ImproperlyConfigured) as error:
        restricted.key.scoped(model._base_manager.all(), path)
    assert f"The path {path!r} does not lead from {model._meta.label} to accounts_app.Account" in str(error.value)
    assert "Set account_path" in str(error.value)


@pytest.mark.rule("S3")
def test_proxy_of_the_account_is_an_account(restricted, accounts):
    class ProxyOfAccount(Account):
        class Meta:
            proxy = True
            app_label = "tests"

    assert [account.name for account in restricted.key.scoped(ProxyOfAccount.objects.all())] == ["Checking"]


@pytest.mark.rule("S3")
@pytest.mark.parametrize("name", ["owner", "finta_key_scopes"])
def test_annotation_named_like_the_path_raises(restricted, accounts, bobs_account, name):
    rows = Account.objects.values(label=F("name")).annotate(**{name: Value(restricted.key.owner_id)})
    with pytest.raises(ImproperlyConfigured, match=f"annotation '{name}', which is also a name on the path"):
        restricted.key.scoped(rows)
    assert restricted.key.scoped(Account.objects.annotate(owner_email=F("owner__email"))).count() == 1
