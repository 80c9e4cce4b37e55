"""``ScopedSerializerMixin``: related fields and unique validators keep to the rows of the caller."""

import json
import uuid

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, models
from django.http import HttpRequest
from django.test.utils import isolate_apps
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import (
    CharField,
    ListField,
    ModelSerializer,
    PrimaryKeyRelatedField,
    Serializer,
    SlugRelatedField,
)
from rest_framework.views import APIView

from accounts_app.models import Account, Transaction, User
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.relations import owner_lookup
from finta_keys.scoping import AccountScopeMixin
from finta_keys.serializers import ScopedModelSerializer, ScopedSerializerMixin
from tests.finta_keys.calls import call
from tests.finta_keys.extra_models import Label, Note, extra_tables  # noqa: F401  # a fixture

pytestmark = pytest.mark.rule("S7.7")

REJECTED = {"account": ["There is no such object."]}


class ScopedSerializer(ScopedSerializerMixin, Serializer):
    pass


def post(serializer_class, caller, data, *, with_context=True, unlimited=False, instance=None):
    """Validate data in a handler. Return the errors, or the validated data as text."""

    class View(AccountScopeMixin, APIView):
        authentication_classes = [ApiKeyAuthentication, SessionAuthentication]

        def unlimited_for(self, request):
            return unlimited

        def put(self, request):
            self.scoped(Account.objects.all())
            context = {"request": request} if with_context else {}
            serializer = serializer_class(instance, data=data, context=context)
            if not serializer.is_valid():
                return Response(serializer.errors, status=400)
            return Response({"valid": str(serializer.validated_data)})

    is_person = isinstance(caller, User)
    response = call(View, None if is_person else caller, "put", user=caller if is_person else None)
    return response.status_code, json.loads(json.dumps(response.data))


def by_primary_key(**options):
    return type("ByKey", (ScopedSerializer,), {"account": PrimaryKeyRelatedField(queryset=Account.objects, **options)})


class BySlug(ScopedSerializer):
    account = SlugRelatedField("name", queryset=Account.objects.all())


class NestedInput(ScopedSerializer):
    inner = type("Inner", (Serializer,), {"account": PrimaryKeyRelatedField(queryset=Account.objects.all())})()


class NestedList(ScopedSerializer):
    inner = type("Inner", (Serializer,), {"account": PrimaryKeyRelatedField(queryset=Account.objects.all())})(many=True)


class Listed(ScopedSerializer):
    account = ListField(child=PrimaryKeyRelatedField(queryset=Account.objects.all()))


def test_visible_account_is_accepted(restricted, accounts):
    assert post(by_primary_key(), restricted.secret, {"account": accounts.checking.pk})[0] == 200


@pytest.mark.rule("S4")
def test_all_other_values_get_one_error(restricted, accounts, bobs_account):
    for value in (accounts.savings.pk, bobs_account.pk, uuid.uuid4(), "malformed", 1, [], {}, True, "\x00"):
        assert post(by_primary_key(), restricted.secret, {"account": value}) == (400, REJECTED)


@pytest.mark.rule("S4")
def test_slugs_get_the_same_error(restricted, accounts):
    assert post(BySlug, restricted.secret, {"account": "Checking"})[0] == 200
    for name in ("Savings", "No such account"):
        assert post(BySlug, restricted.secret, {"account": name}) == (400, REJECTED)


@pytest.mark.parametrize(
    ("serializer_class", "wrap"),
    [
        (NestedInput, lambda pk: {"inner": {"account": pk}}),
        (NestedList, lambda pk: {"inner": [{"account": pk}]}),
        (Listed, lambda pk: {"account": [pk]}),
    ],
)
def test_nested_fields_are_limited(serializer_class, wrap, restricted, accounts):
    assert post(serializer_class, restricted.secret, wrap(str(accounts.checking.pk)))[0] == 200
    assert post(serializer_class, restricted.secret, wrap(str(accounts.savings.pk)))[0] == 400


def test_field_keeps_its_options(restricted):
    optional = by_primary_key(required=False, allow_null=True)
    assert post(optional, restricted.secret, {})[0] == 200
    assert post(optional, restricted.secret, {"account": None})[0] == 200


def test_field_keeps_its_message(restricted, accounts):
    own_message = by_primary_key(error_messages={"does_not_exist": "Choose one of your accounts."})
    for value in (accounts.savings.pk, "malformed"):
        _, errors = post(own_message, restricted.secret, {"account": value})
        assert errors == {"account": ["Choose one of your accounts."]}


def test_people_are_limited_to_their_accounts(alice, accounts, bobs_account):
    assert post(by_primary_key(), alice, {"account": accounts.savings.pk})[0] == 200
    assert post(by_primary_key(), alice, {"account": bobs_account.pk}) == (400, REJECTED)
    assert post(by_primary_key(), alice, {"account": bobs_account.pk}, unlimited=True)[0] == 200


def test_forgotten_context_changes_nothing(restricted, accounts):
    data = {"account": accounts.savings.pk}
    assert post(by_primary_key(), restricted.secret, data, with_context=False) == (400, REJECTED)


def test_background_job_accepts_every_row(accounts, bobs_account):
    assert by_primary_key()(data={"account": bobs_account.pk}).is_valid()


def test_user_may_be_assigned_to_a_request(alice, accounts, bobs_account):
    request = Request(HttpRequest())
    request.user = alice
    for account, is_valid in ((accounts.savings, True), (bobs_account, False)):
        serializer = by_primary_key()(data={"account": account.pk}, context={"request": request})
        assert serializer.is_valid() == is_valid
    assert request.user == alice


def test_key_decides_if_a_user_is_assigned(restricted, accounts, bob, bobs_account):
    class AssignsUser(AccountScopeMixin, APIView):
        authentication_classes = [ApiKeyAuthentication]

        def initialize_request(self, request, *args, **kwargs):
            request = super().initialize_request(request, *args, **kwargs)
            request.user = bob
            return request

        def get(self, request):
            return Response([account.name for account in self.scoped(Account.objects.all())])

    assert call(AssignsUser, restricted.secret).data == ["Checking"]


def test_rows_of_users_are_limited_to_the_owner(restricted, alice, bob):
    kind = ContentType.objects.get_for_model(Account)
    rows = [LogEntry.objects.create(user=user, content_type=kind, action_flag=1) for user in (alice, bob)]
    serializer_class = type("S", (ScopedSerializer,), {"entry": PrimaryKeyRelatedField(queryset=LogEntry.objects)})
    assert post(serializer_class, restricted.secret, {"entry": rows[0].pk})[0] == 200
    errors = [post(serializer_class, restricted.secret, {"entry": pk}) for pk in (rows[1].pk, 10**6)]
    assert errors == [(400, {"entry": ["There is no such object."]})] * 2


def test_unlimited_callers_name_rows_of_all_users(alice, bob):
    kind = ContentType.objects.get_for_model(Account)
    row = LogEntry.objects.create(user=bob, content_type=kind, action_flag=1)
    serializer_class = type("S", (ScopedSerializer,), {"entry": PrimaryKeyRelatedField(queryset=LogEntry.objects)})
    assert post(serializer_class, alice, {"entry": row.pk}, unlimited=True)[0] == 200


def test_users_name_only_themselves(restricted, alice, bob):
    serializer_class = type("S", (ScopedSerializer,), {"user": PrimaryKeyRelatedField(queryset=User.objects.all())})
    assert post(serializer_class, restricted.secret, {"user": alice.pk})[0] == 200
    assert post(serializer_class, restricted.secret, {"user": bob.pk})[0] == 400


def test_shared_models_must_be_declared(restricted, settings):
    group = Group.objects.create(name="Everyone")
    serializer_class = type("S", (ScopedSerializer,), {"group": PrimaryKeyRelatedField(queryset=Group.objects)})
    with pytest.raises(ImproperlyConfigured, match=r"add 'auth.Group' to FINTA_KEYS_SHARED_MODELS"):
        post(serializer_class, restricted.secret, {"group": group.pk})
    settings.FINTA_KEYS_SHARED_MODELS = ["auth.Group"]
    assert post(serializer_class, restricted.secret, {"group": group.pk})[0] == 200


@isolate_apps("accounts_app")
def test_two_users_need_a_declaration(settings):
    class Loan(models.Model):
        lender = models.ForeignKey(User, models.CASCADE, related_name="+")
        borrower = models.ForeignKey(User, models.CASCADE, related_name="+")

        class Meta:
            app_label = "accounts_app"

        def __str__(self):
            return "loan"

    with pytest.raises(ImproperlyConfigured, match="several foreign keys to users: lender, borrower"):
        owner_lookup(Loan)
    settings.FINTA_KEYS_OWNER_PATHS = {"accounts_app.Loan": "lender"}
    assert owner_lookup(Loan) == "lender"


class LabelSerializer(ScopedModelSerializer):
    class Meta:
        model = Label
        fields = ["account", "name"]


class TransactionSerializer(ScopedModelSerializer):
    class Meta:
        model = Transaction
        fields = ["account", "summary"]


def test_fields_that_drf_makes_are_limited(restricted, accounts):
    for account, status in ((accounts.checking, 200), (accounts.savings, 400)):
        data = {"account": account.pk, "summary": "Rent"}
        assert post(TransactionSerializer, restricted.secret, data)[0] == status


class NewLabelView(AccountScopeMixin, APIView):
    authentication_classes = [ApiKeyAuthentication]

    def post(self, request):
        serializer = LabelSerializer(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response(serializer.data, status=201)


@pytest.mark.rule("S4")
def test_hidden_and_visible_duplicates_get_same_error(extra_tables, restricted, accounts):  # noqa: F811
    Label.objects.create(account=accounts.checking, name="Visible")
    Label.objects.create(account=accounts.savings, name="Hidden")
    responses = {
        name: call(NewLabelView, restricted.secret, "post", {"account": str(accounts.checking.pk), "name": name})
        for name in ("Visible", "Hidden", "New")
    }
    assert [response.status_code for response in responses.values()] == [400, 400, 201]
    assert str(responses["Hidden"].data) == str(responses["Visible"].data)
    assert Label.objects.filter(name="Hidden").count() == 1


def test_unique_validator_does_not_ask_hidden_rows(extra_tables, restricted, accounts):  # noqa: F811
    Label.objects.create(account=accounts.savings, name="Hidden")
    data = {"account": accounts.checking.pk, "name": "Hidden"}
    assert post(LabelSerializer, restricted.secret, data)[0] == 200


class NoteSerializer(ScopedModelSerializer):
    class Meta:
        model = Note
        fields = ["text", "labels"]


def test_update_keeps_relations_to_hidden_rows(extra_tables, restricted, accounts):  # noqa: F811
    note = Note.objects.create(account=accounts.checking, text="Mine")
    visible, hidden, other = (
        Label.objects.create(account=account, name=name)
        for account, name in ((accounts.checking, "a"), (accounts.savings, "b"), (accounts.checking, "c"))
    )
    note.labels.set([visible, hidden])
    status, body = post(NoteSerializer, restricted.secret, {"text": "New", "labels": [other.pk]}, instance=note)
    assert status == 200
    assert f"<Label: {other}>, <Label: {hidden}>" in body["valid"]


class Plain(ModelSerializer):
    name = CharField()

    class Meta:
        model = Account
        fields = ["name"]


def test_serializers_without_relations_stay_as_they_are(restricted):
    scoped = type("S", (ScopedSerializerMixin, Plain), {"Meta": Plain.Meta})
    assert repr(scoped().fields["name"]) == repr(Plain().fields["name"])


def test_other_integrity_errors_are_raised(extra_tables, accounts):  # noqa: F811
    serializer = LabelSerializer(data={"account": accounts.checking.pk, "name": "New"})
    assert serializer.is_valid()
    with pytest.raises(IntegrityError):
        serializer.save(account=None)


class Mixed(ScopedSerializer):
    shown = PrimaryKeyRelatedField(read_only=True)
    inner = by_primary_key()(required=False)
    account = PrimaryKeyRelatedField(queryset=Account.objects.all())


def test_read_only_and_scoped_fields_are_unchanged(restricted, accounts):
    assert post(Mixed, restricted.secret, {"account": accounts.checking.pk})[0] == 200
