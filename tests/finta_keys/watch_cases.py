"""Handlers that leak in quiet ways, and correct ones. Each gets the view, the rows of ``Rows`` and the request."""

from contextlib import suppress

from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import Count, Exists, F, FloatField, Max, OuterRef, Prefetch, Q, Subquery, Sum
from django.db.models.functions import Cast, Now, Random
from django.http import Http404, StreamingHttpResponse

from accounts_app.models import Account, Transaction, User
from finta_keys.models import KeyAccountScope
from finta_keys.scoping import scoped, unscoped_rows
from finta_keys.testing import make_key
from tests.factories import TransactionFactory

LEAKS, CORRECT = [], []


def leak(handler):
    LEAKS.append(handler)
    return handler


def correct(handler):
    CORRECT.append(handler)
    return handler


class Rows:
    """Two accounts of one owner. A key has one of them in its scope, with an account of another owner elsewhere."""

    def __init__(self, accounts, bobs_account):
        self.visible, self.hidden, self.foreign = accounts.checking, accounts.savings, bobs_account
        self.seen = TransactionFactory(account=self.visible, summary="Seen", amount=9, provider_id="seen")
        self.unseen = TransactionFactory(account=self.hidden, summary="Unseen", amount=1, provider_id="unseen")
        for account in (self.visible, self.hidden):
            TransactionFactory(account=account, summary="Both", amount=5)
        make_key(self.hidden.owner, accounts=[self.hidden])


def new_transaction(account, **fields):
    return TransactionFactory.build(account=account, **fields)


def fetch_raw(sql, params=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def run_raw(sql, params=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


# --- leaks -----------------------------------------------------------------------------------------------------------


@leak
def reads_a_hidden_row_and_responds_404(view, rows, request):
    Account.objects.get(pk=rows.hidden.pk)
    raise Http404


@leak
def reads_a_row_of_another_owner(view, rows, request):
    Account.objects.get(pk=rows.foreign.pk)


@leak
def asks_whether_hidden_rows_exist(view, rows, request):
    Transaction.objects.filter(summary="Unseen").exists()


@leak
def asks_whether_rows_exist_of_which_one_is_visible(view, rows, request):
    Transaction.objects.filter(summary="Both").exists()


@leak
def takes_the_maximum_of_all_rows_which_is_visible(view, rows, request):
    Transaction.objects.aggregate(Max("amount"))


@leak
def lists_distinct_values(view, rows, request):
    list(Account.objects.values_list("currency", flat=True).distinct().order_by("currency"))


@leak
def takes_the_first_of_all_rows_which_is_visible(view, rows, request):
    Transaction.objects.order_by("-amount").first()


@leak
def counts_the_other_accounts_of_the_owner(view, rows, request):
    list(view.scoped(Account.objects.annotate(others=Count("owner__accounts"))))


@leak
def counts_by_the_user(view, rows, request):
    list(User.objects.filter(pk=request.user.pk).annotate(others=Count("accounts")))


@leak
def filters_by_a_sibling_account(view, rows, request):
    list(view.scoped(Account.objects.filter(owner__accounts__name="Savings")))


@leak
def sorts_by_sibling_accounts(view, rows, request):
    list(view.scoped(Account.objects.order_by("owner__accounts__name")))


@leak
def excludes_by_a_sibling_account(view, rows, request):
    list(view.scoped(Account.objects.exclude(owner__accounts__name="Savings")))


@leak
def annotates_by_a_subquery(view, rows, request):
    others = Account.objects.filter(owner=OuterRef("owner")).order_by("-name").values("name")[:1]
    list(view.scoped(Account.objects.annotate(other=Subquery(others))).values("pk", "other"))


@leak
def annotates_by_exists(view, rows, request):
    others = Transaction.objects.filter(account__owner=OuterRef("owner"), summary="Unseen")
    list(view.scoped(Account.objects.annotate(has=Exists(others))))


@leak
def checks_a_condition_with_all_rows(view, rows, request):
    Q(Exists(Transaction.objects.filter(summary="Unseen"))).check({})


@leak
def sums_what_all_rows_have(view, rows, request):
    Account.objects.annotate(rows=Count("transactions")).aggregate(total=Sum("rows"))


@leak
def combines_scoped_rows_with_others(view, rows, request):
    list(view.scoped(Account.objects.all()).order_by().union(Account.objects.order_by()))


@leak
def reads_the_accounts_of_the_user(view, rows, request):
    [account.name for account in request.user.accounts.all()]


@leak
def prefetches_the_accounts_of_the_user(view, rows, request):
    list(view.scoped(Account.objects.prefetch_related("owner__accounts")))


@leak
def iterates_over_all_rows(view, rows, request):
    for _ in Transaction.objects.iterator(chunk_size=1):
        pass


@leak
def locks_a_hidden_row(view, rows, request):
    Account.objects.select_for_update().get(pk=rows.hidden.pk)


@leak
def gets_or_creates_a_hidden_row(view, rows, request):
    Transaction.objects.get_or_create(provider_id="unseen", defaults={"account": rows.visible})


@leak
def sums_with_the_current_time(view, rows, request):
    list(Transaction.objects.values(now=Now()).annotate(total=Sum("amount")))


@leak
def lists_in_random_order(view, rows, request):
    list(Transaction.objects.annotate(place=Random()).order_by("place"))


@leak
def lists_the_scopes_of_all_keys(view, rows, request):
    list(KeyAccountScope.objects.values_list("account", flat=True))


@leak
def counts_by_raw_sql(view, rows, request):
    fetch_raw("select count(*) from accounts_app_transaction")


@leak
def counts_by_raw_sql_in_the_schema(view, rows, request):
    sql = 'SELECT count(*) FROM public."accounts_app_transaction";'
    fetch_raw(sql if connection.vendor == "postgresql" else sql.replace("public", "main"))


@leak
def counts_by_raw_sql_with_named_parameters(view, rows, request):
    fetch_raw("SELECT count(*) FROM accounts_app_transaction WHERE summary = %(text)s", {"text": "Unseen"})


@leak
def counts_by_raw_sql_with_a_cte(view, rows, request):
    fetch_raw("WITH t AS (SELECT * FROM accounts_app_transaction WHERE summary LIKE 'Un%') SELECT count(*) FROM t")


@leak
def reads_instances_by_raw_sql(view, rows, request):
    list(Transaction.objects.raw("/* all */ SELECT * FROM accounts_app_transaction"))


@leak
def updates_by_raw_sql(view, rows, request):
    run_raw("UPDATE accounts_app_transaction SET summary = 'Changed' WHERE summary = %s", ["Unseen"])


@leak
def deletes_by_raw_sql_with_a_cte(view, rows, request):
    run_raw(
        "WITH t AS (SELECT id FROM accounts_app_transaction) "
        "DELETE FROM accounts_app_transaction WHERE id IN (SELECT id FROM t)"
    )


@leak
def deletes_a_hidden_row(view, rows, request):
    with unscoped_rows("the row is loaded in a way that nothing checks"):
        row = Transaction.objects.get(pk=rows.unseen.pk)
    row.delete()


@leak
def deletes_a_row_by_its_id(view, rows, request):
    Transaction(pk=rows.unseen.pk).delete()


@leak
def deletes_rows_by_id(view, rows, request):
    Transaction.objects.filter(pk=rows.unseen.pk).delete()


@leak
def deletes_a_hidden_account_with_its_rows(view, rows, request):
    Account.objects.filter(pk=rows.hidden.pk).delete()


@leak
def deletes_rows_through_the_account(view, rows, request):
    Transaction.objects.filter(account__name="Savings").delete()


@leak
def deletes_rows_without_collecting_them(view, rows, request):
    Transaction.objects.filter(summary="Both")._raw_delete("default")


@leak
def updates_rows_by_id(view, rows, request):
    Transaction.objects.filter(pk=rows.unseen.pk).update(summary="Changed")


@leak
def updates_all_rows(view, rows, request):
    Transaction.objects.update(amount=F("amount") + 1)


@leak
def updates_rows_of_all_users_through_the_account(view, rows, request):
    Transaction.objects.filter(account__currency="USD").update(summary="Changed")


@leak
def updates_in_bulk(view, rows, request):
    row = Transaction(pk=rows.unseen.pk, summary="Changed")
    Transaction.objects.bulk_update([row], ["summary"])


@leak
def moves_rows_out_of_the_scope(view, rows, request):
    view.scoped_transactions().filter(pk=rows.seen.pk).update(account=rows.hidden.pk)


@leak
def copies_a_hidden_value(view, rows, request):
    hidden = Transaction.objects.filter(summary="Unseen").values("summary")[:1]
    Transaction.objects.filter(pk=rows.seen.pk).update(summary=Subquery(hidden))


@leak
def updates_visible_rows_if_a_hidden_one_exists(view, rows, request):
    others = Account.objects.filter(owner=OuterRef("account__owner"), name="Savings")
    Transaction.objects.filter(Exists(others), pk=rows.seen.pk).update(summary="Changed")


@leak
def creates_rows_of_a_hidden_account_in_bulk(view, rows, request):
    Transaction.objects.bulk_create([new_transaction(rows.hidden), new_transaction(rows.visible)])


@leak
def creates_rows_that_may_exist_in_bulk(view, rows, request):
    Transaction.objects.bulk_create([new_transaction(rows.hidden)], ignore_conflicts=True)


@leak
def overwrites_a_hidden_row_by_creating_it(view, rows, request):
    taken = new_transaction(rows.visible, pk=rows.unseen.pk)
    Transaction.objects.bulk_create([taken], update_conflicts=True, unique_fields=["pk"], update_fields=["account"])


@leak
def creates_an_account_outside_the_scope_in_bulk(view, rows, request):
    Account.objects.bulk_create([Account(owner=request.user, name="New", type="depository", current_balance=1)])


@leak
def catches_the_error(view, rows, request):
    with suppress(AssertionError):
        Account.objects.get(pk=rows.hidden.pk)


@leak
def reads_in_the_body(view, rows, request):
    view.scoped(Account.objects.all())
    return StreamingHttpResponse(account.name for account in Account.objects.all())


# --- correct views ---------------------------------------------------------------------------------------------------


@correct
def lists_scoped_rows(view, rows, request):
    assert len(view.scoped_transactions().select_related("account__owner")) == 2


@correct
def reads_values_of_scoped_rows(view, rows, request):
    list(view.scoped_transactions().values_list("summary", "account__name"))


@correct
def counts_scoped_rows(view, rows, request):
    assert view.scoped_transactions().count() == 2


@correct
def asks_whether_scoped_rows_exist(view, rows, request):
    assert not view.scoped_transactions().filter(summary="Unseen").exists()


@correct
def aggregates_scoped_rows(view, rows, request):
    view.scoped_transactions().aggregate(Max("amount"), total=Sum(Cast("amount", FloatField())))


@correct
def groups_scoped_rows(view, rows, request):
    list(view.scoped_transactions().values("summary").annotate(Count("pk")).order_by("summary"))


@correct
def counts_the_rows_of_scoped_accounts(view, rows, request):
    assert [account.rows for account in view.scoped(Account.objects.annotate(rows=Count("transactions")))] == [2]


@correct
def sums_what_scoped_rows_have(view, rows, request):
    counted = view.scoped(Account.objects.annotate(rows=Count("transactions")))
    assert counted.aggregate(total=Sum("rows")) == {"total": 2}


@correct
def looks_for_duplicates_before_saving(view, rows, request):
    """The database would find them too."""
    taken = new_transaction(rows.visible, pk=rows.unseen.pk)
    with suppress(ValidationError):
        taken.validate_unique()
    view.scoped_transactions()


@correct
def checks_a_condition_with_scoped_rows(view, rows, request):
    assert Q(Exists(view.scoped_transactions())).check({})


@correct
def pages_through_scoped_rows(view, rows, request):
    list(view.scoped_transactions().order_by("currency")[1:2])


@correct
def combines_scoped_rows(view, rows, request):
    first, second = (view.scoped_transactions().filter(summary=name).order_by() for name in ("Seen", "Both"))
    assert len(first.union(second)) == len(first | second) == 2


@correct
def filters_by_unscoped_accounts(view, rows, request):
    list(view.scoped_transactions().filter(account__in=Account.objects.filter(currency="USD")))


@correct
def excludes_by_own_rows(view, rows, request):
    list(view.scoped(Account.objects.exclude(transactions__summary="Unseen")))


@correct
def asks_for_own_rows_by_exists(view, rows, request):
    own = Transaction.objects.filter(account=OuterRef("pk"))
    list(view.scoped(Account.objects.annotate(latest=Subquery(own.values("summary")[:1])).filter(Exists(own))))


@correct
def reads_rows_of_a_visible_account(view, rows, request):
    account = view.scoped(Account.objects.all()).get()
    assert account.transactions.aggregate(Sum("amount"))
    assert [row.account.name for row in account.transactions.all()] == ["Checking", "Checking"]


@correct
def prefetches_scoped_rows(view, rows, request):
    own = Prefetch("transactions", view.scoped_transactions().filter(summary="Seen"), "own")
    list(view.scoped(Account.objects.prefetch_related("transactions", own)))


@correct
def reads_rows_by_visible_ids(view, rows, request):
    pks = list(view.scoped(Account.objects.values_list("pk", flat=True)))
    assert Transaction.objects.filter(account__in=pks).count() == 2


@correct
def iterates_over_scoped_rows(view, rows, request):
    for _ in view.scoped_transactions().iterator(chunk_size=1):
        pass


@correct
def locks_scoped_rows(view, rows, request):
    list(view.scoped_transactions().select_for_update(of=["self"]).order_by("pk"))


@correct
def sorts_scoped_rows_at_random(view, rows, request):
    list(view.scoped_transactions().annotate(now=Now()).order_by("?")[:1])


@correct
def limits_by_the_key(view, rows, request):
    assert request.auth.scoped(Account.objects).get() == rows.visible


@correct
def limits_a_django_request(view, rows, request):
    assert scoped(request._request, Transaction.objects, "account").count() == 2


@correct
def reads_visible_rows_by_raw_sql(view, rows, request):
    sql = "SELECT count(*) FROM accounts_app_transaction WHERE summary LIKE '%' AND account_id IN (%s)"
    prepared = Account._meta.pk.get_db_prep_value(rows.visible.pk, connection)
    assert fetch_raw(sql.replace("%'", "%%'"), [prepared]) == [(2,)]


@correct
def changes_visible_rows_by_raw_sql(view, rows, request):
    prepared = Account._meta.pk.get_db_prep_value(rows.visible.pk, connection)
    run_raw("UPDATE accounts_app_transaction SET summary = 'New' WHERE account_id = %s", [prepared])


@correct
def runs_other_raw_sql(view, rows, request):
    run_raw("EXPLAIN SELECT * FROM accounts_app_transaction")
    fetch_raw("SELECT count(*) FROM django_session")


@correct
def updates_scoped_rows(view, rows, request):
    assert view.scoped_transactions().update(summary=F("provider_id")) == 2


@correct
def updates_rows_of_a_visible_account(view, rows, request):
    assert Transaction.objects.filter(account=rows.visible).update(summary="New") == 2


@correct
def updates_visible_rows_in_bulk(view, rows, request):
    changed = list(view.scoped_transactions())
    assert Transaction.objects.bulk_update(changed, ["summary", "amount"]) == 2


@correct
def deletes_scoped_rows(view, rows, request):
    assert view.scoped_transactions().delete()[0] == 2


@correct
def deletes_a_visible_row(view, rows, request):
    view.scoped_transactions().get(summary="Seen").delete()


@correct
def deletes_a_visible_account_with_its_rows(view, rows, request):
    view.scoped(Account.objects.all()).get().delete()
    assert not view.scoped(Account.objects.all()).exists()


@correct
def deletes_visible_accounts_in_bulk(view, rows, request):
    view.scoped(Account.objects.all()).delete()


@correct
def creates_visible_rows_in_bulk(view, rows, request):
    view.check_rows(Transaction.objects.bulk_create([new_transaction(rows.visible), new_transaction(rows.visible)]))


@correct
def creates_visible_rows_that_may_exist(view, rows, request):
    view.scoped_transactions()
    Transaction.objects.bulk_create([new_transaction(rows.visible)], ignore_conflicts=True)


@correct
def overwrites_a_visible_row_by_creating_it(view, rows, request):
    view.scoped_transactions()
    again = new_transaction(rows.visible, pk=rows.seen.pk)
    Transaction.objects.bulk_create([again], update_conflicts=True, unique_fields=["pk"], update_fields=["summary"])


@correct
def creates_an_account_with_rows_in_the_scope(view, rows, request):
    with request.auth.locked() as key:
        account = Account.objects.create(owner=key.owner, name="New", type="depository", current_balance=1)
        account.refresh_from_db()
        row = new_transaction(account)
        row.save()
        row.save(update_fields=["summary"])
        assert account.transactions.count() == 1
        key.add_to_scope(account)
    assert view.scoped(Account.objects.all()).count() == 2


@correct
def creates_and_updates_a_visible_row(view, rows, request):
    row = new_transaction(rows.visible)
    row.save()
    row.summary = "Newer"
    row.save()
    Transaction.objects.filter(pk=row.pk).update(summary="Newest")


@correct
def reads_hidden_rows_for_a_reason(view, rows, request):
    view.scoped_transactions()
    with unscoped_rows("the owner's limit counts all accounts"):
        assert request.user.accounts.count() == 3
        Account.objects.filter(pk=rows.hidden.pk).update(mask="1")


@correct
def raises_404_for_a_hidden_row(view, rows, request):
    if not view.scoped_transactions().filter(pk=rows.unseen.pk).exists():
        raise Http404


@correct
def reads_in_the_body_what_is_scoped(view, rows, request):
    names = (row.summary for row in view.scoped_transactions())
    return StreamingHttpResponse(names)


@correct
def reads_tables_of_no_account(view, rows, request):
    view.scoped_transactions()
    User.objects.filter(pk=request.user.pk).update(is_staff=False)
    assert User.objects.count() == 2
