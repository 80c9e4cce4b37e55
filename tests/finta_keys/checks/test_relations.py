"""System checks of the relations that scoped views accept and filter by."""

import sys

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.db import models
from django.test.utils import isolate_apps
from django.urls import path
from django_filters import (
    AllValuesFilter,
    CharFilter,
    FilterSet,
    ModelChoiceFilter,
    ModelMultipleChoiceFilter,
)
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.filters import SearchFilter
from rest_framework.generics import CreateAPIView, ListAPIView
from rest_framework.serializers import (
    ListField,
    ModelSerializer,
    PrimaryKeyRelatedField,
    Serializer,
    SlugRelatedField,
    UUIDField,
)
from rest_framework.views import APIView

from accounts_app.models import Account, Transaction, User
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.checks import lookups, relations
from finta_keys.fields import AccountRelatedField
from finta_keys.filters import ScopedFilterBackend
from finta_keys.scoping import AccountScopeMixin
from finta_keys.serializers import ScopedModelSerializer, ScopedSerializerMixin


class NewTransaction(AccountScopeMixin, CreateAPIView):
    authentication_classes = [ApiKeyAuthentication]
    queryset = Transaction.objects.all()
    account_path = "account"


class OtherTransaction(NewTransaction):
    """Another view with the same serializer."""


class TransactionUpdate(NewTransaction):
    """A third one."""


class TransactionList(AccountScopeMixin, ListAPIView):
    authentication_classes = [ApiKeyAuthentication]
    queryset = Transaction.objects.all()
    account_path = "account"
    filter_backends = [DjangoFilterBackend]
    filterset_fields = None
    filterset_class = None
    search_fields = None
    ordering_fields = None


def any_account(**options):
    return PrimaryKeyRelatedField(queryset=Account.objects.all(), **options)


def serializer(*bases, **fields):
    return type("Made", (*bases, Serializer), fields)


class OfModel(ModelSerializer):
    class Meta:
        model = Transaction
        fields = "__all__"


class ReadOnlyRelation(OfModel):
    class Meta(OfModel.Meta):
        read_only_fields = ["account"]


class ReadOnlyByOption(OfModel):
    class Meta(OfModel.Meta):
        extra_kwargs = {"account": {"read_only": True}}


class WithoutRelation(OfModel):
    class Meta(OfModel.Meta):
        fields = ["summary"]


class WithAccountField(OfModel):
    account = AccountRelatedField()


class ScopedOfModel(ScopedModelSerializer, OfModel):
    class Meta(OfModel.Meta):
        pass


def with_column(*bases, **options):
    meta = type("Meta", (), {"model": Transaction, "fields": ["column", "summary"]})
    return type("Made", (*bases, ModelSerializer), {"column": UUIDField(**options), "Meta": meta})


def messages(settings, check, *views):
    settings.ROOT_URLCONF = tuple(path(f"rows/{number}", view) for number, view in enumerate(views))
    return check(None)


@pytest.mark.parametrize(
    ("serializer_class", "names"),
    [
        (OfModel, "account"),
        (serializer(account=any_account()), "account"),
        (serializer(accounts=any_account(many=True)), "accounts"),
        (serializer(accounts=ListField(child=ListField(child=any_account()))), "accounts"),
        (serializer(account=SlugRelatedField("name", queryset=Account.objects.all())), "account"),
        (serializer(inner=serializer(account=any_account())()), "inner"),
        (serializer(inner=OfModel(many=True)), "inner"),
        (serializer(user=PrimaryKeyRelatedField(queryset=User.objects.all())), "user"),
        (with_column(source="account_id"), "column"),
        (with_column(ScopedSerializerMixin, source="account_id"), "column"),
        (serializer(entry=PrimaryKeyRelatedField(queryset=LogEntry.objects.all())), "entry"),
    ],
)
def test_open_relations_are_found(serializer_class, names, settings):
    view = NewTransaction.as_view(serializer_class=serializer_class)
    (message,) = messages(settings, relations.check_serializers, view)
    name = f"{serializer_class.__module__}.{serializer_class.__qualname__}"
    assert message.id == "finta_keys.E017"
    assert message.msg.endswith(f"uses {name}, which accepts rows that the caller may not access: {names}.")
    assert message.hint.startswith("Use ScopedModelSerializer")


def test_hint_is_printed_once(settings):
    views = [view.as_view(serializer_class=OfModel) for view in (NewTransaction, OtherTransaction, TransactionUpdate)]
    hints = [message.hint is None for message in messages(settings, relations.check_serializers, *views)]
    assert hints == [False, True, True]
    settings.SILENCED_SYSTEM_CHECKS = [f"finta_keys.E017:{__name__}.NewTransaction"]
    shown = [m for m in messages(settings, relations.check_serializers, *views) if not m.is_silenced()]
    assert [message.hint is None for message in shown] == [False, True]


@pytest.mark.parametrize(
    "serializer_class",
    [
        ReadOnlyRelation,
        ReadOnlyByOption,
        WithoutRelation,
        WithAccountField,
        ScopedOfModel,
        with_column(source="provider_id"),
        with_column(source="account_id", read_only=True),
        serializer(ScopedSerializerMixin, account=any_account()),
        serializer(accounts=AccountRelatedField(many=True)),
        serializer(account=PrimaryKeyRelatedField(read_only=True)),
        serializer(inner=OfModel(read_only=True)),
        None,
    ],
)
def test_limited_relations_pass(serializer_class, settings):
    view = NewTransaction.as_view(serializer_class=serializer_class)
    assert messages(settings, relations.check_serializers, view) == []


def test_relations_to_shared_models_pass(settings):
    settings.FINTA_KEYS_SHARED_MODELS = ["admin.LogEntry"]
    for model in (LogEntry, Group):  # Groups belong to no one.
        made = serializer(rows=PrimaryKeyRelatedField(queryset=model.objects.all()))
        assert messages(settings, relations.check_serializers, NewTransaction.as_view(serializer_class=made)) == []


def test_paths_of_one_view_are_one_finding(settings):
    views = [NewTransaction.as_view(serializer_class=OfModel)] * 2
    assert len(messages(settings, relations.check_serializers, *views)) == 1
    views.append(OtherTransaction.as_view(serializer_class=OfModel))
    assert len(messages(settings, relations.check_serializers, *views)) == 2


def test_views_without_body_pass(settings):
    view = TransactionList.as_view(serializer_class=OfModel)
    assert messages(settings, relations.check_serializers, view) == []


def test_serializers_are_not_instantiated(settings):
    class NeedsRequest(OfModel):
        def __init__(self, *args, **kwargs):
            raise AssertionError("A check must not create serializers.")

    view = NewTransaction.as_view(serializer_class=NeedsRequest)
    assert len(messages(settings, relations.check_serializers, view)) == 1


class PlainView(AccountScopeMixin, APIView):
    authentication_classes = [ApiKeyAuthentication]

    def post(self, request):
        raise NotImplementedError

    put = patch = post


@pytest.mark.parametrize(
    "check",
    [
        relations.check_serializers,
        relations.check_related_models,
        relations.check_primary_keys,
        relations.check_filters,
        lookups.check_to_many_lookups,
        lookups.check_other_paths,
    ],
)
def test_plain_api_views_pass(check, settings):
    assert messages(settings, check, PlainView.as_view()) == []


@isolate_apps("accounts_app")
def test_undeclared_models_are_found(settings):
    class Town(models.Model):
        class Meta:
            app_label = "accounts_app"

        def __str__(self):
            return "town"

    class Branch(models.Model):
        account = models.ForeignKey(Account, models.CASCADE, related_name="+")
        town = models.ForeignKey(Town, models.CASCADE)

        class Meta:
            app_label = "accounts_app"

        def __str__(self):
            return "branch"

    class BranchSerializer(ScopedModelSerializer):
        class Meta:
            model = Branch
            fields = ["account", "town"]

    view = NewTransaction.as_view(serializer_class=BranchSerializer)
    (message,) = messages(settings, relations.check_related_models, view)
    assert message.id == "finta_keys.E026"
    assert "add 'accounts_app.Town' to FINTA_KEYS_SHARED_MODELS" in message.msg
    settings.FINTA_KEYS_SHARED_MODELS = ["accounts_app.Town"]
    assert messages(settings, relations.check_related_models, view) == []


class ChoosesKey(ModelSerializer):
    id = UUIDField(validators=[])

    class Meta:
        model = Transaction
        fields = ["id", "summary"]


class ReadsKey(ChoosesKey):
    id = UUIDField(read_only=True)


class OfGroups(ModelSerializer):
    id = UUIDField()

    class Meta:
        model = Group
        fields = ["id"]


@pytest.mark.parametrize(
    ("serializer_class", "ids"),
    [(ChoosesKey, ["finta_keys.W021"]), (ReadsKey, []), (OfModel, []), (OfGroups, []), (None, [])],
)
def test_writable_primary_key_is_found(serializer_class, ids, settings):
    view = NewTransaction.as_view(serializer_class=serializer_class)
    assert [message.id for message in messages(settings, relations.check_primary_keys, view)] == ids


class ByAccount(FilterSet):
    account = ModelChoiceFilter(queryset=lambda request: Account.objects.all())


class ByAccounts(FilterSet):
    several = ModelMultipleChoiceFilter(field_name="account", queryset=Account.objects.all())


class ByValues(FilterSet):
    summary = AllValuesFilter()


class ByText(FilterSet):
    text = CharFilter(field_name="summary")


class ProjectBackend(DjangoFilterBackend):
    pass


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"filterset_fields": ["account", "summary"]}, "account"),
        ({"filterset_fields": {"account": ["exact", "in"]}}, "account"),
        ({"filterset_fields": "__all__"}, "account"),
        ({"filterset_fields": "__all__", "queryset": None}, ""),
        ({"filterset_class": ByAccount}, "account"),
        ({"filterset_class": ByAccounts}, "several"),
        ({"filterset_class": ByValues}, "summary"),
        ({"filterset_class": ByAccount, "filter_backends": [SearchFilter, ProjectBackend]}, "account"),
        ({"filterset_fields": ["summary", "no_such_field"]}, ""),
        ({"filterset_class": ByAccount, "filter_backends": [ScopedFilterBackend]}, ""),
        ({"filterset_fields": ["account"], "filter_backends": [SearchFilter]}, ""),
        ({"filterset_class": ByText}, ""),
        ({"filterset_fields": ["account"], "queryset": None}, ""),
        ({"filterset_fields": ["account"], "queryset": None, "serializer_class": OfModel}, "account"),
        ({}, ""),
    ],
)
def test_open_filters_are_found(options, names, settings):
    findings = messages(settings, relations.check_filters, TransactionList.as_view(**options))
    texts = [message.msg.partition("may not access: ")[2].partition(".")[0] for message in findings]
    assert texts == ([names] if names else [])
    assert all(message.id == "finta_keys.W019" for message in findings)


def test_filter_check_works_without_django_filter(settings, monkeypatch):
    monkeypatch.setattr("finta_keys.checks.relations.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "django_filters", None)
    view = TransactionList.as_view(filterset_fields=["account"])
    assert messages(settings, relations.check_filters, view) == []


def test_relations_of_the_site_pass():
    checks = (
        relations.check_serializers,
        relations.check_filters,
        lookups.check_to_many_lookups,
        lookups.check_other_paths,
    )
    assert [message for check in checks for message in check(None)] == []
