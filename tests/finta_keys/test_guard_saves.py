"""Rows that a request by a key saves, and the transaction around its handler."""

import sqlite3
import threading
import uuid
from unittest import mock

import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, IntegrityError, OperationalError, connection, models, transaction
from django.test.utils import CaptureQueriesContext
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import ValidationError
from rest_framework.generics import RetrieveUpdateDestroyAPIView
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.models import Account, Transaction
from finta_keys import save_checks
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.models import ApiKey, KeyAccountScope
from finta_keys.request_state import active_guard
from finta_keys.scoping import AccountScopeMixin, unscoped, unscoped_rows
from finta_keys.testing import make_key
from tests.factories import TransactionFactory
from tests.finta_keys.calls import call
from tests.finta_keys.extra_models import Label, Note, Reply, extra_tables  # noqa: F401  # a fixture
from tests.finta_keys.test_guard import call_async
from tests.finta_keys.urls_example import AccountSerializer

pytestmark = pytest.mark.rule("S7.6")


class Keyed(AccountScopeMixin, APIView):
    authentication_classes = [ApiKeyAuthentication]


def handle(secret, handler, method="post", **options):
    """Call a view with this handler, and return its response: 200 unless the handler returns another."""

    def method_of_view(self, request):
        return handler(self, request) or Response()

    view = type("Handles", (Keyed,), {method: method_of_view, "__module__": __name__})
    return call(view, secret, method, **options)


def save(secret, change, **options):
    """Call a view that makes a change and returns 200, and return the status code."""
    return handle(secret, lambda self, request: change(request) and None, **options).status_code


@pytest.fixture
def row(accounts):
    """A transaction on the visible account."""
    return TransactionFactory(account=accounts.checking, summary="Visible")


@pytest.fixture
def hidden_row(accounts):
    return TransactionFactory(account=accounts.savings, summary="Hidden")


def stored(row):
    return type(row).objects.get(pk=row.pk)


# --- rows that were saved --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "query"])
def test_row_inside_the_scope_is_saved(restricted, row, method):
    def rename(request):
        row.summary = "Renamed"
        row.save()

    view_options = {} if method != "query" else {"http_method_names": ["query"]}
    assert save(restricted.secret, rename, method=method, **view_options) == 200
    assert stored(row).summary == "Renamed"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_hidden_row_is_not_saved(restricted, hidden_row, method):
    def rename(request):
        hidden_row.summary = "Renamed"
        hidden_row.save()

    assert save(restricted.secret, rename, method=method) == 404
    assert stored(hidden_row).summary == "Hidden"


@pytest.mark.parametrize("owner", ["alice", "bob"])
def test_foreign_row_is_not_saved(request, unrestricted, bobs_account, owner):
    foreign = TransactionFactory(account=bobs_account, summary="Foreign")
    mine = {"alice": unrestricted.secret, "bob": make_key(bobs_account.owner)[1]}[owner]

    def rename(request):
        foreign.summary = "Renamed"
        foreign.save(update_fields=["summary"])

    assert save(mine, rename) == {"alice": 404, "bob": 200}[owner]


def test_row_cannot_be_stolen(restricted, accounts, hidden_row):
    """The stored row is checked too: after the save, it would be inside the scope."""

    def steal(request):
        hidden_row.account = accounts.checking
        hidden_row.save()

    assert save(restricted.secret, steal) == 404
    assert stored(hidden_row).account == accounts.savings


def test_row_cannot_be_moved_out(restricted, accounts, row):
    def move(request):
        row.account = accounts.savings
        row.save()

    assert save(restricted.secret, move) == 404
    assert stored(row).account == accounts.checking


def test_row_cannot_be_moved_back_and_forth(restricted, accounts, hidden_row):
    def through(request):
        for account in (accounts.checking, accounts.savings):
            hidden_row.account = account
            hidden_row.save()

    assert save(restricted.secret, through) == 404


def test_transfer_between_two_accounts_is_rejected(restricted, unrestricted, accounts, row, hidden_row):
    def transfer(request):
        row.amount, hidden_row.amount = 1, 2
        row.save()
        hidden_row.save()

    assert save(restricted.secret, transfer) == 404
    assert stored(row).amount not in (1, 2)
    assert save(unrestricted.secret, transfer) == 200


def test_new_row_of_a_hidden_account_is_rejected(restricted, accounts):
    for account, status in ((accounts.savings, 404), (accounts.checking, 200)):
        assert save(restricted.secret, lambda request, account=account: TransactionFactory(account=account)) == status
    assert Transaction.objects.get().account == accounts.checking


def test_caught_rejection_is_rejected_still(restricted, hidden_row):
    def catch(request):
        try:
            hidden_row.save()
        except Exception:
            return

    assert save(restricted.secret, catch) == 404


@pytest.mark.rule("S4")
def test_rejection_looks_like_a_missing_row(restricted, hidden_row):
    rejected = handle(restricted.secret, lambda self, request: hidden_row.save() and None)

    class Missing(Keyed, RetrieveUpdateDestroyAPIView):
        queryset = Transaction.objects.all()
        account_path = "account"

    missing = call(Missing, restricted.secret, kwargs={"pk": "malformed"})
    assert rejected.data == missing.data
    assert rejected.data["detail"].code == missing.data["detail"].code


def test_rejection_is_logged_once(restricted, hidden_row, monkeypatch, caplog):
    monkeypatch.setattr(save_checks, "_logged", set())

    class Saves(Keyed):
        def post(self, request):
            hidden_row.save()

    for _ in range(2):
        assert call(Saves, restricted.secret, "post").status_code == 404
    (record,) = [record for record in caplog.records if record.name == "finta_keys.scope"]
    message = record.getMessage()
    assert record.levelname == "WARNING"
    assert f"POST of {__name__}." in message
    assert "used a row of accounts_app.Transaction that is outside the scope of the API key" in message
    assert "unscoped_rows(reason)" in message
    assert str(hidden_row.pk) not in message


def test_saved_row_counts_as_scoping(restricted, row):
    assert save(restricted.secret, lambda request: row.save()) == 200


def test_saved_row_without_account_does_not_count(restricted, alice):
    with pytest.raises(ImproperlyConfigured, match="without limiting anything to its scope"):
        save(restricted.secret, lambda request: alice.save())


def test_put_may_create(restricted, accounts):
    def put(request):
        Transaction.objects.update_or_create(
            provider_id="1",
            defaults={"account": accounts.checking, "amount": 1, "currency": "EUR", "status": "pending"},
        )

    assert save(restricted.secret, put, method="put") == 200
    assert save(restricted.secret, put, method="put") == 200
    assert Transaction.objects.count() == 1


def test_safe_methods_and_other_callers_are_not_checked(alice, restricted, hidden_row):
    """A GET may write an access time. Users are limited by the rows that the view looks up."""

    class Saves(Keyed):
        authentication_classes = [ApiKeyAuthentication, SessionAuthentication]

        def get(self, request):
            self.scoped(Account.objects.all())
            hidden_row.save()
            return Response()

        post = get

    assert call(Saves, restricted.secret).status_code == 200
    assert call(Saves, user=alice, method="post").status_code == 200
    assert call(Saves, restricted.secret, "post").status_code == 404


# --- methods that change ---------------------------------------------------------------------------------------------


def overridden(change, is_before=False):
    """Return a view whose ``initial()`` changes every method to PUT, before or after it calls ``super()``."""

    class Overrides(Keyed):
        def initial(self, request, *args, **kwargs):
            if is_before:
                request._request.method = "PUT"
            super().initial(request, *args, **kwargs)
            request._request.method = "PUT"

        def put(self, request):
            change(self)
            return Response()

    return Overrides


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("method", ["get", "post"])
def test_method_changed_by_initial_is_guarded(restricted, row, hidden_row, method, is_before):
    for changed, status in ((row, 200), (hidden_row, 404)):
        view = overridden(lambda view, changed=changed: rename(changed), is_before)
        assert call(view, restricted.secret, method).status_code == status
    assert stored(row).summary == "Renamed"
    assert stored(hidden_row).summary == "Hidden"


def rename(row):
    row.summary = "Renamed"
    row.save()


@pytest.mark.rule("S7.4")
@pytest.mark.parametrize("is_before", [True, False])
def test_row_is_checked_before_changed_method(restricted, accounts, is_before):
    class Deletes(overridden(None, is_before), RetrieveUpdateDestroyAPIView):
        queryset = Account.objects.all()

        def put(self, request, pk):
            Account.objects.filter(pk=pk).delete()
            return Response(status=204)

    for account, status in ((accounts.savings, 404), (accounts.checking, 204)):
        assert call(Deletes, restricted.secret, "get", kwargs={"pk": account.pk}).status_code == status
        assert Account.objects.filter(pk=account.pk).exists() == (status == 404)


@pytest.mark.rule("K8")
def test_read_only_key_cannot_use_changed_method(restricted, row):
    ApiKey.objects.filter(pk=restricted.key.pk).update(read_only=True)
    assert call(overridden(lambda view: rename(row)), restricted.secret, "get").status_code == 403
    assert stored(row).summary == "Visible"


def test_saves_of_initial_are_checked_by_changed_method(restricted, hidden_row):
    class SavesEarly(overridden(lambda view: view.scoped(Account.objects.all()), is_before=True)):
        def initial(self, request, *args, **kwargs):
            super().initial(request, *args, **kwargs)
            rename(hidden_row)

    assert call(SavesEarly, restricted.secret, "get").status_code == 404
    assert stored(hidden_row).summary == "Hidden"


def test_method_changed_by_handler_changes_no_check(restricted, hidden_row):
    def change(self, request):
        self.scoped(Account.objects.all())
        request._request.method = "GET"
        rename(hidden_row)

    assert handle(restricted.secret, change).status_code == 404
    assert stored(hidden_row).summary == "Hidden"


def test_saves_outside_requests_are_not_checked(restricted, hidden_row):
    save(restricted.secret, lambda request: hidden_row.save())
    hidden_row.save()
    TransactionFactory()


def test_saves_in_another_thread_are_not_checked(restricted, row):
    """A thread has no request. The specification lists this as not covered."""
    active = []

    def handler(request):
        thread = threading.Thread(target=lambda: active.append(active_guard()))
        thread.start()
        thread.join()
        active.append(active_guard())
        row.save()

    assert save(restricted.secret, handler) == 200
    assert active[0] is None
    assert active[1] is not None
    assert active_guard() is None


@unscoped("saves anything")
class Marked(Keyed):
    row = None

    def post(self, request):
        self.row.save()
        return Response()


def test_marked_view_may_save_any_row(restricted, hidden_row):
    assert call(Marked, restricted.secret, "post", row=hidden_row).status_code == 200


# --- every path to the account ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("extra_tables")
def test_row_without_account_is_rejected(restricted):
    """No key could ever access it."""
    assert save(restricted.secret, lambda request: Note.objects.create(text="lost")) == 404
    assert not Note.objects.exists()


@pytest.mark.usefixtures("extra_tables")
def test_every_path_must_lead_into_the_scope(restricted, accounts, row, hidden_row):
    checking, savings = accounts.checking, accounts.savings
    expected = [
        ({"account": checking}, 200),
        ({"transaction": row}, 200),
        ({"account": checking, "transaction": row}, 200),
        ({"account": savings}, 404),
        ({"transaction": hidden_row}, 404),
        ({"account": checking, "transaction": hidden_row}, 404),
        ({"account": savings, "transaction": row}, 404),
    ]
    for relations, status in expected:
        assert save(restricted.secret, lambda request, relations=relations: Note.objects.create(**relations)) == status
    assert Note.objects.count() == 3


MANY_TO_MANY_CHANGES = {
    "add": (False, lambda note, hidden: note.labels.add(hidden)),
    "set": (False, lambda note, hidden: note.labels.set([hidden])),
    "add in reverse": (False, lambda note, hidden: hidden.notes.add(note)),
    "set in reverse": (False, lambda note, hidden: hidden.notes.set([note])),
    "remove": (True, lambda note, hidden: note.labels.remove(hidden)),
    "remove in reverse": (True, lambda note, hidden: hidden.notes.remove(note)),
    "set nothing": (True, lambda note, hidden: note.labels.set([])),
    "clear": (True, lambda note, hidden: note.labels.clear()),
    "clear in reverse": (True, lambda note, hidden: hidden.notes.clear()),
}


@pytest.mark.usefixtures("extra_tables")
def test_many_to_many_outside_the_scope_is_rejected(restricted, accounts):
    note = Note.objects.create(account=accounts.checking)
    hidden = Label.objects.create(account=accounts.savings, name="hidden")

    for name, (is_related, change) in MANY_TO_MANY_CHANGES.items():
        note.labels.set([hidden] if is_related else [])
        before = list(note.labels.all())
        status = save(restricted.secret, lambda request, change=change: change(note, hidden))
        assert (status, list(note.labels.all())) == (404, before), name


def statuses_and_queries(secret, changes):
    """Make each change in a request, and return the sets of its status codes and numbers of queries."""
    statuses, counts = set(), set()
    for change in changes:
        with CaptureQueriesContext(connection) as queries:
            statuses.add(save(secret, change))
        counts.add(len(queries))
    return statuses, counts


@pytest.mark.rule("S4")
@pytest.mark.usefixtures("extra_tables")
@pytest.mark.parametrize(
    "change",
    [
        lambda note, label_pk: note.labels.add(label_pk),
        lambda note, label_pk: note.labels.set([label_pk]),
    ],
)
def test_many_to_many_with_missing_row_looks_hidden(restricted, accounts, change):
    note = Note.objects.create(account=accounts.checking)
    hidden = Label.objects.create(account=accounts.savings, name="hidden")
    changes = [lambda request, pk=pk: change(note, pk) for pk in (hidden.pk, hidden.pk + 1)]
    statuses, counts = statuses_and_queries(restricted.secret, changes)
    assert (statuses, len(counts)) == ({404}, 1)


@pytest.mark.rule("S4")
@pytest.mark.usefixtures("extra_tables")
def test_missing_row_on_nullable_path_looks_hidden(restricted, accounts, row, hidden_row):
    """The join with a missing row has nulls, but its foreign key is not null."""
    checking = accounts.checking
    hidden = Note.objects.create(account=accounts.savings)
    plain = Note.objects.create(account=checking)
    for model, field, hidden_pk, missing_pk in [
        (Note, "transaction_id", hidden_row.pk, uuid.uuid4()),
        (Reply, "note_id", hidden.pk, plain.pk + 1),
    ]:
        changes = [
            lambda request, model=model, fields={field: pk}: model.objects.create(account=checking, **fields)
            for pk in (hidden_pk, missing_pk)
        ]
        statuses, counts = statuses_and_queries(restricted.secret, changes)
        assert (statuses, len(counts)) == ({404}, 1), model
    for note in (None, plain, Note.objects.create(transaction=row)):
        assert (
            save(restricted.secret, lambda request, note=note: Reply.objects.create(account=checking, note=note)) == 200
        )


@pytest.mark.usefixtures("extra_tables")
def test_rows_left_out_by_base_manager_are_checked(restricted, accounts, monkeypatch):
    class NothingManager(models.Manager):
        def get_queryset(self):
            return super().get_queryset().none()

    note = Note.objects.create(account=accounts.checking)
    hidden = Label.objects.create(account=accounts.savings, name="hidden")
    manager = NothingManager()
    manager.model = Label
    monkeypatch.setitem(vars(Label._meta), "base_manager", manager)
    assert save(restricted.secret, lambda request: note.labels.add(hidden)) == 404


@pytest.mark.usefixtures("extra_tables")
def test_many_to_many_inside_the_scope_is_saved(restricted, accounts):
    note = Note.objects.create(account=accounts.checking)
    labels = [Label.objects.create(account=accounts.checking, name=name) for name in "ab"]
    assert save(restricted.secret, lambda request: note.labels.add(labels[0])) == 200
    assert save(restricted.secret, lambda request: note.labels.set(labels[1:])) == 200
    assert save(restricted.secret, lambda request: labels[0].notes.add(note)) == 200
    assert list(note.labels.order_by("name")) == labels


# --- accounts and the scope ------------------------------------------------------------------------------------------


def new_account(owner, **fields):
    return Account.objects.create_manual(
        owner_id=owner.pk, name="New", type="depository", currency="EUR", current_balance=1, **fields
    )


@pytest.mark.rule("S5")
def test_new_account_joins_the_scope(restricted, unrestricted, alice, accounts):
    other, _ = make_key(alice, "Other", [accounts.cash])

    def create(request):
        with request.auth.locked() as key:
            key.add_to_scope(new_account(key.owner))

    assert save(restricted.secret, create) == 200
    account = Account.objects.get(name="New")
    assert [account in key.scoped(Account.objects.all()) for key in (restricted.key, other)] == [True, False]
    assert save(unrestricted.secret, create) == 200


@pytest.mark.rule("S5")
def test_new_account_outside_the_scope_is_rejected(restricted, unrestricted):
    def create(request):
        new_account(request.user)

    assert save(restricted.secret, create) == 404
    assert not Account.objects.filter(name="New").exists()
    assert save(unrestricted.secret, create) == 200


def test_new_account_of_another_owner_is_rejected(restricted, unrestricted, bob):
    def create(request):
        with request.auth.locked() as key:
            key.add_to_scope(new_account(bob))

    for key in (restricted, unrestricted):
        assert save(key.secret, create) == 404
    assert not Account.objects.filter(name="New").exists()


@pytest.mark.rule("S5")
@pytest.mark.parametrize("account_name", ["savings", "bobs"])
def test_existing_account_cannot_join_the_scope(restricted, accounts, bobs_account, account_name):
    account = {"savings": accounts.savings, "bobs": bobs_account}[account_name]

    def add(request):
        with request.auth.locked() as key:
            key.add_to_scope(account)

    assert save(restricted.secret, add) == 404
    assert list(restricted.key.accounts.all()) == [accounts.checking]


@pytest.mark.rule("S5")
def test_existing_account_saved_before_cannot_join(restricted, accounts):
    """Saving a row is not creating it."""

    def add(request):
        accounts.checking.save()
        with request.auth.locked() as key:
            key.add_to_scope(accounts.savings)

    assert save(restricted.secret, add) == 404


@pytest.mark.rule("S5")
def test_new_account_joins_no_other_key(alice, restricted, accounts):
    other, _ = make_key(alice, "Other", [accounts.cash])

    def add(request):
        with request.auth.locked() as key:
            account = new_account(alice)
            key.add_to_scope(account)
            other.add_to_scope(account)

    assert save(restricted.secret, add) == 404
    assert not Account.objects.filter(name="New").exists()
    assert list(other.accounts.all()) == [accounts.cash]


@pytest.mark.rule("S5")
def test_scope_row_saved_directly_is_rejected(restricted, accounts):
    def add(request):
        KeyAccountScope.objects.create(key=request.auth, account=accounts.savings)

    assert save(restricted.secret, add) == 404
    assert KeyAccountScope.objects.filter(key=restricted.key).count() == 1


@pytest.mark.rule("S3")
def test_account_may_not_be_given_away(restricted, accounts, bob):
    def give(request):
        accounts.checking.owner = bob
        accounts.checking.save()

    assert save(restricted.secret, give) == 404
    assert stored(accounts.checking).owner != bob


def test_key_that_shares_all_by_now_is_accepted(restricted, accounts, hidden_row):
    """The scope was edited after authentication. Locks wait for it, so the handler sees the new scope."""

    def handler(request):
        ApiKey.objects.filter(pk=restricted.key.pk).update(share_all_accounts=True)
        hidden_row.save()

    assert save(restricted.secret, handler) == 200


# --- check_rows() and unscoped_rows() --------------------------------------------------------------------------------


def test_check_rows_accepts_rows_inside_the_scope(restricted, accounts, row):
    def bulk(self, request):
        rows = [Transaction(**{**vars_of(row), "provider_id": str(number)}) for number in range(3)]
        self.check_rows(Transaction.objects.bulk_create(rows))

    assert handle(restricted.secret, bulk).status_code == 200
    assert Transaction.objects.count() == 4


def test_check_rows_rejects_rows_outside_the_scope(restricted, accounts, row, hidden_row, monkeypatch, caplog):
    monkeypatch.setattr(save_checks, "_logged", set())

    def bulk(self, request):
        rows = [Transaction(**{**vars_of(old), "provider_id": f"new {old.pk}"}) for old in (row, hidden_row)]
        self.check_rows(Transaction.objects.bulk_create(rows))

    assert handle(restricted.secret, bulk).status_code == 404
    assert Transaction.objects.count() == 2
    assert "outside the scope" in caplog.text


def test_check_rows_takes_rows_of_several_models(restricted, accounts, row, hidden_row, alice):
    for rows, status in (
        ([row, accounts.checking], 200),
        ([accounts.checking, hidden_row], 404),
        ([row, accounts.savings], 404),
        ([alice], 200),  # has no path to an account
        (iter([hidden_row]), 404),
    ):
        assert handle(restricted.secret, lambda self, request, rows=rows: self.check_rows(rows)).status_code == status


def test_check_rows_rejects_even_if_caught(restricted, hidden_row):
    def catch(self, request):
        try:
            self.check_rows([hidden_row])
        except Exception:
            self.scoped(Account.objects.all())

    assert handle(restricted.secret, catch).status_code == 404


@pytest.mark.rule("S7.3")
def test_check_rows_limits_users_too(alice, bob, bobs_account, accounts):
    class Checks(Keyed):
        authentication_classes = [SessionAuthentication]
        account = None

        def unlimited_for(self, request):
            return request.user.is_staff

        def post(self, request):
            self.check_rows([self.account])
            return Response()

    def status(user, account):
        return call(Checks, method="post", user=user, account=account).status_code

    assert (status(alice, accounts.cash), status(alice, bobs_account), status(None, accounts.cash)) == (200, 404, 404)
    bob.is_staff = True
    assert status(bob, accounts.cash) == 200


def vars_of(row):
    return {field.attname: getattr(row, field.attname) for field in row._meta.fields if not field.primary_key}


def test_unscoped_rows_saves_rows_outside_the_scope(restricted, row, hidden_row):
    def audit(request):
        row.save()
        with unscoped_rows("counts requests"):
            hidden_row.summary = "Counted"
            hidden_row.save()

    assert save(restricted.secret, audit) == 200
    assert stored(hidden_row).summary == "Counted"


def test_unscoped_rows_ends_with_the_block(restricted, hidden_row):
    def audit(request):
        with pytest.raises(LookupError), unscoped_rows("counts requests"):
            raise LookupError
        hidden_row.save()

    assert save(restricted.secret, audit) == 404


def test_unscoped_rows_does_not_count_as_scoping(restricted, hidden_row):
    def audit(request):
        with unscoped_rows("counts requests"):
            hidden_row.save()

    with pytest.raises(ImproperlyConfigured, match="without limiting anything"):
        save(restricted.secret, audit)


@pytest.mark.parametrize("reason", ["", " ", None, 1])
def test_unscoped_rows_needs_a_reason(reason):
    with pytest.raises(TypeError, match="unscoped_rows needs a reason"), unscoped_rows(reason):
        pass


def test_unscoped_rows_works_outside_requests(hidden_row):
    with unscoped_rows("a script"):
        hidden_row.save()


# --- the transaction -------------------------------------------------------------------------------------------------


@pytest.mark.rule("S7.5")
@pytest.mark.parametrize("error", [LookupError("example"), ValidationError("example"), SystemExit()])
def test_exception_rolls_back(restricted, row, error):
    def fail(request):
        row.summary = "Renamed"
        row.save()
        raise error

    if isinstance(error, ValidationError):
        assert save(restricted.secret, fail) == 400
    else:
        with pytest.raises(type(error)):
            save(restricted.secret, fail)
    assert stored(row).summary == "Visible"


@pytest.mark.rule("S7.5")
def test_forgotten_scope_rolls_back(restricted, accounts):
    """A DELETE by hand scopes nothing."""
    with pytest.raises(ImproperlyConfigured):
        save(restricted.secret, lambda request: Account.objects.filter(name="Savings").delete(), method="delete")
    assert Account.objects.filter(name="Savings").exists()


@pytest.mark.rule("S7.5")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_async", [False, True])
def test_handler_runs_in_one_transaction(restricted, accounts, is_async):
    class Saves(Keyed):
        def post(self, request):
            assert connection.in_atomic_block
            accounts.checking.save()
            return Response()

        def get(self, request):
            assert not connection.in_atomic_block
            self.scoped(Account.objects.all())
            return Response()

    class AsyncSaves(Keyed):
        async def post(self, request):
            await accounts.checking.asave()
            return Response()

    with CaptureQueriesContext(connection) as queries:
        if is_async:
            assert call_async(AsyncSaves, restricted.secret, "post").status_code == 200
        else:
            assert call(Saves, restricted.secret, "post").status_code == 200
    if connection.vendor == "sqlite":
        begins = [query["sql"] for query in queries if query["sql"].startswith(("BEGIN", "COMMIT", "ROLLBACK"))]
        assert begins == ["BEGIN IMMEDIATE", "COMMIT"]
    assert call(Saves, restricted.secret).status_code == 200


@pytest.mark.rule("S7.5")
@pytest.mark.django_db(transaction=True)
def test_permission_of_unsafe_method_runs_before_the_transaction(restricted, accounts):
    class Saves(Keyed):
        def check_permissions(self, request):
            assert not connection.in_atomic_block
            super().check_permissions(request)

        def post(self, request):
            accounts.checking.save()
            return Response()

    assert call(Saves, restricted.secret, "post").status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("name", "status"), [("checking", 200), ("savings", 404)])
def test_new_row_of_on_commit_callback_is_checked(restricted, accounts, row, name, status):
    """The row stays saved, because the transaction has ended. The security model says so."""

    def create_later(request):
        row.save()
        transaction.on_commit(lambda: TransactionFactory(account=getattr(accounts, name)))

    assert save(restricted.secret, create_later) == status
    assert Transaction.objects.exclude(pk=row.pk).get().account == getattr(accounts, name)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("method", ["initial", "finalize_response"])
def test_new_row_outside_the_handler_is_checked(restricted, accounts, row, method):
    class Saves(Keyed):
        def post(self, request):
            row.save()
            return Response()

    def create(view, *args, **kwargs):
        result = getattr(super(SavesMore, view), method)(*args, **kwargs)
        TransactionFactory(account=accounts.savings)
        return result

    SavesMore = type("SavesMore", (Saves,), {method: create})
    assert call(SavesMore, restricted.secret, "post").status_code == 404


class Reports(Keyed):
    """Makes responses of database errors itself."""

    def handle_exception(self, exc):
        if isinstance(exc, IntegrityError):
            return Response({"detail": "conflict"}, status=409)
        return super().handle_exception(exc)


@pytest.mark.rule("S7.5")
@pytest.mark.django_db(transaction=True)
def test_error_at_commit_becomes_the_apis_response(restricted, accounts):
    """A foreign key is checked at COMMIT, after the handler has returned its response."""

    class Dangles(Reports):
        def post(self, request):
            accounts.checking.save()
            Transaction.objects.bulk_create([TransactionFactory.build(account_id="0" * 32, account=None)])
            return Response(status=201)

    assert call(Dangles, restricted.secret, "post").status_code == 409
    assert not Transaction.objects.exists()


def cause_integrity_error():
    existing = Transaction.objects.get(summary="Visible")
    Transaction.objects.create(pk=existing.pk, account=existing.account, amount=1)


@pytest.mark.rule("S7.5")
@pytest.mark.parametrize("is_async", [False, True])
def test_caught_database_error_is_never_sent(restricted, row, is_async):
    """The transaction can only be rolled back, so the response would be wrong."""

    def catch(self, request):
        row.save()
        try:
            cause_integrity_error()
        except IntegrityError:
            return Response({"done": True}, status=201)

    class Catches(Keyed):
        def post(self, request):
            return catch(self, request)

    class AsyncCatches(Keyed):
        async def post(self, request):
            await row.asave()
            try:
                await Transaction.objects.acreate(pk=row.pk, account=row.account, amount=1)
            except IntegrityError:
                return Response({"done": True}, status=201)

    with pytest.raises(ImproperlyConfigured, match=r"Put transaction\.atomic\(\) around the statement"):
        call_async(AsyncCatches, restricted.secret, "post") if is_async else call(Catches, restricted.secret, "post")


@pytest.mark.rule("S7.5")
def test_database_error_caught_around_atomic_is_fine(restricted, row):
    def catch(self, request):
        row.save()
        try:
            with transaction.atomic():
                cause_integrity_error()
        except IntegrityError:
            return Response({"done": False}, status=409)

    assert handle(restricted.secret, catch).status_code == 409


@pytest.mark.rule("S7.5")
@pytest.mark.skipif(connection.vendor != "postgresql", reason="Only PostgreSQL aborts transactions by itself.")
def test_caught_raw_sql_error_is_never_sent(restricted, row):
    def catch(self, request):
        row.save()
        try:
            connection.cursor().execute("SELECT 1/0")
        except DatabaseError:
            return Response({"done": True}, status=201)

    with pytest.raises(ImproperlyConfigured, match=r"Put transaction\.atomic\(\) around the statement"):
        handle(restricted.secret, catch)


@pytest.mark.rule("S7.5")
@pytest.mark.usefixtures("extra_tables")
def test_atomic_requests_checks_constraints_before_the_response(restricted, accounts, monkeypatch):
    """Django's own transaction commits after the view, too late for the API's own response."""
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)

    class Dangles(Reports):
        def post(self, request):
            self.scoped(Account.objects.all())
            LogEntry.objects.create(user_id=uuid.uuid4(), action_flag=ADDITION)
            return Response(status=201)

    with transaction.atomic():
        response = call(Dangles, restricted.secret, "post")
        transaction.set_rollback(True)
    assert response.status_code == 409


class Locked(Exception):
    """A psycopg error with its code."""

    def __init__(self, sqlstate):
        self.sqlstate = sqlstate


def operational_error(cause):
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.rule("T1a")
@pytest.mark.parametrize(
    "cause", [Locked("40001"), Locked("40P01"), sqlite3.OperationalError("database is locked")], ids=repr
)
@pytest.mark.parametrize("is_async", [False, True])
def test_conflict_is_503_with_retry_after(restricted, accounts, cause, is_async):
    class Conflicts(Keyed):
        def post(self, request):
            accounts.checking.save()
            raise operational_error(cause)

    class AsyncConflicts(Keyed):
        async def post(self, request):
            raise operational_error(cause)

    response = (
        call_async(AsyncConflicts, restricted.secret, "post")
        if is_async
        else call(Conflicts, restricted.secret, "post")
    )
    assert (response.status_code, response["Retry-After"]) == (503, "1")
    assert response.data["detail"].code == "conflict"


@pytest.mark.rule("T1a")
def test_conflict_at_begin_is_503(restricted, accounts):
    error = operational_error(sqlite3.OperationalError("database is locked"))
    with mock.patch("finta_keys.guard.atomic", side_effect=error):
        assert save(restricted.secret, lambda request: accounts.checking.save()) == 503


@pytest.mark.parametrize("cause", [Locked("57014"), Locked(None), sqlite3.OperationalError("disk I/O error")], ids=repr)
def test_other_operational_errors_are_raised(restricted, cause):
    def fail(request):
        raise operational_error(cause)

    with pytest.raises(OperationalError):
        save(restricted.secret, fail)


@pytest.mark.rule("S7.5")
@pytest.mark.parametrize("name", ["post", "put"])
def test_initial_may_replace_the_handler(restricted, accounts, name):
    """Some projects bind another handler to the instance in ``initial()``."""

    class Replaces(Keyed):
        def initial(self, request, *args, **kwargs):
            super().initial(request, *args, **kwargs)
            original = getattr(self, name)
            setattr(self, name, lambda request: original(request))

        def post(self, request):
            accounts.savings.save()
            return Response(status=201)

        put = post

    assert call(Replaces, restricted.secret, name).status_code == 404


@pytest.mark.rule("S7.5")
def test_bound_handler_stays_bound(restricted, accounts):
    """A handler that the instance has is there again after the request."""
    bound = []

    class Binds(Keyed):
        def initial(self, request, *args, **kwargs):
            self.post = lambda request: self.respond()
            super().initial(request, *args, **kwargs)

        def post(self, request):
            raise NotImplementedError

        def respond(self):
            bound.append(self.post)
            accounts.checking.save()
            return Response(status=201)

    assert call(Binds, restricted.secret, "post").status_code == 201
    assert bound[0].__name__ == "<lambda>"


def test_serializer_saves_inside_the_scope_only(restricted, accounts):
    class Detail(Keyed, RetrieveUpdateDestroyAPIView):
        queryset = Account.objects.all()
        serializer_class = AccountSerializer

    def rename(account):
        return call(Detail, restricted.secret, "patch", {"name": "X"}, kwargs={"pk": account.pk})

    assert rename(accounts.checking).data["name"] == "X"
    assert rename(accounts.savings).status_code == 404
    assert stored(accounts.savings).name == "Savings"


@pytest.mark.rule("S7.5")
def test_async_handler_raises_other_operational_errors(restricted):
    class Fails(Keyed):
        async def post(self, request):
            raise OperationalError("no such table")

    with pytest.raises(OperationalError):
        call_async(Fails, restricted.secret, "post")


@pytest.mark.parametrize("outcome", [404, 200])
def test_row_saved_in_initial_must_be_inside(restricted, accounts, outcome):
    account = accounts.savings if outcome == 404 else accounts.checking

    class SavesInInitial(Keyed):
        def initial(self, request, *args, **kwargs):
            super().initial(request, *args, **kwargs)
            TransactionFactory(account=account, summary="New")

        def post(self, request):
            return Response([row.name for row in self.scoped(Account.objects.all())])

    assert call(SavesInInitial, restricted.secret, "post").status_code == outcome


@pytest.mark.rule("K6")
def test_key_cannot_widen_itself_by_its_relation(restricted, accounts):
    """``ApiKey.accounts`` is a many-to-many relation, so its ``add()`` sends a signal."""
    widen = lambda account: lambda request: request.auth.accounts.add(account)  # noqa: E731
    assert save(restricted.secret, widen(accounts.savings)) == 404
    assert save(restricted.secret, widen(accounts.checking)) == 200
    assert list(restricted.key.accounts.all()) == [accounts.checking]
