"""What a key can see: ``key.scoped()`` and ``AccountScopeMixin`` (rules S3 and S4)."""

import re
import uuid
from contextlib import suppress
from types import SimpleNamespace

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.db import DataError, NotSupportedError, models
from django.db.models import Count, F, Sum, Value
from django.http import Http404, JsonResponse
from django.test.utils import isolate_apps
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_page, never_cache
from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView, ListAPIView, RetrieveUpdateDestroyAPIView
from rest_framework.permissions import BasePermission, DjangoModelPermissions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.throttling import BaseThrottle
from rest_framework.versioning import URLPathVersioning
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet, ViewSet

from accounts_app.models import Account, Transaction, User
from finta_keys import paths
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.models import ApiKey, KeyAccountScope
from finta_keys.scoping import AccountScopeMixin, scoped, unscoped
from finta_keys.testing import make_key
from tests.conftest import ApiClient
from tests.factories import AccountFactory, TransactionFactory, UserFactory
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
    assert names(restricted.key.scoped(Account.objects.all())) == ["Checking"]


def test_S3_an_unrestricted_key_sees_the_owners_accounts(unrestricted, bobs_account):
    assert names(unrestricted.key.scoped(Account.objects.all())) == ["Cash", "Checking", "Savings"]


def test_S3_a_model_that_reaches_the_account_is_narrowed_by_its_path(restricted, unrestricted, transactions):
    rows = Transaction.objects.all()
    assert summaries(restricted.key.scoped(rows, "account")) == ["Checking 1", "Checking 2"]
    assert summaries(unrestricted.key.scoped(rows, "account")) == [
        f"{name} {n}" for name in ("Cash", "Checking", "Savings") for n in (1, 2)
    ]


def test_S3_a_longer_path_and_a_primary_key_that_is_a_foreign_key_work(restricted, accounts, bobs_account):
    """The scope rows themselves lead to the account too."""
    row = KeyAccountScope.objects.get(key=restricted.key)
    assert list(restricted.key.scoped(KeyAccountScope.objects.all(), "account")) == [row]
    assert paths.lookups(KeyAccountScope, "account") == ("account__owner", "account__key_scopes__key")


@pytest.mark.parametrize(
    ("model", "way"),
    [(Account, ""), (Transaction, "account"), (KeyAccountScope, "account"), (User, None), (Group, None)],
)
def test_the_way_from_a_model_to_the_account_is_found(model, way):
    assert paths.way(model) == way


def test_a_user_is_no_way_to_an_account(settings):
    settings.FINTA_KEYS_ACCOUNT_MODEL = "auth.Group"
    assert paths.way(LogEntry) is None


def test_a_way_of_several_steps_is_found_and_a_circle_ends(settings):
    settings.FINTA_KEYS_ACCOUNT_MODEL = "contenttypes.ContentType"
    with isolate_apps("accounts_app"):

        class Node(models.Model):
            parent = models.ForeignKey("self", on_delete=models.CASCADE)
            permission = models.ForeignKey(Permission, on_delete=models.CASCADE)

            class Meta:
                app_label = "accounts_app"

            def __str__(self):
                return ""

    assert paths.way(Node) == "permission__content_type"


def test_S3_a_scope_of_several_accounts_and_several_keys_doubles_no_row(alice, accounts, transactions):
    key, _ = make_key(alice, "Two", [accounts.checking, accounts.savings])
    for number in range(3):
        make_key(alice, f"Other {number}", [accounts.checking, accounts.savings, accounts.cash])
    assert names(key.scoped(Account.objects.all())) == ["Checking", "Savings"]
    assert key.scoped(Account.objects.all()).count() == 2
    assert key.scoped(Transaction.objects.all(), "account").count() == 4
    assert key.scoped(Transaction.objects.all(), "account").aggregate(sum=Sum("amount")) == {"sum": 6}


def test_S3_filters_annotations_aggregates_and_orders_stay_inside_the_scope(restricted, transactions):
    accounts = restricted.key.scoped(Account.objects.all())
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
    limit = restricted.key.scoped
    either = Account.objects.filter(name="Checking") | Account.objects.filter(name="Savings")
    assert names(limit(either)) == ["Checking"]
    assert names(limit(Account.objects.exclude(name="Checking"))) == []
    assert names(limit(Account.objects.filter(owner__isnull=False))) == ["Checking"]
    assert names(limit(Account.objects.filter(key_scopes__key__name="Other"))) == ["Checking"]
    assert list(limit(Account.objects.annotate(n=Count("transactions"))).values_list("name", "n")) == [("Checking", 2)]
    assert limit(Account.objects.values("name").annotate(n=Count("pk"))).get() == {"name": "Checking", "n": 1}
    assert limit(Account.objects.select_related("owner")).get().owner == alice
    assert limit(Account.objects.order_by(F("mask").desc())).get().name == "Checking"
    assert summaries(limit(Transaction.objects.filter(account__name__startswith="S"), "account")) == []
    assert summaries(limit(accounts.savings.transactions.all(), "account")) == []


def test_S3_a_slice_or_a_union_cannot_be_narrowed_and_fails_closed(restricted, unrestricted, accounts):
    for key in (restricted.key, unrestricted.key):
        with pytest.raises(TypeError, match="slice"):
            key.scoped(Account.objects.all()[:1])
        union = Account.objects.filter(name="Cash").union(Account.objects.filter(name="Savings"))
        with pytest.raises(NotSupportedError):
            list(key.scoped(union))


def test_S3_a_queryset_that_was_read_already_is_read_again(restricted, accounts):
    everything = Account.objects.all()
    assert len(everything) == 3
    assert names(restricted.key.scoped(everything)) == ["Checking"]


@pytest.mark.parametrize(
    "flags", [{"is_staff": True}, {"is_superuser": True}, {"is_staff": True, "is_superuser": True}]
)
def test_S3_being_staff_or_superuser_never_widens_a_key(alice, restricted, unrestricted, transactions, flags):
    User.objects.filter(pk=alice.pk).update(**flags)
    key = ApiKey.objects.authenticate(restricted.secret)
    assert all(getattr(key.owner, flag) for flag in flags)
    assert names(key.scoped(Account.objects.all())) == ["Checking"]
    assert names(unrestricted.key.scoped(Account.objects.all())) == ["Cash", "Checking", "Savings"]
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
        restricted.key.scoped(model._base_manager.all(), path)
    assert f"The path {path!r} does not lead from {model._meta.label} to accounts_app.Account" in str(error.value)
    assert "Set account_path" in str(error.value)


def test_S3_a_proxy_of_the_account_is_the_account(restricted, accounts):
    class ProxyOfAccount(Account):
        class Meta:
            proxy = True
            app_label = "tests"

    assert names(restricted.key.scoped(ProxyOfAccount.objects.all())) == ["Checking"]


def test_S3_the_scope_is_one_join_to_the_scope_rows_and_none_to_the_owner(
    restricted, transactions, django_assert_num_queries
):
    for model, path in ((Account, ""), (Transaction, "account")):
        sql = str(restricted.key.scoped(model.objects.all(), path).query)
        assert sql.count("JOIN") == (2 if path else 1)
        assert len(re.findall(r'JOIN "finta_keys_keyaccountscope"', sql)) == 1
        assert "accounts_app_user" not in sql
        assert 'JOIN "finta_keys_apikey"' not in sql
        with django_assert_num_queries(1):
            list(restricted.key.scoped(model.objects.all(), path))


def test_S1_an_unrestricted_key_does_not_look_at_scope_rows(unrestricted):
    sql = str(unrestricted.key.scoped(Transaction.objects.all(), "account").query)
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
def test_S3_the_queryset_is_joined_to_the_scope_once(restricted, view):
    queryset = called(view, auth=restricted.key).get_queryset()
    tables = [join.table_name for join in queryset.query.alias_map.values()]
    assert tables.count("finta_keys_keyaccountscope") == 1


class AsksSuper(AccountScopeMixin, GenericAPIView):
    """What it keeps is what it got inside its override."""

    queryset = Account.objects.all()

    def get_queryset(self):
        self.kept = names(super().get_queryset())
        return Account.objects.all()

    def siblings(self):
        return super().get_queryset()


class AsksSuperTwice(AsksSuper):
    def get_queryset(self):
        self.inner = names(super().get_queryset())
        return Account.objects.all()


class WithMore(AccountScopeMixin, GenericAPIView):
    queryset = Account.objects.filter(name="Checking")

    def get_queryset(self):
        return super().get_queryset() | Account.objects.exclude(name="Cash")


def test_S3_what_super_gives_is_inside_the_scope(restricted, bobs_account):
    view = called(AsksSuperTwice, auth=restricted.key)
    assert names(view.siblings()) == ["Checking"]
    assert names(view.get_queryset()) == view.inner == view.kept == ["Checking"]


def test_S3_what_super_gives_others_is_theirs(accounts, bobs_account):
    view = called(AsksSuper, auth=None, successful_authenticator=object())
    view.get_queryset()
    assert len(view.kept) == len(view.siblings()) == 4
    view = called(AsksSuper, auth=None)
    view.get_queryset()
    assert view.kept == names(view.siblings()) == []


def test_S3_more_than_super_gives_doubles_no_row(alice, restricted, accounts):
    for number in range(3):
        make_key(alice, f"Other {number}", [accounts.checking, accounts.savings])
    assert names(called(WithMore, auth=restricted.key).get_queryset()) == ["Checking"]


def test_S3_super_on_another_model_needs_the_path(restricted, transactions):
    class Kept(AsksSuper):
        queryset = Transaction.objects.all()
        account_path = "account"

        def get_queryset(self):
            return super(AsksSuper, self).get_queryset()

    assert summaries(called(Kept, auth=restricted.key).get_queryset()) == ["Checking 1", "Checking 2"]
    Kept.account_path = ""
    with pytest.raises(ImproperlyConfigured, match="does not lead from"):
        called(Kept, auth=restricted.key).get_queryset()


@pytest.mark.parametrize("name", ["owner", "key_scopes"])
def test_S3_an_annotation_cannot_take_the_place_of_what_is_narrowed_by(restricted, accounts, bobs_account, name):
    shadow = {name: Value(restricted.key.owner_id)}
    rows = Account.objects.values(called=F("name")).annotate(**shadow)
    with pytest.raises(ImproperlyConfigured, match=f"annotation '{name}', which is also a field on the path"):
        restricted.key.scoped(rows)
    assert restricted.key.scoped(Account.objects.annotate(owner_email=F("owner__email"))).count() == 1


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
    assert names(called(WithoutQueryset, auth=restricted.key).scoped(Account.objects.all())) == ["Checking"]


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
        assert len(key.scoped(Account.objects.all())) == 60


def test_S3_another_owners_key_with_the_same_name_sees_nothing_of_it(restricted, accounts):
    other, _ = make_key(UserFactory(), "Restricted")
    assert names(other.scoped(Account.objects.all())) == []


def test_list_views_of_drf_are_inside_the_scope(restricted, accounts):
    class Names(ListAPIView, AccountScopeMixin):
        queryset = Account.objects.order_by("name")
        serializer_class = urls_made_up.AccountSerializer
        authentication_classes = urls_made_up.KeyOnly.authentication_classes

    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {restricted.secret}")
    assert [each["name"] for each in Names.as_view()(request).data] == ["Checking"]


# --- an answer that nobody narrowed ----------------------------------------------------------------------------------


class Keyed(AccountScopeMixin, APIView):
    authentication_classes = [ApiKeyAuthentication]


class Forgets(Keyed):
    def get(self, request):
        return Response([account.name for account in Account.objects.all()])

    def post(self, request):
        return Response(status=201)

    def put(self, request):
        return Response({"error": "made up"}, status=409)


class ForgetsLast(APIView, AccountScopeMixin):
    authentication_classes = [ApiKeyAuthentication]
    get = Forgets.get


class ForgetsInDjangosWay(Keyed):
    def get(self, request):
        return JsonResponse({})


class ForgetsAndFinishesItself(Forgets):
    def finalize_response(self, request, response, *args, **kwargs):
        return APIView.finalize_response(self, request, response, *args, **kwargs)


class AsksForItsModelOnly(AccountScopeMixin, GenericAPIView):
    """The permission asks ``get_queryset()``, the handler does not."""

    authentication_classes = [ApiKeyAuthentication]
    permission_classes = [DjangoModelPermissions]
    queryset = Account.objects.all()
    get = Forgets.get


class Narrows(Keyed):
    def get(self, request):
        return Response([account.name for account in self.scoped(Account.objects.all())])


class NarrowsAnotherModel(Keyed):
    def get(self, request):
        rows = scoped(request, Transaction.objects.all(), "account")
        return Response([row.account.name for row in rows])


class NarrowsEarly(Keyed):
    def initial(self, request, *args, **kwargs):
        self.rows = self.scoped(Account.objects.all())
        super().initial(request, *args, **kwargs)

    def get(self, request):
        return Response([account.name for account in self.rows])


class MarkedHandler(Keyed):
    @unscoped("says hello")
    def get(self, request):
        return Response([])


class MarkedHandlerDecorated(Keyed):
    @method_decorator(never_cache)
    @unscoped("says hello")
    def get(self, request):
        return Response([])


class MarkedHandlerInherited(MarkedHandler):
    pass


class MarkedHandlerOverridden(MarkedHandler):
    def get(self, request):
        return Response([])


@unscoped("says hello")
class MarkedBesides(Keyed):
    def get(self, request):
        return Response([])


class MarkedInherited(MarkedBesides):
    pass


class Authenticates(MarkedHandlerOverridden):
    """Puts off authentication, and never begins it."""

    permission_classes = []

    def perform_authentication(self, request):
        pass


class ForgetsToDestroy(AccountScopeMixin, RetrieveUpdateDestroyAPIView):
    authentication_classes = [ApiKeyAuthentication]
    serializer_class = urls_made_up.AccountSerializer
    queryset = Account.objects.all()

    def get_object(self):
        return Account.objects.get(pk=self.kwargs["pk"])


class ForgetsToDestroyPlainly(Keyed):
    def delete(self, request, pk):
        return Response(status=204)

    put = patch = post = delete


def ask(view, secret=None, method="get", kwargs=None, **options):
    header = {"HTTP_AUTHORIZATION": f"Bearer {secret}"} if secret else {}
    return view.as_view(**options)(getattr(APIRequestFactory(), method)("/", **header), **(kwargs or {}))


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize(
    "view",
    [
        *(Forgets, ForgetsLast, ForgetsInDjangosWay, ForgetsAndFinishesItself, AsksForItsModelOnly),
        *(MarkedHandlerOverridden, MarkedInherited),
    ],
)
def test_S7_an_answer_that_nobody_narrowed_is_not_given(alice, restricted, view, method):
    User.objects.filter(pk=alice.pk).update(is_superuser=True)  # for DjangoModelPermissions
    with pytest.raises(ImproperlyConfigured) as error:
        ask(view, restricted.secret, method)
    message = str(error.value)
    assert message.startswith(f"tests.finta_keys.test_scoping.{view.__name__} answers a {method.upper()} of a key ")
    assert "self.scoped(queryset)" in message
    assert '@unscoped("' in message


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options"])
def test_S7_an_object_that_nobody_narrowed_is_left_alone(restricted, accounts, method):
    with pytest.raises(ImproperlyConfigured, match="ForgetsToDestroy answers a "):
        ask(ForgetsToDestroy, restricted.secret, method, {"pk": accounts.savings.pk})
    assert Account.objects.filter(pk=accounts.savings.pk).exists()


@pytest.mark.parametrize("method", ["put", "patch", "delete", "post"])
def test_S7_a_change_that_nobody_narrowed_is_told_of(restricted, method):
    with pytest.raises(ImproperlyConfigured, match=f"answers a {method.upper()} of a key without narrowing anything"):
        ask(ForgetsToDestroyPlainly, restricted.secret, method, {"pk": "1"})


class Creates(Keyed):
    def post(self, request, **kwargs):
        return Response(status=201)


class ByRelease(URLPathVersioning):
    version_param = "release"


def test_S7_a_post_that_only_creates_need_not_narrow(restricted):
    def post(kwargs, versioning=None):
        return ask(Creates, restricted.secret, "post", kwargs, versioning_class=versioning).status_code

    assert post({}) == post({"format": "json"}) == 201
    assert post({"version": "1"}, URLPathVersioning) == post({"release": "1", "format": "json"}, ByRelease) == 201
    for kwargs, versioning in [
        ({"shop_pk": "1"}, None),
        ({"version": "1"}, None),  # of a document, say
        ({"version": "1"}, ByRelease),
        ({"version": "1", "pk": "1"}, URLPathVersioning),
    ]:
        with pytest.raises(ImproperlyConfigured):
            post(kwargs, versioning)


def test_S7_an_action_that_forgets_is_not_given_and_a_marked_one_is(restricted):
    class Actions(AccountScopeMixin, ViewSet):
        authentication_classes = [ApiKeyAuthentication]

        @action(detail=False)
        def forgets(self, request):
            return Response([])

        @unscoped("says hello")
        @action(detail=False)
        def marked(self, request):
            return Response([])

        @action(detail=False)
        @unscoped("says hello")
        def marked_below(self, request):
            return Response([])

    for name in ("marked", "marked_below"):
        assert ask(Actions, restricted.secret, actions={"get": name}).status_code == 200
    with pytest.raises(ImproperlyConfigured, match="without narrowing anything"):
        ask(Actions, restricted.secret, actions={"get": "forgets"})


def test_S7_an_action_that_posts_without_arguments_has_to_narrow(restricted):
    class Actions(AccountScopeMixin, ViewSet):
        authentication_classes = [ApiKeyAuthentication]

        def create(self, request):
            return Response(status=201)

        @action(detail=False, methods=["post"])
        def close_all(self, request):
            return Response()

        @action(detail=False, methods=["post"])
        def narrows(self, request):
            return Response([self.scoped(Account.objects.all()).count()])

        @unscoped("says hello")
        @action(detail=False, methods=["post"])
        def marked(self, request):
            return Response()

    for name in ("create", "narrows", "marked"):
        assert ask(Actions, restricted.secret, "post", actions={"post": name}).status_code < 300
    with pytest.raises(ImproperlyConfigured, match="answers a POST of a key without narrowing anything"):
        ask(Actions, restricted.secret, "post", actions={"post": "close_all"})


class NamedAccount(ModelSerializer):
    class Meta:
        model = Account
        fields = ["name"]


class FindsOrCreates(AccountScopeMixin, ModelViewSet):
    """Answers with the row of that name where there is one, like an upsert."""

    authentication_classes = [ApiKeyAuthentication]
    queryset = Account.objects.all()
    serializer_class = NamedAccount

    def perform_create(self, serializer):
        serializer.instance = Account.objects.get(name=serializer.validated_data["name"])


def create(view, key, name):
    return post(view, key, {"name": name})


def post(view, key, data):
    request = APIRequestFactory().post("/", data, HTTP_AUTHORIZATION=f"Bearer {key.secret}")
    return view.as_view({"post": "create"})(request)


@pytest.mark.parametrize("name", ["Savings", "Bob's"])
def test_S7_a_post_answers_with_no_row_that_the_key_does_not_see(restricted, accounts, bobs_account, name):
    Account.objects.filter(pk=bobs_account.pk).update(name="Bob's")
    with pytest.raises(
        ImproperlyConfigured, match=r"FindsOrCreates answers a POST of a key with a row of accounts_app.Account "
    ):
        create(FindsOrCreates, restricted, name)


def test_S7_a_post_answers_with_a_row_that_the_key_sees(restricted, unrestricted, accounts):
    assert create(FindsOrCreates, restricted, "Checking").data == {"name": "Checking"}
    assert create(FindsOrCreates, unrestricted, "Savings").data == {"name": "Savings"}


def test_S7_a_post_answers_with_what_it_does_not_keep_and_with_what_is_no_account(restricted, alice):
    class Tries(FindsOrCreates):
        def perform_create(self, serializer):
            serializer.instance = Account(name="not saved")

    class GroupSerializer(ModelSerializer):
        class Meta:
            model = Group
            fields = ["name"]

    class MakesGroups(AccountScopeMixin, ModelViewSet):
        authentication_classes = [ApiKeyAuthentication]
        queryset = Group.objects.all()
        serializer_class = GroupSerializer

    assert create(Tries, restricted, "Savings").data == {"name": "not saved"}
    assert create(MakesGroups, restricted, "Readers").status_code == 201


def test_S7_a_post_answers_with_a_row_below_an_account_by_the_path_of_the_view(restricted, accounts, transactions):
    class Summary(ModelSerializer):
        class Meta:
            model = Transaction
            fields = ["summary"]

    class Finds(FindsOrCreates):
        account_path = "account"
        queryset = Transaction.objects.all()
        serializer_class = Summary

        def perform_create(self, serializer):
            serializer.instance = Transaction.objects.get(**serializer.validated_data)

    def find(summary):
        return post(Finds, restricted, {"summary": summary})

    assert find("Checking 1").status_code == 201
    with pytest.raises(ImproperlyConfigured, match=r"with a row of accounts_app.Transaction "):
        find("Savings 1")


def test_S7_a_marked_post_answers_as_it_says(restricted, accounts):
    class Marked(FindsOrCreates):
        @unscoped("whoever knows the name of an account may see it")
        def create(self, request, *args, **kwargs):
            return super().create(request, *args, **kwargs)

    assert create(Marked, restricted, "Savings").data == {"name": "Savings"}


class AsksInAThrottle(BaseThrottle):
    def allow_request(self, request, view):
        return view.get_queryset().model is Account


class ThrottlesByItsModel(AsksForItsModelOnly):
    permission_classes = []
    throttle_classes = [AsksInAThrottle]


class NarrowsChoices(AsksForItsModelOnly):
    permission_classes = []

    def filter_queryset(self, queryset):
        scoped(self.request, Account.objects.all())
        return queryset

    def get(self, request):
        return Response([account.name for account in self.filter_queryset(Account.objects.all())])


class AsksForEachObject(BasePermission):
    def has_object_permission(self, request, view, obj):
        return view.get_queryset().model is type(obj)


class ChecksItsObjectOnly(AsksForItsModelOnly):
    """The permission asks ``get_queryset()``, nobody whether this row is in it."""

    permission_classes = [AsksForEachObject]

    def get(self, request):
        account = Account.objects.get(name="Savings")
        self.check_object_permissions(request, account)
        return Response({"name": account.name})


class GoesOnWhereRefused(ChecksItsObjectOnly):
    def check_object_permissions(self, request, obj):
        super().check_object_permissions(request, obj)
        raise LookupError

    def get(self, request):
        with suppress(LookupError):
            return super().get(request)
        return Response({"name": "Savings"})


class AsksInItsOwnMethod(Keyed):
    http_method_names = ["query", "post", "options"]

    def query(self, request):
        return Response([account.name for account in Account.objects.all()])

    def post(self, request, *args):
        return Response([account.name for account in Account.objects.all()])


@pytest.mark.parametrize("view", [ThrottlesByItsModel, NarrowsChoices, ChecksItsObjectOnly, GoesOnWhereRefused])
def test_S7_permissions_throttles_and_filters_vouch_for_nothing(restricted, accounts, view):
    with pytest.raises(ImproperlyConfigured, match="without narrowing anything"):
        ask(view, restricted.secret)


class PassesArguments(AsksForItsModelOnly):
    permission_classes = []

    def get_queryset(self, without=None):
        return Account.objects.exclude(name=without)

    def get(self, request):
        return Response(names(self.filter_queryset(queryset=self.get_queryset(without="Cash"))))


def test_S3_guarded_methods_take_the_arguments_of_the_host(unrestricted, restricted):
    assert ask(PassesArguments, unrestricted.secret).data == ["Checking", "Savings"]
    assert ask(PassesArguments, restricted.secret).data == ["Checking"]


def test_S7_a_method_of_its_own_and_a_path_with_unnamed_arguments_are_about_rows(restricted):
    key = {"HTTP_AUTHORIZATION": f"Bearer {restricted.secret}"}
    view, factory = AsksInItsOwnMethod.as_view(), APIRequestFactory()
    for request, args in ((factory.generic("QUERY", "/", **key), ()), (factory.post("/", **key), ("1",))):
        with pytest.raises(ImproperlyConfigured, match="without narrowing anything"):
            view(request, *args)
    assert view(factory.post("/", **key)).status_code == 200
    assert view(factory.options("/", **key), "1").status_code == 200


@pytest.mark.parametrize("failure", [DataError, OverflowError])
def test_S4_what_a_database_cannot_look_up_is_not_found(restricted, failure):
    class Fails(ForgetsToDestroy):
        def get_object(self):
            raise failure

    assert ask(Fails, restricted.secret, "get", {"pk": "\x00"}).status_code == 404


def test_S7_a_handler_of_django_rest_framework_is_not_marked_for_every_view():
    with pytest.raises(TypeError, match=r"would mark ListAPIView\.get of rest_framework"):
        unscoped("says hello")(ListAPIView.get)
    assert not hasattr(ListAPIView.get, "unscoped_reason")


@pytest.mark.parametrize("view", [Narrows, NarrowsAnotherModel, NarrowsEarly])
def test_S3_a_plain_view_may_narrow_what_it_shows(restricted, transactions, view):
    response = ask(view, restricted.secret)
    assert set(response.data) == {"Checking"}
    assert ask(view, restricted.secret, "head").status_code == 200


@pytest.mark.parametrize("view", [MarkedHandler, MarkedHandlerDecorated, MarkedHandlerInherited, MarkedBesides])
def test_S7_a_marked_handler_answers(restricted, view):
    assert ask(view, restricted.secret).status_code == 200


def test_S7_other_methods_errors_and_other_callers_answer(restricted):
    assert ask(Forgets, restricted.secret, "post").status_code == 201
    assert ask(Forgets, restricted.secret, "put").status_code == 409
    assert ask(Forgets, restricted.secret, "options").status_code == 200
    assert ask(Forgets, restricted.secret, "delete").status_code == 405
    assert ask(Forgets).status_code == 200
    request = APIRequestFactory().get("/")
    force_authenticate(request, user=restricted.key.owner)
    assert Forgets.as_view()(request).status_code == 200


def test_authentication_that_is_put_off_does_not_begin_at_the_end(restricted):
    for secret in (restricted.secret, restricted.secret[:-1] + "!"):
        assert ask(Authenticates, secret).status_code == 200


def test_one_request_does_not_vouch_for_the_next(restricted):
    view = Narrows.as_view()
    forgets = Forgets.as_view()
    key = {"HTTP_AUTHORIZATION": f"Bearer {restricted.secret}"}
    assert view(APIRequestFactory().get("/", **key)).status_code == 200
    with pytest.raises(ImproperlyConfigured):
        forgets(APIRequestFactory().get("/", **key))


class GivesATokenInstead(ApiKeyAuthentication):
    """The mistake: what stands in ``request.auth`` is not the key."""

    def authenticate(self, request):
        found = super().authenticate(request)
        return found and (found[0], {"key": found[1].name})


class LeavesKeysToOthers(ApiKeyAuthentication):
    def authenticate(self, request):
        super().authenticate(request)


class Lets(BaseAuthentication):
    def authenticate(self, request):
        return self.user, None


@pytest.mark.parametrize("view", [Narrows, NarrowsAnotherModel, Forgets, NarrowsEarly])
def test_S3_a_key_that_its_authentication_does_not_hand_on_is_not_taken_for_somebody_else(
    restricted, bobs_account, view
):
    with pytest.raises(ImproperlyConfigured, match=r"GivesATokenInstead lets a key in|without narrowing anything"):
        ask(view, restricted.secret, authentication_classes=[GivesATokenInstead])
    assert ask(view, authentication_classes=[GivesATokenInstead]).status_code == 200


def test_a_key_that_its_authentication_declines_leaves_the_request_to_another(restricted, monkeypatch, bobs_account):
    monkeypatch.setattr(Lets, "user", restricted.key.owner, raising=False)
    response = ask(Narrows, restricted.secret, authentication_classes=[LeavesKeysToOthers, Lets])
    assert len(response.data) == 4


def test_visible_is_what_the_caller_may_see(restricted, accounts, bobs_account):
    def seen(**request):
        return names(scoped(SimpleNamespace(**request), Account.objects.all()))

    assert seen(auth=restricted.key, successful_authenticator=object()) == ["Checking"]
    assert len(seen(auth="a token", successful_authenticator=object())) == 4
    assert seen(auth=None, successful_authenticator=None) == []
    assert names(scoped(None, Account.objects.all())) == []
    with pytest.raises(ImproperlyConfigured):
        scoped(SimpleNamespace(auth=restricted.key), Account.objects.all(), "transactions")


def test_caches_keep_the_answers_of_keys_apart(restricted, unrestricted, settings):
    """``cache_page`` keeps one answer for callers whose headers in ``Vary`` are equal."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "kept"}}
    view = cache_page(60)(Narrows.as_view())
    try:
        for key, seen in ((unrestricted, 3), (restricted, 1), (unrestricted, 3)):
            response = view(APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {key.secret}"))
            response.render()
            assert len(response.data) == seen
    finally:
        caches["default"].clear()


@pytest.mark.parametrize("view", [Narrows, MarkedHandler, ForgetsInDjangosWay])
def test_an_answer_to_a_key_tells_caches_that_it_is_for_this_key(restricted, view):
    """Django's cache knows it without that since a fix within 5.2 only."""
    method = "options" if view is ForgetsInDjangosWay else "get"
    assert ask(view, restricted.secret, method)["Vary"] == "Accept, Authorization"


def test_a_view_that_renders_in_one_way_tells_so_too(restricted):
    assert ask(Narrows, restricted.secret, renderer_classes=[JSONRenderer])["Vary"] == "Authorization"
    assert not ask(Narrows, renderer_classes=[JSONRenderer]).has_header("Vary")


class Labelled:
    """A base class of the project that takes a keyword argument when it is subclassed."""

    def __init_subclass__(cls, *, label: str = "", **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.label = label


def test_mixin_calls_init_subclass_of_other_bases():
    class View(AccountScopeMixin, Labelled, label="project"):
        pass

    assert View.label == "project"


@pytest.mark.rule("S3")
def test_scoped_method_is_inherited_unchanged():
    class View(AccountScopeMixin, GenericAPIView):
        queryset = Account.objects.all()

    class Inherited(View):
        pass

    assert Inherited.get_queryset is View.get_queryset
