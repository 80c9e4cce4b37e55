"""The querysets and the reads of a project stay as they are (rule S7.10)."""

import pytest
from django.db.models import QuerySet, signals
from rest_framework.generics import ListAPIView
from rest_framework.response import Response

from accounts_app.models import Account, Transaction
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.callers import limited
from finta_keys.scoping import AccountScopeMixin, scoped
from tests.factories import TransactionFactory
from tests.finta_keys.calls import call, make_request

pytestmark = pytest.mark.rule("S7.10")


class OwnQuerySet(QuerySet):
    """A queryset class of a project."""


class Lists(AccountScopeMixin, ListAPIView):
    authentication_classes = [ApiKeyAuthentication]
    account_path = "account"
    limits = None  # set by the tests: returns the limited rows

    def get_queryset(self):
        return OwnQuerySet(Transaction)

    def get(self, request):
        rows = type(self).limits(self)
        self.limited_rows.append(rows)
        return Response([str(row.pk) for row in rows])


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(lambda view: view.get_queryset(), id="get_queryset"),
        pytest.param(lambda view: view.scoped(OwnQuerySet(Transaction)), id="self.scoped"),
        pytest.param(lambda view: scoped(view.request, OwnQuerySet(Transaction), "account"), id="scoped"),
        pytest.param(lambda view: view.request.auth.scoped(OwnQuerySet(Transaction), "account"), id="key.scoped"),
    ],
)
def test_limited_rows_keep_the_class_of_the_project(restricted, accounts, limits):
    row = TransactionFactory(account=accounts.checking)
    limited_rows = []
    view = type("OwnLists", (Lists,), {"limits": limits, "limited_rows": limited_rows, "__module__": __name__})
    assert call(view, restricted.secret).data == [str(row.pk)]
    (rows,) = limited_rows
    assert type(rows) is OwnQuerySet
    assert vars(rows).keys() == vars(OwnQuerySet(Transaction)).keys()


@pytest.mark.parametrize("limit", [scoped, limited])
def test_limiting_changes_no_queryset_in_place(alice, accounts, limit):
    rows = OwnQuerySet(Account)
    before = {**vars(rows)}
    sql = str(rows.query)
    assert limit(make_request(user=alice), rows) is not rows
    assert vars(rows) == before
    assert str(rows.query) == sql


@pytest.mark.parametrize("signal", ["pre_init", "post_init", "pre_delete", "post_delete"])
def test_no_receiver_for_rows_that_are_only_read(signal):
    """A receiver of deletions would end Django's fast deletes in the whole project.

    Accounts, whose deletions are recorded, are never deleted fast: scope rows refer to them.
    """
    assert not getattr(signals, signal).has_listeners(Transaction)
    assert signal == "pre_delete" or not getattr(signals, signal).has_listeners(Account)
