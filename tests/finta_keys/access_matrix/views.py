"""Handlers written by hand, as projects write them, and the middleware around them.

Each handler reports who the caller is and which accounts the caller sees, so that a test can compare both.
"""

from django.http import JsonResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.models import Account, User
from finta_keys.authentication import get_key
from finta_keys.scoping import AccountScopeMixin, scoped, unscoped

ALICE = "alice@matrix.example"
OTHER_TOKEN = "token-of-the-other-library"


class OtherBearerAuthentication(BaseAuthentication):
    """The class of another library. It claims every Bearer token and rejects those that it does not know."""

    def authenticate(self, request):
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        if token != OTHER_TOKEN:
            raise AuthenticationFailed("Unknown token.")
        return User.objects.get(email=ALICE), token

    def authenticate_header(self, request):
        return 'Bearer realm="other"'


def report(request, accounts=None):
    """Return the caller, whether the handler can read the header, and the names of the accounts."""
    user = request.user
    return {
        "user": user.email if user.is_authenticated else None,
        "sees_header": "Authorization" in request.headers,
        "rows": None if accounts is None else sorted(account.name for account in accounts),
    }


class ScopedProtectedView(AccountScopeMixin, APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response(report(request, self.scoped(Account.objects.all())))


class ScopedPublicView(AccountScopeMixin, APIView):
    def get(self, request):
        return Response(report(request, self.scoped(Account.objects.all())))


@unscoped("lists accounts by the function")
class MarkedProtectedView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response(report(request, scoped(request, Account.objects.all())))


@unscoped("lists accounts by the function")
class MarkedPublicView(APIView):
    def get(self, request):
        return Response(report(request, scoped(request, Account.objects.all())))


class MarkedHandlerView(APIView):
    """Only GET is marked: it opens to keys, POST does not."""

    permission_classes = [IsAuthenticated]

    @unscoped("lists accounts by the function")
    def get(self, request):
        return Response(report(request, scoped(request, Account.objects.all())))

    def post(self, request):
        return Response(report(request))


class UnmarkedProtectedView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response(report(request))


class UnmarkedPublicView(APIView):
    def get(self, request):
        return Response(report(request))


CLASSES = {
    "scoped_protected": ScopedProtectedView,
    "scoped_public": ScopedPublicView,
    "marked_protected": MarkedProtectedView,
    "marked_public": MarkedPublicView,
    "marked_handler": MarkedHandlerView,
    "unmarked_protected": UnmarkedProtectedView,
    "unmarked_public": UnmarkedPublicView,
}


def class_view(name, classes=None):
    """Return a class of its own, because one project has one line-up. None leaves the classes to the settings."""
    attributes = {} if classes is None else {"authentication_classes": classes}
    # A mark holds for the class that carries it, so the handlers are copied under the mark.
    source = CLASSES[name]
    if name.startswith("marked_p"):
        body = {key: value for key, value in vars(source).items() if key in ("get", "permission_classes")}
        return unscoped("lists accounts by the function")(type(source.__name__, (APIView,), {**body, **attributes}))
    return type(source.__name__, (source,), attributes)


def function_view(classes=None):
    """Return a marked function. Without ``classes``, ``@api_view`` reads the defaults when it is called."""

    def accounts(request):
        return Response(report(request, scoped(request, Account.objects.all())))

    view = permission_classes([IsAuthenticated])(accounts)
    if classes is not None:
        view = authentication_classes(classes)(view)
    return unscoped("lists accounts by the function")(api_view(["GET"])(view))


def plain(request):
    """A Django view that does not use this library."""
    return JsonResponse(report(request))


def plain_scoped(request):
    """A Django view that limits its rows by the function."""
    return JsonResponse(report(request, scoped(request, Account.objects.all())))


def plain_key(request):
    """A Django view that reads the key that the middleware stored."""
    key = getattr(request, "api_key", None)
    return JsonResponse({**report(request, key.scoped(Account.objects.all()) if key else []), "key": key and key.name})


def reads_key(get_response):
    """Middleware that stores the key on the request, as a project with tenants does."""

    def middleware(request):
        request.api_key = get_key(request)
        return get_response(request)

    return middleware


def signs_in_owner(get_response):
    """Middleware with the mistake of many projects: the owner of the key becomes the signed-in user."""

    def middleware(request):
        request.api_key = get_key(request)
        if request.api_key:
            request.user = request.api_key.owner
        return get_response(request)

    return middleware
