"""The rows that a URL names are looked up before the handler runs."""

import uuid
from contextlib import suppress

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DataError, connection
from django.db.models import Value
from django.http import Http404
from django.test.utils import CaptureQueriesContext
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action
from rest_framework.filters import BaseFilterBackend, SearchFilter
from rest_framework.generics import GenericAPIView, RetrieveAPIView, RetrieveUpdateDestroyAPIView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer
from rest_framework.versioning import URLPathVersioning
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from accounts_app.models import Account, Transaction, User
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.scoping import AccountScopeMixin, unscoped
from tests.factories import TransactionFactory
from tests.finta_keys.calls import call
from tests.finta_keys.urls_example import AccountSerializer

pytestmark = pytest.mark.rule("S7.4")

METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace", "brew")


class Keyed(AccountScopeMixin):
    authentication_classes = [ApiKeyAuthentication]


class TransactionSerializer(ModelSerializer):
    class Meta:
        model = Transaction
        fields = ["summary"]


class AccountViewSet(Keyed, ModelViewSet):
    queryset = Account.objects.all()
    serializer_class = AccountSerializer
    ran = []

    @action(detail=True, methods=["get", "post"])
    def note(self, request, pk):
        """Never calls ``get_object()``."""
        self.ran.append(pk)
        if request.method == "POST":
            TransactionFactory(account=Account.objects.get(pk=pk), summary="Note")
        return Response({"note": "of the account"})

    @action(detail=True, methods=["post"])
    def close(self, request, pk):
        account = self.get_object()
        account.name = "Closed"
        account.save()
        return Response({"name": account.name})


ACTIONS = {"get": "note", "post": "note"}


@pytest.fixture
def ran(monkeypatch):
    ran = []
    monkeypatch.setattr(AccountViewSet, "ran", ran)
    return ran


def hidden_pks(accounts, bobs_account):
    return [accounts.savings.pk, bobs_account.pk, uuid.uuid4(), "malformed"]


@pytest.mark.parametrize("method", ["get", "post"])
def test_action_without_get_object_is_checked(restricted, accounts, bobs_account, ran, method):
    visible = call(AccountViewSet, restricted.secret, method, kwargs={"pk": accounts.checking.pk}, actions=ACTIONS)
    assert visible.data == {"note": "of the account"}
    for pk in hidden_pks(accounts, bobs_account):
        response = call(AccountViewSet, restricted.secret, method, kwargs={"pk": pk}, actions=ACTIONS)
        assert response.status_code == 404
    assert ran == [accounts.checking.pk]
    assert set(Transaction.objects.values_list("account__name", flat=True)) <= {"Checking"}


@pytest.mark.rule("S7.3")
def test_action_is_checked_for_users(alice, bob, accounts, bobs_account, ran):
    def note(pk):
        options = {"actions": ACTIONS, "authentication_classes": [SessionAuthentication]}
        return call(AccountViewSet, user=bob, kwargs={"pk": pk}, **options).status_code

    assert note(bobs_account.pk) == 200
    assert note(accounts.checking.pk) == note(uuid.uuid4()) == 404


class Detail(Keyed, GenericAPIView):
    queryset = Account.objects.all()
    serializer_class = AccountSerializer

    def get(self, request, pk):
        return Response({"name": Account.objects.get(pk=pk).name})


@pytest.mark.rule("S4")
@pytest.mark.parametrize("method", METHODS)
def test_every_method_hides_the_row(restricted, accounts, bobs_account, method, django_assert_num_queries):
    """Methods without a handler, and OPTIONS, are checked too."""
    for pk in hidden_pks(accounts, bobs_account):
        response = call(Detail, restricted.secret, method, kwargs={"pk": pk})
        assert (response.status_code, response.data["detail"].code) == (404, "not_found")
    expected = {"get": 200, "head": 200, "options": 200}.get(method, 405)
    assert call(Detail, restricted.secret, method, kwargs={"pk": accounts.checking.pk}).status_code == expected


class Standard(Keyed, RetrieveUpdateDestroyAPIView):
    queryset = Account.objects.all()
    serializer_class = AccountSerializer


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_row_is_read_once(restricted, accounts, method, django_assert_num_queries):
    with django_assert_num_queries(2):  # the key, and the row
        assert call(Standard, restricted.secret, method, kwargs={"pk": accounts.checking.pk}).status_code == 200


class ReadsTwice(Keyed, RetrieveAPIView):
    queryset = Account.objects.all()

    def get(self, request, pk):
        first, second = self.get_object(), self.get_object()
        return Response([first.pk == second.pk, first is second])


def test_only_the_first_get_object_reuses_the_row(restricted, accounts, django_assert_num_queries):
    with django_assert_num_queries(3):
        assert call(ReadsTwice, restricted.secret, kwargs={"pk": accounts.checking.pk}).data == [True, False]


def test_changed_kwargs_get_another_row(unrestricted, restricted, accounts):
    class Merges(Standard):
        def post(self, request, pk):
            self.kwargs["pk"] = request.data["into"]
            return Response({"name": self.get_object().name})

    def merge(caller):
        data = {"into": str(accounts.savings.pk)}
        return call(Merges, caller.secret, "post", data, kwargs={"pk": accounts.checking.pk})

    assert merge(unrestricted).data == {"name": "Savings"}
    assert merge(restricted).status_code == 404


class Closes(Standard):
    """Both handlers read the row by ``get_object()`` after a change that it depends on."""

    opened = True

    def get_queryset(self):
        return Account.objects.annotate(is_open=Value(self.opened))

    def get(self, request, pk):
        self.opened = False
        return Response({"is_open": self.get_object().is_open})

    def post(self, request, pk):
        self.get_queryset().filter(pk=pk).update(name="Closed")
        return Response({"name": self.get_object().name})


def test_handler_reads_the_row_after_its_own_write(restricted, accounts):
    assert call(Closes, restricted.secret, "post", kwargs={"pk": accounts.checking.pk}).data == {"name": "Closed"}


def test_changed_attribute_of_the_view_gets_another_row(restricted, accounts):
    assert call(Closes, restricted.secret, kwargs={"pk": accounts.checking.pk}).data == {"is_open": False}


class OwnRequest(Request):
    own_accounts = True


class ReadsRequest(Keyed, GenericAPIView):
    def initialize_request(self, request, *args, **kwargs):
        request = super().initialize_request(request, *args, **kwargs)
        request.__class__ = OwnRequest
        return request

    def initial(self, request, *args, **kwargs):
        super().initial(request, *args, **kwargs)
        request.tenant = request.user

    def get_queryset(self):
        return Account.objects.filter(owner=self.request.tenant) if self.request.own_accounts else []

    def get(self, request, pk):
        return Response({"name": self.get_object().name})


@pytest.mark.parametrize(("method", "status"), [("get", 200), ("options", 200), ("post", 405)])
def test_queryset_reads_attributes_of_the_request(restricted, accounts, method, status):
    assert call(ReadsRequest, restricted.secret, method, kwargs={"pk": accounts.checking.pk}).status_code == status
    assert call(ReadsRequest, restricted.secret, method, kwargs={"pk": accounts.savings.pk}).status_code == 404


def test_second_request_on_a_view_instance_reads_again(restricted, accounts):
    """``self.get_object`` is the method again after the request."""
    seen = []

    class Remembers(Standard):
        def finalize_response(self, request, response, *args, **kwargs):
            seen.append("get_object" in vars(self))
            return super().finalize_response(request, response, *args, **kwargs)

    call(Remembers, restricted.secret, kwargs={"pk": accounts.checking.pk})
    call(Remembers, restricted.secret, kwargs={"pk": uuid.uuid4()})
    call(Remembers, restricted.secret, "put", {}, kwargs={"pk": accounts.checking.pk})
    assert seen == [False] * 3


# --- get_object() of the project -------------------------------------------------------------------------------------


class ReadsAnyAccount(Keyed, RetrieveUpdateDestroyAPIView):
    """The mistake: its ``get_object()`` limits nothing."""

    queryset = Account.objects.all()
    serializer_class = AccountSerializer

    def get_object(self):
        return Account.objects.get(pk=self.kwargs["pk"])


@pytest.mark.rule("S7.6")
@pytest.mark.parametrize(("method", "sent"), [("get", None), ("put", {"name": "X"}), ("patch", {}), ("delete", None)])
def test_unscoped_get_object_is_rejected(restricted, accounts, method, sent):
    kwargs = {"pk": accounts.savings.pk}
    with suppress(ImproperlyConfigured):
        assert call(ReadsAnyAccount, restricted.secret, method, sent, kwargs=kwargs).status_code == 404
    assert Account.objects.get(pk=accounts.savings.pk).name == "Savings"


class BySlug(Keyed, APIView):
    """Has no lookup field, and looks up its row itself."""

    looked_up = []

    def get_object(self):
        self.looked_up.append(self.kwargs["name"])
        return self.scoped(Account.objects.filter(name=self.kwargs["name"])).get()

    def handle_exception(self, exc):
        return super().handle_exception(Http404() if isinstance(exc, Account.DoesNotExist) else exc)

    def post(self, request, name):
        return Response(status=201)


def test_own_get_object_is_called_before_the_handler(restricted, accounts):
    assert call(BySlug, restricted.secret, "post", kwargs={"name": "Checking"}).status_code == 201
    assert call(BySlug, restricted.secret, "post", kwargs={"name": "Savings"}).status_code == 404


@pytest.mark.rule("S4")
@pytest.mark.parametrize("method", ["get_object", "get_queryset"])
@pytest.mark.parametrize("error", [DataError, OverflowError])
def test_value_that_no_database_holds_is_404(restricted, error, method):
    def fail(self):
        raise error

    view = type("Fails", (Standard,), {method: fail})
    assert call(view, restricted.secret, kwargs={"pk": "\x00"}).status_code == 404


class NoObjectPermission(BasePermission):
    def has_object_permission(self, request, view, obj):
        return False


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_object_permission_is_checked(restricted, accounts, method):
    kwargs = {"pk": accounts.checking.pk}
    options = {"permission_classes": [NoObjectPermission]}
    assert call(Standard, restricted.secret, method, kwargs=kwargs, **options).status_code == 403
    close = {"actions": {"post": "close"}, **options}
    assert call(AccountViewSet, restricted.secret, "post", kwargs=kwargs, **close).status_code == 403
    assert Account.objects.get(pk=accounts.checking.pk).name == "Checking"


@pytest.mark.rule("S4")
def test_object_permission_does_not_reveal_hidden_rows(restricted, accounts):
    options = {"permission_classes": [NoObjectPermission]}
    for pk in (accounts.savings.pk, uuid.uuid4()):
        assert call(Standard, restricted.secret, kwargs={"pk": pk}, **options).status_code == 404


class ExcludesAll(SearchFilter):
    def filter_queryset(self, request, queryset, view):
        return queryset.none()


class Filtered(Standard):
    filter_backends = [SearchFilter]
    search_fields = ["name"]

    def post(self, request, pk):
        return Response({"name": self.get_object().name})


def test_filter_backends_apply_in_get_object(restricted, accounts):
    for method in ("get", "post"):
        kwargs = {"pk": accounts.checking.pk}
        assert call(Filtered, restricted.secret, method, kwargs=kwargs).status_code == 200
        response = call(Filtered, restricted.secret, method, kwargs=kwargs, filter_backends=[ExcludesAll])
        assert response.status_code == 404


def test_filter_backends_do_not_hide_rows_from_actions(restricted, accounts, ran):
    """An action that never calls ``get_object()`` is not filtered."""
    options = {"actions": ACTIONS, "filter_backends": [ExcludesAll]}
    kwargs = {"pk": accounts.checking.pk}
    assert call(AccountViewSet, restricted.secret, kwargs=kwargs, **options).status_code == 200
    close = {"actions": {"post": "close"}, "filter_backends": [ExcludesAll]}
    assert call(AccountViewSet, restricted.secret, "post", kwargs=kwargs, **close).status_code == 404


class OtherLookup(Standard):
    lookup_field = "name"
    lookup_url_kwarg = "account_name"


def test_lookup_field_and_url_kwarg_are_used(restricted, accounts):
    assert call(OtherLookup, restricted.secret, kwargs={"account_name": "Checking"}).status_code == 200
    assert call(OtherLookup, restricted.secret, "options", kwargs={"account_name": "Savings"}).status_code == 404


@pytest.mark.rule("S4")
def test_hidden_row_with_the_same_name_is_ignored(restricted, accounts):
    Account.objects.filter(pk=accounts.savings.pk).update(name="Checking")
    assert call(OtherLookup, restricted.secret, kwargs={"account_name": "Checking"}).status_code == 200


class ReturnsList(Keyed, ModelViewSet):
    serializer_class = AccountSerializer

    def get_queryset(self):
        return list(self.scoped(Account.objects.all()))

    @action(detail=True)
    def greet(self, request, pk):
        return Response({"hello": "world"})


def test_row_is_looked_up_in_a_list(restricted, accounts):
    def greet(pk):
        return call(ReturnsList, restricted.secret, kwargs={"pk": pk}, actions={"get": "greet"}).status_code

    assert greet(accounts.checking.pk) == greet(str(accounts.checking.pk)) == 200
    assert greet(accounts.savings.pk) == greet("malformed") == 404


# --- methods and OPTIONS ---------------------------------------------------------------------------------------------


class PerMethod(Standard):
    """Reads other rows for each method, as some projects do."""

    def get_queryset(self):
        if self.request.method == "GET":
            return Account.objects.filter(name="Checking")
        return Account.objects.none()


@pytest.mark.rule("S4")
def test_options_is_checked_as_get(restricted, accounts):
    assert call(PerMethod, restricted.secret, "options", kwargs={"pk": accounts.checking.pk}).status_code == 200
    assert call(PerMethod, restricted.secret, "post", kwargs={"pk": accounts.checking.pk}).status_code == 405
    assert call(PerMethod, restricted.secret, "put", {}, kwargs={"pk": accounts.checking.pk}).status_code == 404


def test_action_that_forgets_its_row_can_be_marked(restricted, accounts):
    class Marked(AccountViewSet):
        @unscoped("shows nothing of the account")
        @action(detail=True)
        def anything(self, request, pk):
            return Response({"pk": pk})

    assert call(Marked, restricted.secret, kwargs={"pk": "x"}, actions={"get": "anything"}).data == {"pk": "x"}


# --- scoped_kwargs ---------------------------------------------------------------------------------------------------


class Nested(Keyed, APIView):
    """Creates a transaction below an account, and does not look the account up."""

    account_path = "account"
    scoped_kwargs = {"account_pk": Account, "year": None}

    def get(self, request, account_pk, year=None):
        rows = self.scoped(Transaction.objects.filter(account=account_pk))
        return Response([row.summary for row in rows])

    def post(self, request, account_pk, year=None):
        row = TransactionFactory(account=Account.objects.get(pk=account_pk), summary="New")
        return Response({"summary": row.summary}, status=201)


@pytest.mark.parametrize("method", ["get", "post", "options", "delete"])
def test_parent_in_the_path_is_looked_up(restricted, accounts, bobs_account, method):
    for pk in hidden_pks(accounts, bobs_account):
        assert call(Nested, restricted.secret, method, kwargs={"account_pk": pk}).status_code == 404
    expected = {"get": 200, "post": 201, "options": 200, "delete": 405}[method]
    response = call(Nested, restricted.secret, method, kwargs={"account_pk": accounts.checking.pk, "year": 2026})
    assert response.status_code == expected
    assert list(Transaction.objects.values_list("account__name", flat=True)) == ["Checking"] * (method == "post")


def test_parent_is_looked_up_by_a_field(restricted, accounts):
    class ByName(Nested):
        scoped_kwargs = {"name": (Account, "name")}

        def post(self, request, name):
            return Response(status=201)

    assert call(ByName, restricted.secret, "post", kwargs={"name": "Checking"}).status_code == 201
    for name in ("Savings", "Nothing", "\x00" * 3):
        assert call(ByName, restricted.secret, "post", kwargs={"name": name}).status_code == 404


def test_parent_of_another_model_uses_its_path(restricted, accounts):
    class ByTransaction(Nested):
        scoped_kwargs = {"transaction_pk": Transaction}

        def get(self, request, transaction_pk):
            return Response(self.scoped(Transaction.objects.all()).count())

    visible = TransactionFactory(account=accounts.checking)
    hidden = TransactionFactory(account=accounts.savings)
    assert call(ByTransaction, restricted.secret, kwargs={"transaction_pk": visible.pk}).status_code == 200
    assert call(ByTransaction, restricted.secret, kwargs={"transaction_pk": hidden.pk}).status_code == 404


def test_parent_without_path_to_the_account_raises(restricted):
    class ByUser(Nested):
        scoped_kwargs = {"user_pk": User}

    with pytest.raises(Exception, match=f"scoped_kwargs names {User._meta.label}, which has no foreign key"):
        call(ByUser, restricted.secret, kwargs={"user_pk": restricted.key.owner_id})


def test_looking_up_a_parent_is_scoping(restricted, accounts):
    class Greets(Nested):
        def get(self, request, account_pk):
            return Response({"hello": "world"})

    assert call(Greets, restricted.secret, kwargs={"account_pk": accounts.checking.pk}).status_code == 200


class ByRelease(URLPathVersioning):
    version_param = "release"


class Releases(Keyed, APIView):
    def get_object(self):
        raise Http404

    def post(self, request, **kwargs):
        self.scoped(Account.objects.all())
        return Response(status=201)


@pytest.mark.parametrize(
    ("kwargs", "versioning", "status"),
    [
        ({}, None, 201),
        ({"format": "json"}, None, 201),
        ({"version": "1"}, URLPathVersioning, 201),
        ({"release": "1", "format": "json"}, ByRelease, 201),
        ({"shop_pk": "1"}, None, 404),
        ({"version": "1"}, None, 404),  # of a document, for example
        ({"version": "1"}, ByRelease, 404),
        ({"version": "1", "pk": "1"}, URLPathVersioning, 404),
    ],
)
def test_format_and_version_name_no_row(restricted, kwargs, versioning, status):
    """Any other argument calls an overridden ``get_object()``, which rejects it here."""
    response = call(Releases, restricted.secret, "post", kwargs=kwargs, versioning_class=versioning)
    assert response.status_code == status


class BySummary(Keyed, RetrieveAPIView):
    queryset = Transaction.objects.all()
    serializer_class = TransactionSerializer
    account_path = "account"
    lookup_field = "summary"


def test_lookup_that_matches_two_rows_is_an_error(restricted, accounts):
    for _ in range(2):
        TransactionFactory(account=accounts.checking, summary="Rent")

    class ByHand(BySummary):
        def get(self, request, summary):
            return Response([])

    with pytest.raises(Transaction.MultipleObjectsReturned):
        call(ByHand, restricted.secret, kwargs={"summary": "Rent"})


class ByArgument(Keyed, APIView):
    """As in the tutorial of Django REST framework: ``get_object()`` takes the primary key."""

    def get_object(self, pk):
        return self.scoped(Account.objects.all()).get(pk=pk)

    def get(self, request, pk):
        return Response({"name": self.get_object(pk).name})


def test_get_object_with_required_argument_is_not_called(restricted, accounts):
    assert call(ByArgument, restricted.secret, kwargs={"pk": accounts.checking.pk}).data == {"name": "Checking"}
    for pk in (accounts.savings.pk, uuid.uuid4(), "malformed"):
        assert call(ByArgument, restricted.secret, kwargs={"pk": pk}).status_code == 404


def test_get_object_with_arguments_looks_up_again(unrestricted, accounts):
    class Optional(Keyed, GenericAPIView):
        queryset = Account.objects.all()

        def get_object(self, name="Checking"):
            return self.get_queryset().get(name=name)

        def get(self, request, pk):
            return Response({"name": self.get_object("Savings").name})

    assert call(Optional, unrestricted.secret, kwargs={"pk": accounts.checking.pk}).data == {"name": "Savings"}


def test_denied_key_gets_403_before_initial_ends(restricted, accounts):
    class Denied(BasePermission):
        def has_permission(self, request, view):
            return False

    class SetsUp(Standard):
        permission_classes = [Denied]

        def initial(self, request, *args, **kwargs):
            super().initial(request, *args, **kwargs)
            self.accounts = Account.objects.all()

        def get_queryset(self):
            return self.accounts

    for pk in (accounts.checking.pk, accounts.savings.pk, uuid.uuid4()):
        assert call(SetsUp, restricted.secret, kwargs={"pk": pk}).status_code == 403


# --- permissions that query by the URL --------------------------------------------------------------------------------


class IsOwnerOfParent(BasePermission):
    """Denies a missing account, and permits one that the key's owner has but the key may not access."""

    def has_permission(self, request, view):
        pk = view.kwargs.get("account_pk") or view.kwargs.get("pk")
        return Account.objects.filter(pk=pk, owner=request.user).exclude(name="Denied").exists()


class RaisesForMissingParent(IsOwnerOfParent):
    def has_permission(self, request, view):
        if not super().has_permission(request, view):
            raise Account.DoesNotExist
        return True


class Notes(Keyed, APIView):
    scoped_kwargs = {"account_pk": Account}
    permission_classes = [IsOwnerOfParent]

    def get(self, request, account_pk):
        return Response({"note": "of the account"})

    post = get


class NotesOrError(Notes):
    permission_classes = [RaisesForMissingParent]


class OwnedAccount(Detail):
    permission_classes = [IsOwnerOfParent]


class OpenNotes(Notes):
    @unscoped("shows no account")
    def get(self, request, account_pk):
        return Response({})


@pytest.mark.thorough
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("view", "name"), [(Notes, "account_pk"), (NotesOrError, "account_pk"), (OwnedAccount, "pk")])
def test_permission_cannot_tell_hidden_from_missing(restricted, accounts, bobs_account, view, name, method):
    responses, counts = [], []
    for pk in hidden_pks(accounts, bobs_account):
        with CaptureQueriesContext(connection) as queries:
            responses.append(call(view, restricted.secret, method, kwargs={name: str(pk)}))
        counts.append(len(queries))
    assert {response.status_code for response in responses} == {404}
    assert len({str(response.data) for response in responses}) == 1
    assert len(set(counts[:3])) == 1  # A malformed id needs fewer.


def test_permission_still_denies_visible_row(restricted, accounts):
    Account.objects.filter(pk=accounts.checking.pk).update(name="Denied")
    assert call(Notes, restricted.secret, kwargs={"account_pk": accounts.checking.pk}).status_code == 403


def test_permission_of_unscoped_handler_denies(restricted):
    assert call(OpenNotes, restricted.secret, kwargs={"account_pk": uuid.uuid4()}).status_code == 403
    assert call(OpenNotes, restricted.secret, "post", kwargs={"account_pk": uuid.uuid4()}).status_code == 404


def test_denied_person_gets_the_view_s_status(alice):
    class Sessions(Notes):
        authentication_classes = [SessionAuthentication, ApiKeyAuthentication]

    assert call(Sessions, user=alice, kwargs={"account_pk": uuid.uuid4()}).status_code == 403


# --- standard actions -------------------------------------------------------------------------------------------------


class OpenAccounts(BaseFilterBackend):
    def filter_queryset(self, request, queryset, view):
        return queryset.exclude(name="Closed")


class IsNotLocked(BasePermission):
    def has_object_permission(self, request, view, account):
        return account.name != "Locked"


class LoadsByHand(Keyed, ModelViewSet):
    """Overrides the standard actions without calling ``get_object()``."""

    queryset = Account.objects.all()
    serializer_class = AccountSerializer
    filter_backends = [OpenAccounts]
    permission_classes = [IsNotLocked]

    def retrieve(self, request, pk):
        return Response({"name": Account.objects.get(pk=pk).name})

    update = partial_update = destroy = retrieve

    @action(detail=True, methods=["post"])
    def extra(self, request, pk):
        return self.retrieve(request, pk)


@pytest.mark.parametrize(("name", "status"), [("Checking", 200), ("Locked", 403), ("Closed", 404)])
@pytest.mark.parametrize("action_name", ["retrieve", "update", "partial_update", "destroy"])
def test_standard_action_is_checked_by_get_object(restricted, accounts, action_name, name, status):
    """Filter backends and object permissions apply, even if the action does not call ``get_object()``."""
    Account.objects.filter(pk=accounts.checking.pk).update(name=name)
    options = {"actions": {"post": action_name}, "kwargs": {"pk": accounts.checking.pk}}
    assert call(LoadsByHand, restricted.secret, "post", **options).status_code == status


@pytest.mark.parametrize("name", ["Locked", "Closed"])
def test_extra_action_is_checked_without_filter_backends(restricted, accounts, name):
    Account.objects.filter(pk=accounts.checking.pk).update(name=name)
    options = {"actions": {"post": "extra"}, "kwargs": {"pk": accounts.checking.pk}}
    assert call(LoadsByHand, restricted.secret, "post", **options).status_code == 200
