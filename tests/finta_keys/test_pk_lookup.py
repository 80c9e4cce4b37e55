"""Lookups by primary key return the rows of ``.get(pk=…)``, and use kept SQL if nothing has changed the queryset."""

import copy
import decimal
import inspect
import pickle
import re
import uuid
from functools import partial
from unittest import mock

import pytest
from django.db import connection, models, transaction
from django.db.models import Count, F, Q, QuerySet, Value
from django.db.models.lookups import Exact
from django.db.models.sql import Query
from django.test.utils import CaptureQueriesContext, register_lookup
from django.utils.functional import lazystr
from django.utils.safestring import SafeString

from accounts_app.models import Account, Transaction, User
from finta_keys import pk_lookup
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.factories import AccountFactory, TransactionFactory
from tests.finta_keys.pk_models import Detail, Loan, Ticket, Vault, Voucher, pk_tables  # noqa: F401  # a fixture

pytestmark = [pytest.mark.rule("S3"), pytest.mark.usefixtures("executed")]


def filtered(key, rows, path=""):
    """Return the rows in the scope of a key as the ORM filters them, never sealed."""
    with mock.patch.object(pk_lookup, "is_plain", return_value=False):
        return key.scoped(rows, path)


UNCOMPARED = {"_state", "_prefetched_objects_cache"}


def outcome(function, *arguments):
    """Return the result or the error of a call, in a form that can be compared, and the SQL of its queries."""
    with CaptureQueriesContext(connection) as queries:
        try:
            with transaction.atomic():  # PostgreSQL accepts no more statements after an error.
                result = comparable(function(*arguments))
        except Exception as error:
            result = type(error), str(error)
    statements = [str(query["sql"]) for query in queries]  # None on PostgreSQL if a value contains NUL
    return result, [sql for sql in statements if not re.match(IN_EVERY_TRANSACTION, sql)]


IN_EVERY_TRANSACTION = "BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE"


def comparable(result):
    if not isinstance(result, models.Model):
        return type(result).__name__, str(list(result) if isinstance(result, QuerySet) else result)
    values = {
        name: value for name, value in vars(result).items() if name not in {"_state", "_prefetched_objects_cache"}
    }
    state = {name: getattr(result._state, name) for name in ("db", "adding", "fields_cache")}
    return type(result), values, state, result.get_deferred_fields()


def orm_get(rows, pk):
    return rows.get(pk=pk)


def assert_same(key, rows, pk, path=""):
    """Assert that ``get()`` and the ORM have the same result or error, and run the same SQL.

    ``rows`` may be a partial that makes them.
    """
    expected, actual = (rows() if isinstance(rows, partial) else rows for _ in range(2))
    result = outcome(lambda: pk_lookup.get(key.scoped(actual, path), pk))
    assert result == outcome(lambda: filtered(key, expected, path).get(pk=pk))


# --- primary keys ----------------------------------------------------------------------------------------------------


@pytest.fixture
def cases(pk_tables, accounts, bobs_account):  # noqa: F811  # the fixture
    """Models with a path to the account, and the primary keys of rows on four accounts. The first row is visible."""
    owned = (accounts.checking, accounts.savings, bobs_account)
    transactions = [TransactionFactory(account=account) for account in owned]
    loans = [Loan(parent=transaction, rate=1) for transaction in transactions]
    vaults = [Vault(parent=AccountFactory(owner=account.owner), depth=1) for account in owned]
    for row in (*loans, *vaults):
        row.save_base(raw=True)  # without the row of the parent, which exists
    return {
        "account": (Account, "", owned),
        "transaction": (Transaction, "account", transactions),
        "integer": (Ticket, "account", [Ticket.objects.create(account=account) for account in owned]),
        "text": (Voucher, "account", [Voucher.objects.create(code=a.name[:4], account=a) for a in owned]),
        "relation": (Detail, "account", [Detail.objects.create(account=a, text="x") for a in owned]),
        "child": (Loan, "account", loans),
        "child of account": (Vault, "parent", vaults),
    }


def adversarial_values(rows, model):
    pk = rows[0].pk
    yield from (row.pk for row in rows)
    yield from (str(row.pk) for row in rows)
    yield from (
        str(pk).upper(),
        str(pk).replace("-", ""),
        f"{{{pk}}}",
        f"urn:uuid:{pk}",
        f" {pk} ",
        f"{pk}\n",
        f"{pk}\0",
    )
    yield from (uuid.UUID(int=0), uuid.uuid4(), 0, 1, 2, 3, -1, 2**31, 2**63 - 1, 2**63, 2**70, -(2**70))
    yield from (
        "",
        "0",
        "1",
        "01",
        "+1",
        "1_0",
        "１",
        "1.0",
        "2" * 5000,
        str(2**70),
        "\0",
        "x\0",
        "%s",
        "%(p0)s",
        "'",
        "é",
    )
    yield from (None, True, False, 1.0, 1.5, float("nan"), decimal.Decimal(1), b"", b"1", bytes(16), b"\0")
    yield from (str(pk).encode(), bytearray(b"1"), memoryview(b"1"), [], [pk], (pk,), {}, {pk}, object)
    yield from (F("pk"), F("account"), Value(pk), Q(pk=pk), Count("pk"), model.objects.values("pk")[:1])
    yield from (SafeString(pk), lazystr(str(pk)), type("Text", (str,), {})(pk), type("Number", (int,), {})(1))
    yield from (*rows, User(), model(), model, ApiKey.objects.first())


@pytest.mark.slow
@pytest.mark.rule("S4")
def test_primary_keys_match_those_of_the_orm(cases, alice, accounts, executed):
    compared = 0
    for model, path, rows in cases.values():
        visible = [rows[0].pk if model is Vault else accounts.checking.pk]
        for key in (make_key(alice)[0], make_key(alice, None, visible)[0]):
            for value in adversarial_values(rows, model):
                assert_same(key, model.objects.all(), value, path)
                compared += 1
    print(f"{compared} primary keys compared, {len(executed)} of them with kept SQL")
    assert compared > 1000
    assert len(executed) > 300


@pytest.mark.parametrize("name", ["account", "transaction", "integer", "text", "relation", "child", "child of account"])
def test_visible_and_hidden_rows_use_kept_sql(cases, alice, accounts, executed, name, django_assert_num_queries):
    model, path, rows = cases[name]
    account = rows[0] if model is Vault else accounts.checking
    key, _ = make_key(alice, None, [account.pk])
    for number in range(2):
        assert pk_lookup.get(key.scoped(model.objects.all(), path), rows[0].pk) == rows[0]
        for row in rows[1:]:
            with django_assert_num_queries(1), pytest.raises(model.DoesNotExist):
                pk_lookup.get(key.scoped(model.objects.all(), path), row.pk)
        assert len(executed) == 3 * (number + 1)


def test_integer_out_of_range_runs_no_query(cases, unrestricted, django_assert_num_queries):
    for _ in range(2):  # before and after the SQL is kept
        with django_assert_num_queries(0), pytest.raises(Ticket.DoesNotExist):
            pk_lookup.get(unrestricted.key.scoped(Ticket.objects.all(), "account"), 2**70)
        with pytest.raises(Ticket.DoesNotExist):
            pk_lookup.get(unrestricted.key.scoped(Ticket.objects.all(), "account"), 2**30)


def test_converter_of_a_field_is_called_for_null(cases, unrestricted, executed):
    rows = unrestricted.key.scoped(Detail.objects.all(), "account")
    assert pk_lookup.get(rows, cases["relation"][2][0].pk).note == "-"
    assert len(executed) == 1


@pytest.mark.parametrize("owner", [F("pk"), Value(1), None, b"1"])
def test_unusual_value_of_the_scope_uses_the_orm(accounts, unrestricted, executed, owner):
    key = unrestricted.key
    pk_lookup.get(key.scoped(Account.objects.all()), accounts.checking.pk)
    key.owner_id = owner
    assert_same(key, Account.objects.all(), accounts.checking.pk)
    assert len(executed) == 1


def test_lookup_leaves_the_queryset_sealed(restricted, accounts, executed):
    rows = restricted.key.scoped(Account.objects.all())
    assert pk_lookup.get(rows, accounts.checking.pk) == pk_lookup.get(rows, accounts.checking.pk)
    assert pk_lookup.is_sealed(rows)
    assert len(executed) == 2
    assert [account.name for account in rows] == ["Checking"]
    assert not pk_lookup.is_sealed(rows)


def test_sql_is_compiled_once_per_scope(restricted, unrestricted, accounts):
    for key in (restricted.key, unrestricted.key, make_key(restricted.key.owner, "Other", [accounts.savings])[0]):
        for account in Account.objects.all():
            assert_same(key, Account.objects.all(), account.pk)
    assert len(pk_lookup._queries) == 2


def test_changed_settings_drop_kept_sql(restricted, accounts, settings):
    pk_lookup.get(restricted.key.scoped(Account.objects.all()), accounts.checking.pk)
    assert pk_lookup._queries
    settings.TIME_ZONE = "Asia/Tokyo"
    assert not pk_lookup._queries


@pytest.mark.rule("K2")
def test_kept_sql_holds_no_values_and_no_connection(restricted, accounts):
    pk_lookup.get(restricted.key.scoped(Account.objects.all()), accounts.checking.pk)
    (query,) = pk_lookup._queries.values()
    attributes = repr(vars(query))
    for pk in (accounts.checking.pk, restricted.key.pk, restricted.key.owner_id):
        assert str(pk) not in attributes
        assert pk.hex not in attributes
    assert connection.ops not in [getattr(converter.function, "__self__", None) for converter in query._converters]
    assert any(converter.keeps_null for converter in query._converters) == (connection.vendor == "sqlite")


# --- querysets -------------------------------------------------------------------------------------------------------


def other_rows():
    return Account.objects.filter(name="Cash")


METHODS = {
    "aggregate": lambda rows: rows.aggregate(Count("pk")),
    "alias": lambda rows: rows.alias(n=Count("transactions")).filter(n=0),
    "all": lambda rows: rows.all(),
    "annotate": lambda rows: rows.annotate(n=Count("transactions")),
    "bulk_create": lambda rows: rows.bulk_create([]),
    "bulk_update": lambda rows: rows.bulk_update([], ["name"]),
    "complex_filter": lambda rows: rows.complex_filter(Q(name="Savings")),
    "contains": lambda rows: rows.contains(Account.objects.get(name="Savings")),
    "count": lambda rows: rows.count(),
    "create": lambda rows: rows.create(),
    "dates": lambda rows: rows.dates("created_at", "year"),
    "datetimes": lambda rows: rows.datetimes("created_at", "year"),
    "defer": lambda rows: rows.defer("name"),
    "delete": lambda rows: rows.filter(name="None").delete(),
    "difference": lambda rows: rows.difference(other_rows()),
    "distinct": lambda rows: rows.distinct(),
    "earliest": lambda rows: rows.earliest("created_at"),
    "exclude": lambda rows: rows.exclude(name="Checking"),
    "exists": lambda rows: rows.exists(),
    "explain": lambda rows: rows.explain(),
    "extra": lambda rows: rows.extra(where=["1 = 0"]),
    "fetch_mode": lambda rows: rows.fetch_mode(models.FETCH_RAISE),
    "filter": lambda rows: rows.filter(name="Savings"),
    "first": lambda rows: rows.first(),
    "get": lambda rows: rows.get(name="Checking"),
    "get_or_create": lambda rows: rows.get_or_create(name="Checking"),
    "in_bulk": lambda rows: rows.in_bulk([]),
    "intersection": lambda rows: rows.intersection(Account.objects.all()),
    "iterator": lambda rows: list(rows.iterator(chunk_size=10)),
    "last": lambda rows: rows.last(),
    "latest": lambda rows: rows.latest("created_at"),
    "none": lambda rows: rows.none(),
    "only": lambda rows: rows.only("name"),
    "order_by": lambda rows: rows.order_by("-name"),
    "prefetch_related": lambda rows: rows.prefetch_related("transactions"),
    "raw": lambda rows: list(rows.raw("SELECT * FROM accounts_app_account")),
    "reverse": lambda rows: rows.reverse(),
    "select_for_update": lambda rows: rows.select_for_update(),
    "select_related": lambda rows: rows.select_related("owner"),
    "union": lambda rows: rows.union(other_rows()),
    "update": lambda rows: rows.filter(name="None").update(name="x"),
    "update_or_create": lambda rows: rows.update_or_create({}, name="Checking"),
    "using": lambda rows: rows.using("default"),
    "values": lambda rows: rows.values("name"),
    "values_list": lambda rows: rows.values_list("name", flat=True),
    # not methods
    "and": lambda rows: rows & Account.objects.filter(name="Savings"),
    "or": lambda rows: rows | Account.objects.filter(name="Savings"),
    "xor": lambda rows: rows ^ Account.objects.filter(name="Savings"),
    "slice": lambda rows: rows[:1],
    "index": lambda rows: rows[0],
    "len": len,
    "bool": bool,
    "repr": repr,
    "iter": list,
    "str(query)": lambda rows: str(rows.query),
    "pickle": lambda rows: pickle.loads(pickle.dumps(rows)),  # noqa: S301  # our own
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "query": lambda rows: rows.query.add_q(Q(name="Savings")),
    "where": lambda rows: rows.query.where.children.clear(),
    "subquery": lambda rows: Account.objects.filter(pk__in=rows),
}
ASYNC = {f"a{name}" for name in METHODS}
NO_METHODS = {"as_manager", "db", "ordered", "query", "resolve_expression", "aiterator", "totally_ordered"}


def test_all_queryset_methods_are_compared():
    names = {name for name in dir(QuerySet) if not name.startswith("_")}
    assert names - ASYNC - NO_METHODS - METHODS.keys() == set()


def look_up_after(method, rows, pk, get):
    """Look up a row in the result of a method of a scoped queryset, or in the queryset itself."""
    result = method(rows)
    return get(result if isinstance(result, QuerySet) else rows, pk)


def look_up_before(method, limit, pk, get):
    """Look up a row in the scoped result of a method of a queryset, or in the scoped queryset itself."""
    return get(scope_of(method, limit), pk)


def scope_of(method, limit):
    """Return the scoped result of a method of a queryset, or the scoped queryset itself."""
    rows = Account.objects.all()
    result = method(rows)
    return limit(result if isinstance(result, QuerySet) else rows)


@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name in METHODS if name != "fetch_mode" or hasattr(QuerySet, name)])
def test_queryset_methods_take_effect(restricted, unrestricted, accounts, bobs_account, name):
    method = METHODS[name]
    for key in (restricted.key, unrestricted.key):
        for account in (accounts.checking, accounts.savings, accounts.cash, bobs_account):
            actual = outcome(look_up_after, method, key.scoped(Account.objects.all()), account.pk, pk_lookup.get)
            expected = outcome(look_up_after, method, filtered(key, Account.objects.all()), account.pk, orm_get)
            assert without_random_values(actual) == without_random_values(expected)
            actual = outcome(look_up_before, method, key.scoped, account.pk, pk_lookup.get)
            expected = outcome(look_up_before, method, partial(filtered, key), account.pk, orm_get)
            assert without_random_values(actual) == without_random_values(expected)


@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name in METHODS if name != "fetch_mode" or hasattr(QuerySet, name)])
def test_scope_keeps_the_queryset(restricted, unrestricted, accounts, bobs_account, name):
    """Not only for lookups: also its order, columns and annotations."""
    for key in (restricted.key, unrestricted.key):
        actual, expected = (outcome(scope_of, METHODS[name], limit) for limit in (key.scoped, partial(filtered, key)))
        assert without_random_values(actual) == without_random_values(expected)


def without_random_values(result):
    """Remove the row and the SQL of a failed INSERT, and the names of cursors."""
    statements = [re.sub("_django_curs_[0-9]+_[a-z]+_[0-9]+", "", sql) for sql in result[1] if "INSERT" not in sql]
    return re.sub(r"DETAIL: .*", "", str(result[0])), statements


def subclass(**attributes):
    return type("Custom", (QuerySet,), attributes)


@pytest.mark.slow
def test_class_that_overrides_anything_uses_the_orm(restricted, accounts, executed):
    names = pk_lookup.OVERRIDABLE - {"__class__"}
    assert len(names) > 130
    for name in names:
        custom = subclass(**{name: inspect.getattr_static(QuerySet, name, None)})
        assert not pk_lookup.is_sealed(restricted.key.scoped(custom(Account))), name
        for account in (accounts.checking, accounts.savings):
            assert_same(restricted.key, custom(Account), account.pk)
    assert not executed


def without_checking(rows):
    rows._query.add_q(~Q(name="Checking"))
    return rows


def hides_in(name):
    """Return a class whose method returns a queryset without the checking account."""

    def method(self, *args, **kwargs):
        return without_checking(getattr(super(custom, self), name)(*args, **kwargs))

    custom = subclass(**{name: method})
    return custom


class Hides(QuerySet):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        without_checking(self)


class HidesInQuery(QuerySet):
    @property
    def query(self):
        return without_checking(self)._query

    @query.setter
    def query(self, value):
        self._query = value


class HidesInAttribute(QuerySet):
    def __getattribute__(self, name):
        return without_checking if name == "_missing" else super().__getattribute__(name)

    def __iter__(self):
        return iter([])


class Reads(QuerySet):
    def _fetch_all(self):
        self._result_cache = []


class Counts(QuerySet):
    def __len__(self):
        return 0


class ElsewhereByDefault(QuerySet):
    _iterable_class = property(lambda self: models.query.ValuesIterable, lambda self, value: None)


class Mixin:
    def _clone(self):
        return without_checking(super()._clone())


class WithMixin(Mixin, QuerySet):
    pass


class Inherits(WithMixin):
    pass


class OnlyAdds(QuerySet):
    """Adds names only, like most classes of projects."""

    setting: int = 3

    def open(self):
        return self.filter(status="active")


class AddsMore(OnlyAdds):
    pass


HIDING = [
    *(hides_in(name) for name in ("filter", "_filter_or_exclude", "_chain", "_clone", "order_by", "using", "all")),
    *(Hides, HidesInQuery, HidesInAttribute, Reads, Counts, ElsewhereByDefault, WithMixin, Inherits),
]


@pytest.mark.parametrize("custom", HIDING)
def test_overridden_behavior_takes_effect(restricted, unrestricted, accounts, custom, executed):
    for key in (restricted.key, unrestricted.key):
        for account in (accounts.checking, accounts.savings):
            assert_same(key, partial(custom, Account), account.pk)
    assert not executed


@pytest.mark.parametrize("custom", [QuerySet, OnlyAdds, AddsMore])
def test_class_that_only_adds_names_uses_kept_sql(restricted, accounts, custom, executed):
    for account in (accounts.checking, accounts.savings):
        assert_same(restricted.key, custom(Account), account.pk)
    assert len(executed) == 2


def changed(value):
    """Return another value of the same kind."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, pk_lookup.ScopeFilter):
        return False, (("name", "Savings"),), {}
    if isinstance(value, tuple | frozenset | set):
        return type(value)(["name"])
    if isinstance(value, dict):
        return {"name": "name"}
    return object()


def query_attributes():
    inherited = {name: value for name, value in inspect.getmembers(Query) if is_plain_value(value)}
    return sorted({*inherited, *vars(Query(Account))} - {"__doc__", "__module__", "__weakref__"})


def is_plain_value(value):
    return value is None or isinstance(value, bool | int | tuple | frozenset | dict)


def test_changed_attribute_uses_the_orm(restricted, accounts, executed):
    later = "an attribute of a later Django"
    changes = [(True, name) for name in (*query_attributes(), later)]
    changes += [(False, name) for name in (*(vars(QuerySet(Account)).keys() - {"_db", "_query"}), later)]
    assert len(changes) > 55
    for is_of_query, name in changes:
        for account in (accounts.checking, accounts.savings):
            rows = [restricted.key.scoped(Account.objects.all()) for _ in range(2)]
            for changed_rows in rows:
                holder = vars(changed_rows)["_query"] if is_of_query else changed_rows
                vars(holder)[name] = changed(getattr(holder, name, None))
                assert not pk_lookup.is_sealed(changed_rows), name
            assert without_addresses(outcome(pk_lookup.get, rows[0], account.pk)) == without_addresses(
                outcome(orm_get, rows[1], account.pk)
            )
    assert not executed


def without_addresses(result):
    return re.sub("0x[0-9a-f]+", "", str(result))


def test_query_of_another_class_uses_the_orm(restricted, accounts, executed):
    rows = Account.objects.all()
    rows.query.__class__ = type("OtherQuery", (Query,), {})
    assert_same(restricted.key, rows, accounts.checking.pk)
    rows = QuerySet(Account, query=Query(Transaction))
    assert_same(restricted.key, rows, accounts.checking.pk)
    assert not executed


def test_related_managers_use_the_orm(restricted, alice, bob, accounts, bobs_account, executed):
    for owner in (alice, bob):
        for account in (accounts.checking, bobs_account):
            assert_same(restricted.key, owner.accounts, account.pk)
    assert not executed


def test_scope_in_scope_uses_the_orm(alice, restricted, accounts, executed):
    other, _ = make_key(alice, "Other", [accounts.checking, accounts.savings])
    rows = other.scoped(Account.objects.all())
    for account in (accounts.checking, accounts.savings):
        assert_same(restricted.key, rows, account.pk)
    assert not executed


# --- lookups that cannot be kept ------------------------------------------------------------------------------------


class LessExact(Exact):
    pass


def test_custom_exact_lookup_uses_the_orm(restricted, accounts, executed):
    with register_lookup(models.UUIDField, LessExact):
        for _ in range(2):
            assert_same(restricted.key, Account.objects.all(), accounts.checking.pk)
    assert not executed


@pytest.fixture
def without_unique_pks(monkeypatch, accounts):
    """Rows that are found twice, such as in a database view with a column that is not unique."""
    execute = pk_lookup.PkQuery.execute
    monkeypatch.setattr(pk_lookup.PkQuery, "execute", lambda query, values: execute(query, values) * 2)


def test_several_rows_are_left_to_the_orm(without_unique_pks, restricted, accounts, django_assert_num_queries):
    with django_assert_num_queries(2):
        assert pk_lookup.get(restricted.key.scoped(Account.objects.all()), accounts.checking.pk) == accounts.checking
