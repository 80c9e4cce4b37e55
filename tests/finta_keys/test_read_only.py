"""Read-only keys: every method that is not safe is the same 403, before anything is looked up."""

import uuid

import pytest
from django.http import JsonResponse
from django.test import Client, RequestFactory
from django.urls import include, path
from django.utils import timezone
from rest_framework import permissions, routers, throttling, viewsets
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.decorators import action, api_view, authentication_classes
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer
from rest_framework.views import APIView

from accounts_app.models import Account
from finta_keys.authentication import ApiKeyAuthentication, get_key
from finta_keys.models import ApiKey
from finta_keys.read_only import reads
from finta_keys.scoping import AccountScopeMixin, scoped, scoped_view, unscoped
from finta_keys.testing import comparable_parts, make_key
from tests.finta_keys.calls import call

pytestmark = [pytest.mark.urls(__name__), pytest.mark.rule("K8")]

UNSAFE = ["POST", "PUT", "PATCH", "DELETE", "PURGE"]
DENIED = {"detail": "This API key is read only."}


class AccountSerializer(ModelSerializer):
    class Meta:
        model = Account
        fields = ["id", "name"]


class ExistingAccountsOnly(permissions.BasePermission):
    def has_permission(self, request, view):
        return "pk" not in view.kwargs or Account.objects.filter(pk=view.kwargs["pk"]).exists()


class OneRequest(throttling.BaseThrottle):
    counted: list[str] = []

    def allow_request(self, request, view):
        self.counted.append(request.method)
        return "throttled" not in request.query_params


class Accounts(AccountScopeMixin, viewsets.ModelViewSet):
    queryset = Account.objects.order_by("name")
    serializer_class = AccountSerializer
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    permission_classes = [ExistingAccountsOnly]
    throttle_classes = [OneRequest]

    @reads
    @action(detail=False, methods=["post", "put"])
    def search(self, request):
        return Response({"names": [account.name for account in self.get_queryset()]})

    @action(detail=True, methods=["post"])
    def notify(self, request, pk):
        return Response({"name": self.get_object().name})


@unscoped("shows no accounts")
class Ping(APIView):
    authentication_classes = [ApiKeyAuthentication]
    permission_classes = [ExistingAccountsOnly]

    def get(self, request, pk=None):
        return Response("pong")

    def post(self, request, pk=None):
        return Response("pong")


@reads
@scoped_view()
@api_view(["POST", "PUT"])
@authentication_classes([ApiKeyAuthentication])
def count(request):
    return Response({"count": scoped(request, Account.objects.all()).count()})


@scoped_view()
@reads
@api_view(["POST", "PUT"])
@authentication_classes([ApiKeyAuthentication])
def count_too(request):
    return Response({"count": scoped(request, Account.objects.all()).count()})


class Search(AccountScopeMixin, APIView):
    authentication_classes = [ApiKeyAuthentication]

    @reads
    def post(self, request):
        return Response({"count": self.scoped(Account.objects.all()).count()})

    @reads
    def delete(self, request):
        return Response({"count": self.scoped(Account.objects.all()).count()})


class ChangedSearch(Search):
    def post(self, request):
        return super().post(request)


def plain(request):
    key = get_key(request)
    rows = scoped(request, Account.objects.all())
    return JsonResponse({"key": key and key.name, "rows": rows.count()})


router = routers.SimpleRouter()
router.register("accounts", Accounts)
urlpatterns = [
    path("", include(router.urls)),
    path("ping/", Ping.as_view()),
    path("ping/<pk>/", Ping.as_view()),
    path("count/", count),
    path("count-too/", count_too),
    path("search/", Search.as_view()),
    path("changed-search/", ChangedSearch.as_view()),
    path("plain/", plain),
]


@pytest.fixture(params=["restricted", "all accounts"])
def client(request, alice, accounts):
    scope = [accounts.checking] if request.param == "restricted" else None
    key, secret = make_key(alice, "Reader", scope, read_only=True)
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())  # so that a request does not
    return Client(headers={"authorization": f"Bearer {secret}"}, raise_request_exception=False)


def urls_of(accounts, bobs_account):
    pks = [accounts.checking.pk, accounts.savings.pk, bobs_account.pk, uuid.uuid4(), "malformed"]
    return [f"/accounts/{pk}/{more}" for pk in pks for more in ("", "notify/")]


@pytest.mark.parametrize("method", UNSAFE)
def test_unsafe_method_is_same_403_for_every_row(client, accounts, bobs_account, method, django_assert_num_queries):
    responses = set()
    for url in urls_of(accounts, bobs_account):
        with django_assert_num_queries(1):  # for the key
            response = client.generic(method, url, b'{"name": "x"}', content_type="application/json")
        assert (response.status_code, response.json()) == (403, DENIED)
        responses.add(str(comparable_parts(response)))
    # Allow names the methods of the route, not of the row.
    assert len(responses) == 2
    assert Account.objects.filter(name="x").count() == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_safe_method_reads(client, accounts, method):
    assert client.generic(method, f"/accounts/{accounts.checking.pk}/").status_code == 200


def test_throttle_comes_before_read_only(client, accounts):
    OneRequest.counted.clear()
    assert client.post("/accounts/?throttled").status_code == 429
    assert client.post("/accounts/").status_code == 403
    assert OneRequest.counted == ["POST", "POST"]


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 403), ("PUT", 403)])
def test_unscoped_view_rejects_unsafe_methods(client, method, status):
    assert client.generic(method, "/ping/").status_code == status


def test_unscoped_view_rejects_before_its_permissions(client, accounts):
    for pk in (accounts.savings.pk, uuid.uuid4()):
        assert client.post(f"/ping/{pk}/").json() == DENIED


@pytest.mark.parametrize("url", ["/count/", "/count-too/", "/search/", "/accounts/search/"])
def test_marked_post_reads(client, url):
    assert client.post(url).status_code == 200


@pytest.mark.parametrize("url", ["/count/", "/count-too/", "/search/", "/accounts/search/"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_mark_opens_only_post(client, url, method):
    assert client.generic(method, url).json() == DENIED


def test_overridden_handler_loses_mark(client):
    assert client.post("/changed-search/").json() == DENIED


def test_method_override_header_changes_nothing(client, accounts):
    response = client.get(f"/accounts/{accounts.checking.pk}/", headers={"x-http-method-override": "DELETE"})
    assert response.status_code == 200
    response = client.delete(f"/accounts/{accounts.checking.pk}/", headers={"x-http-method-override": "GET"})
    assert response.json() == DENIED


def test_options_offer_no_writes(client, accounts):
    assert "actions" not in client.options(f"/accounts/{accounts.checking.pk}/").json()


def test_read_only_key_limits_session_too(client, alice, accounts):
    url = f"/accounts/{accounts.checking.pk}/"
    client.force_login(alice)
    assert client.delete(url).json() == DENIED
    browser = Client()
    browser.force_login(alice)
    assert browser.patch(url, {"name": "Mine"}, content_type="application/json").status_code == 200


@pytest.mark.parametrize("method", UNSAFE)
def test_plain_view_gets_no_key_and_no_rows(client, method):
    assert client.generic(method, "/plain/").json() == {"key": None, "rows": 0}
    assert client.get("/plain/").json()["key"] == "Reader"


def test_plain_view_can_declare_a_reading_post(alice, accounts):
    _, secret = make_key(alice, "Reader", read_only=True)
    headers = {"authorization": f"Bearer {secret}"}
    assert get_key(RequestFactory().post("/", headers=headers), only_reads=True).name == "Reader"
    assert get_key(RequestFactory().put("/", headers=headers), only_reads=True) is None
    assert get_key(RequestFactory().post("/", headers=headers)) is None


@pytest.mark.rule("K4")
def test_permission_changes_at_once(alice, accounts):
    key, secret = make_key(alice, "Reader")
    writer = Client(headers={"authorization": f"Bearer {secret}"})
    assert writer.post("/ping/").status_code == 200
    key.edit_scope(read_only=True)
    assert writer.post("/ping/").status_code == 403
    key.edit_scope(read_only=False)
    assert writer.post("/ping/").status_code == 200


@pytest.mark.rule("K3")
def test_other_actions_keep_permission(alice, accounts):
    key, _ = make_key(alice, "Reader", read_only=True)
    key.rotate()
    key.rename("Renamed")
    key.share_all()
    key.restrict_to([accounts.cash])
    assert ApiKey.objects.get(pk=key.pk).read_only


class OwnAuthentication(BaseAuthentication):
    """A project's own class that finds the key in another way."""

    def authenticate(self, request):
        key = ApiKey.objects.select_related("owner").get()
        return key.owner, key


@pytest.mark.parametrize("view", [Accounts, Ping, Search])
def test_key_of_own_authentication_class_is_limited(alice, accounts, view):
    make_key(alice, "Reader", read_only=True)
    actions = {"actions": {"delete": "destroy"}} if view is Accounts else {}
    own = type("Own", (view,), {"authentication_classes": [OwnAuthentication]})
    own = unscoped("shows no accounts")(own) if view is Ping else own
    response = call(own, None, "delete", kwargs={"pk": accounts.cash.pk} if actions else {}, **actions)
    assert (response.status_code, response.data) == (403, DENIED)
    assert Account.objects.filter(pk=accounts.cash.pk).exists()


@pytest.mark.rule("S4")
def test_denied_key_of_own_class_reveals_no_row(alice, accounts, bobs_account):
    make_key(alice, "Writer", [accounts.cash])

    class Own(Accounts):
        authentication_classes = [OwnAuthentication]
        permission_classes = [permissions.IsAdminUser]

    for pk, status in ((accounts.cash.pk, 403), (accounts.savings.pk, 404), (uuid.uuid4(), 404)):
        assert call(Own, None, "get", kwargs={"pk": pk}, actions={"get": "retrieve"}).status_code == status
