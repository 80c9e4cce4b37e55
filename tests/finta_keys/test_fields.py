"""What a key may write and filter by: ``AccountRelatedField``, and the checks that find what takes any account."""

import json
import sys
import uuid
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core import checks as django_checks
from django.test.utils import isolate_apps
from django.urls import path
from django_filters import (
    AllValuesFilter,
    AllValuesMultipleFilter,
    FilterSet,
    ModelChoiceFilter,
    ModelMultipleChoiceFilter,
)
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ValidationError
from rest_framework.filters import SearchFilter
from rest_framework.generics import CreateAPIView, ListAPIView, UpdateAPIView
from rest_framework.serializers import (
    HiddenField,
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
from finta_keys.checks import relations
from finta_keys.fields import AccountRelatedField
from finta_keys.models import ApiKey, KeyAccountScope
from finta_keys.scoping import AccountScopeMixin, scoped
from finta_keys.testing import make_key
from tests.factories import TransactionFactory
from tests.finta_keys.urls_beside import AnyAccount, Filtered, TransactionSerializer, TransactionViewSet

MALFORMED = ["malformed", "", 1, 1.5, True, [], {}, [[]], "\x00", "1" * 5000, float("inf"), -1]


def choosing(key, **options):
    """Return a serializer class with one relation, and what it needs to serve ``key``."""

    class Choosing(Serializer):
        account = AccountRelatedField(**options)

    request = SimpleNamespace(auth=key, successful_authenticator=object() if key else None, user=AnonymousUser())
    return lambda **kwargs: Choosing(context={"request": request}, **kwargs)


def answer(make, value):
    serializer = make(data={"account": value})
    return serializer.is_valid(), json.dumps(serializer.errors), [e.code for e in serializer.errors.get("account", [])]


def test_S3_a_visible_account_is_taken(restricted, accounts):
    serializer = choosing(restricted.key)(data={"account": str(accounts.checking.pk)})
    assert serializer.is_valid()
    assert serializer.validated_data == {"account": accounts.checking}


def test_S4_what_is_not_seen_gets_one_answer(restricted, accounts, bobs_account):
    make = choosing(restricted.key)
    unseen = [str(accounts.savings.pk), str(bobs_account.pk), str(uuid.uuid4()), *(v for v in MALFORMED if v != "")]
    assert {str(answer(make, value)) for value in unseen} == {
        str((False, '{"account": ["There is no such object."]}', ["does_not_exist"]))
    }


def test_S4_hidden_and_missing_cost_the_same_queries(restricted, accounts, bobs_account, django_assert_num_queries):
    for value in (accounts.savings.pk, bobs_account.pk, uuid.uuid4()):
        with django_assert_num_queries(1):
            answer(choosing(restricted.key), str(value))


def test_S4_integer_keys_that_do_not_fit_get_that_answer_too(restricted, unrestricted):
    make = choosing(restricted.key, queryset=KeyAccountScope.objects.all(), account_path="account")
    seen = KeyAccountScope.objects.get()
    assert answer(make, seen.pk)[0]
    assert answer(make, str(seen.pk))[0]
    unseen = [0, 10**30, float("inf"), "malformed", str(uuid.uuid4())]
    assert {answer(make, value)[1] for value in unseen} == {'{"account": ["There is no such object."]}'}


def test_S3_many_takes_what_is_seen_only(restricted, accounts):
    make = choosing(restricted.key, many=True)
    assert answer(make, [str(accounts.checking.pk)])[0]
    hidden = [answer(make, [str(accounts.checking.pk), str(pk)]) for pk in (accounts.savings.pk, uuid.uuid4(), "x")]
    assert len({error for _, error, _ in hidden}) == 1
    assert not any(good for good, *_ in hidden)


class WithAccounts(ModelSerializer):
    """Of a row that is related to several accounts, such as a key."""

    accounts = AccountRelatedField(many=True)

    class Meta:
        model = ApiKey
        fields = ["accounts"]


def choose_anew(row, caller, chosen, made=WithAccounts):
    """Save what ``caller`` chooses for ``row``, and return the accounts that it has then."""
    request = SimpleNamespace(auth=caller, successful_authenticator=object(), method="PUT")
    serializer = made(row, data={"accounts": [str(account.pk) for account in chosen]}, context={"request": request})
    serializer.is_valid(raise_exception=True)
    row.accounts.set(serializer.validated_data["accounts"])  # as update() does; a key cannot be saved whole
    return set(row.accounts.values_list("name", flat=True))


@pytest.fixture
def row(alice, accounts):
    return make_key(alice, accounts=[accounts.savings, accounts.checking])[0]


def test_S3_choosing_several_anew_leaves_what_is_hidden_as_it_is(row, restricted, accounts):
    assert choose_anew(row, restricted.key, []) == {"Savings"}
    assert choose_anew(row, restricted.key, [accounts.checking]) == {"Savings", "Checking"}


def test_S3_what_is_hidden_is_known_where_it_was_fetched_before(row, restricted, accounts):
    row = ApiKey.objects.prefetch_related("accounts").get(pk=row.pk)
    assert choose_anew(row, restricted.key, []) == {"Savings"}


def test_choosing_several_anew_replaces_what_is_seen(row, unrestricted, accounts):
    assert choose_anew(row, unrestricted.key, [accounts.cash]) == {"Cash"}
    assert choose_anew(row, None, []) == set()  # let in otherwise


def test_choosing_several_keeps_to_one_row_and_to_relations_of_it(row, restricted, accounts):
    class Listed(Serializer):
        accounts = AccountRelatedField(many=True, source="name")

    request = SimpleNamespace(auth=restricted.key, method="PUT")
    chosen = {"accounts": [str(accounts.checking.pk)]}
    for made in (
        Listed(row, data=chosen, context={"request": request}),
        WithAccounts(data=chosen, context={"request": request}),
        WithAccounts(ApiKey(pk=None), data=chosen, context={"request": request}),
        WithAccounts([row], data=[chosen], many=True, context={"request": request}),
    ):
        assert made.is_valid()
        (validated,) = made.validated_data if isinstance(made.validated_data, list) else [made.validated_data]
        assert list(validated.values()) == [[accounts.checking]]


def test_several_may_be_within_a_list_or_in_no_serializer(accounts):
    class Lists(Serializer):
        lists = ListField(child=AccountRelatedField(many=True))

    request = SimpleNamespace(auth=None, successful_authenticator=object())
    serializer = Lists(data={"lists": [[str(accounts.cash.pk)], []]}, context={"request": request})
    assert serializer.is_valid()
    assert serializer.validated_data == {"lists": [[accounts.cash], []]}
    assert AccountRelatedField(many=True).run_validation([]) == []


def test_S4_choosing_a_hidden_account_that_is_chosen_already_is_refused_like_none(row, restricted, accounts):
    for account in (accounts.savings, SimpleNamespace(pk=uuid.uuid4())):
        with pytest.raises(ValidationError) as refused:
            choose_anew(row, restricted.key, [account])
        assert refused.value.get_codes() == {"accounts": ["does_not_exist"]}


def test_the_arguments_of_several_work(row, restricted, accounts):
    class AtLeastOne(WithAccounts):
        accounts = AccountRelatedField(many=True, allow_empty=False, help_text="one")

    assert AtLeastOne().fields["accounts"].help_text == "one"
    with pytest.raises(ValidationError) as refused:
        choose_anew(row, restricted.key, [], AtLeastOne)
    assert refused.value.get_codes() == {"accounts": ["empty"]}


def test_S3_a_list_of_serializers_takes_what_is_seen_only(restricted, accounts):
    make = choosing(restricted.key)
    rows = [{"account": str(accounts.checking.pk)}, {"account": str(accounts.savings.pk)}]
    serializer = make(data=rows, many=True)
    assert not serializer.is_valid()
    assert json.dumps(serializer.errors).count('{"account": ["There is no such object."]}') == 1


def test_S3_a_relation_to_another_model_uses_its_path(restricted, accounts):
    make = choosing(restricted.key, queryset=Transaction.objects.all(), account_path="account")
    seen, hidden = TransactionFactory(account=accounts.checking), TransactionFactory(account=accounts.savings)
    assert answer(make, str(seen.pk))[0]
    assert answer(make, str(hidden.pk)) == answer(make, str(uuid.uuid4()))


def test_S3_its_own_queryset_is_narrowed_further(restricted, accounts):
    make = choosing(restricted.key, queryset=Account.objects.exclude(name="Checking"))
    assert answer(make, str(accounts.checking.pk)) == answer(make, str(uuid.uuid4()))


def test_S3_the_choices_are_what_is_seen(restricted, unrestricted, accounts, bobs_account):
    assert list(choosing(restricted.key)().fields["account"].choices) == [accounts.checking.pk]
    assert len(choosing(unrestricted.key)().fields["account"].choices) == 3
    many = choosing(restricted.key, many=True)().fields["account"]
    assert list(many.choices) == [accounts.checking.pk]
    assert [option.value for option in choosing(restricted.key, html_cutoff=5)().fields["account"].iter_options()] == [
        accounts.checking.pk
    ]


def test_S3_nothing_is_taken_from_nobody_and_without_a_request(restricted, accounts):
    assert not answer(choosing(None), str(accounts.checking.pk))[0]

    class Alone(Serializer):
        account = AccountRelatedField()

    assert not Alone(data={"account": str(accounts.checking.pk)}).is_valid()


def test_others_choose_from_the_fields_own_queryset(accounts, bobs_account):
    class Choosing(Serializer):
        account = AccountRelatedField(queryset=Account.objects.exclude(name="Bob's"))

    request = SimpleNamespace(auth=None, successful_authenticator=object())
    make = lambda **kwargs: Choosing(context={"request": request}, **kwargs)  # noqa: E731
    assert answer(make, str(accounts.savings.pk))[0]
    assert not answer(make, str(bobs_account.pk))[0]


def test_the_fields_other_arguments_work(restricted, accounts):
    make = choosing(restricted.key, allow_null=True, required=False, pk_field=UUIDField(format="hex"))
    assert make(data={}).is_valid()
    assert answer(make, None)[0]
    assert answer(make, "malformed") == answer(make, str(accounts.savings.pk))
    assert make(instance={"account": accounts.savings}).data == {"account": accounts.savings.pk.hex}


def test_a_read_only_field_shows_and_offers_nothing(restricted, accounts):
    make = choosing(restricted.key, read_only=True)
    assert make(instance={"account": accounts.checking}).data == {"account": accounts.checking.pk}
    assert make().fields["account"].choices == {}


def test_the_error_is_raised_as_drf_does(restricted):
    field = choosing(restricted.key)().fields["account"]
    with pytest.raises(ValidationError) as error:
        field.run_validation("malformed")
    assert error.value.get_codes() == ["does_not_exist"]


def test_S4_a_message_of_the_host_quotes_no_value(restricted, accounts):
    make = choosing(restricted.key, error_messages={"does_not_exist": "No {pk_value}."})
    assert {answer(make, str(pk))[1] for pk in (accounts.savings.pk, uuid.uuid4())} == {
        json.dumps({"account": ["No …."]})
    }


@pytest.mark.parametrize(("method", "counts"), [("POST", True), ("PATCH", False), ("GET", False)])
def test_S7_what_a_field_takes_vouches_for_what_is_created_only(restricted, accounts, method, counts):
    class Choosing(Serializer):
        account = AccountRelatedField()

    request = SimpleNamespace(auth=restricted.key, method=method)
    assert Choosing(data={"account": str(accounts.checking.pk)}, context={"request": request}).is_valid()
    assert hasattr(request, "was_narrowed") == counts


# --- the checks ------------------------------------------------------------------------------------------------------


class Writes(AccountScopeMixin, CreateAPIView):
    authentication_classes = [ApiKeyAuthentication]
    queryset = Transaction.objects.all()
    account_path = "account"


class Rows(AccountScopeMixin, UpdateAPIView):
    """Of a model that reaches the account by a row between."""

    authentication_classes = [ApiKeyAuthentication]
    queryset = KeyAccountScope.objects.all()
    account_path = "account"


def any_account(**options):
    return PrimaryKeyRelatedField(queryset=Account.objects.all(), **options)


def serializer(**fields):
    return type("Made", (Serializer,), fields)


class OfModel(ModelSerializer):
    class Meta:
        model = Transaction
        fields = "__all__"


class Overridden(PrimaryKeyRelatedField):
    def get_queryset(self):
        return scoped(self.context.get("request"), Account.objects.all())


class NeedsARequest(Serializer):
    account = any_account()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields.pop(self.context["request"].query_params["without"])


def field_messages(settings, *views):
    settings.ROOT_URLCONF = tuple(path(f"rows/{number}", view) for number, view in enumerate(views))
    messages = relations.check_related_fields(None)
    assert {message.id for message in messages} <= {"finta_keys.E017"}
    return messages


def fields_found(settings, made, view=Writes):
    messages = field_messages(settings, view.as_view(serializer_class=made))
    return [message.msg.partition("in the field ")[2].partition(",")[0].strip("'") for message in messages]


@pytest.mark.parametrize(
    ("made", "names"),
    [
        (OfModel, ["account"]),
        (serializer(account=any_account()), ["account"]),
        (serializer(other=any_account(source="account")), ["other"]),
        (serializer(accounts=any_account(many=True)), ["accounts"]),
        (serializer(accounts=ListField(child=any_account())), ["accounts"]),
        (serializer(accounts=ListField(child=ListField(child=any_account()))), ["accounts"]),
        (serializer(account=SlugRelatedField("name", queryset=Account.objects.all())), ["account"]),
        (serializer(inner=serializer(account=any_account())()), ["inner.account"]),
        (serializer(inner=serializer(account=any_account())(many=True)), ["inner.account"]),
        (serializer(inner=OfModel(many=True)), ["inner.account"]),
    ],
)
def test_E017_a_field_that_takes_any_account_is_found(settings, made, names):
    assert fields_found(settings, made) == names


@pytest.mark.parametrize(
    "made",
    [
        TransactionSerializer,
        serializer(account=AccountRelatedField()),
        serializer(accounts=AccountRelatedField(many=True)),
        serializer(account=Overridden(queryset=Account.objects.all())),
        serializer(account=AccountRelatedField(queryset=Account.objects.all())),
        serializer(account=PrimaryKeyRelatedField(read_only=True)),
        serializer(inner=OfModel(read_only=True)),
        serializer(user=PrimaryKeyRelatedField(queryset=User.objects.all())),
        NeedsARequest,
        None,
    ],
)
def test_E017_other_fields_are_fine(settings, made):
    assert fields_found(settings, made) == []


def test_E017_a_row_of_an_account_is_found_wherever_it_lies_and_the_way_to_the_account_is_told(settings):
    row = PrimaryKeyRelatedField(queryset=Transaction.objects.all())
    for made in (serializer(other=row), serializer(inner=serializer(other=row)())):
        (message,) = field_messages(settings, Rows.as_view(serializer_class=made))
        field = 'other = AccountRelatedField(queryset=Transaction.objects.all(), account_path="account")'
        assert f"Write {field} in its serializer" in message.hint


def test_E017_a_view_that_takes_no_body_is_fine(settings):
    class Lists(AccountScopeMixin, ListAPIView):
        authentication_classes = [ApiKeyAuthentication]
        queryset = Transaction.objects.all()
        account_path = "account"

    assert fields_found(settings, OfModel, Lists) == []
    assert not field_messages(settings, AnyAccount.as_view({"get": "list"}))
    assert len(field_messages(settings, AnyAccount.as_view({"get": "list", "post": "create"}))) == 1


class ByAction(AnyAccount):
    def get_serializer_class(self):
        return {"update": OfModel}.get(self.action, TransactionSerializer)


class ByMethod(Writes):
    def get_serializer_class(self):
        return OfModel if self.request.method == "POST" else TransactionSerializer


class ByUser(Writes):
    serializer_class = OfModel

    def get_serializer_class(self):
        return OfModel if self.request.user.is_active else TransactionSerializer


def test_E017_serializers_that_depend_on_action_and_method_are_found(settings):
    assert len(field_messages(settings, ByAction.as_view({"get": "list", "put": "update"}))) == 1
    assert not field_messages(settings, ByAction.as_view({"get": "list", "post": "create"}))
    assert len(field_messages(settings, ByMethod.as_view())) == 1


class ByUserAlone(ByUser):
    serializer_class = None


class ByUserOrPlain(ByUser):
    def get_serializer_class(self):
        return super().get_serializer_class() if self.request.user.is_active else OfModel


def test_E017_where_a_caller_decides_the_serializer_of_the_class_is_looked_at(settings):
    assert len(field_messages(settings, ByUser.as_view())) == 1
    assert not field_messages(settings, ByUserOrPlain.as_view(serializer_class=TransactionSerializer))
    assert not field_messages(settings, ByUserAlone.as_view())


class PlainView(AccountScopeMixin, APIView):
    """A view without ``get_serializer_class()``."""

    authentication_classes = [ApiKeyAuthentication]

    def post(self, request):
        raise NotImplementedError

    put = patch = post


class PlainViewWithSerializer(PlainView):
    serializer_class = OfModel


def test_checks_accept_plain_api_views(settings):
    assert not field_messages(settings, PlainView.as_view())
    assert not relations.check_primary_keys_are_not_taken(None)
    assert not relations.check_owner_is_not_taken(None)


def test_checks_read_serializer_class_of_plain_api_views(settings):
    assert len(field_messages(settings, PlainViewWithSerializer.as_view())) == 1


def test_E017_is_told_once_and_says_what_to_do(settings):
    several = [AnyAccount.as_view({"post": "create"}), AnyAccount.as_view({"put": "update", "patch": "partial_update"})]
    (message,) = field_messages(settings, *several)
    assert isinstance(message, django_checks.Error)
    assert message.msg == (
        "tests.finta_keys.urls_beside.AnyAccount at 'rows/0' takes any accounts_app.Account in the field 'account', "
        "not only what the key may see."
    )
    assert "account = AccountRelatedField() in its serializer" in message.hint
    assert not field_messages(settings, TransactionViewSet.as_view({"post": "create"}))


class ByColumn(ModelSerializer):
    account_id = UUIDField()

    class Meta:
        model = Transaction
        fields = ["account_id", "summary"]


class ByColumnHidden(ByColumn):
    account_id = HiddenField(default=None)


class ByColumnToRead(ByColumn):
    account_id = UUIDField(read_only=True)


def test_E017_a_column_that_takes_any_account_is_found(settings):
    (message,) = field_messages(settings, Writes.as_view(serializer_class=ByColumn))
    assert "takes any accounts_app.Account in the field 'account_id'" in message.msg
    assert "Write account = AccountRelatedField() in its serializer" in message.hint
    assert fields_found(settings, serializer(inner=ByColumn())) == ["inner.account_id"]
    for made in (ByColumnHidden, ByColumnToRead, serializer(account_id=UUIDField())):
        assert fields_found(settings, made) == []


# --- W021 ------------------------------------------------------------------------------------------------------------


class ChoosesItsKey(ModelSerializer):
    id = UUIDField(validators=[])

    class Meta:
        model = Transaction
        fields = ["id", "summary"]


class ChoosesItsKeyByAnotherName(ChoosesItsKey):
    id = None
    number = UUIDField(source="pk")

    class Meta(ChoosesItsKey.Meta):
        fields = ["number"]


class ReadsItsKey(ChoosesItsKey):
    id = UUIDField(read_only=True)


class ChoosesNoKeyOfAnAccount(ChoosesItsKey):
    class Meta(ChoosesItsKey.Meta):
        model = User
        fields = ["id"]


@pytest.mark.parametrize(
    ("made", "names"),
    [
        (ChoosesItsKey, ["id"]),
        (ChoosesItsKeyByAnotherName, ["number"]),
        (serializer(inner=ChoosesItsKey()), ["inner.id"]),
        (ReadsItsKey, []),
        (ChoosesNoKeyOfAnAccount, []),
        (OfModel, []),
        (serializer(id=UUIDField()), []),
    ],
)
def test_W021_a_primary_key_that_a_key_may_choose_is_found(settings, made, names):
    settings.ROOT_URLCONF = (path("rows", Writes.as_view(serializer_class=made)),)
    messages = relations.check_primary_keys_are_not_taken(None)
    assert [message.msg.partition("in the field ")[2].partition(":")[0].strip("'") for message in messages] == names
    assert all(message.id == "finta_keys.W021" and "read only" in message.hint for message in messages)


# --- W020 ------------------------------------------------------------------------------------------------------------


class AccountWithOwner(ModelSerializer):
    class Meta:
        model = Account
        fields = ["id", "name", "owner"]


class AccountWithOwnerToRead(ModelSerializer):
    class Meta(AccountWithOwner.Meta):
        read_only_fields = ["owner"]


class WritesAccounts(AccountScopeMixin, CreateAPIView):
    authentication_classes = [ApiKeyAuthentication]
    queryset = Account.objects.all()


def owners_found(settings, view):
    settings.ROOT_URLCONF = (path("rows", view),)
    return relations.check_owner_is_not_taken(None)


def test_W020_an_owner_that_a_key_may_choose_is_found(settings):
    (message,) = owners_found(settings, WritesAccounts.as_view(serializer_class=AccountWithOwner))
    assert message.id == "finta_keys.W020"
    assert "takes any user in the field 'owner'" in message.msg
    assert "owner=request.user" in message.hint


def test_W020_the_column_of_the_owner_is_found(settings):
    class AccountWithOwnerColumn(AccountWithOwner):
        merchant = UUIDField(source="owner_id")

        class Meta(AccountWithOwner.Meta):
            fields = ["id", "name", "merchant"]

    (message,) = owners_found(settings, WritesAccounts.as_view(serializer_class=AccountWithOwnerColumn))
    assert "takes any user in the field 'merchant'" in message.msg
    inner = serializer(inner=AccountWithOwnerColumn())
    assert not owners_found(settings, WritesAccounts.as_view(serializer_class=inner))


def test_W020_a_view_that_has_a_method_in_place_of_a_queryset_is_found(settings):
    view = WritesAccounts.as_view(queryset=None, serializer_class=AccountWithOwner)
    assert [message.id for message in owners_found(settings, view)] == ["finta_keys.W020"]


def test_W020_a_model_that_inherits_from_the_account_is_found(settings):
    with isolate_apps("accounts_app"):

        class Savings(Account):
            class Meta:
                app_label = "accounts_app"

    class SavingsWithOwner(AccountWithOwner):
        class Meta(AccountWithOwner.Meta):
            model = Savings

    view = WritesAccounts.as_view(queryset=None, serializer_class=SavingsWithOwner)
    assert [message.id for message in owners_found(settings, view)] == ["finta_keys.W020"]


def test_W020_other_serializers_are_fine(settings):
    assert not owners_found(settings, WritesAccounts.as_view(serializer_class=AccountWithOwnerToRead))
    inner = serializer(inner=AccountWithOwner())
    assert not owners_found(settings, WritesAccounts.as_view(serializer_class=inner))
    assert not owners_found(settings, Writes.as_view(serializer_class=AccountWithOwner))


# --- W019: django-filter ---------------------------------------------------------------------------------------------


class ByAnyAccount(FilterSet):
    account = ModelChoiceFilter(queryset=Account.objects.all())


class ByAnyAccounts(FilterSet):
    several = ModelMultipleChoiceFilter(field_name="account", queryset=Account.objects.all())


class ByOwner(FilterSet):
    user = ModelChoiceFilter(field_name="account__owner", queryset=User.objects.all())


class ByAllValues(FilterSet):
    summary = AllValuesFilter()
    names = AllValuesMultipleFilter(field_name="account__name")


class ByAllValuesOfTransactions(ByAllValues):
    class Meta:
        model = Transaction
        fields = []


class OwnBackend(DjangoFilterBackend):
    pass


def filters_found(settings, view=Writes, **given):
    settings.ROOT_URLCONF = (path("rows", view.as_view(**given)),)
    messages = relations.check_filters(None)
    assert {message.id for message in messages} <= {"finta_keys.W019"}
    return [message.msg.partition(" in ")[2].partition(":")[0] for message in messages]


class Filters(Writes):
    filter_backends = [SearchFilter, OwnBackend]
    filterset_fields = None
    filterset_class = None


class Lists(Filters, ListAPIView):
    pass


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"filterset_fields": ["account", "summary"]}, ["'account'"]),
        ({"filterset_fields": {"account": ["exact", "in"]}}, ["'account'", "'account__in'"]),
        ({"filterset_class": ByAnyAccount}, ["'account'"]),
        ({"filterset_class": ByAnyAccounts}, ["'several'"]),
        ({"filterset_class": ByOwner}, []),
        ({"filterset_class": Filtered.filterset_class}, []),
        ({"filterset_fields": ["summary"]}, []),
        ({"filterset_fields": ["no_such_field"]}, []),
        ({}, []),
        ({"filterset_fields": ["account"], "filter_backends": [SearchFilter]}, []),
        ({"filterset_fields": ["account"], "queryset": None}, []),
        ({"filterset_fields": ["account"], "queryset": None, "serializer_class": TransactionSerializer}, ["'account'"]),
        ({"filterset_class": ByAllValues}, ["'summary'", "'names'"]),
        ({"filterset_class": ByAllValuesOfTransactions, "queryset": None}, ["'summary'", "'names'"]),
        ({"filterset_class": ByAllValues, "queryset": None}, ["'summary'", "'names'"]),
        ({"filterset_class": ByAnyAccount, "queryset": None}, ["'account'"]),
    ],
)
def test_W019_filters_by_any_account_are_found(settings, given, names):
    assert filters_found(settings, Filters, **given) == names


def test_W019_says_what_to_do(settings):
    settings.ROOT_URLCONF = (path("rows", Filters.as_view(filterset_fields=["account"])),)
    (message,) = relations.check_filters(None)
    assert "ModelChoiceFilter(queryset=lambda request: scoped(request, Account.objects.all()))" in message.hint


def test_S4_a_filter_by_all_values_tells_of_hidden_rows_and_W019_says_what_to_do(settings, restricted, accounts):
    for account in (accounts.checking, accounts.savings):
        TransactionFactory(account=account, summary=account.name)
    view = Lists.as_view(filterset_class=ByAllValues, serializer_class=TransactionSerializer)
    settings.ROOT_URLCONF = (path("rows", view),)
    statuses = [restricted.client.get(f"/rows?summary={name}").status_code for name in ("Savings", "Nothing")]
    assert statuses == [200, 400]
    message = relations.check_filters(None)[0]
    assert "filters by the values of any accounts_app.Transaction in 'summary'" in message.msg
    assert "summary = CharFilter()" in message.hint


def test_W019_nothing_is_imported_where_django_filter_is_not_installed(settings, monkeypatch):
    monkeypatch.setattr("finta_keys.checks.relations.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "django_filters", None)
    assert filters_found(settings, Filters, filterset_fields=["account"]) == []


def test_the_real_projects_relations_are_clean():
    checks = (
        relations.check_related_fields,
        relations.check_owner_is_not_taken,
        relations.check_filters,
    )
    assert [message for check in checks for message in check(None)] == []
