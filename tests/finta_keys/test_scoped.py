"""``key.scoped()`` and ``scoped()``: the rows that a caller may access."""

import re

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count, F, Sum
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from accounts_app.models import Account, Transaction, User
from finta_keys.authentication import ApiKeyAuthentication, get_key
from finta_keys.models import ApiKey, KeyAccountScope
from finta_keys.scoping import AccountScopeMixin, scoped
from finta_keys.testing import make_key
from tests.factories import AccountFactory, TransactionFactory, UserFactory
from tests.finta_keys import urls_example
from tests.finta_keys.calls import call, make_request


@pytest.fixture
def transactions(accounts, bobs_account):
    """Two on every account, one of them pending."""
    for account in (accounts.checking, accounts.savings, accounts.cash, bobs_account):
        TransactionFactory(account=account, summary=f"{account.name} 1", amount=1)
        TransactionFactory(account=account, summary=f"{account.name} 2", amount=2, status="pending")


def names(queryset):
    return sorted(account.name for account in queryset)


def summaries(queryset):
    return sorted(transaction.summary for transaction in queryset)


# --- key.scoped() ----------------------------------------------------------------------------------------------------


@pytest.mark.rule("S3")
def test_restricted_key_accesses_its_scope(restricted, bobs_account):
    assert names(restricted.key.scoped(Account.objects.all())) == ["Checking"]


@pytest.mark.rule("S3")
def test_unrestricted_key_accesses_all_accounts_of_owner(unrestricted, bobs_account):
    assert names(unrestricted.key.scoped(Account.objects.all())) == ["Cash", "Checking", "Savings"]


@pytest.mark.rule("S3")
def test_account_path_limits_rows_of_other_models(restricted, unrestricted, transactions):
    rows = Transaction.objects.all()
    assert summaries(restricted.key.scoped(rows, "account")) == ["Checking 1", "Checking 2"]
    assert summaries(unrestricted.key.scoped(rows, "account")) == [
        f"{name} {n}" for name in ("Cash", "Checking", "Savings") for n in (1, 2)
    ]


@pytest.mark.rule("S3")
def test_scope_rows_can_be_limited_too(restricted, accounts, bobs_account):
    row = KeyAccountScope.objects.get(key=restricted.key)
    assert list(restricted.key.scoped(KeyAccountScope.objects.all(), "account")) == [row]


@pytest.mark.rule("S3")
def test_several_keys_double_no_row(alice, accounts, transactions):
    key, _ = make_key(alice, "Two", [accounts.checking, accounts.savings])
    for number in range(3):
        make_key(alice, f"Other {number}", [accounts.checking, accounts.savings, accounts.cash])
    assert names(key.scoped(Account.objects.all())) == ["Checking", "Savings"]
    assert key.scoped(Account.objects.all()).count() == 2
    assert key.scoped(Transaction.objects.all(), "account").count() == 4
    assert key.scoped(Transaction.objects.all(), "account").aggregate(sum=Sum("amount")) == {"sum": 6}


@pytest.mark.rule("S3")
def test_later_queryset_methods_stay_inside_the_scope(restricted, transactions):
    accounts = restricted.key.scoped(Account.objects.all())
    assert names(accounts.filter(name="Savings")) == []
    assert names(accounts.filter(name__in=["Savings", "Checking"]).order_by("-name")) == ["Checking"]
    assert accounts.exclude(name="Checking").count() == 0
    assert list(accounts.annotate(n=Count("transactions")).values_list("name", "n")) == [("Checking", 2)]
    assert accounts.aggregate(sum=Sum("transactions__amount")) == {"sum": 3}
    assert list(accounts.order_by("transactions__amount").values_list("name", flat=True)) == ["Checking"] * 2
    assert list(accounts.values("owner").annotate(n=Count("pk")).values_list("n", flat=True)) == [1]
    assert accounts.values("name").distinct().count() == 1
    assert accounts.exists()
    assert names(accounts[:5]) == ["Checking"]
    assert names(accounts.filter(finta_key_scopes__isnull=False).distinct()) == ["Checking"]
    assert names(accounts.order_by().union(accounts.order_by())) == ["Checking"]


@pytest.mark.rule("S3")
def test_earlier_queryset_methods_stay_inside_the_scope(alice, restricted, accounts, transactions):
    make_key(alice, "Other", [accounts.checking, accounts.savings])
    limit = restricted.key.scoped
    either = Account.objects.filter(name="Checking") | Account.objects.filter(name="Savings")
    assert names(limit(either)) == ["Checking"]
    assert names(limit(Account.objects.exclude(name="Checking"))) == []
    assert names(limit(Account.objects.filter(owner__isnull=False))) == ["Checking"]
    assert names(limit(Account.objects.filter(finta_key_scopes__key__name="Other"))) == ["Checking"]
    assert list(limit(Account.objects.annotate(n=Count("transactions"))).values_list("name", "n")) == [("Checking", 2)]
    assert limit(Account.objects.values("name").annotate(n=Count("pk"))).get() == {"name": "Checking", "n": 1}
    assert limit(Account.objects.select_related("owner")).get().owner == alice
    assert limit(Account.objects.order_by(F("mask").desc())).get().name == "Checking"
    assert summaries(limit(Transaction.objects.filter(account__name__startswith="S"), "account")) == []
    assert summaries(limit(accounts.savings.transactions.all(), "account")) == []


@pytest.mark.rule("S3")
def test_managers_can_be_limited(restricted, accounts, transactions):
    assert names(restricted.key.scoped(Account.objects)) == ["Checking"]
    assert summaries(restricted.key.scoped(accounts.savings.transactions, "account")) == []


@pytest.mark.rule("S3")
@pytest.mark.parametrize("key_name", ["restricted", "unrestricted"])
@pytest.mark.parametrize(
    "make_rows",
    [
        lambda: Account.objects.all()[:1],
        lambda: Account.objects.filter(name="Cash").union(Account.objects.filter(name="Savings")),
        lambda: Account.objects.filter(name="Cash").intersection(Account.objects.all()),
        lambda: Account.objects.all().difference(Account.objects.filter(name="Savings")),
        lambda: Account.objects.raw("SELECT * FROM accounts_app_account"),
        lambda: list(Account.objects.all()),
        lambda: None,
    ],
    ids=["slice", "union", "intersection", "difference", "raw", "list", "none"],
)
def test_rows_that_cannot_be_filtered_raise(key_name, make_rows, accounts, request):
    key = request.getfixturevalue(key_name).key
    with pytest.raises(ImproperlyConfigured, match=r"Call scoped\(\) first"):
        key.scoped(make_rows())


@pytest.mark.rule("S3")
def test_evaluated_queryset_is_read_again(restricted, accounts):
    everything = Account.objects.all()
    assert len(everything) == 3
    assert names(restricted.key.scoped(everything)) == ["Checking"]


@pytest.mark.rule("S3")
@pytest.mark.parametrize(
    "flags", [{"is_staff": True}, {"is_superuser": True}, {"is_staff": True, "is_superuser": True}]
)
def test_staff_owner_never_widens_a_key(alice, restricted, unrestricted, transactions, flags):
    User.objects.filter(pk=alice.pk).update(**flags)
    key = ApiKey.objects.authenticate(restricted.secret)
    assert all(getattr(key.owner, flag) for flag in flags)
    assert names(key.scoped(Account.objects.all())) == ["Checking"]
    assert names(unrestricted.key.scoped(Account.objects.all())) == ["Cash", "Checking", "Savings"]
    assert len(restricted.client.get("/v2/accounts").json()["accounts"]) == 1
    assert len(unrestricted.client.get("/v2/accounts").json()["accounts"]) == 3
    bobs = Account.objects.get(name="Bob's")
    assert unrestricted.client.get(f"/v2/accounts/{bobs.pk}").status_code == 404


def test_scope_costs_one_join(restricted, transactions, django_assert_num_queries):
    for model, path in ((Account, ""), (Transaction, "account")):
        sql = str(restricted.key.scoped(model.objects.all(), path).query)
        assert sql.count("JOIN") == (2 if path else 1)
        assert len(re.findall(r'JOIN "finta_keys_keyaccountscope"', sql)) == 1
        assert "accounts_app_user" not in sql
        assert 'JOIN "finta_keys_apikey"' not in sql
        with django_assert_num_queries(1):
            list(restricted.key.scoped(model.objects.all(), path))


@pytest.mark.rule("S1")
def test_unrestricted_key_does_not_read_scope_rows(unrestricted):
    sql = str(unrestricted.key.scoped(Transaction.objects.all(), "account").query)
    assert "finta_keys" not in sql
    assert '"accounts_app_account"."owner_id" = ' in sql


def test_many_scope_rows_cost_one_query(alice, django_assert_num_queries):
    key, _ = make_key(alice, "Many", AccountFactory.create_batch(60, owner=alice))
    with django_assert_num_queries(1):
        assert len(key.scoped(Account.objects.all())) == 60


@pytest.mark.rule("S3")
def test_another_owners_key_accesses_nothing(restricted, accounts):
    other, _ = make_key(UserFactory(), "Restricted")
    assert names(other.scoped(Account.objects.all())) == []


# --- scoped(): every caller is limited -------------------------------------------------------------------------------


def drf_request(*, user=None, auth=None):
    request = APIRequestFactory().get("/")
    if user is not None:
        force_authenticate(request, user=user, token=auth)
    return APIView().initialize_request(request)


def visible_to(request):
    return names(scoped(request, Account.objects.all()))


@pytest.mark.rule("S7.3")
def test_key_is_limited_to_its_scope(restricted, accounts, bobs_account):
    assert visible_to(drf_request(user=restricted.key.owner, auth=restricted.key)) == ["Checking"]


@pytest.mark.rule("S7.3")
@pytest.mark.parametrize("flags", [{}, {"is_staff": True, "is_superuser": True}])
def test_user_is_limited_to_own_accounts(alice, accounts, bob, bobs_account, flags):
    User.objects.update(**flags)
    for user in (User.objects.get(pk=alice.pk), User.objects.get(pk=bob.pk)):
        expected = {alice.pk: ["Cash", "Checking", "Savings"], bob.pk: ["Bob's"]}[user.pk]
        assert visible_to(drf_request(user=user)) == expected
        assert visible_to(make_request(user=user)) == expected
        assert visible_to(drf_request(user=user, auth="a token of another library")) == expected


class StatelessUser:
    """The user of a token that no row in the database stands for."""

    is_authenticated = True

    def __init__(self, pk=None):
        self.pk = self.id = pk


@pytest.mark.rule("S7.3")
def test_caller_without_user_row_gets_nothing(alice, accounts):
    for user in (AnonymousUser(), StatelessUser(), StatelessUser(alice.pk), "alice", User(pk=None)):
        assert visible_to(drf_request(user=user)) == []
        assert visible_to(make_request(user=user)) == []
    assert visible_to(make_request()) == []


@pytest.mark.rule("S7.3")
def test_stateless_user_gets_an_empty_response(alice, accounts):
    class Stateless(BaseAuthentication):
        def authenticate(self, request):
            return StatelessUser(alice.pk), None

    response = call(urls_example.Accounts, authentication_classes=[ApiKeyAuthentication, Stateless])
    assert (response.status_code, response.data) == (200, [])


@pytest.mark.rule("S7.3")
def test_user_subclasses_are_users(alice, accounts):
    class Person(User):
        class Meta:
            proxy = True
            app_label = "tests"

    assert len(visible_to(make_request(user=Person.objects.get(pk=alice.pk)))) == 3


@pytest.mark.rule("K6")
def test_session_with_any_key_counts_as_the_key(alice, accounts, restricted):
    request = make_request(restricted.secret, user=alice)
    assert visible_to(request) == []  # No one has looked up the key.
    assert get_key(request) == restricted.key
    assert visible_to(request) == ["Checking"]
    malformed = make_request("finta_x", user=alice)
    assert visible_to(malformed) == []
    assert get_key(malformed) is None
    assert visible_to(malformed) == []


@pytest.mark.rule("K6")
def test_middleware_that_signs_in_the_owner_widens_nothing(restricted, accounts, bobs_account):
    """The mistake: ``request.user = key.owner``. A view that asks for sessions first still limits rows to the key."""
    request = make_request(restricted.secret)
    request.user = get_key(request).owner
    response = urls_example.Accounts.as_view(authentication_classes=[SessionAuthentication, ApiKeyAuthentication])(
        request
    )
    assert [row["name"] for row in response.data] == ["Checking"]
    session_only = urls_example.Accounts.as_view(authentication_classes=[SessionAuthentication])
    request = make_request(restricted.secret)
    request.user = get_key(request).owner
    assert [row["name"] for row in session_only(request).data] == ["Checking"]


def test_scoped_takes_an_account_path(restricted, transactions):
    request = drf_request(user=restricted.key.owner, auth=restricted.key)
    assert summaries(scoped(request, Transaction.objects.all(), "account")) == ["Checking 1", "Checking 2"]
    for path in ("", "transactions"):
        with pytest.raises(ImproperlyConfigured, match="does not lead from"):
            scoped(request, Transaction.objects.all(), path)


def test_force_authenticate_with_a_key_is_limited(alice, restricted, accounts):
    """As projects do it in their tests."""
    request = APIRequestFactory().get("/")
    force_authenticate(request, user=alice, token=restricted.key)
    response = urls_example.Accounts.as_view()(request)
    assert [row["name"] for row in response.data] == ["Checking"]


# --- unlimited_for() -------------------------------------------------------------------------------------------------


class CountsCalls(AccountScopeMixin, APIView):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    permission_classes = []
    calls = []
    result = True

    def unlimited_for(self, request):
        self.calls.append(request.user)
        return self.result

    def get(self, request):
        rows = names(self.scoped(Account.objects.all()))
        assert names(scoped(request, Account.objects.all())) == rows
        return Response(rows)


@pytest.fixture
def calls(monkeypatch):
    calls = []
    monkeypatch.setattr(CountsCalls, "calls", calls)
    return calls


@pytest.mark.rule("S7.3")
def test_unlimited_for_is_asked_once_per_request(alice, accounts, bobs_account, calls):
    for _ in range(2):
        assert len(call(CountsCalls, user=alice).data) == 4
    assert calls == [alice, alice]


@pytest.mark.rule("S7.3")
def test_unlimited_for_opens_the_view_to_anonymous_callers(accounts, bobs_account, calls):
    assert len(call(CountsCalls).data) == 4
    assert not calls[0].is_authenticated


@pytest.mark.rule("S7.3")
def test_unlimited_for_is_never_asked_for_a_key(alice, restricted, unrestricted, bobs_account, calls):
    User.objects.update(is_superuser=True)
    assert call(CountsCalls, restricted.secret).data == ["Checking"]
    assert call(CountsCalls, restricted.secret, user=alice).data == ["Checking"]
    assert len(call(CountsCalls, unrestricted.secret).data) == 3
    assert calls == []


@pytest.mark.rule("S7.3")
def test_unlimited_for_returning_false_limits_the_caller(alice, bob, accounts, bobs_account, calls, monkeypatch):
    monkeypatch.setattr(CountsCalls, "result", False)
    assert call(CountsCalls, user=bob).data == ["Bob's"]
    monkeypatch.setattr(CountsCalls, "result", None)
    assert call(CountsCalls).data == []


@pytest.mark.rule("S7.3")
@pytest.mark.parametrize("result", [1, "yes", [1], object()])
def test_unlimited_for_must_return_a_bool(alice, calls, monkeypatch, result):
    monkeypatch.setattr(CountsCalls, "result", result)
    with pytest.raises(ImproperlyConfigured, match=r"CountsCalls.unlimited_for\(\) must return True or False"):
        call(CountsCalls, user=alice)


@pytest.mark.rule("S7.3")
def test_unlimited_for_method_without_call_raises(alice, accounts, calls, monkeypatch):
    """The mistake: the test of a method instead of its result."""
    monkeypatch.setattr(CountsCalls, "result", alice.has_perm)
    with pytest.raises(ImproperlyConfigured):
        call(CountsCalls, user=alice)


@pytest.mark.rule("S7.3")
def test_scoped_on_plain_request_is_never_unlimited(alice, bobs_account, accounts):
    class PassesDjangosRequest(CountsCalls):
        def get(self, request):
            return Response(visible_to(request._request))

    assert call(PassesDjangosRequest, user=alice).data == ["Cash", "Checking", "Savings"]


def test_scoped_without_a_view_is_limited(alice, accounts, bobs_account):
    request = Request(make_request(user=alice), authenticators=[SessionAuthentication()])
    request.parser_context = None
    assert visible_to(request) == ["Cash", "Checking", "Savings"]
