"""Foreign keys with ``to_field``: their columns hold no primary keys, but the values of another unique field."""

import pytest
from django.db import connection, models
from django.test.utils import CaptureQueriesContext, isolate_apps
from rest_framework.generics import GenericAPIView
from rest_framework.response import Response

from accounts_app.models import Account
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.save_signals import receive_m2m_changes
from finta_keys.scoping import AccountScopeMixin
from tests.factories import AccountFactory
from tests.finta_keys.calls import call
from tests.finta_keys.tables import tables_of

pytestmark = pytest.mark.rule("S7.6")

with isolate_apps("accounts_app"):

    class Stamp(models.Model):
        account = models.ForeignKey(Account, models.CASCADE, related_name="+")
        code = models.CharField(max_length=50, unique=True)

        class Meta:
            app_label = "accounts_app"

        def __str__(self):
            return self.code

    class Letter(models.Model):
        account = models.ForeignKey(Account, models.CASCADE, related_name="+")
        title = models.CharField(max_length=50, unique=True)
        stamp = models.ForeignKey(Stamp, models.CASCADE, to_field="code", null=True, related_name="+")
        stamps = models.ManyToManyField(Stamp, through="Sticker", related_name="letters")

        class Meta:
            app_label = "accounts_app"

        def __str__(self):
            return self.title

    class Sticker(models.Model):
        letter = models.ForeignKey(Letter, models.CASCADE, to_field="title", related_name="+")
        stamp = models.ForeignKey(Stamp, models.CASCADE, to_field="code", related_name="+")

        class Meta:
            app_label = "accounts_app"

        def __str__(self):
            return self.stamp_id


_tables = tables_of(Stamp, Letter, Sticker)
receive_m2m_changes([Letter])


class ChangeLetter(AccountScopeMixin, GenericAPIView):
    authentication_classes = [ApiKeyAuthentication]
    account_path = "account"
    queryset = Letter.objects.all()

    def post(self, request, pk):
        letter, how, codes = self.get_object(), request.data["how"], request.data.get("codes", [])
        if how == "create":
            with request.auth.locked() as key:
                account = AccountFactory(owner=request.user)
                Stamp.objects.create(account=account, code="new")
                letter.stamps.add("new")
                key.add_to_scope(account)
        elif how == "duplicate":
            Letter.objects.create(account=letter.account, title=letter.title, stamp_id=codes[0])
        elif how == "reverse":
            Stamp.objects.get(code=codes[0]).letters.add(letter)
        elif how == "set":
            letter.stamps.set(codes)
        else:
            stamps = Stamp.objects.filter(code__in=codes) if how == "remove" else codes
            getattr(letter.stamps, how)(*stamps)
        return Response([stamp.code for stamp in letter.stamps.order_by("code")])


@pytest.fixture
def letter(accounts):
    letter = Letter.objects.create(account=accounts.checking, title="First")
    for code, account in {"seen": accounts.checking, "other": accounts.checking, "hidden": accounts.savings}.items():
        Stamp.objects.create(account=account, code=code)
    return letter


@pytest.fixture
def change(restricted, letter):
    def change(how, *codes):
        return call(ChangeLetter, restricted.secret, "post", {"how": how, "codes": codes}, kwargs={"pk": letter.pk})

    return change


def test_related_rows_change_by_to_field(change):
    assert change("add", "seen").data == ["seen"]
    assert change("set", "other").data == ["other"]
    assert change("remove", "other").data == []
    assert change("reverse", "seen").data == ["seen"]
    assert change("clear").data == []
    assert change("create").data == ["new"]


@pytest.mark.parametrize("how", ["add", "set"])
def test_hidden_to_field_looks_missing(change, letter, how):
    responses, counts = [], []
    for code in ("hidden", "missing"):
        with CaptureQueriesContext(connection) as queries:
            responses.append(change(how, code))
        counts.append(len(queries))
    assert [response.status_code for response in responses] == [404, 404]
    assert counts[0] == counts[1]
    assert not Sticker.objects.exists()


@pytest.mark.parametrize("request_", [("remove", "hidden"), ("set", "seen"), ("clear",), ("reverse", "hidden")])
def test_hidden_related_row_stays(change, letter, request_):
    Sticker.objects.create(letter=letter, stamp_id="hidden")
    assert change(*request_).status_code == 404
    assert [sticker.stamp_id for sticker in Sticker.objects.all()] == ["hidden"]


@pytest.mark.parametrize("code", ["hidden", "missing"])
def test_duplicate_that_names_hidden_row_is_404(change, code):
    assert change("duplicate", code).status_code == 404
