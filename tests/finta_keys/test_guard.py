"""A response to a key that was produced without scoping is never sent."""

import asyncio
import gc
from collections import UserDict
from contextlib import suppress

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import condition
from django_filters.rest_framework import DjangoFilterBackend, FilterSet, NumberFilter
from rest_framework import exceptions
from rest_framework.decorators import action
from rest_framework.generics import CreateAPIView, GenericAPIView
from rest_framework.permissions import BasePermission, DjangoModelPermissions
from rest_framework.response import Response
from rest_framework.serializers import CharField, ModelSerializer, Serializer
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet, ViewSet

from accounts_app.models import Account, Transaction, User
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.fields import AccountRelatedField
from finta_keys.guard import Guard
from finta_keys.scoping import AccountScopeMixin, scoped, unscoped
from tests.factories import TransactionFactory
from tests.finta_keys.calls import call
from tests.finta_keys.test_decorators import MarkedHandler, MarkedScoped
from tests.finta_keys.urls_example import AccountSerializer

pytestmark = pytest.mark.rule("S7.6")

UNSCOPED = "responded to an API key without limiting anything to its scope"


def raises_unscoped():
    return pytest.raises(ImproperlyConfigured, match=UNSCOPED)


class Keyed(AccountScopeMixin, APIView):
    authentication_classes = [ApiKeyAuthentication]


class Forgets(Keyed):
    def get(self, request):
        return Response([account.name for account in Account.objects.all()])

    def post(self, request):
        return Response(status=201)

    def put(self, request):
        return Response({"error": "example"}, status=409)


class MixinLast(APIView, AccountScopeMixin):
    authentication_classes = [ApiKeyAuthentication]
    get = Forgets.get


class ReturnsDjangoResponse(Keyed):
    def get(self, request):
        return JsonResponse({})


class OwnFinalizeResponse(Forgets):
    def finalize_response(self, request, response, *args, **kwargs):
        return APIView.finalize_response(self, request, response, *args, **kwargs)


class PermissionReadsQueryset(AccountScopeMixin, GenericAPIView):
    """The permission calls ``get_queryset()``, the handler does not."""

    authentication_classes = [ApiKeyAuthentication]
    permission_classes = [DjangoModelPermissions]
    queryset = Account.objects.all()
    get = Forgets.get


class OverridesMarkedHandler(MarkedHandler):
    def get(self, request):
        return Response([])


class InheritsMarkedView(MarkedScoped):
    pass


class ThrottleReadsQueryset(BaseThrottle):
    def allow_request(self, request, view):
        return view.get_queryset().model is Account


class Throttled(PermissionReadsQueryset):
    permission_classes = []
    throttle_classes = [ThrottleReadsQueryset]


class ScopesInFilter(PermissionReadsQueryset):
    permission_classes = []

    def filter_queryset(self, queryset):
        scoped(self.request, Account.objects.all())
        return queryset

    def get(self, request):
        return Response([account.name for account in self.filter_queryset(Account.objects.all())])


class ObjectPermissionReadsQueryset(BasePermission):
    def has_object_permission(self, request, view, obj):
        return view.get_queryset().model is type(obj)


class ChecksObjectPermission(PermissionReadsQueryset):
    permission_classes = [ObjectPermissionReadsQueryset]

    def get(self, request):
        account = Account.objects.get(name="Savings")
        self.check_object_permissions(request, account)
        return Response({"name": account.name})


class CatchesFailedPermission(ChecksObjectPermission):
    def check_object_permissions(self, request, obj):
        super().check_object_permissions(request, obj)
        raise LookupError

    def get(self, request):
        with suppress(LookupError):
            return super().get(request)
        return Response({"name": "Savings"})


class ReadsRelationChoices(Keyed):
    """The choices of a relation do not count as scoping."""

    def get(self, request):
        class Choice(Serializer):
            account = AccountRelatedField()

        list(Choice(context={"request": request}).fields["account"].choices)
        return Response([account.name for account in Account.objects.all()])


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize(
    "view",
    [
        *(Forgets, MixinLast, ReturnsDjangoResponse, OwnFinalizeResponse, PermissionReadsQueryset),
        *(OverridesMarkedHandler, InheritsMarkedView, Throttled, ScopesInFilter, ChecksObjectPermission),
        *(CatchesFailedPermission, ReadsRelationChoices),
    ],
)
def test_unscoped_response_raises(alice, restricted, view, method):
    User.objects.filter(pk=alice.pk).update(is_superuser=True)  # for DjangoModelPermissions
    with raises_unscoped() as error:
        call(view, restricted.secret, method)
    message = str(error.value)
    assert message.startswith(f"{method.upper()} of {view.__module__}.{view.__qualname__} responded to ")
    assert "self.scoped(queryset)" in message
    assert '@unscoped("' in message


@pytest.mark.parametrize("view", [Forgets, MixinLast, ReturnsDjangoResponse, Throttled, ChecksObjectPermission])
def test_other_callers_get_unscoped_responses(alice, accounts, view):
    """The guard concerns keys only. Other callers are limited by ``scoped()`` and ``get_queryset()``."""
    assert call(view, user=alice).status_code == 200
    assert call(view).status_code == 200


class AuthenticatesLate(Forgets):
    """Nothing authenticates before the handler runs."""

    permission_classes = []

    def perform_authentication(self, request):
        pass


@pytest.mark.rule("S7.2")
def test_view_that_authenticates_late_is_guarded(restricted, accounts):
    with raises_unscoped():
        call(AuthenticatesLate, restricted.secret)
    assert call(AuthenticatesLate, f"{restricted.secret[:-1]}!").status_code == 401
    assert call(AuthenticatesLate).status_code == 200


# --- responses of every kind -----------------------------------------------------------------------------------------


def responding(make, method="get"):
    """Return a view whose handler returns what ``make`` does, or raises it."""

    def handler(self, request, *args, **kwargs):
        result = make()
        if isinstance(result, Exception):
            raise result
        return result

    return type("Responds", (Keyed,), {method: handler, "__module__": __name__})


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "query"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: Response([]),
        lambda: Response(status=201),
        lambda: Response(status=204),
        lambda: Response({"detail": "the note of a hidden row"}, status=409),
        lambda: Response({"detail": "not here"}, status=404),
        lambda: HttpResponseRedirect("https://files.example/hidden?signature=x"),
        lambda: HttpResponse("a,b\n", content_type="text/csv"),
        lambda: StreamingHttpResponse(iter([b"a,b\n"])),
        lambda: HttpResponse(status=304),
        lambda: Http404("No row 7"),
        lambda: exceptions.NotFound("Row 7"),
        lambda: exceptions.APIException("Row 7 is broken"),
        lambda: exceptions.ValidationError("The name is taken in shop 7"),
    ],
)
def test_every_kind_of_response_must_be_scoped(restricted, method, make):
    view = responding(make, method)
    view.http_method_names = [*view.http_method_names, "query"]
    with raises_unscoped():
        call(view, restricted.secret, method)


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(
    ("make", "status"),
    [
        (lambda: Response(status=401), 401),
        (lambda: Response({"detail": "no"}, status=403), 403),
        (lambda: Response(status=405), 405),
        (lambda: HttpResponse(status=429), 429),
        (lambda: exceptions.NotAuthenticated(), 401),
        (lambda: exceptions.PermissionDenied(), 403),
        (lambda: PermissionDenied(), 403),
        (lambda: exceptions.MethodNotAllowed("GET"), 405),
        (lambda: exceptions.Throttled(), 429),
        (lambda: exceptions.ParseError(), 400),
        (lambda: exceptions.UnsupportedMediaType("x/y"), 415),
    ],
)
def test_rejections_need_not_scope(restricted, method, make, status):
    assert call(responding(make, method), restricted.secret, method).status_code == status


def test_other_exceptions_are_raised_as_they_are(restricted):
    with pytest.raises(LookupError, match="as it is"):
        call(responding(lambda: LookupError("as it is")), restricted.secret)


def test_disallowed_method_is_405(restricted):
    assert call(Forgets, restricted.secret, "delete").status_code == 405
    assert call(Forgets, restricted.secret, "brew").status_code == 405


def test_options_of_drf_is_exempt(restricted):
    assert call(Forgets, restricted.secret, "options").status_code == 200


def test_options_handler_of_the_project_must_scope(restricted):
    with raises_unscoped():
        call(responding(lambda: Response([]), "options"), restricted.secret, "options")


class Named(Serializer):
    name = CharField(max_length=3)


class Validates(Keyed):
    def post(self, request):
        Named(data=request.data).is_valid(raise_exception=True)
        return Response(status=201)


def test_validation_by_drf_is_exempt(restricted):
    assert call(Validates, restricted.secret, "post", {"name": "long"}).status_code == 400
    with raises_unscoped():
        call(Validates, restricted.secret, "post", {"name": "ok"})


def test_validation_by_django_filter_is_exempt(restricted):
    class ByAmount(FilterSet):
        amount = NumberFilter()

    class Filters(AccountScopeMixin, GenericAPIView):
        authentication_classes = [ApiKeyAuthentication]
        queryset = Transaction.objects.all()
        filter_backends = [DjangoFilterBackend]
        filterset_class = ByAmount

        def post(self, request):
            request._request.GET = {"amount": "many"}
            self.filter_queryset(Transaction.objects.all())

    assert call(Filters, restricted.secret, "post").status_code == 400


# --- scoping ---------------------------------------------------------------------------------------------------------


def names(rows):
    return sorted(row.name for row in rows)


class ByMixin(Keyed):
    def get(self, request):
        return Response(names(self.scoped(Account.objects.all())))


class ByFunction(Keyed):
    def get(self, request):
        return Response(names(row.account for row in scoped(request, Transaction.objects.all(), "account")))


class ByKey(Keyed):
    def get(self, request):
        return Response(names(request.auth.scoped(Account.objects.all())))


class ByLockedKey(Keyed):
    def get(self, request):
        with request.auth.locked() as key:
            return Response(names(key.scoped(Account.objects.all())))


class ByQueryset(AccountScopeMixin, GenericAPIView):
    authentication_classes = [ApiKeyAuthentication]
    queryset = Account.objects.all()

    def get(self, request):
        return Response(names(self.get_queryset()))


@pytest.mark.parametrize("view", [ByMixin, ByFunction, ByKey, ByLockedKey, ByQueryset])
def test_scoped_response_is_sent(restricted, accounts, view):
    TransactionFactory(account=accounts.checking)
    TransactionFactory(account=accounts.savings)
    assert call(view, restricted.secret).data == ["Checking"]
    assert call(view, restricted.secret, "head").status_code == 200


def test_scope_of_another_key_does_not_count(restricted, unrestricted, accounts):
    class ByOtherKey(Keyed):
        def get(self, request):
            return Response(names(unrestricted.key.scoped(Account.objects.all())))

    with raises_unscoped():
        call(ByOtherKey, restricted.secret)


def test_one_request_does_not_count_for_the_next(restricted):
    view = Forgets.as_view()
    assert call(ByMixin, restricted.secret).status_code == 200
    with raises_unscoped():
        call(view, restricted.secret)


def test_scoping_in_sync_to_async_counts(restricted, accounts):
    class Asynchronous(Keyed):
        async def get(self, request):
            return Response(await sync_to_async(lambda: names(self.scoped(Account.objects.all())))())

    assert call_async(Asynchronous, restricted.secret).data == ["Checking"]


@pytest.mark.parametrize("view", [MarkedHandler, MarkedScoped])
def test_marked_handler_is_exempt(restricted, view):
    assert call(view, restricted.secret).status_code == 200


def test_mark_below_a_decorator_is_kept(restricted):
    class Decorated(Keyed):
        @method_decorator(never_cache)
        @unscoped("says hello")
        def get(self, request):
            return Response([])

    assert call(Decorated, restricted.secret).status_code == 200


class Actions(AccountScopeMixin, ViewSet):
    authentication_classes = [ApiKeyAuthentication]

    @action(detail=False)
    def forgets(self, request):
        return Response([])

    @action(detail=False, methods=["post"])
    def close_all(self, request):
        return Response()

    @action(detail=False, methods=["post"])
    def scopes(self, request):
        return Response([self.scoped(Account.objects.all()).count()])

    def create(self, request):
        return Response(status=201)


@pytest.mark.parametrize(("name", "method"), [("forgets", "get"), ("close_all", "post"), ("create", "post")])
def test_action_that_forgets_raises(restricted, name, method):
    with raises_unscoped():
        call(Actions, restricted.secret, method, actions={method: name})


def test_action_that_scopes_responds(restricted):
    assert call(Actions, restricted.secret, "post", actions={"post": "scopes"}).data == [1]


def test_safe_handler_with_visible_row_must_scope(restricted, accounts):
    """The guard checks the rows that are shown, and no others that the handler has read."""

    class Shows(Keyed):
        def get(self, request):
            return Response(AccountSerializer(accounts.checking).data)

    with raises_unscoped():
        call(Shows, restricted.secret)


def test_condition_on_a_hidden_row_is_checked(restricted, accounts):
    """``If-None-Match: *`` would reveal that a hidden row exists."""

    def etag(request, pk):
        return '"1"' if Account.objects.filter(pk=pk).exists() else None

    class Conditional(Keyed):
        @method_decorator(condition(etag_func=etag))
        def get(self, request, pk):
            return Response(names(self.scoped(Account.objects.filter(pk=pk))))

    with raises_unscoped():
        call(Conditional, restricted.secret, kwargs={"pk": accounts.savings.pk}, headers={"if-none-match": "*"})


# --- rows in the response --------------------------------------------------------------------------------------------


class Upserts(AccountScopeMixin, ModelViewSet):
    """Responds with the row of the given name, found by hand."""

    authentication_classes = [ApiKeyAuthentication]
    queryset = Account.objects.all()
    serializer_class = AccountSerializer

    def perform_create(self, serializer):
        self.get_queryset()
        serializer.instance = Account.objects.get(name=serializer.validated_data["name"])


def upsert(view, key, name, field="name"):
    return call(view, key.secret, "post", {field: name}, actions={"post": "create"})


@pytest.mark.parametrize("name", ["Savings", "Bob's"])
def test_response_with_hidden_row_is_404(restricted, accounts, bobs_account, name):
    assert upsert(Upserts, restricted, name).status_code == 404


def test_response_with_visible_row_is_sent(restricted, unrestricted, accounts):
    assert upsert(Upserts, restricted, "Checking").data["name"] == "Checking"
    assert upsert(Upserts, unrestricted, "Savings").data["name"] == "Savings"


class Nested(Upserts):
    """Puts the rows into an object and a list of the response."""

    def create(self, request):
        response = super().create(request)
        return Response({"rows": [response.data], "first": response.data})


@pytest.mark.rule("S7.6")
@pytest.mark.parametrize(("name", "status"), [("Checking", 200), ("Savings", 404), ("Bob's", 404)])
def test_nested_rows_of_the_response_are_checked(restricted, accounts, bobs_account, name, status):
    assert upsert(Nested, restricted, name).status_code == status


def test_unsaved_row_in_the_response_is_sent(restricted):
    class Tries(Upserts):
        def perform_create(self, serializer):
            self.get_queryset()
            serializer.instance = Account(name="not saved", pk=None)

    assert upsert(Tries, restricted, "Savings").data["name"] == "not saved"


def test_row_of_another_model_follows_its_own_path(restricted, accounts):
    class Summary(ModelSerializer):
        class Meta:
            model = Transaction
            fields = ["summary"]

    class Finds(Upserts):
        account_path = "account"
        queryset = Transaction.objects.all()
        serializer_class = Summary

        def perform_create(self, serializer):
            self.get_queryset()
            serializer.instance = Transaction.objects.get(**serializer.validated_data)

    for account in (accounts.checking, accounts.savings):
        TransactionFactory(account=account, summary=account.name)
    assert upsert(Finds, restricted, "Checking", "summary").status_code == 201
    assert upsert(Finds, restricted, "Savings", "summary").status_code == 404


def test_row_without_account_may_be_shown(restricted, alice):
    """Users belong to no account."""

    class UserSerializer(ModelSerializer):
        class Meta:
            model = User
            fields = ["email"]

    class ShowsUser(Keyed):
        def post(self, request):
            self.scoped(Account.objects.all())
            return Response(UserSerializer(request.user).data)

    assert call(ShowsUser, restricted.secret, "post").data == {"email": alice.email}


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda data: {"account": data},
        lambda data: {"accounts": {"first": data}},
        lambda data: {"accounts": [data]},
        lambda data: [data],
    ],
)
def test_row_inside_dicts_and_lists_is_checked(restricted, accounts, method, wrap):
    class Wraps(Keyed):
        def get(self, request):
            self.scoped(Account.objects.all())
            return Response(wrap(AccountSerializer(Account.objects.get(name="Savings")).data))

        post = get

    assert call(Wraps, restricted.secret, method).status_code == 404


@pytest.mark.parametrize("method", ["get", "post"])
def test_custom_response_data_class_is_checked(restricted, accounts, method):
    """It is neither a dict nor a list, but names its serializer."""

    class Wraps(Keyed):
        def get(self, request):
            self.scoped(Account.objects.all())
            data = UserDict()
            data.serializer = AccountSerializer(Account.objects.get(name="Savings"))
            return Response({"account": data})

        post = get

    assert call(Wraps, restricted.secret, method).status_code == 404


def test_search_by_post_checks_its_rows(restricted, accounts):
    class Searches(Keyed):
        def post(self, request):
            self.scoped(Account.objects.all())
            return Response(AccountSerializer(Account.objects.order_by("name"), many=True).data)

    assert call(Searches, restricted.secret, "post").status_code == 404


def test_aggregate_by_post_must_scope(restricted, accounts):
    with raises_unscoped():
        call(responding(lambda: Response(list(Account.objects.values("name"))), "post"), restricted.secret, "post")


def test_marked_handler_may_show_any_row(restricted, accounts):
    class Marked(Upserts):
        @unscoped("anyone who knows the name of an account may see it")
        def create(self, request, *args, **kwargs):
            return super().create(request, *args, **kwargs)

    assert upsert(Marked, restricted, "Savings").data["name"] == "Savings"


def test_create_of_a_model_without_account_must_scope(restricted):
    """Nothing that was saved has an account."""

    class UserSerializer(ModelSerializer):
        class Meta:
            model = User
            fields = ["email"]

    class MakesUsers(AccountScopeMixin, CreateAPIView):
        authentication_classes = [ApiKeyAuthentication]
        queryset = User.objects.all()
        serializer_class = UserSerializer

    with raises_unscoped():
        call(MakesUsers, restricted.secret, "post", {"email": "new@example.com"})
    assert not User.objects.filter(email="new@example.com").exists()


# --- async handlers --------------------------------------------------------------------------------------------------


def call_async(view, secret=None, method="get", data=None, kwargs=None):
    """Call a view as packages for async views of Django REST framework do: the handler may return a coroutine."""

    class Asynchronous(view):
        view_is_async = False

        async def dispatch(self, request, *args, **kwargs):
            self.args, self.kwargs = args, kwargs
            self.headers = self.default_response_headers
            self.request = self.initialize_request(request, *args, **kwargs)
            try:
                await sync_to_async(self.initial)(self.request, *args, **kwargs)
                name = request.method.lower()
                response = getattr(self, name, self.http_method_not_allowed)(self.request, *args, **kwargs)
                if asyncio.iscoroutine(response):
                    response = await response
            except Exception as error:
                response = await sync_to_async(self.handle_exception)(error)
            return await sync_to_async(self.finalize_response)(self.request, response, *args, **kwargs)

    async def run():
        return await call(Asynchronous, secret, method, data, kwargs=kwargs)

    return async_to_sync(run)()


class AsyncAccounts(Keyed):
    async def get(self, request):
        return Response([account.name async for account in self.scoped(Account.objects.all())])

    async def post(self, request):
        account = await Account.objects.aget(name=request.data["name"])
        account.name = "Renamed"
        await account.asave()
        if request.data.get("fails"):
            raise DjangoValidationError("fails")
        return Response({"name": account.name})

    async def put(self, request):
        return Response([account.name async for account in Account.objects.all()])


def test_async_handler_is_guarded(restricted, accounts):
    assert call_async(AsyncAccounts, restricted.secret).data == ["Checking"]
    with raises_unscoped():
        call_async(AsyncAccounts, restricted.secret, "put")
    assert call_async(AsyncAccounts, "finta_x").status_code == 401


def test_async_handler_saves_inside_the_scope_only(restricted, accounts):
    assert call_async(AsyncAccounts, restricted.secret, "post", {"name": "Savings"}).status_code == 404
    assert call_async(AsyncAccounts, restricted.secret, "post", {"name": "Checking"}).data == {"name": "Renamed"}
    assert set(Account.objects.values_list("name", flat=True)) == {"Renamed", "Savings", "Cash"}


@pytest.mark.rule("S7.5")
def test_async_handler_is_rolled_back(restricted, accounts):
    with pytest.raises(DjangoValidationError):
        call_async(AsyncAccounts, restricted.secret, "post", {"name": "Checking", "fails": True})
    assert not Account.objects.filter(name="Renamed").exists()


@pytest.mark.rule("S7.4")
def test_async_handler_is_preceded_by_the_row_check(restricted, accounts):
    class AsyncDetail(AccountScopeMixin, GenericAPIView):
        authentication_classes = [ApiKeyAuthentication]
        queryset = Account.objects.all()

        async def post(self, request, pk):
            return Response({"pk": str(pk)})

    for account, status in ((accounts.checking, 200), (accounts.savings, 404)):
        response = call_async(AsyncDetail, restricted.secret, "post", kwargs={"pk": account.pk})
        assert response.status_code == status


def test_guards_are_freed_without_garbage_collection(restricted, accounts):
    def guards():
        return {id(guard): guard for guard in gc.get_objects() if type(guard) is Guard}

    others = guards()  # of other tests; kept here, so that no new guard gets their ids
    gc.disable()
    try:
        assert call(MarkedScoped, restricted.secret).status_code == 200
        assert guards().keys() <= others.keys()
    finally:
        gc.enable()
