"""Ways around a read-only key or an expiry date."""

import json
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import ValidationError
from django.db import connection
from django.http import JsonResponse
from django.test import Client, RequestFactory
from django.urls import include, path
from django.utils import timezone
from rest_framework import routers, viewsets
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action, api_view, authentication_classes
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer
from rest_framework.views import APIView

from accounts_app.models import Account
from finta_keys import expiry
from finta_keys.authentication import ApiKeyAuthentication, get_key
from finta_keys.current_key import CurrentKeyView
from finta_keys.models import ApiKey
from finta_keys.read_only import reads
from finta_keys.scoping import AccountScopeMixin, scoped, scoped_view, unscoped
from finta_keys.testing import make_key

pytestmark = [pytest.mark.thorough, pytest.mark.urls(__name__), pytest.mark.rule("K8")]

NEW_YORK = ZoneInfo("America/New_York")
DENIED = {"detail": "This API key is read only."}


class AccountSerializer(ModelSerializer):
    class Meta:
        model = Account
        fields = ["id", "name"]


class Base(AccountScopeMixin, viewsets.ModelViewSet):
    queryset = Account.objects.order_by("name")
    serializer_class = AccountSerializer
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    renderer_classes = [JSONRenderer, BrowsableAPIRenderer]
    permission_classes = []

    @reads
    @action(detail=False)
    def bulk(self, request):
        return Response({"count": self.get_queryset().count()})

    @bulk.mapping.post
    def bulk_create(self, request):
        return Response({"wrote": self.get_queryset().count()})

    @unscoped("shows no accounts")
    @action(detail=False, methods=["post"])
    def ping(self, request):
        return Response("pong")


class OwnInitial(Base):
    def initial(self, request, *args, **kwargs):
        self.format_kwarg = None
        request.accepted_renderer, request.accepted_media_type = JSONRenderer(), "application/json"


class LateAuthentication(Base):
    def perform_authentication(self, request):
        pass


class UserOnlyAuthentication(ApiKeyAuthentication):
    """Hides the key from the view."""

    def authenticate(self, request):
        result = super().authenticate(request)
        return result and (result[0], None)


class HiddenKey(Base):
    authentication_classes = [UserOnlyAuthentication]


class OwnDispatch(Base):
    def dispatch(self, request, *args, **kwargs):
        request.method = request.headers.get("X-HTTP-Method-Override", request.method)
        return super().dispatch(request, *args, **kwargs)


class Bare(AccountScopeMixin, viewsets.ViewSet):
    authentication_classes = [ApiKeyAuthentication]

    def list(self, request):
        return Response({"count": self.scoped(Account.objects.all()).count()})

    def create(self, request):
        return Response({"wrote": self.scoped(Account.objects.all()).count()})


@unscoped("shows no accounts")
@api_view(["GET", "POST"])
@authentication_classes([ApiKeyAuthentication])
def unscoped_function(request):
    return Response("pong")


@scoped_view()
@api_view(["GET", "POST"])
@authentication_classes([ApiKeyAuthentication])
def scoped_function(request):
    return Response({"count": scoped(request, Account.objects.all()).count()})


@reads
@scoped_view()
@api_view(["POST"])
@authentication_classes([ApiKeyAuthentication])
def marked_function(request):
    return Response({"key": get_key(request).name, "count": scoped(request, Account.objects.all()).count()})


def plain(request):
    key = get_key(request)
    return JsonResponse({"key": key and key.name, "rows": scoped(request, Account.objects.all()).count()})


async def plain_async(request):
    key = await sync_to_async(get_key)(request)
    return JsonResponse({"key": key and key.name})


class ReadingMiddleware:
    """Finds the key as one that only reads, before the view."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        get_key(request, only_reads=True)
        return self.get_response(request)


class WritingMiddleware(ReadingMiddleware):
    def __call__(self, request):
        request.key = get_key(request)
        return self.get_response(request)


@unscoped("describes the calling key, no accounts")
class SessionCurrentKeyView(CurrentKeyView):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]


router = routers.SimpleRouter()
for name, viewset in {
    "base": Base,
    "own-initial": OwnInitial,
    "late": LateAuthentication,
    "hidden-key": HiddenKey,
    "own-dispatch": OwnDispatch,
    "bare": Bare,
}.items():
    router.register(name, viewset, basename=name)
urlpatterns = [
    path("", include(router.urls)),
    path("unscoped/", unscoped_function),
    path("scoped/", scoped_function),
    path("marked/", marked_function),
    path("plain/", plain),
    path("own-key/", CurrentKeyView.as_view()),
    path("key/", SessionCurrentKeyView.as_view()),
]
VIEWSETS = ["/base/", "/own-initial/", "/late/", "/hidden-key/", "/own-dispatch/", "/bare/"]


def client_of(secret):
    return Client(headers={"authorization": f"Bearer {secret}"}, raise_request_exception=False)


@pytest.fixture
def reader(alice, accounts):
    _, secret = make_key(alice, "Reader", [accounts.checking], read_only=True)
    return client_of(secret)


@pytest.mark.parametrize("url", [*VIEWSETS, "/base/bulk/", "/base/ping/", "/unscoped/", "/scoped/"])
def test_write_is_denied(reader, url):
    response = reader.post(url, {"name": "x"})
    assert (response.status_code, response.json()) == (403, DENIED)
    assert not Account.objects.filter(name="x").exists()


def test_same_views_can_be_read(reader):
    for url in [*VIEWSETS, "/base/bulk/", "/unscoped/", "/scoped/"]:
        assert reader.get(url).status_code == 200


@pytest.mark.parametrize("url", ["/own-initial/", "/late/", "/hidden-key/"])
def test_row_cannot_be_deleted(reader, accounts, url):
    assert reader.delete(f"{url}{accounts.checking.pk}/").json() == DENIED
    assert Account.objects.filter(name="Checking").exists()


def test_form_field_and_query_override_nothing(reader, accounts):
    url = f"/base/{accounts.checking.pk}/"
    assert reader.get(f"{url}?_method=DELETE", headers={"x-method-override": "DELETE"}).status_code == 200
    assert reader.post("/base/", {"_method": "GET", "name": "x"}).json() == DENIED
    assert Account.objects.filter(name="Checking").exists()


def test_overridden_method_of_request_is_denied(reader, accounts):
    response = reader.get(f"/own-dispatch/{accounts.checking.pk}/", headers={"x-http-method-override": "DELETE"})
    assert response.json() == DENIED


@pytest.mark.parametrize("middleware", ["ReadingMiddleware", "WritingMiddleware"])
def test_middleware_does_not_open_or_close(reader, settings, middleware):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.{middleware}"]
    assert reader.post("/base/", {"name": "x"}).json() == DENIED
    assert reader.post("/plain/").json() == {"key": None, "rows": 0}
    assert reader.get("/plain/").json() == {"key": "Reader", "rows": 1}
    assert reader.get("/base/").status_code == 200


def test_session_does_not_widen_read_only_key(alice, accounts):
    _, secret = make_key(alice, "Reader", read_only=True)
    request = RequestFactory().post("/plain/", headers={"authorization": f"Bearer {secret}"})
    request.user = alice
    assert json.loads(plain(request).content) == {"key": None, "rows": 0}


def test_async_view_gets_no_key_for_write(alice, accounts):
    _, secret = make_key(alice, "Reader", read_only=True)
    requests, headers = RequestFactory(), {"authorization": f"Bearer {secret}"}
    for method, name in ((requests.post, b"null"), (requests.get, b'"Reader"')):
        # Not by AsyncClient: its other thread keeps a connection open.
        assert async_to_sync(plain_async)(method("/", headers=headers)).content == b'{"key": ' + name + b"}"


def test_atomic_requests_change_nothing(reader, accounts, settings, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    assert reader.post("/base/", {"name": "x"}).json() == DENIED
    assert reader.get("/base/").status_code == 200


def test_browsable_api_reads(reader, accounts):
    response = reader.get(f"/base/{accounts.checking.pk}/", headers={"accept": "text/html"})
    assert response.status_code == 200
    assert b"Savings" not in response.content


def test_marked_view_gets_key(reader):
    assert reader.post("/marked/").json() == {"key": "Reader", "count": 1}


def test_class_cannot_be_marked():
    with pytest.raises(TypeError, match="not the class"):
        reads(type("Marked", (AccountScopeMixin, APIView), {}))


@pytest.mark.rule("K4")
def test_write_that_began_before_completes(alice, accounts, monkeypatch):
    key, secret = make_key(alice, "Writer")
    client = client_of(secret)

    def save_after_change(self, serializer):
        ApiKey.objects.get(pk=key.pk).edit_scope(read_only=True)
        serializer.save()

    monkeypatch.setattr(Base, "perform_update", save_after_change)
    url = f"/base/{accounts.checking.pk}/"
    assert client.patch(url, {"name": "Mine"}, "application/json").status_code == 200
    assert client.patch(url, {"name": "Again"}, "application/json").json() == DENIED


def test_key_view_describes_only_the_key(reader):
    assert set(reader.get("/own-key/").json()) == {
        *("id", "name", "hint", "permission", "expiresAt", "shareAllAccounts"),
    }
    assert reader.post("/own-key/").json() == DENIED


def test_key_view_for_session_is_no_error(alice, accounts):
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    assert client.get("/key/").status_code == 403


@pytest.mark.rule("K3")
def test_stale_instance_keeps_permission_and_expiry(alice, accounts):
    at = timezone.now() + timedelta(days=3)
    key, _ = make_key(alice, "Writer", [accounts.checking])
    stale = ApiKey.objects.get(pk=key.pk)
    key.edit_scope(read_only=True, expires_at=at)
    for change in (
        lambda: stale.edit_scope(accounts=[accounts.savings]),
        lambda: stale.rename("Renamed"),
        lambda: stale.rotate(),
        lambda: stale.share_all(),
        lambda: stale.restrict_to([accounts.cash]),
    ):
        change()
        saved = ApiKey.objects.get(pk=key.pk)
        assert (saved.read_only, saved.expires_at) == (True, at)


@pytest.mark.rule("K3")
def test_stale_instance_keeps_scope(alice, accounts):
    key, _ = make_key(alice, "Writer")
    stale = ApiKey.objects.get(pk=key.pk)
    key.restrict_to([accounts.checking])
    stale.edit_scope(read_only=True)
    saved = ApiKey.objects.get(pk=key.pk)
    assert (saved.share_all_accounts, list(saved.accounts.all())) == (False, [accounts.checking])


@pytest.mark.rule("K7")
@pytest.mark.parametrize("status", [200, 404, 403, 405])
def test_every_response_to_key_names_expiry(alice, accounts, status):
    _, secret = make_key(alice, "Reader", [accounts.checking], read_only=status == 403, expires_at=date(2099, 3, 31))
    client = client_of(secret)
    response = {
        200: lambda: client.get("/base/"),
        404: lambda: client.get(f"/base/{accounts.savings.pk}/"),
        403: lambda: client.post("/base/"),
        405: lambda: client.delete("/base/"),
    }[status]()
    assert (response.status_code, response["X-Key-Expires"]) == (status, "2099-03-31T00:00:00Z")
    assert "no-store" in response["Cache-Control"]


@pytest.mark.rule("K7")
def test_session_gets_no_expiry_of_keys(alice, accounts):
    make_key(alice, "Reader", expires_at=date(2099, 3, 31))
    client = Client()
    client.force_login(alice)
    assert "X-Key-Expires" not in client.get("/base/").headers


@pytest.mark.rule("K7")
@pytest.mark.parametrize(
    "at",
    [
        datetime(2027, 3, 14, 2, 30),  # noqa: DTZ001  # does not exist in New York
        datetime(2026, 11, 1, 1, 30, fold=1),  # noqa: DTZ001  # exists twice there
    ],
)
def test_time_at_clock_change_is_saved(alice, at, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 6, 15, tzinfo=UTC))
    with timezone.override(NEW_YORK):
        key, _ = make_key(alice, expires_at=at)
    assert ApiKey.objects.get(pk=key.pk).expires_at.astimezone(NEW_YORK).date() == at.date()


@pytest.mark.rule("K7")
def test_year_9999_in_utc_is_rejected(alice):
    with pytest.raises(ValidationError, match="before the year 9999"):
        make_key(alice, expires_at=datetime(9998, 12, 31, 23, tzinfo=ZoneInfo("Etc/GMT+12")))


@pytest.mark.rule("K7")
def test_offered_maximum_is_accepted_when_clocks_go_back(alice, settings, monkeypatch):
    settings.FINTA_KEYS_MAX_AGE = 90
    now = datetime(2026, 10, 1, 0, 10, tzinfo=NEW_YORK)
    monkeypatch.setattr(timezone, "now", lambda: now.astimezone(UTC))
    with timezone.override(NEW_YORK):
        key, _ = make_key(alice, expires_at=expiry.today() + timedelta(days=90))
        assert ApiKey.objects.get(pk=key.pk).expires_at is not None
