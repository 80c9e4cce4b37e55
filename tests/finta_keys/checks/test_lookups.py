"""System checks of the lookups of scoped views: search, filters and ordering."""

import pytest
from django.db import models
from django.test.utils import isolate_apps
from django_filters import CharFilter, FilterSet, ModelChoiceFilter, OrderingFilter
from rest_framework import filters
from rest_framework.generics import ListAPIView
from rest_framework.serializers import ModelSerializer

from accounts_app.models import Account, Transaction
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.checks import lookups
from finta_keys.scoping import AccountScopeMixin
from tests.finta_keys.checks.test_relations import TransactionList, messages
from tests.finta_keys.extra_models import Note

with isolate_apps("accounts_app") as isolated:

    class Visit(models.Model):
        """Two rows of an account: one is on the path of its views, the other may be hidden."""

        account = models.ForeignKey(Account, models.CASCADE, related_name="+")
        other = models.ForeignKey(Account, models.CASCADE, related_name="+")
        note = models.ForeignKey(Note, models.CASCADE, related_name="+")  # without an ordering
        previous = models.ForeignKey("self", models.CASCADE, related_name="+")

        class Meta:
            app_label = "accounts_app"
            ordering = [models.F("other__mask").desc(), "-other", models.functions.Lower("pk")]

        def __str__(self):
            return str(self.pk)

    isolated.do_pending_operations(Account)


class OfVisit(ModelSerializer):
    class Meta:
        model = Visit
        fields = ["other"]


class VisitList(AccountScopeMixin, ListAPIView):
    authentication_classes = [ApiKeyAuthentication]
    queryset = Visit.objects.all()
    account_path = "account"
    filter_backends = []


class ByOtherKeys(FilterSet):
    key = ModelChoiceFilter(field_name="account__finta_keys", queryset=Account.objects.all())
    order = OrderingFilter(fields=["summary"])

    class Meta:
        model = Transaction
        fields = []


class ByLookUp(FilterSet):
    name = CharFilter(field_name="other", lookup_expr="name__icontains")
    text = CharFilter(method="ignore")

    class Meta:
        model = Visit
        fields = []


class InOrder(FilterSet):
    order = OrderingFilter(fields=[("other__mask", "mask"), ("account__mask", "own_mask")])

    class Meta:
        model = Visit
        fields = []


def made(base, options):
    return type("Made", (base,), options).as_view()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"search_fields": ["summary", "^account__transactions__summary"]}, "account__transactions__summary"),
        ({"ordering_fields": ["account__owner__accounts__name"]}, "account__owner__accounts__name"),
        ({"ordering": "-account__finta_keys__hint"}, "account__finta_keys__hint"),
        ({"lookup_field": "account__finta_keys__name"}, "account__finta_keys__name"),
        ({"filterset_fields": ["account__finta_keys"]}, "account__finta_keys"),
        ({"filterset_fields": "__all__", "queryset": Note.objects.all()}, "labels"),
        ({"filterset_class": ByOtherKeys}, "account__finta_keys"),
        (
            {"search_fields": ["account__finta_keys"], "queryset": None, "serializer_class": OfVisit},
            "account__finta_keys",
        ),
        ({"filterset_class": ByOtherKeys, "queryset": None}, "account__finta_keys"),
        ({"search_fields": ["account__finta_keys"], "queryset": None}, None),
        ({"search_fields": ["account__name", "=summary"], "ordering_fields": "__all__"}, None),
        ({"ordering_fields": ["-summary", "account__owner__email"]}, None),
    ],
)
def test_to_many_look_ups_are_found(options, name, settings):
    findings = messages(settings, lookups.check_to_many_lookups, made(TransactionList, options))
    assert [message.id for message in findings] == (["finta_keys.E025"] if name else [])
    assert all(repr(name) in message.msg for message in findings)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"search_fields": ["account__name", "text"]}, []),
        ({"search_fields": ["transaction__summary"]}, ["transaction__summary"]),
        ({"ordering_fields": ["transaction__account__name"]}, ["transaction__account__name"]),
        ({"ordering_fields": ["transaction_id", "transaction__id"]}, []),
        ({"search_fields": ["labels__name"]}, []),  # E025
        ({"search_fields": ["account__owner__email"]}, []),
        (
            {"search_fields": ["account__name", "transaction__summary"], "account_path": "transaction__account"},
            ["account__name"],
        ),
    ],
)
def test_look_ups_off_the_path_are_found(options, names, settings):
    assert found(made(TransactionList, {"queryset": Note.objects.all(), **options}), settings) == names


def found(view, settings):
    """Return the lookups off the path that the check names."""
    findings = messages(settings, lookups.check_other_paths, view)
    assert {message.id for message in findings} <= {"finta_keys.W027"}
    return [message.msg.partition("orders by '")[2].partition("'")[0] for message in findings]


OTHER = ["other__institution_name", "other__name"]  # the ordering of accounts
EVERY_ORDER = [*OTHER, "previous__other__mask", *(f"previous__{name}" for name in OTHER), "previous__other__pk"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"ordering_fields": ["other", "account", "note"]}, OTHER),
        ({"ordering": ["other_id", "-other"]}, OTHER),
        ({"ordering_fields": ["previous"]}, EVERY_ORDER[2:]),
        ({"ordering_fields": "__all__", "filter_backends": [filters.OrderingFilter]}, EVERY_ORDER),
        ({"filter_backends": [filters.OrderingFilter], "serializer_class": OfVisit}, EVERY_ORDER),
        ({"filter_backends": [filters.OrderingFilter], "ordering_fields": ["account"]}, []),
        ({"filter_backends": [filters.OrderingFilter], "queryset": None}, []),
        ({"ordering_fields": "__all__"}, []),
        ({"lookup_field": "other__name"}, ["other__name"]),
        ({"filterset_class": ByLookUp}, ["other__name__icontains"]),
        ({"filterset_class": InOrder}, ["other__mask"]),
        ({"search_fields": 7}, []),
    ],
)
def test_hidden_columns_of_look_ups_are_found(options, names, settings):
    assert found(made(VisitList, options), settings) == names
