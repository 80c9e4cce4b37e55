"""What a key can see: ``key.narrow()`` and ``AccountScopeMixin`` (rules S3 and S4)."""

import re
import uuid
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.db import NotSupportedError
from django.db.models import Count, F, Sum
from django.http import Http404
from django.utils import timezone
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.viewsets import ModelViewSet

from accounts_app.models import Account, Transaction, User
from finta_keys import paths
from finta_keys.models import ApiKey, KeyAccountScope
from finta_keys.scoping import AccountScopeMixin
from tests.conftest import ApiClient
from tests.factories import AccountFactory, TransactionFactory, UserFactory, make_key
from tests.finta_keys import urls_made_up


@pytest.fixture
def transactions(accounts, bobs_account):
    """Two on each account, one of them pending."""
    for account in (accounts.checking, accounts.savings, accounts.cash, bobs_account):
        TransactionFactory(account=account, summary=f"{account.name} 1", amount=1)
        TransactionFactory(account=account, summary=f"{account.name} 2", amount=2, status="pending")


def names(queryset):
    return sorted(account.name for account in queryset)


def summaries(queryset):
    return sorted(transaction.summary for transaction in queryset)


def test_S3_a_restricted_key_sees_the_accounts_of_its_scope(restricted, bobs_account):
    assert names(restricted.key.narrow(Account.objects.all())) == ["Checking"]


def test_S3_an_unrestricted_key_sees_the_owners_accounts(unrestricted, bobs_account):
    assert names(unrestricted.key.narrow(Account.objects.all())) == ["Cash", "Checking", "Savings"]


def test_S3_a_model_that_reaches_the_account_is_narrowed_by_its_path(restricted, unrestricted, transactions):
    rows = Transaction.objects.all()
    assert summaries(restricted.key.narrow(rows, "account")) == ["Checking 1", "Checking 2"]
    assert summaries(unrestricted.key.narrow(rows, "account")) == [
        f"{name} {n}" for name in ("Cash", "Checking", "Savings") for n in (1, 2)
    ]


def test_S3_a_longer_path_and_a_primary_key_that_is_a_foreign_key_work(restricted, accounts, bobs_account):
    """The scope rows themselves lead to the account too."""
    row = KeyAccountScope.objects.get(key=restricted.key)
    assert list(restricted.key.narrow(KeyAccountScope.objects.all(), "account")) == [row]
    assert paths.lookups(KeyAccountScope, "account") == ("account__owner", "account__key_scopes__key")


def test_S3_a_scope_of_several_accounts_and_several_keys_doubles_no_row(alice, accounts, transactions):
    key, _ = make_key(alice, "Two", [accounts.checking, accounts.savings])
    for number in range(3):
        make_key(alice, f"Other {number}", [accounts.checking, accounts.savings, accounts.cash])
    assert names(key.narrow(Account.objects.all())) == ["Checking", "Savings"]
    assert key.narrow(Account.objects.all()).count() == 2
    assert key.narrow(Transaction.objects.all(), "account").count() == 4
    assert key.narrow(Transaction.objects.all(), "account").aggregate(sum=Sum("amount")) == {"sum": 6}


def test_S3_filters_annotations_aggregates_and_orders_stay_inside_the_scope(restricted, transactions):
    accounts = restricted.key.narrow(Account.objects.all())
    assert names(accounts.filter(name="Savings")) == []
    assert names(accounts.filter(name__in=["Savings", "Checking"]).order_by("-name")) == ["Checking"]
    assert accounts.exclude(name="Checking").count() == 0
    assert list(accounts.annotate(n=Count("transactions")).values_list("name", "n")) == [("Checking", 2)]
    assert accounts.aggregate(sum=Sum("transactions__amount")) == {"sum": 3}
    assert list(accounts.order_by("transactions__amount").values_list("name", flat=True)) == ["Checking"] * 2
    assert list(accounts.values("owner").annotate(n=Count("pk")).values_list("n", flat=True)) == [1]
    assert accounts.values("name").distinct().count() == 1
    assert accounts.exists()
    assert names(accounts[:5]) == ["Checking"]
    assert names(accounts.filter(key_scopes__isnull=False).distinct()) == ["Checking"]
    assert names(accounts.order_by().union(accounts.order_by())) == ["Checking"]


def test_S3_what_was_done_to_the_queryset_beforehand_stays_inside_the_scope(alice, restricted, accounts, transactions):
    make_key(alice, "Other", [accounts.checking, accounts.savings])
    narrow = restricted.key.narrow
    either = Account.objects.filter(name="Checking") | Account.objects.filter(name="Savings")
    assert names(narrow(either)) == ["Checking"]
    assert names(narrow(Account.objects.exclude(name="Checking"))) == []
    assert names(narrow(Account.objects.filter(owner__isnull=False))) == ["Checking"]
    assert names(narrow(Account.objects.filter(key_scopes__key__name="Other"))) == ["Checking"]
    assert list(narrow(Account.objects.annotate(n=Count("transactions"))).values_list("name", "n")) == [("Checking", 2)]
    assert narrow(Account.objects.values("name").annotate(n=Count("pk"))).get() == {"name": "Checking", "n": 1}
    assert narrow(Account.objects.select_related("owner")).get().owner == alice
    assert narrow(Account.objects.order_by(F("mask").desc())).get().name == "Checking"
    assert summaries(narrow(Transaction.objects.filter(account__name__startswith="S"), "account")) == []
    assert summaries(narrow(accounts.savings.transactions.all(), "account")) == []


def test_S3_a_slice_or_a_union_cannot_be_narrowed_and_fails_closed(restricted, unrestricted, accounts):
    for key in (restricted.key, unrestricted.key):
        with pytest.raises(TypeError, match="slice"):
            key.narrow(Account.objects.all()[:1])
        union = Account.objects.filter(name="Cash").union(Account.objects.filter(name="Savings"))
        with pytest.raises(NotSupportedError):
            list(key.narrow(union))


def test_S3_a_queryset_that_was_read_already_is_read_again(restricted, accounts):
    everything = Account.objects.all()
    assert len(everything) == 3
    assert names(restricted.key.narrow(everything)) == ["Checking"]


@pytest.mark.parametrize(
    "flags", [{"is_staff": True}, {"is_superuser": True}, {"is_staff": True, "is_superuser": True}]
)
def test_S3_being_staff_or_superuser_never_widens_a_key(alice, restricted, unrestricted, transactions, flags):
    User.objects.filter(pk=alice.pk).update(**flags)
    key = ApiKey.objects.with_secret(restricted.secret)
    assert all(getattr(key.owner, flag) for flag in flags)
    assert names(key.narrow(Account.objects.all())) == ["Checking"]
    assert names(unrestricted.key.narrow(Account.objects.all())) == ["Cash", "Checking", "Savings"]
    assert len(restricted.client.get("/v2/accounts").json()["accounts"]) == 1
    assert len(unrestricted.client.get("/v2/accounts").json()["accounts"]) == 3
    bobs = Account.objects.get(name="Bob's")
    assert unrestricted.client.get(f"/v2/accounts/{bobs.pk}").status_code == 404


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (Account, "nothing"),
        (Account, "owner"),
        (Account, "transactions"),
        (Account, "key_scopes"),
        (Account, "api_keys"),
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
def test_S3_a_path_that_does_not_lead_to_one_account_is_refused(restricted, model, path):
    with pytest.raises(ImproperlyConfigured) as error:
        restricted.key.narrow(model._base_manager.all(), path)
    assert f"The path {path!r} does not lead from {model._meta.label} to accounts_app.Account" in str(error.value)
    assert "Set account_path" in str(error.value)


def test_S3_a_proxy_of_the_account_is_the_account(restricted, accounts):
    class ProxyOfAccount(Account):
        class Meta:
            proxy = True
            app_label = "tests"

    assert names(restricted.key.narrow(ProxyOfAccount.objects.all())) == ["Checking"]


def test_S3_the_scope_is_one_join_to_the_scope_rows_and_none_to_the_owner(
    restricted, transactions, django_assert_num_queries
):
    for model, path in ((Account, ""), (Transaction, "account")):
        sql = str(restricted.key.narrow(model.objects.all(), path).query)
        assert sql.count("JOIN") == (2 if path else 1)
        assert len(re.findall(r'JOIN "finta_keys_keyaccountscope"', sql)) == 1
        assert "accounts_app_user" not in sql
        assert 'JOIN "finta_keys_apikey"' not in sql
        with django_assert_num_queries(1):
            list(restricted.key.narrow(model.objects.all(), path))


def test_S1_an_unrestricted_key_does_not_look_at_scope_rows(unrestricted):
    sql = str(unrestricted.key.narrow(Transaction.objects.all(), "account").query)
    assert "finta_keys" not in sql
    assert '"accounts_app_account"."owner_id" = ' in sql


# --- the mixin -------------------------------------------------------------------------------------------------------


class WithoutSuper(AccountScopeMixin, GenericAPIView):
    def get_queryset(self):
        return Account.objects.exclude(name="Cash")


class WithSuper(AccountScopeMixin, GenericAPIView):
    queryset = Account.objects.all()

    def get_queryset(self):
        return super().get_queryset().exclude(name="Cash")


class Deeper(WithSuper):
    def get_queryset(self):
        return super().get_queryset().exclude(name="Nothing")


class DeeperWithoutSuper(WithSuper):
    def get_queryset(self):
        return Account.objects.all()


class Last(GenericAPIView, AccountScopeMixin):
    queryset = Account.objects.all()


class LastOverridden(GenericAPIView, AccountScopeMixin):
    def get_queryset(self):
        return Account.objects.all()


class Elsewhere:
    def get_queryset(self):
        return Account.objects.all()


class FromElsewhere(Elsewhere, Last):
    pass


class Twice(Elsewhere, AccountScopeMixin, GenericAPIView):
    queryset = Account.objects.all()

    def get_queryset(self):
        return super().get_queryset() | GenericAPIView.get_queryset(self)


class ThatAsksItself(AccountScopeMixin, GenericAPIView):
    queryset = Account.objects.all()

    def get_queryset(self):
        if getattr(self, "asked", False):
            return super().get_queryset()
        self.asked = True
        return self.get_queryset()


class Reads(AccountScopeMixin, ModelViewSet):
    queryset = Account.objects.all()


class Plain(AccountScopeMixin, GenericAPIView):
    queryset = Account.objects.all()


class Proxied(Plain):
    queryset = Account.objects.all()


VIEWS = [
    *(WithoutSuper, WithSuper, Deeper, DeeperWithoutSuper, Last, LastOverridden, FromElsewhere, Twice, ThatAsksItself),
    *(Reads, Plain, Proxied),
]


def called(view, **request):
    """Return an instance of ``view`` as it is during a request."""
    instance = view()
    instance.request = SimpleNamespace(**request)
    instance.kwargs = {}
    instance.args = ()
    return instance


@pytest.mark.parametrize("view", VIEWS)
def test_S3_whatever_get_queryset_is_the_view_is_inside_the_scope(restricted, bobs_account, view):
    instance = called(view, auth=restricted.key, successful_authenticator=object())
    assert names(instance.get_queryset()) == ["Checking"]
    assert names(instance.get_queryset()) == ["Checking"]


@pytest.mark.parametrize("view", VIEWS)
def test_S3_the_queryset_is_narrowed_once(restricted, view):
    sql = str(called(view, auth=restricted.key).get_queryset().query)
    assert len(re.findall("JOIN", sql)) == 1


@pytest.mark.parametrize("view", VIEWS)
def test_S3_without_a_key_and_without_anybody_else_nothing_is_seen(accounts, view):
    for request in ({}, {"auth": None}, {"auth": None, "successful_authenticator": None, "user": AnonymousUser()}):
        assert names(called(view, **request).get_queryset()) == []


@pytest.mark.parametrize("view", VIEWS)
def test_where_another_authentication_class_let_the_request_in_the_views_own_queryset_decides(
    accounts, bobs_account, view
):
    instance = called(view, auth=None, successful_authenticator=object())
    assert set(names(instance.get_queryset())) >= {"Bob's", "Checking", "Savings"}


def test_S3_a_view_that_failed_once_is_still_narrowed_afterwards(restricted, accounts):
    class Fails(AccountScopeMixin, GenericAPIView):
        fails = True

        def get_queryset(self):
            if self.fails:
                raise LookupError
            return Account.objects.all()

    view = called(Fails, auth=restricted.key)
    with pytest.raises(LookupError):
        view.get_queryset()
    view.fails = False
    assert names(view.get_queryset()) == ["Checking"]


def test_the_override_keeps_its_name_and_docstring():
    class Documented(AccountScopeMixin, GenericAPIView):
        def get_queryset(self):
            """Say what."""

    assert Documented.get_queryset.__doc__ == "Say what."


def test_a_class_without_get_queryset_may_carry_the_mixin(restricted):
    class WithoutQueryset(AccountScopeMixin):
        pass

    assert not hasattr(WithoutQueryset, "get_queryset")
    assert names(called(WithoutQueryset, auth=restricted.key).narrow(Account.objects.all())) == ["Checking"]


def test_S3_a_view_on_another_model_uses_its_account_path(restricted, unrestricted, transactions):
    class Transactions(AccountScopeMixin, GenericAPIView):
        queryset = Transaction.objects.all()
        account_path = "account"

    assert summaries(called(Transactions, auth=restricted.key).get_queryset()) == ["Checking 1", "Checking 2"]


def test_S3_a_view_on_another_model_without_its_path_fails(restricted):
    class PathForgotten(AccountScopeMixin, GenericAPIView):
        queryset = Transaction.objects.all()

    with pytest.raises(ImproperlyConfigured, match=r"The path '' does not lead from accounts_app\.Transaction"):
        called(PathForgotten, auth=restricted.key).get_queryset()


def test_S4_what_is_hidden_is_not_found(restricted, accounts, bobs_account):
    view = called(Plain, auth=restricted.key, successful_authenticator=object())
    view.check_object_permissions = lambda *args: None
    view.kwargs = {"pk": accounts.checking.pk}
    assert view.get_object() == accounts.checking
    for hidden in (accounts.savings.pk, bobs_account.pk, uuid.uuid4(), "malformed"):
        view.kwargs = {"pk": hidden}
        with pytest.raises(Http404):
            view.get_object()


@pytest.mark.urls("tests.finta_keys.urls_made_up")
@pytest.mark.parametrize("path", ["/accounts", "/viewset"])
def test_S4_a_made_up_api_shows_the_scope_with_two_queries(
    restricted, accounts, bobs_account, path, django_assert_num_queries
):
    ApiKey.objects.filter(pk=restricted.key.pk).update(last_used_at=timezone.now())
    with django_assert_num_queries(2):
        response = restricted.client.get(path)
    assert [each["name"] for each in response.json()] == ["Checking"]
    with django_assert_num_queries(2):
        assert restricted.client.get(f"{path}/{accounts.checking.pk}").json()["name"] == "Checking"
    hidden = [restricted.client.get(f"{path}/{pk}") for pk in (accounts.cash.pk, bobs_account.pk, uuid.uuid4())]
    assert {response.status_code for response in hidden} == {404}
    assert len({response.content for response in hidden}) == 1
    assert ApiClient().get(path).status_code == 401


def test_force_authenticate_with_a_key_is_inside_the_scope_too(alice, restricted, accounts):
    """As hosts do in their tests."""
    request = APIRequestFactory().get("/")
    force_authenticate(request, user=alice, token=restricted.key)
    response = urls_made_up.Accounts.as_view()(request)
    assert [each["name"] for each in response.data] == ["Checking"]


def test_S3_many_scope_rows_cost_no_more_queries(alice, django_assert_num_queries):
    many = AccountFactory.create_batch(60, owner=alice)
    key, _ = make_key(alice, "Many", many)
    with django_assert_num_queries(1):
        assert len(key.narrow(Account.objects.all())) == 60


def test_S3_another_owners_key_with_the_same_name_sees_nothing_of_it(restricted, accounts):
    other, _ = make_key(UserFactory(), "Restricted")
    assert names(other.narrow(Account.objects.all())) == []


def test_list_views_of_drf_are_inside_the_scope(restricted, accounts):
    class Names(ListAPIView, AccountScopeMixin):
        queryset = Account.objects.order_by("name")
        serializer_class = urls_made_up.AccountSerializer
        authentication_classes = urls_made_up.KeyOnly.authentication_classes

    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {restricted.secret}")
    assert [each["name"] for each in Names.as_view()(request).data] == ["Checking"]
