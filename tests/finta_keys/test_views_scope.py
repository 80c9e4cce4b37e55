"""``AccountScopeMixin`` limits the rows of ``get_queryset()``, overridden or not."""

import uuid

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.response import Response
from rest_framework.test import force_authenticate
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from accounts_app.models import Account, Transaction, User
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.models import ApiKey
from finta_keys.scoping import AccountScopeMixin, scoped
from finta_keys.testing import make_key
from tests.conftest import ApiClient
from tests.factories import TransactionFactory
from tests.finta_keys import urls_example
from tests.finta_keys.calls import call, make_request


@pytest.fixture
def transactions(accounts, bobs_account):
    for account in (accounts.checking, accounts.savings, accounts.cash, bobs_account):
        TransactionFactory(account=account, summary=f"{account.name} 1")
        TransactionFactory(account=account, summary=f"{account.name} 2")


def names(queryset):
    return sorted(account.name for account in queryset)


def summaries(queryset):
    return sorted(transaction.summary for transaction in queryset)


def instance(view, *, key=None, user=None):
    """Return an instance of a view in the middle of a request."""
    request = make_request()
    if key or user:
        force_authenticate(request, user=user or key.owner, token=key)
    view = view()
    view.action_map = {}
    view.setup(request)
    view.request = view.initialize_request(request)
    return view


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


class MixinLast(GenericAPIView, AccountScopeMixin):
    queryset = Account.objects.all()


class MixinLastOverridden(GenericAPIView, AccountScopeMixin):
    def get_queryset(self):
        return Account.objects.all()


class OtherMixin:
    def get_queryset(self):
        return Account.objects.all()


class OtherMixinFirst(OtherMixin, MixinLast):
    pass


class Combined(OtherMixin, AccountScopeMixin, GenericAPIView):
    queryset = Account.objects.all()

    def get_queryset(self):
        return super().get_queryset() | GenericAPIView.get_queryset(self)


class CallsItself(AccountScopeMixin, GenericAPIView):
    queryset = Account.objects.all()

    def get_queryset(self):
        if getattr(self, "is_called", False):
            return super().get_queryset()
        self.is_called = True
        return self.get_queryset()


class Viewset(AccountScopeMixin, ModelViewSet):
    queryset = Account.objects.all()


class Plain(AccountScopeMixin, GenericAPIView):
    queryset = Account.objects.all()


class Inherited(Plain):
    queryset = Account.objects.all()


class CallsScoped(AccountScopeMixin, GenericAPIView):
    def get_queryset(self):
        return self.scoped(Account.objects.all())


class CallsScopedFunction(AccountScopeMixin, GenericAPIView):
    def get_queryset(self):
        return scoped(self.request, Account.objects.all())


class ScopesOnlyAnotherModel(AccountScopeMixin, GenericAPIView):
    """It scoped something, but not the rows that it returns."""

    def get_queryset(self):
        assert not scoped(self.request, Transaction.objects.all(), "account").exists()
        return Account.objects.all()


class ReturnsManager(AccountScopeMixin, GenericAPIView):
    def get_queryset(self):
        return Account.objects


VIEWS = [
    *(WithoutSuper, WithSuper, Deeper, DeeperWithoutSuper, MixinLast, MixinLastOverridden, OtherMixinFirst, Combined),
    *(CallsItself, Viewset, Plain, Inherited, CallsScoped, CallsScopedFunction, ScopesOnlyAnotherModel, ReturnsManager),
]


@pytest.mark.rule("S3")
@pytest.mark.parametrize("view", VIEWS)
def test_queryset_of_a_key_is_limited(restricted, bobs_account, view):
    view = instance(view, key=restricted.key)
    assert names(view.get_queryset()) == ["Checking"]
    assert names(view.get_queryset()) == ["Checking"]


@pytest.mark.rule("S7.3")
@pytest.mark.parametrize("view", VIEWS)
def test_queryset_of_a_user_is_limited(alice, bob, accounts, bobs_account, view):
    assert names(instance(view, user=bob).get_queryset()) == ["Bob's"]
    assert set(names(instance(view, user=alice).get_queryset())) - {"Cash"} == {"Checking", "Savings"}


@pytest.mark.rule("S7.3")
@pytest.mark.parametrize("view", VIEWS)
def test_queryset_of_an_anonymous_caller_is_empty(accounts, view):
    assert names(instance(view).get_queryset()) == []
    assert names(instance(view, user=AnonymousUser()).get_queryset()) == []


@pytest.mark.parametrize("view", [view for view in VIEWS if view not in (CallsScoped, CallsScopedFunction)])
def test_queryset_is_joined_to_the_scope_once(restricted, view):
    queryset = instance(view, key=restricted.key).get_queryset()
    tables = [join.table_name for join in queryset.query.alias_map.values()]
    assert tables.count("finta_keys_keyaccountscope") == 1


class CallsSuper(AccountScopeMixin, GenericAPIView):
    """Keeps what ``super()`` returned, and returns other rows."""

    queryset = Account.objects.all()

    def get_queryset(self):
        self.inner = names(super().get_queryset())
        return Account.objects.all()

    def siblings(self):
        return super().get_queryset()


@pytest.mark.rule("S3")
def test_super_inside_an_override_is_limited(restricted, bobs_account):
    """An override may count the rows of ``super()``, or keep them for the handler."""
    view = instance(CallsSuper, key=restricted.key)
    assert names(view.get_queryset()) == view.inner == ["Checking"]


@pytest.mark.rule("S7.3")
@pytest.mark.parametrize("caller", ["key", "user"])
def test_super_called_by_another_method_is_limited(restricted, bob, bobs_account, caller):
    view = instance(CallsSuper, key=restricted.key) if caller == "key" else instance(CallsSuper, user=bob)
    assert names(view.siblings()) == {"key": ["Checking"], "user": ["Bob's"]}[caller]


class AddsRows(AccountScopeMixin, GenericAPIView):
    queryset = Account.objects.filter(name="Checking")

    def get_queryset(self):
        return super().get_queryset() | Account.objects.exclude(name="Cash")


@pytest.mark.rule("S3")
def test_combined_querysets_double_no_row(alice, restricted, accounts):
    for number in range(3):
        make_key(alice, f"Other {number}", [accounts.checking, accounts.savings])
    assert names(instance(AddsRows, key=restricted.key).get_queryset()) == ["Checking"]


@pytest.mark.rule("S3")
def test_view_is_limited_again_after_it_raised(restricted, accounts):
    class Fails(AccountScopeMixin, GenericAPIView):
        fails = True

        def get_queryset(self):
            if self.fails:
                raise LookupError
            return Account.objects.all()

    view = instance(Fails, key=restricted.key)
    with pytest.raises(LookupError):
        view.get_queryset()
    view.fails = False
    assert names(view.get_queryset()) == ["Checking"]


def test_override_keeps_its_name_and_docstring():
    class Documented(AccountScopeMixin, GenericAPIView):
        def get_queryset(self):
            """Return the rows."""

    assert Documented.get_queryset.__doc__ == "Return the rows."
    assert Documented.get_queryset.__name__ == "get_queryset"


def test_mixin_works_without_get_queryset(restricted):
    class WithoutQueryset(AccountScopeMixin, APIView):
        pass

    assert not hasattr(WithoutQueryset, "get_queryset")
    assert names(instance(WithoutQueryset, key=restricted.key).scoped(Account.objects.all())) == ["Checking"]


@pytest.mark.rule("S3")
def test_view_uses_its_account_path(restricted, transactions):
    class Transactions(AccountScopeMixin, GenericAPIView):
        queryset = Transaction.objects.all()
        account_path = "account"

    assert summaries(instance(Transactions, key=restricted.key).get_queryset()) == ["Checking 1", "Checking 2"]
    Transactions.account_path = ""
    with pytest.raises(ImproperlyConfigured, match=r"The path '' does not lead from accounts_app\.Transaction"):
        instance(Transactions, key=restricted.key).get_queryset()


# --- rows that cannot be limited by account_path ---------------------------------------------------------------------


class ReturnsList(AccountScopeMixin, GenericAPIView):
    def get_queryset(self):
        return list(self.scoped(Account.objects.all()))


class ReturnsSlice(AccountScopeMixin, GenericAPIView):
    def get_queryset(self):
        return self.scoped(Account.objects.order_by("name"))[:10]


class ReturnsUnion(AccountScopeMixin, GenericAPIView):
    def get_queryset(self):
        rows = self.scoped(Account.objects.order_by())
        return rows.union(rows)


class ReturnsManyToMany(AccountScopeMixin, GenericAPIView):
    """Keys have no foreign key to an account, but a many-to-many relation."""

    def get_queryset(self):
        return ApiKey.objects.filter(accounts__in=self.scoped(Account.objects.all()))


class ReturnsByKey(AccountScopeMixin, GenericAPIView):
    authentication_classes = [ApiKeyAuthentication]

    def get_queryset(self):
        return list(self.request.auth.scoped(Account.objects.all()))

    def get(self, request):
        return Response(names(self.get_queryset()))


@pytest.mark.rule("S7.6")
@pytest.mark.parametrize("view", [ReturnsList, ReturnsSlice, ReturnsUnion])
def test_scoped_rows_in_another_form_are_accepted(restricted, bobs_account, view):
    assert names(instance(view, key=restricted.key).get_queryset()) == ["Checking"]


@pytest.mark.rule("S7.6")
def test_scoping_over_many_to_many_is_accepted(restricted, bobs_account):
    make_key(restricted.key.owner, "Other", [restricted.key.owner.accounts.get(name="Savings")])
    assert names(instance(ReturnsManyToMany, key=restricted.key).get_queryset()) == ["Restricted"]


@pytest.mark.rule("S7.6")
def test_rows_that_the_key_scoped_are_accepted(restricted, bobs_account):
    assert call(ReturnsByKey, restricted.secret).data == ["Checking"]


@pytest.mark.rule("S7.6")
@pytest.mark.parametrize(
    "rows",
    [
        lambda: list(Account.objects.all()),
        lambda: Account.objects.all()[:10],
        lambda: Account.objects.all().union(Account.objects.all()),
        lambda: Account.objects.raw("SELECT * FROM accounts_app_account"),
        lambda: ApiKey.objects.all(),
    ],
    ids=["list", "slice", "union", "raw", "many-to-many"],
)
def test_unscoped_rows_in_another_form_raise(restricted, accounts, rows):
    class Unscoped(AccountScopeMixin, GenericAPIView):
        def get_queryset(self):
            return rows()

    view = instance(Unscoped, key=restricted.key)
    with pytest.raises(ImproperlyConfigured, match=r"Call scoped\(\) first|does not lead from"):
        view.get_queryset()
    # Rows that were scoped before do not count for these.
    view.scoped(Account.objects.all())
    with pytest.raises(ImproperlyConfigured, match=r"Call scoped\(\) first|does not lead from"):
        view.get_queryset()


# --- views of Django REST framework ----------------------------------------------------------------------------------


@pytest.mark.rule("S4")
def test_get_object_does_not_find_hidden_rows(restricted, accounts, bobs_account):
    view = instance(Plain, key=restricted.key)
    view.kwargs = {"pk": accounts.checking.pk}
    assert view.get_object() == accounts.checking
    for hidden in (accounts.savings.pk, bobs_account.pk, uuid.uuid4(), "malformed"):
        view.kwargs = {"pk": hidden}
        with pytest.raises(Http404):
            view.get_object()


@pytest.mark.rule("S4")
@pytest.mark.urls("tests.finta_keys.urls_example")
@pytest.mark.parametrize("path", ["/accounts", "/viewset"])
def test_example_views_show_the_scope_with_two_queries(
    restricted, accounts, bobs_account, path, django_assert_num_queries
):
    ApiKey.objects.filter(pk=restricted.key.pk).update(last_used_at=timezone.now())
    with django_assert_num_queries(2):
        response = restricted.client.get(path)
    assert [row["name"] for row in response.json()] == ["Checking"]
    with django_assert_num_queries(2):
        assert restricted.client.get(f"{path}/{accounts.checking.pk}").json()["name"] == "Checking"
    hidden = [restricted.client.get(f"{path}/{pk}") for pk in (accounts.cash.pk, bobs_account.pk, uuid.uuid4())]
    assert {response.status_code for response in hidden} == {404}
    assert len({response.content for response in hidden}) == 1
    assert ApiClient().get(path).status_code == 401


@pytest.mark.rule("S3")
def test_list_view_with_mixin_last_is_limited(restricted, accounts):
    class Names(ListAPIView, AccountScopeMixin):
        queryset = Account.objects.order_by("name")
        serializer_class = urls_example.AccountSerializer
        authentication_classes = [ApiKeyAuthentication]

    assert [row["name"] for row in call(Names, restricted.secret).data] == ["Checking"]


class TakesArguments(AccountScopeMixin, GenericAPIView):
    authentication_classes = [ApiKeyAuthentication]

    def get_queryset(self, without=None):
        return Account.objects.exclude(name=without)

    def get(self, request):
        return Response(names(self.filter_queryset(queryset=self.get_queryset(without="Cash"))))


@pytest.mark.rule("S3")
def test_wrapped_methods_pass_on_arguments(unrestricted, restricted):
    assert call(TakesArguments, unrestricted.secret).data == ["Checking", "Savings"]
    assert call(TakesArguments, restricted.secret).data == ["Checking"]


# --- authentication classes of the project ---------------------------------------------------------------------------


class Names(AccountScopeMixin, APIView):
    authentication_classes = [ApiKeyAuthentication]

    def get(self, request):
        return Response(names(self.scoped(Account.objects.all())))


class NamesByFunction(Names):
    def get(self, request):
        return Response(names({row.account for row in scoped(request, Transaction.objects.all(), "account")}))


class ScopesInInitial(Names):
    def initial(self, request, *args, **kwargs):
        self.rows = self.scoped(Account.objects.all())
        super().initial(request, *args, **kwargs)

    def get(self, request):
        return Response(names(self.rows))


class ReturnsTokenInstead(ApiKeyAuthentication):
    """The mistake: ``request.auth`` is not the key."""

    def authenticate(self, request):
        result = super().authenticate(request)
        return result and (result[0], {"key": result[1].name})


class ReturnsNone(ApiKeyAuthentication):
    def authenticate(self, request):
        super().authenticate(request)


@pytest.mark.rule("S3")
@pytest.mark.parametrize("view", [Names, NamesByFunction])
def test_key_counts_if_request_auth_differs(restricted, transactions, view):
    assert call(view, restricted.secret, authentication_classes=[ReturnsTokenInstead]).data == ["Checking"]


@pytest.mark.rule("S7.2")
def test_key_counts_if_another_class_authenticates(restricted, accounts, bob, bobs_account):
    class AlwaysBob(BaseAuthentication):
        def authenticate(self, request):
            return bob, None

    for classes in ([ReturnsNone, AlwaysBob], [AlwaysBob, ApiKeyAuthentication]):
        assert call(Names, restricted.secret, authentication_classes=classes).data == ["Checking"]


@pytest.mark.rule("S7.6")
def test_rows_scoped_in_initial_count_as_scoping(restricted, accounts):
    assert call(ScopesInInitial, restricted.secret).data == ["Checking"]


class AuthenticatesLate(Names):
    permission_classes = []

    def perform_authentication(self, request):
        pass


@pytest.mark.rule("S7.2")
def test_view_that_authenticates_late_is_limited(restricted, accounts):
    assert call(AuthenticatesLate, restricted.secret).data == ["Checking"]
    assert call(AuthenticatesLate, restricted.secret[:-1] + "!").status_code == 401
    assert call(AuthenticatesLate).data == []


class SlicedBase(GenericAPIView):
    def get_queryset(self):
        return Account.objects.order_by("name")[:1]


class ScopesInstead(AccountScopeMixin, SlicedBase):
    def get_queryset(self):
        self.inner = super().get_queryset()
        return self.scoped(Account.objects.all())


@pytest.mark.rule("S7.3")
def test_override_may_ignore_a_slice_of_super(restricted):
    view = instance(ScopesInstead, key=restricted.key)
    assert names(view.get_queryset()) == ["Checking"]
    assert len(view.inner) == 1


class OpenToAll(CallsSuper):
    def unlimited_for(self, request):
        return True


@pytest.mark.rule("S7.3")
def test_super_is_unlimited_for_unlimited_callers(bob, accounts, bobs_account):
    view = instance(OpenToAll, user=bob)
    assert "Checking" in names(view.get_queryset())
    assert names(view.siblings()) == view.inner == names(Account.objects.all())


def test_get_queryset_without_request_is_the_views_own(accounts):
    """Generators of API descriptions ask for the queryset without a request."""
    assert names(WithoutSuper().get_queryset()) == ["Checking", "Savings"]


class ScopedList(WithSuper):
    replacement = None

    def get_queryset(self):
        return [{"name": account.name} for account in self.scoped(Account.objects.all())]

    def filter_queryset(self, queryset):
        return self.replacement(queryset)


@pytest.mark.parametrize("replacement", [lambda rows: rows, lambda rows: rows[:], lambda rows: sorted(rows, key=str)])
def test_filters_accept_lists(restricted, replacement):
    view = instance(ScopedList, key=restricted.key)
    view.replacement = replacement
    assert view.filter_queryset(view.get_queryset()) == [{"name": "Checking"}]


@pytest.mark.rule("S3")
def test_filter_of_a_list_returns_no_other_rows(restricted, accounts):
    view = instance(ScopedList, key=restricted.key)
    view.replacement = lambda rows: Account.objects.filter(name__in=["Checking", "Savings"])
    assert names(view.filter_queryset(view.get_queryset())) == ["Checking"]
    view.replacement = lambda rows: (row for row in rows)
    with pytest.raises(ImproperlyConfigured, match="which account_path does not lead from"):
        view.filter_queryset(view.get_queryset())


def test_request_without_user_stays_without(restricted):
    request = make_request(restricted.secret)
    assert WithSuper.as_view(authentication_classes=[ApiKeyAuthentication])(request).status_code == 405
    assert "user" not in vars(request)


@pytest.mark.rule("S3")
@pytest.mark.parametrize(
    "replace",
    [
        lambda rows: Account.objects.order_by("name")[:10],
        lambda rows: rows.order_by().union(Account.objects.order_by()),
        lambda rows: list(Account.objects.all()),
    ],
)
def test_filter_backend_returns_no_other_rows(restricted, bobs_account, replace):
    class Backend:
        def filter_queryset(self, request, queryset, view):
            return replace(queryset)

    view = instance(type("Replaced", (WithSuper,), {"filter_backends": [Backend]}), key=restricted.key)
    assert names(view.filter_queryset(view.get_queryset())) == ["Checking"]


@pytest.mark.rule("S3")
@pytest.mark.parametrize("rows", [lambda rows: [User.objects.get()], lambda rows: list(rows.values())])
def test_filter_backend_returns_rows_of_the_model(restricted, rows):
    class Filtered(WithSuper):
        def filter_queryset(self, queryset):
            return rows(queryset)

    view = instance(Filtered, key=restricted.key)
    with pytest.raises(ImproperlyConfigured, match="which account_path does not lead from"):
        view.filter_queryset(view.get_queryset())


def test_filter_may_return_a_list_to_anyone(alice, restricted, accounts):
    class Shuffled(WithSuper):
        def filter_queryset(self, queryset):
            return sorted(queryset, key=lambda account: account.name, reverse=True)

    by_key, by_person = instance(Shuffled, key=restricted.key), instance(Shuffled, user=alice)
    assert names(by_key.filter_queryset(by_key.get_queryset())) == ["Checking"]
    assert names(by_person.filter_queryset(by_person.get_queryset())) == ["Checking", "Savings"]


@pytest.mark.rule("S3")
def test_filter_backend_may_slice_its_queryset(restricted):
    class Backend:
        def filter_queryset(self, request, queryset, view):
            return queryset.order_by("name")[:10]

    view = instance(type("Sliced", (WithSuper,), {"filter_backends": [Backend]}), key=restricted.key)
    assert names(view.filter_queryset(view.get_queryset())) == ["Checking"]
