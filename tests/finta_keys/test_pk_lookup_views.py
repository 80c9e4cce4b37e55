"""Views whose rows are looked up by kept SQL, in Django REST framework's own ``get_object()`` and by the guard."""

import uuid

import pytest
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.filters import BaseFilterBackend
from rest_framework.generics import GenericAPIView, RetrieveAPIView
from rest_framework.permissions import BasePermission
from rest_framework.response import Response

from accounts_app.models import Account
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.scoping import AccountScopeMixin
from tests.finta_keys.calls import call
from tests.finta_keys.urls_example import AccountSerializer

pytestmark = [pytest.mark.rule("S4"), pytest.mark.usefixtures("executed")]


class Retrieve(AccountScopeMixin, RetrieveAPIView):
    authentication_classes = [ApiKeyAuthentication]
    queryset = Account.objects.all()
    serializer_class = AccountSerializer


class Unchanged(BaseFilterBackend):
    def filter_queryset(self, request, queryset, view):
        return queryset


class Copied(BaseFilterBackend):
    def filter_queryset(self, request, queryset, view):
        return queryset.all()


class WithoutChecking(BaseFilterBackend):
    def filter_queryset(self, request, queryset, view):
        return queryset.exclude(name="Checking")


class InPlace(BaseFilterBackend):
    """Changes the queryset that it gets."""

    def filter_queryset(self, request, queryset, view):
        queryset.query.set_empty()
        return queryset


def status(view, secret, pk, **options):
    return call(view, secret, kwargs={"pk": pk}, **options).status_code


def statuses(view, secret, accounts, bobs_account, **options):
    """Return the statuses for a visible, a hidden, another owner's, a missing and a malformed primary key."""
    pks = (accounts.checking.pk, accounts.savings.pk, bobs_account.pk, uuid.uuid4(), "malformed")
    return [status(view, secret, pk, **options) for pk in pks]


FOUND = [200, 404, 404, 404, 404]


@pytest.mark.parametrize("backends", [[], [Unchanged], [Unchanged, Unchanged]])
def test_get_object_uses_kept_sql(restricted, accounts, bobs_account, executed, backends):
    assert statuses(Retrieve, restricted.secret, accounts, bobs_account, filter_backends=backends) == FOUND
    assert len(executed) == 4  # The malformed primary key is rejected before the query.


def test_get_object_of_guarded_handler_uses_kept_sql(restricted, accounts, bobs_account, executed):
    class Own(AccountScopeMixin, GenericAPIView):
        authentication_classes = [ApiKeyAuthentication]
        queryset = Account.objects.all()

        def get(self, request, pk):
            return Response(self.get_object().name)

    assert statuses(Own, restricted.secret, accounts, bobs_account) == FOUND
    assert len(executed) == 4
    executed.clear()
    assert statuses(Own, restricted.secret, accounts, bobs_account, filter_backends=[Unchanged]) == FOUND
    assert len(executed) == 5  # The handler looks up the visible row again, because a backend may have excluded it.


@pytest.mark.parametrize(("backend", "expected"), [(Copied, FOUND), (WithoutChecking, [404] * 5), (InPlace, [404] * 5)])
def test_filter_backends_take_effect(restricted, accounts, bobs_account, executed, backend, expected):
    assert statuses(Retrieve, restricted.secret, accounts, bobs_account, filter_backends=[backend]) == expected
    assert executed == []


def test_other_lookup_field_uses_the_orm(restricted, accounts, executed):
    by_name = {"lookup_field": "name"}
    for name, expected in (("Checking", 200), ("Savings", 404)):
        response = call(Retrieve, restricted.secret, kwargs={"name": name}, **by_name)
        assert response.status_code == expected
    assert executed == []


def test_lookup_argument_may_have_another_name(restricted, accounts, executed):
    for account, expected in ((accounts.checking, 200), (accounts.savings, 404)):
        kwargs = {"account": account.pk}
        assert call(Retrieve, restricted.secret, kwargs=kwargs, lookup_url_kwarg="account").status_code == expected
    assert len(executed) == 2


def test_missing_lookup_argument_is_reported_by_drf(restricted):
    with pytest.raises(AssertionError, match='URL keyword argument named "pk"'):
        call(Retrieve, restricted.secret)


def test_object_permissions_are_checked(restricted, accounts, executed):
    class Never(BasePermission):
        def has_object_permission(self, request, view, obj):
            raise PermissionDenied

    pks = (accounts.checking.pk, accounts.savings.pk)
    assert [status(Retrieve, restricted.secret, pk, permission_classes=[Never]) for pk in pks] == [403, 404]
    assert len(executed) == 2


def test_own_get_object_is_called(restricted, accounts, executed):
    class Own(Retrieve):
        def get_object(self):
            return self.get_queryset().get(name="Checking")

    assert status(Own, restricted.secret, accounts.checking.pk) == 200
    assert executed == []


def test_manager_that_hides_rows_takes_effect(restricted, accounts, executed):
    class Overrides(Retrieve):
        def get_queryset(self):
            return Account.objects.exclude(name="Checking")

    assert status(Overrides, restricted.secret, accounts.checking.pk) == 404
    assert executed == []


def test_signed_in_users_use_the_orm(alice, accounts, bobs_account, executed):
    class Session(Retrieve):
        authentication_classes = [SessionAuthentication]

    pks = (accounts.checking.pk, accounts.savings.pk, bobs_account.pk)
    assert [status(Session, None, pk, user=alice) for pk in pks] == [200, 200, 404]
    assert executed == []


def test_hidden_and_missing_rows_take_the_same_queries(restricted, accounts, bobs_account, django_assert_num_queries):
    status(Retrieve, restricted.secret, accounts.checking.pk)
    for pk in (accounts.savings.pk, bobs_account.pk, uuid.uuid4()):
        with django_assert_num_queries(2):
            assert status(Retrieve, restricted.secret, pk) == 404
