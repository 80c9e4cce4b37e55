"""The cost of authentication in function calls, which are the same on every machine.

A budget is a multiple of the calls of the same view without authentication, about 10 % above the current cost.
"""

import sys

import pytest
from django.db import connection
from rest_framework.generics import GenericAPIView
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from accounts_app.models import Account
from finta_keys import secret
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.scoping import AccountScopeMixin


class Floor(APIView):
    authentication_classes = []
    permission_classes = []

    def get(self, request, pk):
        account = Account.objects.get(pk=pk)
        return Response({"id": str(account.pk), "name": account.name})


class WithKey(AccountScopeMixin, GenericAPIView):
    authentication_classes = [ApiKeyAuthentication]
    permission_classes = []
    queryset = Account.objects.all()

    def get(self, request, pk):
        account = self.get_object()
        return Response({"id": str(account.pk), "name": account.name})


def calls(view, pk, presented=None, status=200):
    """Return the number of Python and C calls for one response, after warming up."""
    headers = {"HTTP_AUTHORIZATION": f"Bearer {presented}"} if presented else {}
    request = APIRequestFactory().get("/", **headers)
    respond = view.as_view()
    for _ in range(3):
        assert respond(request, pk=pk).status_code == status
    # The minimum, because the garbage collector may add calls.
    return min(counted(respond, request, pk) for _ in range(5))


def counted(respond, request, pk):
    count = 0

    def counting(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    outer = sys.getprofile()
    sys.setprofile(counting)
    try:
        respond(request, pk=pk)
    finally:
        sys.setprofile(outer)
    return count


@pytest.mark.parametrize(
    ("presented", "status", "budget"),
    [("all", 200, 1.60), ("restricted", 200, 1.87), ("unknown", 401, 0.31), ("malformed", 401, 0.235)],
)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="The budgets are those on SQLite.")
def test_request_with_key_stays_within_budget(presented, status, budget, restricted, unrestricted, accounts):
    valid = {"all": unrestricted.secret, "restricted": restricted.secret}
    unknown = secret.generate()
    presented = {**valid, "unknown": unknown, "malformed": unknown[:-1] + "!"}[presented]
    floor = calls(Floor, accounts.checking.pk)
    needed = calls(WithKey, accounts.checking.pk, presented, status) / floor
    assert needed < budget
    assert needed > budget / 1.2, "Much cheaper than its budget: lower the budget, or it guards nothing."
