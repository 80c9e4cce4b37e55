"""What the system checks find in views that authenticate by key (rules S3 and S7)."""

import functools
from types import SimpleNamespace

import pytest
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.urls import include, path, re_path
from django.utils.decorators import method_decorator
from django.views.generic import TemplateView
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action, api_view, authentication_classes, permission_classes
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import (
    BasePermission,
    DjangoModelPermissions,
    DjangoObjectPermissions,
    IsAdminUser,
    IsAuthenticated,
)
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet
from rest_framework_nested.routers import NestedSimpleRouter

from accounts_app.models import Account, Transaction, User
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.checks import views
from finta_keys.scoping import AccountScopeMixin, require_scope, unscoped
from tests.finta_keys import urls_made_up as made_up

NOT_SCOPED = "authenticates by API key but is not limited to the key's scope."


def ids(messages):
    return [message.id for message in messages]


# --- E006: views -----------------------------------------------------------------------------------------------------


class UnscopedViewSet(ViewSet):
    authentication_classes = [ApiKeyAuthentication]

    def list(self, request):
        """Never called."""


class OneActionTakesKeys(ViewSet):
    authentication_classes = [SessionAuthentication]

    def list(self, request):
        return Response([])

    @action(detail=False, authentication_classes=[ApiKeyAuthentication])
    def by_key(self, request):
        """Never called."""


class ByDefault(ViewSet):
    def list(self, request):
        """Never called."""


class OneActionTakesNone(AccountScopeMixin, OneActionTakesKeys):
    pass


class OurOwnWay(ApiKeyAuthentication):
    pass


class TakesKeysInOurOwnWay(made_up.Neither):
    authentication_classes = [OurOwnWay]


@unscoped("says nothing")
class MarkedViewSet(UnscopedViewSet):
    pass


def plain(request):
    return HttpResponse()


def found(settings, *patterns):
    """Return the paths at which the check finds a view, in a project with these URLs."""
    settings.ROOT_URLCONF = patterns
    messages = views.check_views_are_scoped(None)
    assert set(ids(messages)) <= {"finta_keys.E006"}
    return [message.msg for message in messages]


def test_E006_a_view_without_scope_and_mark_is_found(settings):
    messages = found(settings, path("rows", made_up.Neither.as_view()))
    assert messages == [f"tests.finta_keys.urls_made_up.Neither at 'rows' {NOT_SCOPED}"]
    (message,) = views.check_views_are_scoped(None)
    assert message.hint.startswith('Add AccountScopeMixin to its bases, or mark it @unscoped("')
    assert message.hint.endswith("A function has no bases: let it show only what scoped() returns, and mark it.")


def test_E006_it_is_found_below_nested_includes(settings):
    inner = [path("rows", made_up.Neither.as_view()), re_path(r"^(?P<pk>\d+)$", made_up.Accounts.as_view())]
    messages = found(settings, path("a/", include([path("b/<str:id>/", include((inner, "inner"), namespace="n"))])))
    assert messages == [f"tests.finta_keys.urls_made_up.Neither at 'a/b/<str:id>/rows' {NOT_SCOPED}"]


def test_E006_a_viewset_of_a_router_is_found(settings):
    router = DefaultRouter()
    router.register("bad", UnscopedViewSet, basename="bad")
    router.register("good", made_up.AccountViewSet, basename="good")
    router.register("marked", MarkedViewSet, basename="marked")
    messages = found(settings, path("api/", include(router.urls)))
    assert messages
    assert all("UnscopedViewSet at 'api/^bad" in message for message in messages)


def test_E006_an_action_that_alone_takes_keys_is_found(settings):
    router = DefaultRouter()
    router.register("rows", OneActionTakesKeys, basename="rows")
    router.register("scoped", OneActionTakesNone, basename="scoped")
    messages = found(settings, *router.urls)
    assert messages
    assert all("OneActionTakesKeys at '^rows/by_key" in message for message in messages)


def everything(get_queryset):
    @functools.wraps(get_queryset)
    def inner(self):
        return Account.objects.all()

    return inner


class Swallows:
    def __init_subclass__(cls, **kwargs):
        pass


class Swallowed(Swallows, GenericAPIView, AccountScopeMixin):
    authentication_classes = [ApiKeyAuthentication]


@method_decorator(everything, name="get_queryset")
class DecoratedLater(AccountScopeMixin, GenericAPIView):
    authentication_classes = [ApiKeyAuthentication]
    queryset = Account.objects.all()


class ReplacedLater(AccountScopeMixin, GenericAPIView):
    authentication_classes = [ApiKeyAuthentication]


ReplacedLater.get_queryset = lambda self: Account.objects.all()


class DecoratedInside(AccountScopeMixin, GenericAPIView):
    authentication_classes = [ApiKeyAuthentication]
    get_queryset = everything(DecoratedLater.get_queryset)


@pytest.mark.parametrize("view", [Swallowed, DecoratedLater, ReplacedLater])
def test_E006_a_view_whose_guards_are_missing_is_found(settings, view):
    settings.ROOT_URLCONF = (path("rows", view.as_view()),)
    (message,) = views.check_views_are_scoped(None)
    assert message.id == "finta_keys.E006"
    assert "has AccountScopeMixin, which does not guard get_queryset()" in message.msg
    assert "__init_subclass__" in message.hint
    assert "@method_decorator" in message.hint
    with pytest.raises(ImproperlyConfigured, match="which does not guard get_queryset"):
        require_scope(view)


def test_E006_a_method_that_is_decorated_inside_of_the_class_is_guarded(settings, restricted, accounts):
    settings.ROOT_URLCONF = (path("rows", DecoratedInside.as_view()),)
    assert not views.check_views_are_scoped(None)
    view = DecoratedInside()
    view.request = SimpleNamespace(auth=restricted.key)
    assert [account.name for account in view.get_queryset()] == ["Checking"]


def test_E006_what_as_view_was_given_counts(settings):
    keys, session = [ApiKeyAuthentication], [SessionAuthentication]
    messages = found(
        settings,
        path("given", TakesKeysInOurOwnWay.as_view(authentication_classes=keys)),
        path("taken-away", TakesKeysInOurOwnWay.as_view(authentication_classes=session)),
    )
    assert messages == [f"tests.finta_keys.checks.test_views.TakesKeysInOurOwnWay at 'given' {NOT_SCOPED}"]


def test_E006_a_function_view_is_found(settings):
    messages = found(settings, path("no", made_up.unmarked_function), path("yes", made_up.marked_function))
    assert messages == [f"tests.finta_keys.urls_made_up.unmarked_function at 'no' {NOT_SCOPED}"]


def test_E006_a_subclass_of_our_authentication_counts_as_it(settings):
    assert len(found(settings, path("rows", TakesKeysInOurOwnWay.as_view()))) == 1


def test_E006_a_mark_that_was_not_repeated_in_a_subclass_is_found(settings):
    assert len(found(settings, path("rows", made_up.WhoCallsInherited.as_view()))) == 1


def test_E006_a_decorated_view_is_found(settings):
    assert len(found(settings, path("rows", login_required(made_up.Neither.as_view())))) == 1


def test_E006_keys_by_default_are_found(settings, monkeypatch):
    monkeypatch.setattr("rest_framework.views.APIView.authentication_classes", [ApiKeyAuthentication])
    router = DefaultRouter()
    router.register("rows", ByDefault, basename="rows")
    assert [message.partition(" at ")[0] for message in found(settings, *router.urls)] == [f"{__name__}.ByDefault"]


def test_E006_is_told_once_for_all_the_paths_of_a_view(settings):
    urls = [path(name, made_up.Neither.as_view()) for name in ("a", "b", "c")]
    assert found(settings, *urls) == [f"tests.finta_keys.urls_made_up.Neither at 'a' {NOT_SCOPED}"]


def test_E006_scoped_marked_and_other_views_are_fine(settings):
    assert not found(
        settings,
        path("accounts", made_up.Accounts.as_view()),
        path("who", made_up.WhoCalls.as_view()),
        path("plain", plain),
        path("template", TemplateView.as_view(template_name="x.html")),
    )


def test_E006_the_made_up_api_has_three_such_views(settings):
    settings.ROOT_URLCONF = "tests.finta_keys.urls_made_up"
    names = [message.msg.partition(" ")[0].rpartition(".")[2] for message in views.check_views_are_scoped(None)]
    assert names == ["Neither", "WhoCallsInherited", "unmarked_function"]


def test_E006_a_project_without_urls_is_fine(settings):
    settings.ROOT_URLCONF = None
    assert views.check_views_are_scoped(None) == []


# --- E006: views that hide it ----------------------------------------------------------------------------------------


class BuiltByAFunction(APIView):
    authentication_classes = [lambda: ApiKeyAuthentication()]  # DRF calls whatever is there.


class Overrides(APIView):
    authentication_classes = [SessionAuthentication]

    def get_authenticators(self):
        return [*super().get_authenticators(), ApiKeyAuthentication()]


class OverridesWithoutRequest(APIView):
    authentication_classes = [ApiKeyAuthentication]

    def get_authenticators(self):
        return super().get_authenticators() if self.request.method == "GET" else []


class OverridesUnseen(APIView):
    authentication_classes = [SessionAuthentication]

    def get_authenticators(self):
        return [ApiKeyAuthentication()] if self.request.method == "GET" else []


class TakesNone(made_up.Neither):
    def get_authenticators(self):
        return []


def forgot_wraps(view):
    def decorated(request, *args, **kwargs):
        return view(request, *args, **kwargs)

    return decorated


class Decorated:
    """A decorator that is a class."""

    def __init__(self, view):
        functools.update_wrapper(self, view)

    def __call__(self, *args, **kwargs):
        return self.__wrapped__(*args, **kwargs)


def by_method(**views):
    """Two views at one path, as some projects have them."""
    get, post = views["get"], views["post"]
    return lambda request: (post if request.method == "POST" else get)(request)


def by_method_in_a_table(**views):
    return lambda request: views[request.method.lower()](request)


def of_a_list(*views):
    return lambda request: views[0](request)


class KeepsTheView:
    """A callable that is no decorator."""

    def __init__(self, view):
        self.view = view

    def __call__(self, request):
        return self.view(request)


def not_yet(view):
    """A closure over a name that has no value."""

    def decorated(request):
        return view(request) or late

    if False:
        late = None
    return decorated


@pytest.mark.parametrize("view", [BuiltByAFunction, Overrides, OverridesWithoutRequest])
def test_E006_authentication_that_is_built_is_found(settings, view):
    assert found(settings, path("rows", view.as_view())) == [
        f"tests.finta_keys.checks.test_views.{view.__name__} at 'rows' {NOT_SCOPED}"
    ]


@pytest.mark.parametrize("view", [OverridesUnseen, TakesNone])
def test_E006_what_only_a_request_decides_is_left_to_the_first_call(settings, view):
    assert found(settings, path("rows", view.as_view())) == []


@pytest.mark.parametrize(
    "decorate",
    [
        forgot_wraps,
        not_yet,
        Decorated,
        lambda view: Decorated(forgot_wraps(view)),
        lambda view: login_required(forgot_wraps(view)),
        lambda view: functools.partial(view, pk=1),
        lambda view: functools.partial(forgot_wraps(view), 1),
        lambda view: functools.partial(lambda inner, request: inner(request), view),
        lambda view: functools.partial(lambda request, inner: inner(request), inner=view),
        lambda view: by_method(get=made_up.Accounts.as_view(), post=view),
        lambda view: by_method_in_a_table(get=made_up.Accounts.as_view(), post=view),
        lambda view: of_a_list(forgot_wraps(view)),
        KeepsTheView,
    ],
)
@pytest.mark.parametrize("view", [made_up.Neither.as_view(), UnscopedViewSet.as_view({"get": "list"})])
def test_E006_a_view_behind_decorators_is_found(settings, decorate, view):
    assert len(found(settings, path("rows", decorate(view)))) == 1


def test_E006_a_decorated_function_view_is_found(settings):
    assert len(found(settings, path("rows", forgot_wraps(made_up.unmarked_function)))) == 1


def test_E006_a_decorator_that_refers_to_itself_ends(settings):
    def decorated(request):
        return decorated(request)

    assert found(settings, path("rows", decorated)) == []


def test_E006_a_nested_router_is_found(settings):
    router = DefaultRouter()
    router.register("shops", made_up.AccountViewSet, basename="shop")
    nested = NestedSimpleRouter(router, "shops", lookup="shop")
    nested.register("orders", UnscopedViewSet, basename="order")
    messages = found(settings, path("", include(router.urls)), path("", include(nested.urls)))
    assert [message.partition(" at ")[0].rpartition(".")[2] for message in messages] == ["UnscopedViewSet"]
    assert "shops/(?P<shop_pk>" in messages[0]


def test_E006_a_view_that_names_its_action_only_is_found_at_its_own_path(settings):
    class Mixed(OneActionTakesKeys):
        pass

    paths = [path("list", Mixed.as_view({"get": "list"})), path("by-key", Mixed.as_view({"get": "by_key"}))]
    # as_view() by hand knows nothing of what @action was given: DRF itself takes the class's own here.
    assert found(settings, *paths) == []


# --- E016: the way to the account ------------------------------------------------------------------------------------


class Scoped(AccountScopeMixin, GenericAPIView):
    authentication_classes = [ApiKeyAuthentication]
    queryset = Account.objects.all()


class PathForgotten(Scoped):
    queryset = Transaction.objects.all()


class PathGiven(PathForgotten):
    account_path = "account"


class ByMethod(Scoped):
    queryset = None

    def get_queryset(self):
        return Transaction.objects.all()


class WithoutQueryset(AccountScopeMixin, ViewSet):
    authentication_classes = [ApiKeyAuthentication]


class WithoutKeys(PathForgotten):
    authentication_classes = [SessionAuthentication]


def path_problems(settings, *patterns):
    settings.ROOT_URLCONF = patterns
    messages = views.check_account_paths(None)
    assert set(ids(messages)) <= {"finta_keys.E016"}
    return [message.msg for message in messages]


def test_E016_a_path_that_does_not_lead_to_the_account_is_found(settings):
    (message,) = path_problems(settings, path("rows", PathForgotten.as_view()))
    assert message.startswith(
        "tests.finta_keys.checks.test_views.PathForgotten at 'rows' cannot be limited to a key's scope. "
        "The path '' does not lead from accounts_app.Transaction to accounts_app.Account by foreign keys. Set account_p"
    )


def test_E016_is_told_once_for_all_paths_of_a_view(settings):
    assert len(path_problems(settings, path("a", PathForgotten.as_view()), path("b", PathForgotten.as_view()))) == 1


def test_E016_what_as_view_was_given_counts(settings):
    users = User.objects.all()
    wrong = [path("a", PathGiven.as_view(account_path="owner")), path("b", Scoped.as_view(queryset=users))]
    assert len(path_problems(settings, *wrong)) == 2
    assert not path_problems(settings, path("a", PathForgotten.as_view(account_path="account")))


@pytest.mark.parametrize("view", [Scoped, PathGiven, ByMethod, WithoutKeys])
def test_E016_good_paths_and_what_is_not_written_down_are_fine(settings, view):
    assert not path_problems(settings, path("rows", view.as_view()))
    assert not path_problems(settings, path("rows", WithoutQueryset.as_view({"get": "list"})))


@pytest.mark.parametrize(
    "check", [views.check_account_paths, views.check_staff_is_not_asked, views.check_views_are_scoped]
)
def test_a_project_without_urls_has_no_views(settings, check):
    settings.ROOT_URLCONF = None
    assert check(None) == []


def test_E016_a_path_that_a_property_makes_is_left_to_the_first_call(settings):
    class ByProperty(Scoped):
        account_path = property(lambda self: "")

    assert not path_problems(settings, path("rows", ByProperty.as_view()))


def test_E016_a_missing_account_model_is_left_to_its_own_check(settings):
    settings.FINTA_KEYS_ACCOUNT_MODEL = "no.Model"
    assert not path_problems(settings, path("rows", PathForgotten.as_view()))


# --- W015: staff -----------------------------------------------------------------------------------------------------


class HandMade(BasePermission):
    def has_permission(self, request, view):
        return bool(request.user and request.user.is_staff)


class HandMadeInside(BasePermission):
    def has_permission(self, request, view):
        return any(user.has_perm("accounts_app.view_account") for user in [request.user])


class ByName(BasePermission):
    def has_permission(self, request, view):
        return getattr(request.user, "is_superuser", False)


class Innocent(BasePermission):
    def has_permission(self, request, view):
        return request.user.is_active


class ModelPermissions(DjangoModelPermissions):
    pass


class Widens(Scoped):
    def get_queryset(self):
        return Account.objects.all() if self.request.user.is_staff else Account.objects.none()


class WidensInAProperty(Scoped):
    @property
    def everything(self):
        return self.request.user.is_superuser


class WidensDecorated(Scoped):
    @forgot_wraps
    def get(self):
        return self.request.user.is_staff


class WidensStatic(Scoped):
    @staticmethod
    def decide(user):
        def inner():
            return user.has_module_perms("accounts_app")

        return inner


class ChoosesPermissions(Scoped):
    def get_permissions(self):
        return [IsAdminUser()]


class WidensInherited(Widens):
    pass


def staff_messages(settings, *patterns):
    settings.ROOT_URLCONF = patterns
    messages = views.check_staff_is_not_asked(None)
    assert set(ids(messages)) <= {"finta_keys.W015"}
    return [message.msg.rpartition(" grants by ")[2] for message in messages]


@pytest.mark.parametrize(
    ("permissions", "reasons"),
    [
        ([IsAdminUser], ["IsAdminUser."]),
        ([IsAuthenticated, DjangoModelPermissions], ["DjangoModelPermissions."]),
        ([DjangoObjectPermissions], ["DjangoObjectPermissions."]),
        ([ModelPermissions], ["ModelPermissions."]),
        ([IsAuthenticated & IsAdminUser], ["IsAdminUser."]),
        ([IsAuthenticated | (Innocent & ~HandMade)], ["HandMade."]),
        ([HandMade, HandMadeInside, ByName], ["HandMade.", "HandMadeInside.", "ByName."]),
        ([IsAuthenticated, Innocent, lambda: IsAdminUser()], []),
    ],
)
def test_W015_permissions_that_ask_for_staff_are_found(settings, permissions, reasons):
    given = Scoped.as_view(permission_classes=permissions)
    assert staff_messages(settings, path("rows", given), path("again", given)) == reasons


@pytest.mark.parametrize(
    ("view", "name"),
    [
        (Widens, "is_staff"),
        (WidensInherited, "is_staff"),
        (WidensInAProperty, "is_superuser"),
        (WidensDecorated, "is_staff"),
        (WidensStatic, "has_module_perms"),
        (ChoosesPermissions, "IsAdminUser"),
    ],
)
def test_W015_a_view_whose_own_code_asks_for_staff_is_found(settings, view, name):
    assert staff_messages(settings, path("rows", view.as_view())) == [f"{name} in its own code."]


def test_W015_function_views_and_marked_ones_are_found_too(settings):
    @unscoped("shows nothing of any account")
    @api_view(["GET"])
    @authentication_classes([ApiKeyAuthentication])
    @permission_classes([IsAdminUser])
    def numbers(request):
        return Response({"all": request.user.is_superuser})

    assert staff_messages(settings, path("rows", numbers)) == ["IsAdminUser.", "is_superuser in its own code."]


def test_W015_says_what_to_do(settings):
    settings.ROOT_URLCONF = (path("rows", Widens.as_view()),)
    (message,) = views.check_staff_is_not_asked(None)
    assert message.msg.startswith("tests.finta_keys.checks.test_views.Widens at 'rows' authenticates by API key and ")
    assert message.hint.startswith("Being staff or superuser never widens a key")
    assert "SILENCED_SYSTEM_CHECKS" in message.hint


def test_W015_views_without_keys_and_innocent_ones_are_fine(settings):
    session = [SessionAuthentication]
    assert not staff_messages(
        settings,
        path("session", Widens.as_view(authentication_classes=session, permission_classes=[IsAdminUser])),
        path("scoped", Scoped.as_view()),
        path("list", made_up.Accounts.as_view()),
        path("viewset", made_up.AccountViewSet.as_view({"get": "list"})),
    )


def test_the_real_projects_views_are_clean():
    for check in (
        views.check_views_are_scoped,
        views.check_account_paths,
        views.check_staff_is_not_asked,
    ):
        assert check(None) == []
