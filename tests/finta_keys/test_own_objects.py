"""``get_object()`` of a project: a row that the caller may not access is missing."""

import uuid
from datetime import date

import pytest
from asgiref.sync import sync_to_async
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured
from django.core.exceptions import ValidationError as DjangoValidationError
from django.shortcuts import get_object_or_404
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import ValidationError
from rest_framework.generics import CreateAPIView, RetrieveUpdateDestroyAPIView
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer
from rest_framework.views import APIView

from accounts_app.models import Account, Transaction, User
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.scoping import AccountScopeMixin, unscoped, unscoped_rows
from finta_keys.serializers import ScopedModelSerializer, ScopedSerializerMixin
from tests.factories import TransactionFactory
from tests.finta_keys.calls import call
from tests.finta_keys.test_guard import call_async
from tests.finta_keys.urls_example import AccountSerializer

pytestmark = [pytest.mark.rule("S7.4"), pytest.mark.rule("S7.3")]


class Base(AccountScopeMixin):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]


class ByQuery(Base, RetrieveUpdateDestroyAPIView):
    """Looks up its row by hand. No argument in the URL names it."""

    queryset = Account.objects.all()
    serializer_class = AccountSerializer

    def get_object(self):
        return get_object_or_404(Account, pk=self.request.headers["X-Row"])


class Overridden(ByQuery):
    def get_object(self):
        return super().get_object()


class ByManager(ByQuery):
    def get_object(self):
        return Account.objects.get(pk=self.request.headers["X-Row"])


class ByArgument(Base, APIView):
    def get_object(self, pk):
        return get_object_or_404(Account, pk=pk)

    def get(self, request):
        return Response({"name": self.get_object(request.headers["X-Row"]).name})

    def delete(self, request):
        self.get_object(request.headers["X-Row"]).delete()
        return Response(status=204)


class OtherModel(ByQuery):
    """The view is about accounts, its row is a transaction."""

    def get_object(self):
        return get_object_or_404(Transaction, account_id=self.request.headers["X-Row"])

    def get(self, request):
        return Response({"summary": self.get_object().summary})


def send(view, caller, method, pk, data=None, **options):
    caller = {"user": caller} if isinstance(caller, User) else {"secret": caller}
    return call(view, method=method, data=data, headers={"X-Row": str(pk)}, **caller, **options)


def parts(response):
    return response.status_code, response.render().content, dict(response.headers)


@pytest.fixture(params=["own", "staff"])
def person(request, alice):
    alice.is_staff = alice.is_superuser = request.param == "staff"
    return alice


@pytest.mark.rule("S4")
@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
@pytest.mark.parametrize("view", [ByQuery, Overridden, ByArgument, OtherModel])
def test_row_of_another_owner_is_missing(view, method, person, accounts, bobs_account):
    for account in (accounts.checking, bobs_account):
        TransactionFactory(account=account)
    data = {"name": "Changed"} if method in ("put", "patch") else None
    foreign, missing = (send(view, person, method, pk, data) for pk in (bobs_account.pk, uuid.uuid4()))
    assert parts(foreign) == parts(missing)
    assert foreign.status_code == (405 if view is ByArgument and data else 404)
    assert Account.objects.get(pk=bobs_account.pk).name == "Bob's"
    assert send(view, person, "get", accounts.checking.pk).status_code == 200


@pytest.mark.rule("S4")
@pytest.mark.parametrize("view", [ByQuery, ByArgument, ByManager])
def test_hidden_row_is_not_deleted(view, restricted, accounts, bobs_account):
    pks = (accounts.savings.pk, bobs_account.pk, uuid.uuid4(), "malformed")
    responses = [parts(send(view, restricted.secret, "delete", pk)) for pk in pks]
    assert responses == [responses[0]] * 4
    assert responses[0][0] == 404
    assert Account.objects.filter(pk=accounts.savings.pk).exists()
    assert send(view, restricted.secret, "delete", accounts.checking.pk).status_code == 204


def test_override_is_checked_once(alice, accounts, django_assert_num_queries):
    with django_assert_num_queries(2):
        assert send(Overridden, alice, "get", accounts.checking.pk).status_code == 200


def test_unlimited_callers_see_rows_of_others(alice, bobs_account):
    view = type("Unlimited", (ByQuery,), {"unlimited_for": lambda self, request: True})
    assert send(view, alice, "get", bobs_account.pk).data["name"] == "Bob's"


def test_marked_handlers_are_not_checked(alice, bobs_account):
    class Marked(ByArgument):
        @unscoped("all callers may read names")
        def get(self, request):
            return super().get(request)

    assert send(Marked, alice, "get", bobs_account.pk).data == {"name": "Bob's"}


def test_marked_handlers_may_use_unscoped_rows(restricted, bobs_account):
    class Marked(ByArgument):
        @unscoped("all callers may rename")
        def post(self, request):
            with unscoped_rows("all callers may rename"):
                return super().get(request)

    assert send(Marked, restricted.secret, "post", bobs_account.pk).data == {"name": "Bob's"}


def test_schema_generator_calls_without_request(accounts):
    view = ByArgument()
    assert view.get_object(accounts.checking.pk) == accounts.checking


class Returns(Base, APIView):
    """Returns the result of a function that is set on a subclass."""

    def get_object(self):
        return self.look_up()

    def get(self, request):
        self.scoped(Account.objects.all())
        return Response(str(self.get_object()))


def get(caller, look_up, **attributes):
    return send(type("Made", (Returns,), {"look_up": look_up, **attributes}), caller, "get", "")


@pytest.fixture(params=["key", "person"])
def caller(request, alice, restricted):
    return restricted.secret if request.param == "key" else alice


def test_values_of_any_row_are_an_error(caller, accounts, bobs_account):
    for account in (accounts.checking, bobs_account):
        with pytest.raises(ImproperlyConfigured, match=r"get_object\(\) of .*Made returned a dict, which cannot be"):
            get(caller, lambda self, pk=account.pk: Account.objects.values("name").get(pk=pk))


def test_values_of_scoped_rows_are_accepted(caller, accounts, bobs_account):
    def look_up(self):
        return get_object_or_404(self.scoped(Account.objects.values("name")), pk=self.pk)

    assert get(caller, look_up, pk=accounts.checking.pk).data == "{'name': 'Checking'}"
    for pk in (bobs_account.pk, uuid.uuid4()):
        assert get(caller, look_up, pk=pk).status_code == 404


def test_no_row_and_new_rows_are_accepted(caller, alice):
    assert get(caller, lambda self: None).data == "None"
    assert get(caller, lambda self: Account(name="New", owner=alice)).status_code == 200


def test_caller_is_accepted_and_other_users_are_not(caller, alice, bob):
    assert get(caller, lambda self: self.request.user).data == alice.email
    assert get(caller, lambda self: bob).status_code == 404


def test_rows_of_users_are_limited_to_the_caller(caller, alice, bob, settings):
    kind = ContentType.objects.get_for_model(Account)
    own, foreign = (LogEntry.objects.create(user=user, content_type=kind, action_flag=1) for user in (alice, bob))
    assert get(caller, lambda self: own).status_code == 200
    assert get(caller, lambda self: foreign).status_code == 404
    settings.FINTA_KEYS_SHARED_MODELS = ["admin.LogEntry"]
    assert get(caller, lambda self: foreign).status_code == 200


def test_rows_of_no_one_are_accepted(caller):
    group = Group.objects.create(name="Everyone")
    assert get(caller, lambda self: group).data == "Everyone"


class Asynchronous(Base, APIView):
    async def get_object(self):
        return await Account.objects.aget(pk=self.kwargs.get("pk") or self.request.headers["X-Row"])

    async def get(self, request, pk=None):
        await sync_to_async(self.scoped)(Account.objects.all())
        return Response({"name": (await self.get_object()).name})


@pytest.mark.django_db(transaction=True)
def test_async_get_object_is_checked(restricted, accounts, bobs_account):
    def status_of(pk):
        return call_async(Asynchronous, restricted.secret, kwargs={"pk": pk}).status_code

    assert status_of(accounts.checking.pk) == 200
    assert [status_of(pk) for pk in (accounts.savings.pk, bobs_account.pk)] == [404, 404]


# --- parents in the URL -----------------------------------------------------------------------------------------------


class BelowName(Base, APIView):
    scoped_kwargs = {"name": (Account, "name")}

    def get(self, request, name):
        return Response()


def test_parent_may_match_several_rows(caller, accounts):
    accounts.cash.name = "Checking"
    accounts.cash.save()
    for name, status in (("Checking", 200), ("Missing", 404)):
        assert send(BelowName, caller, "get", "", kwargs={"name": name}).status_code == status


# --- serializers that raise or find -----------------------------------------------------------------------------------


class UniqueSummary(ScopedModelSerializer):
    """Creates a transaction once for each summary."""

    class Meta:
        model = Transaction
        fields = ["account", "summary"]

    def create(self, validated_data):
        fields = {"amount": 1, "currency": "USD", "posted_date": date(2026, 1, 1), **validated_data}
        return Transaction.objects.get_or_create(summary=fields.pop("summary"), defaults=fields)[0]


class Plain(ModelSerializer):
    class Meta(UniqueSummary.Meta):
        pass

    create = UniqueSummary.create


class Creates(Base, CreateAPIView):
    queryset = Transaction.objects.all()
    account_path = "account"
    serializer_class = UniqueSummary


def post(caller, serializer_class, account, summary):
    data = {"account": str(account.pk), "summary": summary}
    return send(Creates, caller, "post", "", data, serializer_class=serializer_class)


@pytest.mark.rule("S7.6")
@pytest.mark.parametrize("serializer_class", [UniqueSummary, Plain])
def test_get_or_create_finds_the_row_again(serializer_class, caller, accounts, restricted):
    first, second = (post(caller, serializer_class, accounts.checking, "Rent") for _ in range(2))
    assert parts(first) == parts(second)
    assert first.status_code == 201
    assert Transaction.objects.count() == 1
    TransactionFactory(account=accounts.savings, summary="Hidden")
    assert post(restricted.secret, serializer_class, accounts.checking, "Hidden").status_code == 404


@pytest.mark.rule("S7.6")
def test_response_by_hand_is_still_rejected(restricted, accounts):
    row = TransactionFactory(account=accounts.checking)

    class ByHand(Creates):
        def post(self, request):
            return Response({"row": Plain(row).data})

    with pytest.raises(ImproperlyConfigured, match="without limiting anything"):
        send(ByHand, restricted.secret, "post", "")


class Refuses(Plain):
    error = None

    def create(self, validated_data):
        Transaction.objects.create(amount=1, currency="USD", posted_date=date(2026, 1, 1), **validated_data)
        raise self.error


@pytest.mark.rule("S7.6")
@pytest.mark.parametrize("bases", [(), (ScopedSerializerMixin,)])
def test_serializer_may_refuse_in_create(bases, caller, accounts):
    serializer_class = type("S", (*bases, Refuses), {"error": ValidationError({"summary": "Too long."})})
    response = post(caller, serializer_class, accounts.checking, "Rent")
    assert (response.status_code, response.data) == (400, {"summary": "Too long."})
    is_kept = isinstance(caller, User) and not bases  # as without this app
    assert Transaction.objects.exists() is is_kept


@pytest.mark.parametrize("bases", [(), (ScopedSerializerMixin,)])
def test_errors_of_django_are_left_to_the_project(bases, restricted, accounts):
    serializer_class = type("S", (*bases, Refuses), {"error": DjangoValidationError("Too long.")})
    with pytest.raises(DjangoValidationError):
        post(restricted.secret, serializer_class, accounts.checking, "Rent")
    assert not Transaction.objects.exists()
