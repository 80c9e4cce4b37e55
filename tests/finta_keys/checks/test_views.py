"""System checks of views that open to API keys, or name our authentication class and do not."""

import functools

import pytest
from django.contrib.auth.decorators import login_required
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.http import HttpResponse
from django.urls import include, path, re_path
from django.utils.decorators import method_decorator
from django.views.generic import TemplateView
from rest_framework.authentication import BasicAuthentication, SessionAuthentication, TokenAuthentication
from rest_framework.decorators import action, api_view, authentication_classes
from rest_framework.generics import GenericAPIView, RetrieveAPIView
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.urlpatterns import format_suffix_patterns
from rest_framework.versioning import URLPathVersioning
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet
from rest_framework_nested.routers import NestedSimpleRouter

from accounts_app.models import Account, Transaction, User
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.checks import views
from finta_keys.scoping import AccountScopeMixin, scoped_view, unscoped
from tests.finta_keys import urls_example as example
from tests.finta_keys.calls import call

CLOSED = "lists finta_keys.authentication.ApiKeyAuthentication, but does not open to API keys."


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


class TakesKeysInOurOwnWay(example.Neither):
    authentication_classes = [OurOwnWay]


@unscoped("says nothing")
class MarkedViewSet(UnscopedViewSet):
    pass


def plain(request):
    return HttpResponse()


def messages_of(settings, *patterns):
    """Return the messages of the check in a project with these URLs."""
    settings.ROOT_URLCONF = patterns
    messages = views.check_views_open_to_keys(None)
    assert set(ids(messages)) <= {"finta_keys.E006"}
    return [message.msg for message in messages]


def test_closed_view_is_found(settings):
    messages = messages_of(settings, path("rows", example.Neither.as_view()))
    assert messages == [f"tests.finta_keys.urls_example.Neither at 'rows' {CLOSED}"]
    (message,) = views.check_views_open_to_keys(None)
    assert message.hint.startswith('Add AccountScopeMixin to its bases, or mark it @unscoped("')
    assert "Put @scoped_view above @api_view" in message.hint
    assert "remove ApiKeyAuthentication" in message.hint


def test_closed_view_below_includes_is_found(settings):
    inner = [path("rows", example.Neither.as_view()), re_path(r"^(?P<pk>\d+)$", example.Accounts.as_view())]
    messages = messages_of(
        settings, path("a/", include([path("b/<str:id>/", include((inner, "inner"), namespace="n"))]))
    )
    assert messages == [f"tests.finta_keys.urls_example.Neither at 'a/b/<str:id>/rows' {CLOSED}"]


def test_closed_viewset_of_a_router_is_found(settings):
    router = DefaultRouter()
    router.register("bad", UnscopedViewSet, basename="bad")
    router.register("good", example.AccountViewSet, basename="good")
    router.register("marked", MarkedViewSet, basename="marked")
    messages = messages_of(settings, path("api/", include(router.urls)))
    assert messages
    assert all("UnscopedViewSet at 'api/^bad" in message for message in messages)


def test_action_with_its_own_authentication_is_found(settings):
    router = DefaultRouter()
    router.register("rows", OneActionTakesKeys, basename="rows")
    router.register("scoped", OneActionTakesNone, basename="scoped")
    messages = messages_of(settings, *router.urls)
    assert messages
    assert all("OneActionTakesKeys at '^rows/by_key" in message for message in messages)


@pytest.mark.rule("S7.1")
@pytest.mark.parametrize(("default", "count"), [([SessionAuthentication, ApiKeyAuthentication], 0), ([OurOwnWay], 1)])
def test_view_that_extends_the_defaults_is_no_finding(settings, monkeypatch, default, count):
    monkeypatch.setattr(APIView, "authentication_classes", default)

    class ExtendsDefaults(ByDefault):
        authentication_classes = [BasicAuthentication, *APIView.authentication_classes]

    messages = messages_of(
        settings,
        path("extends", ExtendsDefaults.as_view({"get": "list"})),
        path("inherits", ByDefault.as_view({"get": "list"})),
        path("reverses", ByDefault.as_view({"get": "list"}, authentication_classes=[*reversed(default)])),
    )
    names = [message.partition(" at ")[0].rpartition(".")[2] for message in messages]
    assert names == ["ExtendsDefaults"] * count + ["ByDefault"]


class Swallows:
    def __init_subclass__(cls, **kwargs):
        pass


class Swallowed(Swallows, GenericAPIView, AccountScopeMixin):
    authentication_classes = [ApiKeyAuthentication]


@pytest.mark.rule("S7.1")
def test_view_without_its_gate_is_found(settings):
    settings.ROOT_URLCONF = (path("rows", Swallowed.as_view()),)
    (message,) = views.check_views_open_to_keys(None)
    assert message.id == "finta_keys.E006"
    assert "does not open to API keys: its initial() is not the one that AccountScopeMixin" in message.msg
    assert "__init_subclass__" in message.hint


class ReplacedLater(AccountScopeMixin, GenericAPIView):
    authentication_classes = [ApiKeyAuthentication]

    def get(self, request):
        return Response([account.name for account in self.scoped(Account.objects.all())])


ReplacedLater.initial = lambda self, request, *args, **kwargs: None


@pytest.mark.rule("S7.1")
def test_view_whose_initial_was_replaced_opens_to_keys(settings, restricted, accounts):
    assert messages_of(settings, path("rows", ReplacedLater.as_view())) == []
    assert call(ReplacedLater, restricted.secret).data == ["Checking"]


class RowsReplacedLater(AccountScopeMixin, GenericAPIView):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    queryset = Account.objects.all()

    def get(self, request):
        return Response([account.name for account in self.get_queryset()])


RowsReplacedLater.get_queryset = lambda self: Account.objects.all()


def all_accounts(get_queryset):
    @functools.wraps(get_queryset)
    def decorated(*args):
        return Account.objects.all()

    return decorated


@method_decorator(all_accounts, name="get_queryset")
class RowsDecoratedLater(AccountScopeMixin, GenericAPIView):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    queryset = Account.objects.all()
    get = RowsReplacedLater.get


class RowsDecoratedInside(AccountScopeMixin, GenericAPIView):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    get_queryset = all_accounts(RowsDecoratedLater.get_queryset)
    get = RowsReplacedLater.get


@pytest.mark.rule("S7.3")
@pytest.mark.parametrize("view", [RowsReplacedLater, RowsDecoratedLater])
def test_get_queryset_replaced_later_is_limited(restricted, accounts, bob, bobs_account, view):
    """A decorator on the class replaces the method that the mixin has wrapped."""
    assert call(view, restricted.secret).data == ["Checking"]
    assert call(view, user=bob).data == ["Bob's"]


@pytest.mark.rule("S7.3")
def test_get_queryset_replaced_after_as_view_is_limited(restricted, accounts):
    class ReplacedAfterwards(RowsReplacedLater):
        pass

    respond = ReplacedAfterwards.as_view()
    ReplacedAfterwards.get_queryset = lambda self: Account.objects.all()
    assert call(respond, restricted.secret).data == ["Checking"]


@pytest.mark.rule("S7.3")
def test_get_queryset_decorated_inside_the_class_is_limited(settings, bob, restricted, bobs_account):
    assert messages_of(settings, path("rows", RowsDecoratedInside.as_view())) == []
    assert call(RowsDecoratedInside, restricted.secret).data == ["Checking"]
    assert call(RowsDecoratedInside, user=bob).data == ["Bob's"]


def test_arguments_of_as_view_count(settings):
    keys, session = [ApiKeyAuthentication], [SessionAuthentication]
    messages = messages_of(
        settings,
        path("given", TakesKeysInOurOwnWay.as_view(authentication_classes=keys)),
        path("taken-away", TakesKeysInOurOwnWay.as_view(authentication_classes=session)),
    )
    assert messages == [f"tests.finta_keys.checks.test_views.TakesKeysInOurOwnWay at 'given' {CLOSED}"]


def test_closed_function_view_is_found(settings):
    messages = messages_of(settings, path("no", example.unmarked_function), path("yes", example.marked_function))
    assert messages == [f"tests.finta_keys.urls_example.unmarked_function at 'no' {CLOSED}"]


def test_scoped_function_view_passes(settings):
    view = api_view(["GET"])(authentication_classes([ApiKeyAuthentication])(lambda request: Response([])))
    assert len(messages_of(settings, path("rows", view))) == 1
    assert messages_of(settings, path("rows", scoped_view()(view))) == []


def test_subclass_of_our_authentication_is_found(settings):
    assert len(messages_of(settings, path("rows", TakesKeysInOurOwnWay.as_view()))) == 1


def test_subclass_of_marked_view_is_found(settings):
    assert len(messages_of(settings, path("rows", example.WhoCallsInherited.as_view()))) == 1


def test_closed_view_behind_login_required_is_found(settings):
    assert len(messages_of(settings, path("rows", login_required(example.Neither.as_view())))) == 1


class MarksOneHandler(APIView):
    """Only the class, or the mixin, opens a view to keys."""

    @unscoped("says hello")
    def get(self, request):
        return Response([])


@pytest.fixture
def keys_by_default(monkeypatch):
    """Make our class the default of the project."""
    monkeypatch.setattr("rest_framework.views.APIView.authentication_classes", [ApiKeyAuthentication])


@pytest.mark.rule("S7.1")
@pytest.mark.usefixtures("keys_by_default")
def test_closed_view_with_default_authentication_passes(settings):
    router = DefaultRouter()
    router.register("rows", ByDefault, basename="rows")
    assert messages_of(settings, *router.urls, path("plain", type("Plain", (APIView,), {}).as_view())) == []


@pytest.mark.rule("S7.1")
@pytest.mark.usefixtures("keys_by_default")
def test_default_authentication_passes_all_checks(settings):
    """Installing the app changes nothing for views that keys do not open."""
    router = DefaultRouter()
    router.register("rows", ByDefault, basename="rows")
    settings.ROOT_URLCONF = (*router.urls, path("rows/<int:pk>/<slug:other>", ByDefault.as_view({"get": "list"})))
    call_command("check", "--tag", "security", "--fail-level", "WARNING")


@pytest.mark.usefixtures("keys_by_default")
def test_marked_handler_of_closed_view_is_found(settings):
    (message,) = messages_of(settings, path("rows", MarksOneHandler.as_view()))
    assert "MarksOneHandler at 'rows'" in message


class RaisesOnAccess:
    def __get__(self, instance, owner):
        raise LookupError


@pytest.mark.usefixtures("keys_by_default")
def test_class_attribute_that_raises_ends_no_check(settings):
    class Broken(ByDefault):
        computed = RaisesOnAccess()

    assert messages_of(settings, path("rows", Broken.as_view({"get": "list"}))) == []


def test_closed_view_is_reported_once(settings):
    urls = [path(name, example.Neither.as_view()) for name in ("a", "b", "c")]
    assert messages_of(settings, *urls) == [f"tests.finta_keys.urls_example.Neither at 'a' {CLOSED}"]


def test_scoped_marked_and_other_views_pass(settings):
    assert not messages_of(
        settings,
        path("accounts", example.Accounts.as_view()),
        path("who", example.WhoCalls.as_view()),
        path("plain", plain),
        path("template", TemplateView.as_view(template_name="x.html")),
    )


def test_example_urls_have_three_closed_views(settings):
    settings.ROOT_URLCONF = "tests.finta_keys.urls_example"
    names = [message.msg.partition(" ")[0].rpartition(".")[2] for message in views.check_views_open_to_keys(None)]
    assert names == ["Neither", "WhoCallsInherited", "unmarked_function"]


# --- E006: views that are hard to find -------------------------------------------------------------------------------


class BuiltByAFunction(APIView):
    authentication_classes = [lambda: ApiKeyAuthentication()]  # DRF calls any callable.


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


class TakesNone(example.Neither):
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
def test_authentication_built_by_code_is_found(settings, view):
    assert messages_of(settings, path("rows", view.as_view())) == [
        f"tests.finta_keys.checks.test_views.{view.__name__} at 'rows' {CLOSED}"
    ]


@pytest.mark.parametrize("view", [OverridesUnseen, TakesNone])
def test_authentication_chosen_per_request_is_not_checked(settings, view):
    assert messages_of(settings, path("rows", view.as_view())) == []


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
        lambda view: by_method(get=example.Accounts.as_view(), post=view),
        lambda view: by_method_in_a_table(get=example.Accounts.as_view(), post=view),
        lambda view: of_a_list(forgot_wraps(view)),
        KeepsTheView,
    ],
)
@pytest.mark.parametrize("view", [example.Neither.as_view(), UnscopedViewSet.as_view({"get": "list"})])
def test_closed_view_behind_decorators_is_found(settings, decorate, view):
    assert len(messages_of(settings, path("rows", decorate(view)))) == 1


def test_decorated_function_view_is_found(settings):
    assert len(messages_of(settings, path("rows", forgot_wraps(example.unmarked_function)))) == 1


def test_decorator_referring_to_itself_ends(settings):
    def decorated(request):
        return decorated(request)

    assert messages_of(settings, path("rows", decorated)) == []


def test_viewset_of_a_nested_router_is_found(settings):
    router = DefaultRouter()
    router.register("shops", example.AccountViewSet, basename="shop")
    nested = NestedSimpleRouter(router, "shops", lookup="shop")
    nested.register("orders", UnscopedViewSet, basename="order")
    messages = messages_of(settings, path("", include(router.urls)), path("", include(nested.urls)))
    assert [message.partition(" at ")[0].rpartition(".")[2] for message in messages] == ["UnscopedViewSet"]
    assert "shops/(?P<shop_pk>" in messages[0]


def test_action_routed_by_hand_has_class_authentication(settings):
    class Mixed(OneActionTakesKeys):
        pass

    paths = [path("list", Mixed.as_view({"get": "list"})), path("by-key", Mixed.as_view({"get": "by_key"}))]
    # as_view() by hand knows nothing of what @action was given: DRF itself takes the class's own here.
    assert messages_of(settings, *paths) == []


# --- E016: account_path ----------------------------------------------------------------------------------------------


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


def test_wrong_account_path_is_found(settings):
    (message,) = path_problems(settings, path("rows", PathForgotten.as_view()))
    assert message.startswith(
        "tests.finta_keys.checks.test_views.PathForgotten at 'rows' cannot be limited to accounts. "
        "The path '' does not lead from accounts_app.Transaction to accounts_app.Account by foreign keys. Set account_p"
    )


def test_wrong_account_path_is_reported_once(settings):
    assert len(path_problems(settings, path("a", PathForgotten.as_view()), path("b", PathForgotten.as_view()))) == 1


def test_account_path_given_to_as_view_counts(settings):
    users = User.objects.all()
    wrong = [path("a", PathGiven.as_view(account_path="owner")), path("b", Scoped.as_view(queryset=users))]
    assert len(path_problems(settings, *wrong)) == 2
    assert not path_problems(settings, path("a", PathForgotten.as_view(account_path="account")))


@pytest.mark.parametrize("view", [Scoped, PathGiven, ByMethod, WithoutKeys])
def test_right_and_unknown_account_paths_pass(settings, view):
    assert not path_problems(settings, path("rows", view.as_view()))
    assert not path_problems(settings, path("rows", WithoutQueryset.as_view({"get": "list"})))


@pytest.mark.parametrize(
    "check",
    [
        *(views.check_views_open_to_keys, views.check_account_paths),
        *(views.check_url_arguments, views.check_bearer_classes_come_later),
    ],
)
def test_project_without_urls_has_no_findings(settings, check):
    settings.ROOT_URLCONF = None
    assert check(None) == []


def test_account_path_from_a_property_is_not_checked(settings):
    class ByProperty(Scoped):
        account_path = property(lambda self: "")

    assert not path_problems(settings, path("rows", ByProperty.as_view()))


def test_missing_account_model_has_its_own_check(settings):
    settings.FINTA_KEYS_ACCOUNT_MODEL = "no.Model"
    assert not path_problems(settings, path("rows", PathForgotten.as_view()))


# --- W023: arguments in the URL --------------------------------------------------------------------------------------


class Detail(AccountScopeMixin, RetrieveAPIView):
    authentication_classes = [ApiKeyAuthentication]
    queryset = Account.objects.all()


def undeclared(settings, *patterns):
    settings.ROOT_URLCONF = patterns
    messages = views.check_url_arguments(None)
    assert set(ids(messages)) <= {"finta_keys.W023"}
    return [message.msg for message in messages]


@pytest.mark.rule("S7.4")
def test_undeclared_url_argument_is_found(settings):
    messages = undeclared(settings, path("shops/<int:shop_pk>/<slug:part>/<int:pk>", Detail.as_view()))
    assert messages == [
        f"{__name__}.Detail at 'shops/<int:shop_pk>/<slug:part>/<int:pk>' has the URL argument {name!r}, which is not "
        "looked up in the scope."
        for name in ("part", "shop_pk")
    ]
    hint = views.check_url_arguments(None)[1].hint
    assert '{"shop_pk": Model}' in hint
    assert '{"shop_pk": None}' in hint


@pytest.mark.rule("S7.4")
def test_argument_of_an_enclosing_include_is_found(settings):
    inner = include([path("<int:pk>", Detail.as_view())])
    assert len(undeclared(settings, path("shops/<int:shop_pk>/", inner))) == 1


def test_undeclared_url_argument_is_reported_once(settings):
    patterns = [path(f"{name}/<int:shop_pk>/<int:pk>", Detail.as_view()) for name in "ab"]
    assert len(undeclared(settings, *patterns)) == 1


@pytest.mark.parametrize(
    "attributes",
    [
        {"scoped_kwargs": {"shop_pk": Account}},
        {"scoped_kwargs": {"shop_pk": None}},
        {"scoped_kwargs": {"shop_pk": (Account, "name")}},
        {"lookup_field": "shop_pk"},
        {"lookup_url_kwarg": "shop_pk"},
        {"versioning_class": type("ByShop", (URLPathVersioning,), {"version_param": "shop_pk"})},
        {"authentication_classes": [SessionAuthentication]},
    ],
)
def test_declared_url_argument_passes(settings, attributes):
    view = type("Declared", (Detail,), attributes)
    assert undeclared(settings, path("shops/<int:shop_pk>", view.as_view())) == []


def test_lookup_and_format_arguments_pass(settings):
    assert undeclared(settings, *format_suffix_patterns([path("rows/<int:pk>", Detail.as_view())])) == []


# --- W024: classes for Bearer tokens ---------------------------------------------------------------------------------


class RejectsUnknownTokens(example.BearerTokens):
    pass


class RaisesForHeader(SessionAuthentication):
    def authenticate_header(self, request):
        raise LookupError


def out_of_order(settings, *patterns):
    settings.ROOT_URLCONF = patterns
    messages = views.check_bearer_classes_come_later(None)
    assert set(ids(messages)) <= {"finta_keys.W024"}
    return [message.msg for message in messages]


def with_classes(*classes, base=ByDefault):
    return type("Ordered", (base,), {"authentication_classes": classes}).as_view({"get": "list"})


@pytest.mark.rule("S7.1")
def test_bearer_class_before_ours_is_found(settings):
    (message,) = out_of_order(settings, path("rows", with_classes(RejectsUnknownTokens, OurOwnWay)))
    assert "Ordered at 'rows' calls RejectsUnknownTokens before OurOwnWay." in message
    assert "Put OurOwnWay first" in views.check_bearer_classes_come_later(None)[0].hint


@pytest.mark.rule("S7.1")
@pytest.mark.usefixtures("keys_by_default")
def test_bearer_class_in_the_defaults_is_found_once(settings, monkeypatch):
    classes = [RejectsUnknownTokens, ApiKeyAuthentication]
    monkeypatch.setattr("rest_framework.views.APIView.authentication_classes", classes)
    patterns = [path(name, type(name, (APIView,), {}).as_view()) for name in "abc"]
    (message,) = out_of_order(settings, *patterns)
    assert ".a at 'a'" in message


@pytest.mark.parametrize(
    "classes",
    [
        (ApiKeyAuthentication, RejectsUnknownTokens),
        (SessionAuthentication, ApiKeyAuthentication),
        (TokenAuthentication, ApiKeyAuthentication),
        (RaisesForHeader, ApiKeyAuthentication),
        (RejectsUnknownTokens,),
        (),
    ],
)
def test_other_orders_of_authentication_pass(settings, classes):
    assert out_of_order(settings, path("rows", with_classes(*classes))) == []


# --- silencing -------------------------------------------------------------------------------------------------------


class OtherDetail(Detail):
    pass


def run_checks(settings):
    settings.ROOT_URLCONF = tuple(
        path(f"{view.__name__}/<int:shop_pk>/<int:pk>", view.as_view()) for view in (Detail, OtherDetail)
    )
    messages = views.check_url_arguments(None)
    return [message.msg.partition(" ")[0] for message in messages if not message.is_silenced()]


def test_finding_can_be_silenced_for_one_view(settings):
    assert run_checks(settings) == [f"{__name__}.Detail", f"{__name__}.OtherDetail"]
    settings.SILENCED_SYSTEM_CHECKS = [f"finta_keys.W023:{__name__}.Detail"]
    assert run_checks(settings) == [f"{__name__}.OtherDetail"]
    settings.SILENCED_SYSTEM_CHECKS = [f"finta_keys.W024:{__name__}.Detail", "finta_keys.W023:Detail"]
    assert len(run_checks(settings)) == 2


def test_finding_can_be_silenced_for_all_views(settings):
    settings.SILENCED_SYSTEM_CHECKS = ["finta_keys.W023"]
    assert run_checks(settings) == []


def test_check_command_accepts_the_silenced_view(settings, capsys):
    settings.ROOT_URLCONF = (path("shops/<int:shop_pk>/<int:pk>", Detail.as_view()),)
    with pytest.raises(SystemCheckError, match="W023"):
        call_command("check", "--tag", "security", "--fail-level", "WARNING")
    settings.SILENCED_SYSTEM_CHECKS = [f"finta_keys.W023:{__name__}.Detail"]
    call_command("check", "--tag", "security", "--fail-level", "WARNING")


def test_closed_view_can_be_silenced(settings):
    settings.ROOT_URLCONF = (path("rows", example.Neither.as_view()),)
    settings.SILENCED_SYSTEM_CHECKS = ["finta_keys.E006:tests.finta_keys.urls_example.Neither"]
    assert [message.is_silenced() for message in views.check_views_open_to_keys(None)] == [True]


# --- the site --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "check",
    [
        *(views.check_views_open_to_keys, views.check_account_paths),
        *(views.check_url_arguments, views.check_bearer_classes_come_later),
    ],
)
def test_views_of_the_site_pass(check):
    assert check(None) == []


class PlainViewSet(AccountScopeMixin, ViewSet):
    authentication_classes = [ApiKeyAuthentication]
    queryset = Account.objects.all()  # for its permissions

    def list(self, request):
        raise NotImplementedError


def test_plain_viewset_with_queryset_passes(settings):
    settings.ROOT_URLCONF = (path("rows", PlainViewSet.as_view({"get": "list"})),)
    assert views.check_account_paths(None) == []
