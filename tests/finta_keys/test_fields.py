"""``AccountRelatedField``: the accounts that a caller may choose."""

import json
import uuid
from types import SimpleNamespace

import pytest
from rest_framework.exceptions import ValidationError
from rest_framework.serializers import ListField, ModelSerializer, Serializer, UUIDField
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from accounts_app.models import Account, Transaction
from finta_keys.fields import AccountRelatedField
from finta_keys.models import ApiKey, KeyAccountScope
from finta_keys.request_state import state_of
from finta_keys.testing import make_key
from tests.factories import TransactionFactory

MALFORMED = ["malformed", "", 1, 1.5, True, [], {}, [[]], "\x00", "1" * 5000, float("inf"), -1]


def request_of(key=None, user=None):
    """Return a request of DRF that a key or a user has authenticated."""
    request = APIRequestFactory().get("/")
    if key or user:
        force_authenticate(request, user=user or key.owner, token=key)
    return APIView().initialize_request(request)


def choosing(key=None, *, user=None, **options):
    """Return a function that makes a serializer with one relation, for a request by ``key`` or ``user``."""

    class Choosing(Serializer):
        account = AccountRelatedField(**options)

    return lambda **kwargs: Choosing(context={"request": request_of(key, user)}, **kwargs)


def result_of(make, value):
    serializer = make(data={"account": value})
    return serializer.is_valid(), json.dumps(serializer.errors), [e.code for e in serializer.errors.get("account", [])]


@pytest.mark.rule("S3")
def test_visible_account_is_accepted(restricted, accounts):
    serializer = choosing(restricted.key)(data={"account": str(accounts.checking.pk)})
    assert serializer.is_valid()
    assert serializer.validated_data == {"account": accounts.checking}


@pytest.mark.rule("S4")
def test_hidden_missing_and_malformed_get_one_error(restricted, accounts, bobs_account):
    make = choosing(restricted.key)
    hidden = [str(accounts.savings.pk), str(bobs_account.pk), str(uuid.uuid4()), *(v for v in MALFORMED if v != "")]
    assert {str(result_of(make, value)) for value in hidden} == {
        str((False, '{"account": ["There is no such object."]}', ["does_not_exist"]))
    }


@pytest.mark.rule("S4")
def test_hidden_and_missing_cost_the_same_queries(restricted, accounts, bobs_account, django_assert_num_queries):
    for value in (accounts.savings.pk, bobs_account.pk, uuid.uuid4()):
        with django_assert_num_queries(1):
            result_of(choosing(restricted.key), str(value))


@pytest.mark.rule("S4")
def test_integers_out_of_range_get_the_same_error(restricted, unrestricted):
    make = choosing(restricted.key, queryset=KeyAccountScope.objects.all(), account_path="account")
    visible = KeyAccountScope.objects.get()
    assert result_of(make, visible.pk)[0]
    assert result_of(make, str(visible.pk))[0]
    hidden = [0, 10**30, float("inf"), "malformed", str(uuid.uuid4())]
    assert {result_of(make, value)[1] for value in hidden} == {'{"account": ["There is no such object."]}'}


@pytest.mark.rule("S3")
def test_many_accepts_visible_accounts_only(restricted, accounts):
    make = choosing(restricted.key, many=True)
    assert result_of(make, [str(accounts.checking.pk)])[0]
    hidden = [result_of(make, [str(accounts.checking.pk), str(pk)]) for pk in (accounts.savings.pk, uuid.uuid4(), "x")]
    assert len({error for _, error, _ in hidden}) == 1
    assert not any(is_valid for is_valid, *_ in hidden)


class WithAccounts(ModelSerializer):
    """Of a row that is related to several accounts, such as a key."""

    accounts = AccountRelatedField(many=True)

    class Meta:
        model = ApiKey
        fields = ["accounts"]


def replace_accounts(row, caller, chosen, serializer_class=WithAccounts):
    """Save the accounts that ``caller``, a key or a user, chooses for ``row``. Return the names of all it has then."""
    request = request_of(caller) if isinstance(caller, ApiKey) else request_of(user=caller)
    data = {"accounts": [str(account.pk) for account in chosen]}
    serializer = serializer_class(row, data=data, context={"request": request})
    serializer.is_valid(raise_exception=True)
    row.accounts.set(serializer.validated_data["accounts"])  # as update() does; all columns of a key cannot be saved
    return set(row.accounts.values_list("name", flat=True))


@pytest.fixture
def row(alice, accounts):
    return make_key(alice, accounts=[accounts.savings, accounts.checking])[0]


@pytest.mark.rule("S3")
def test_many_keeps_hidden_accounts(row, restricted, accounts):
    assert replace_accounts(row, restricted.key, []) == {"Savings"}
    assert replace_accounts(row, restricted.key, [accounts.checking]) == {"Savings", "Checking"}


@pytest.mark.rule("S3")
def test_many_keeps_prefetched_hidden_accounts(row, restricted, accounts):
    row = ApiKey.objects.prefetch_related("accounts").get(pk=row.pk)
    assert replace_accounts(row, restricted.key, []) == {"Savings"}


def test_many_replaces_visible_accounts(alice, bob, row, unrestricted, accounts):
    assert replace_accounts(row, unrestricted.key, [accounts.cash]) == {"Cash"}
    assert replace_accounts(row, bob, []) == {"Cash"}
    assert replace_accounts(row, alice, []) == set()


def test_many_keeps_only_rows_related_before(row, restricted, accounts):
    class Listed(Serializer):
        accounts = AccountRelatedField(many=True, source="name")

    request = request_of(restricted.key)
    chosen = {"accounts": [str(accounts.checking.pk)]}
    for serializer in (
        Listed(row, data=chosen, context={"request": request}),
        WithAccounts(data=chosen, context={"request": request}),
        WithAccounts(ApiKey(pk=None), data=chosen, context={"request": request}),
        WithAccounts([row], data=[chosen], many=True, context={"request": request}),
    ):
        assert serializer.is_valid()
        data = serializer.validated_data
        (validated,) = data if isinstance(data, list) else [data]
        assert list(validated.values()) == [[accounts.checking]]


def test_many_works_in_lists_and_alone(alice, accounts):
    class Lists(Serializer):
        lists = ListField(child=AccountRelatedField(many=True))

    data = {"lists": [[str(accounts.cash.pk)], []]}
    serializer = Lists(data=data, context={"request": request_of(user=alice)})
    assert serializer.is_valid()
    assert serializer.validated_data == {"lists": [[accounts.cash], []]}
    assert AccountRelatedField(many=True).run_validation([]) == []


@pytest.mark.rule("S4")
def test_many_rejects_hidden_account_that_is_related(row, restricted, accounts):
    for account in (accounts.savings, SimpleNamespace(pk=uuid.uuid4())):
        with pytest.raises(ValidationError) as refused:
            replace_accounts(row, restricted.key, [account])
        assert refused.value.get_codes() == {"accounts": ["does_not_exist"]}


def test_many_accepts_the_arguments_of_drf(row, restricted, accounts):
    class AtLeastOne(WithAccounts):
        accounts = AccountRelatedField(many=True, allow_empty=False, help_text="one")

    assert AtLeastOne().fields["accounts"].help_text == "one"
    with pytest.raises(ValidationError) as refused:
        replace_accounts(row, restricted.key, [], AtLeastOne)
    assert refused.value.get_codes() == {"accounts": ["empty"]}


@pytest.mark.rule("S3")
def test_list_serializer_accepts_visible_accounts_only(restricted, accounts):
    make = choosing(restricted.key)
    rows = [{"account": str(accounts.checking.pk)}, {"account": str(accounts.savings.pk)}]
    serializer = make(data=rows, many=True)
    assert not serializer.is_valid()
    assert json.dumps(serializer.errors).count('{"account": ["There is no such object."]}') == 1


@pytest.mark.rule("S3")
def test_relation_to_another_model_uses_account_path(restricted, accounts):
    make = choosing(restricted.key, queryset=Transaction.objects.all(), account_path="account")
    visible, hidden = TransactionFactory(account=accounts.checking), TransactionFactory(account=accounts.savings)
    assert result_of(make, str(visible.pk))[0]
    assert result_of(make, str(hidden.pk)) == result_of(make, str(uuid.uuid4()))


@pytest.mark.rule("S3")
def test_queryset_of_the_field_is_limited(restricted, accounts):
    make = choosing(restricted.key, queryset=Account.objects.exclude(name="Checking"))
    assert result_of(make, str(accounts.checking.pk)) == result_of(make, str(uuid.uuid4()))


@pytest.mark.rule("S3")
def test_choices_are_visible_accounts(restricted, unrestricted, accounts, bobs_account):
    assert list(choosing(restricted.key)().fields["account"].choices) == [accounts.checking.pk]
    assert len(choosing(unrestricted.key)().fields["account"].choices) == 3
    many = choosing(restricted.key, many=True)().fields["account"]
    assert list(many.choices) == [accounts.checking.pk]
    assert [option.value for option in choosing(restricted.key, html_cutoff=5)().fields["account"].iter_options()] == [
        accounts.checking.pk
    ]


@pytest.mark.rule("S7.3")
def test_anonymous_callers_choose_nothing(restricted, accounts):
    assert not result_of(choosing(), str(accounts.checking.pk))[0]


def test_background_job_accepts_every_account(accounts):
    class WithoutRequest(Serializer):
        account = AccountRelatedField()

    assert WithoutRequest(data={"account": str(accounts.checking.pk)}).is_valid()


@pytest.mark.rule("S7.3")
def test_users_choose_from_their_own_accounts(alice, bob, accounts, bobs_account):
    make = choosing(user=alice, queryset=Account.objects.exclude(name="Cash"))
    assert result_of(make, str(accounts.savings.pk))[0]
    refused = [result_of(make, str(pk)) for pk in (accounts.cash.pk, bobs_account.pk, uuid.uuid4())]
    assert len({str(result) for result in refused}) == 1
    assert set(make().fields["account"].choices) == {accounts.checking.pk, accounts.savings.pk}
    assert list(choosing(user=bob)().fields["account"].choices) == [bobs_account.pk]


def test_field_accepts_the_arguments_of_drf(restricted, accounts):
    make = choosing(restricted.key, allow_null=True, required=False, pk_field=UUIDField(format="hex"))
    assert make(data={}).is_valid()
    assert result_of(make, None)[0]
    assert result_of(make, "malformed") == result_of(make, str(accounts.savings.pk))
    assert make(instance={"account": accounts.savings}).data == {"account": accounts.savings.pk.hex}


def test_read_only_field_has_no_choices(restricted, accounts):
    make = choosing(restricted.key, read_only=True)
    assert make(instance={"account": accounts.checking}).data == {"account": accounts.checking.pk}
    assert make().fields["account"].choices == {}


def test_error_has_the_code_of_drf(restricted):
    field = choosing(restricted.key)().fields["account"]
    with pytest.raises(ValidationError) as error:
        field.run_validation("malformed")
    assert error.value.get_codes() == ["does_not_exist"]


@pytest.mark.rule("S4")
def test_own_error_message_quotes_no_value(restricted, accounts):
    make = choosing(restricted.key, error_messages={"does_not_exist": "No {pk_value}."})
    assert {result_of(make, str(pk))[1] for pk in (accounts.savings.pk, uuid.uuid4())} == {
        json.dumps({"account": ["No …."]})
    }


@pytest.mark.rule("S7.6")
def test_field_does_not_count_as_scoping(restricted, accounts):
    class Choosing(Serializer):
        account = AccountRelatedField()

    request = request_of(restricted.key)
    assert Choosing(data={"account": str(accounts.checking.pk)}, context={"request": request}).is_valid()
    assert state_of(request).scoped_count == 0
