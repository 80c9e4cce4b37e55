"""Views that open to API keys: ``@unscoped`` and ``@scoped_view``."""

import pytest
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action, api_view, authentication_classes, permission_classes
from rest_framework.generics import ListAPIView
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from accounts_app.models import Account
from finta_keys.authentication import ApiKeyAuthentication, get_key
from finta_keys.gate import opens_to_keys
from finta_keys.scoping import AccountScopeMixin, scoped, scoped_view, unscoped
from tests.finta_keys import urls_example
from tests.finta_keys.calls import call

# --- @unscoped -------------------------------------------------------------------------------------------------------


@pytest.mark.rule("S7.1")
@pytest.mark.urls("tests.finta_keys.urls_example")
def test_marked_class_and_function_open_to_keys(alice, restricted):
    assert restricted.client.get("/who-calls").json() == {"email": "alice@example.com", "key": "Restricted"}
    assert restricted.client.get("/marked-function").json() == {"email": "alice@example.com"}


@pytest.mark.rule("S7.1")
def test_mark_is_not_inherited(restricted):
    assert opens_to_keys(urls_example.WhoCalls)
    assert not opens_to_keys(urls_example.WhoCallsInherited)
    assert call(urls_example.WhoCallsInherited, restricted.secret).data == {"email": None, "key": None}


@pytest.mark.rule("S7.1")
def test_unmarked_subclass_stays_public_after_get_key(restricted):
    """A middleware may have found the key before the view runs."""
    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {restricted.secret}")
    assert get_key(request) == restricted.key
    assert urls_example.WhoCallsInherited.as_view()(request).data == {"email": None, "key": None}


@pytest.mark.rule("S7.1")
def test_subclass_can_be_marked_itself(restricted):
    @unscoped("shows who calls")
    class Marked(urls_example.WhoCallsInherited):
        pass

    assert opens_to_keys(Marked)
    assert call(Marked, restricted.secret).data["key"] == "Restricted"


@pytest.mark.rule("S7.1")
def test_mixin_is_inherited(restricted, accounts):
    class Subclass(urls_example.Accounts):
        pass

    assert opens_to_keys(Subclass)
    assert len(call(Subclass, restricted.secret).data) == 1


@pytest.mark.parametrize("reason", ["", " ", None, object, 1])
def test_mark_needs_a_reason(reason):
    with pytest.raises(TypeError, match="needs a reason"):
        unscoped(reason)


def test_mark_without_parentheses_raises():
    with pytest.raises(TypeError, match="needs a reason"):

        @unscoped
        class View:
            pass


def test_mark_below_api_view_raises():
    with pytest.raises(TypeError, match="above @api_view"):

        @unscoped("below @api_view by mistake")
        def view(request):
            """Never called."""


@pytest.mark.rule("S7.1")
def test_handler_of_drf_cannot_be_marked():
    """The mark would apply to every view."""
    with pytest.raises(TypeError, match=r"would mark ListAPIView\.get of rest_framework"):
        unscoped("says hello")(ListAPIView.get)
    assert not hasattr(ListAPIView.get, "unscoped_reason")


class MarkedHandler(AccountScopeMixin, APIView):
    authentication_classes = [ApiKeyAuthentication]

    @unscoped("says hello")
    def get(self, request):
        return Response([])

    def post(self, request):
        return Response(status=201)


class MarkedHandlerInherited(MarkedHandler):
    pass


@unscoped("says hello")
class MarkedScoped(AccountScopeMixin, APIView):
    authentication_classes = [ApiKeyAuthentication]

    def get(self, request):
        return Response([])


class Actions(AccountScopeMixin, ViewSet):
    authentication_classes = [ApiKeyAuthentication]

    @action(detail=False)
    def forgets(self, request):
        return Response([])

    @unscoped("says hello")
    @action(detail=False)
    def marked_above(self, request):
        return Response([])

    @action(detail=False)
    @unscoped("says hello")
    def marked_below(self, request):
        return Response([])


@pytest.mark.parametrize("view", [MarkedHandler, MarkedHandlerInherited, MarkedScoped])
def test_marked_handler_need_not_scope(restricted, view):
    assert call(view, restricted.secret).status_code == 200


@pytest.mark.parametrize("name", ["marked_above", "marked_below"])
def test_marked_action_need_not_scope(restricted, name):
    assert call(Actions, restricted.secret, actions={"get": name}).status_code == 200


@pytest.mark.rule("S7.2")
@pytest.mark.parametrize("view", [urls_example.WhoCalls, urls_example.marked_function])
def test_marked_view_rejects_invalid_keys(db, view):
    response = call(view, "finta_x")
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.rule("S7.5")
def test_marked_view_runs_in_a_transaction(restricted, accounts):
    """A mark switches off the checks of rows, not the transaction."""

    @unscoped("renames accounts of everyone")
    class Renames(APIView):
        authentication_classes = [ApiKeyAuthentication]

        def post(self, request):
            account = Account.objects.get(pk=accounts.savings.pk)
            account.name = "Renamed"
            account.save()
            if request.data.get("fails"):
                raise LookupError
            return Response()

    with pytest.raises(LookupError):
        call(Renames, restricted.secret, "post", {"fails": True})
    assert not Account.objects.filter(name="Renamed").exists()
    assert call(Renames, restricted.secret, "post").status_code == 200
    assert Account.objects.filter(name="Renamed").exists()


# --- @scoped_view ----------------------------------------------------------------------------------------------------


def account_names(request, path=""):
    """Return the names of the accounts."""
    return Response(sorted(account.name for account in scoped(request, Account.objects.all(), path)))


@scoped_view()
@api_view(["GET", "POST"])
@authentication_classes([ApiKeyAuthentication, SessionAuthentication])
@permission_classes([])
def names(request):
    """Show the names."""
    if request.method == "POST":
        Account.objects.get(name=request.data["name"]).save()
    return account_names(request)


@scoped_view(unlimited_for=lambda request: request.user.is_staff)
@api_view(["GET"])
@authentication_classes([ApiKeyAuthentication, SessionAuthentication])
@permission_classes([])
def names_for_staff(request):
    return account_names(request)


@scoped_view()
@api_view(["GET"])
@authentication_classes([ApiKeyAuthentication])
def forgets(request):
    return Response(Account.objects.count())


@pytest.mark.rule("S7.3")
def test_scoped_view_limits_every_caller(alice, bob, restricted, accounts, bobs_account):
    assert call(names, restricted.secret).data == ["Checking"]
    assert call(names, user=bob).data == ["Bob's"]
    assert call(names).data == []
    assert call(names, "finta_x").status_code == 401


@pytest.mark.rule("S7.3")
def test_scoped_view_takes_unlimited_for(alice, bob, restricted, accounts, bobs_account):
    alice.is_staff = True
    alice.save()
    assert len(call(names_for_staff, user=alice).data) == 4
    assert call(names_for_staff, user=bob).data == ["Bob's"]
    assert call(names_for_staff, restricted.secret).data == ["Checking"]


@pytest.mark.rule("S7.6")
def test_scoped_view_is_guarded(restricted, accounts):
    assert call(names, restricted.secret, "post", {"name": "Checking"}).status_code == 200
    assert call(names, restricted.secret, "post", {"name": "Savings"}).status_code == 404
    with pytest.raises(Exception, match="without limiting anything to its scope"):
        call(forgets, restricted.secret)


def test_scoped_view_keeps_what_api_view_made():
    assert names.cls.__doc__ == "Show the names."
    assert names.cls.__name__ == "names"
    assert names.cls.__module__ == __name__
    assert set(names.cls.http_method_names) == {"get", "post", "options"}


def test_scoped_view_without_api_view_raises():
    with pytest.raises(TypeError, match="above @api_view"):
        scoped_view()(account_names)
    with pytest.raises(TypeError, match="above @api_view"):

        @api_view(["GET"])
        @scoped_view()
        def below(request):
            """Never called."""
