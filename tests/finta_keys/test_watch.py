"""``watch_scope()`` finds quiet leaks, and accepts correct views."""

import pytest
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.models import Account, Transaction
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.scoping import AccountScopeMixin
from finta_keys.testing import ScopeLeak, key_client, watch_scope
from tests.finta_keys.watch_cases import CORRECT, LEAKS, Rows

pytestmark = pytest.mark.rule("S7.8")


@pytest.fixture
def rows(accounts, bobs_account):
    return Rows(accounts, bobs_account)


@pytest.fixture
def send(settings, rows, restricted):
    """Send a request by a key to a handler, read the response and return it."""

    def send_request(handler, *, method="POST", secret=restricted.secret, **options):
        class Handles(AccountScopeMixin, APIView):
            authentication_classes = [ApiKeyAuthentication]

            def scoped_transactions(self):
                self.account_path = "account"
                rows = self.scoped(Transaction.objects.all())
                del self.account_path
                return rows

            def post(self, request):
                response = handler(self, rows, request)
                self.scoped(Account.objects.all())
                return response or Response({})

            get = post

        settings.ROOT_URLCONF = (path("rows", Handles.as_view()),)
        response = key_client(secret).generic(method, "/rows", **options)
        response.getvalue() if response.streaming else response.content
        return response

    return send_request


def name_of(handler):
    return handler.__name__


@pytest.mark.parametrize("handler", LEAKS, ids=name_of)
def test_quiet_leak_is_found(send, handler):
    with pytest.raises(ScopeLeak, match=r"watch_cases\.py:\d+"), watch_scope():
        send(handler)


@pytest.mark.thorough
@pytest.mark.parametrize("handler", CORRECT, ids=name_of)
def test_correct_view_passes(send, handler):
    with watch_scope():
        assert send(handler).status_code in (200, 404)
