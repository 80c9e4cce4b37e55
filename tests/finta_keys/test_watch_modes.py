"""Where and when ``watch_scope()`` looks: blocks, fixtures, ``DEBUG``, bodies, middleware, marked views."""

import asyncio
import subprocess
import sys
from types import SimpleNamespace

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection, connections, models
from django.db.backends.utils import CursorWrapper
from django.db.models import OuterRef, Subquery
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient
from django.test.utils import isolate_apps
from django.urls import path
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import api_view, authentication_classes
from rest_framework.generics import RetrieveAPIView
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from accounts_app.models import Account, Transaction, User
from finta_keys import account_paths, pytest_plugin, watch, watch_sql
from finta_keys.authentication import ApiKeyAuthentication, get_key
from finta_keys.fields import AccountRelatedField
from finta_keys.scoping import AccountScopeMixin, scoped_view, unscoped, unscoped_rows
from finta_keys.serializers import ScopedModelSerializer
from finta_keys.testing import ScopeLeak, assert_indistinguishable, key_client, watch_scope
from finta_keys.watch_origin import find_origin
from tests.factories import TransactionFactory
from tests.finta_keys.calls import call, make_request
from tests.finta_keys.extra_models import Label, Note, extra_tables  # noqa: F401  # a fixture
from tests.finta_keys.urls_example import AccountSerializer

pytestmark = [pytest.mark.rule("S7.8"), pytest.mark.django_db]


class Keyed(AccountScopeMixin, APIView):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    permission_classes = []


def read_all():
    return list(Account.objects.all())


class ReadsAll(Keyed):
    def get(self, request):
        self.scoped(Account.objects.all())
        return Response(len(read_all()))


@pytest.fixture
def client(restricted):
    return key_client(restricted.secret)


@pytest.fixture
def routed(settings):
    """Serve these views by URLs that are their names."""

    def serve(**views):
        settings.ROOT_URLCONF = tuple(
            path(name, view.as_view() if isinstance(view, type) else view) for name, view in views.items()
        )

    return serve


# --- which requests --------------------------------------------------------------------------------------------------


def test_message_names_view_origin_and_way_out(routed, client, accounts):
    routed(all=ReadsAll)
    with pytest.raises(ScopeLeak) as raised, watch_scope():
        client.get("/all")
    message = str(raised.value)
    assert "GET of tests.finta_keys.test_watch_modes.ReadsAll read rows of accounts_app.Account" in message
    assert f"at tests/finta_keys/test_watch_modes.py:{read_all.__code__.co_firstlineno + 1}." in message
    assert 'with unscoped_rows("why"):' in message


def test_nothing_is_checked_outside_the_block(routed, client, accounts):
    routed(all=ReadsAll)
    with watch_scope():
        pass
    assert client.get("/all").data == 3
    assert not hasattr(CursorWrapper._execute_with_wrappers, "__wrapped__")
    assert not hasattr(account_paths.limit_to_key, "__wrapped__")


def test_other_callers_are_not_watched(routed, alices_browser, accounts, bobs_account):
    routed(all=ReadsAll)
    with watch_scope():
        assert alices_browser.get("/all").data == 4


def test_key_for_all_accounts_is_watched(routed, unrestricted, bobs_account):
    routed(all=ReadsAll)
    with pytest.raises(ScopeLeak), watch_scope():
        key_client(unrestricted.secret).get("/all")


def test_view_without_handler_of_django_is_watched(restricted, accounts):
    with pytest.raises(ScopeLeak), watch_scope():
        call(ReadsAll, restricted.secret)


def test_code_of_the_test_is_not_watched(restricted, accounts):
    class Empty(Keyed):
        def get(self, request):
            self.scoped(Account.objects.all())
            return Response()

    with watch_scope():
        call(Empty, restricted.secret)
        assert Account.objects.count() == 3
        assert restricted.key.scoped(Account.objects).count() == 1


@pytest.mark.django_db(transaction=True)
def test_async_client_is_watched(routed, restricted, accounts):
    async def body(request):
        key = await sync_to_async(get_key)(request)
        return StreamingHttpResponse(names(key.scoped(Account.objects) if request.GET else Account.objects.all()))

    async def names(rows):
        async for account in rows:
            yield account.name

    async def read(query):
        headers = {"authorization": f"Bearer {restricted.secret}"}
        response = await AsyncClient().get(f"/body{query}", headers=headers)
        try:
            return [part async for part in response.streaming_content]
        finally:
            await sync_to_async(connections.close_all)()

    routed(body=body)
    with watch_scope():
        assert asyncio.run(read("?scoped=1")) == [b"Checking"]
    with pytest.raises(ScopeLeak), watch_scope():
        asyncio.run(read(""))


def reads_all_afterwards(get_response):
    def middleware(request):
        response = get_response(request)
        read_all()
        return response

    return middleware


def plain(request):
    get_key(request)
    return HttpResponse()


def test_middleware_is_watched(routed, settings, client, accounts):
    settings.MIDDLEWARE = [f"{__name__}.reads_all_afterwards"]
    routed(plain=plain)
    with pytest.raises(ScopeLeak, match=r"GET of /plain read"), watch_scope():
        client.get("/plain")


def test_rows_that_middleware_inserts_are_checked(routed, settings, client, accounts):
    def saves(request):
        get_key(request)
        TransactionFactory(account=accounts.savings)
        return HttpResponse()

    routed(saves=saves)
    with pytest.raises(ScopeLeak, match=r"GET of /saves saved rows of accounts_app\.Transaction"), watch_scope():
        client.get("/saves")


def test_file_is_sent_as_it_is(routed, client, tmp_path):
    (tmp_path / "report").write_text("report")
    routed(file=lambda request: FileResponse((tmp_path / "report").open("rb")))
    with watch_scope():
        assert client.get("/file").getvalue() == b"report"


def test_response_is_read_after_the_block(routed, client, accounts):
    routed(body=lambda request: StreamingHttpResponse(account.name for account in read_all() if get_key(request)))
    with watch_scope():
        response = client.get("/body")
    assert len(response.getvalue()) == len("CheckingSavingsCash")


# --- what silences it ------------------------------------------------------------------------------------------------


def test_marked_views_are_not_watched(routed, client, accounts):
    @unscoped("shows a number of all accounts")
    class Marked(Keyed):
        def get(self, request):
            return Response(len(read_all()))

    class MarkedHandler(Keyed):
        @unscoped("shows a number of all accounts")
        def get(self, request):
            return Response(len(read_all()))

    @unscoped("shows a number of all accounts")
    @api_view(["GET"])
    @authentication_classes([ApiKeyAuthentication])
    def function(request):
        return Response(len(read_all()))

    routed(marked=Marked, handler=MarkedHandler, function=function)
    with watch_scope():
        for url in ("/marked", "/handler", "/function"):
            assert client.get(url).data == 3
        assert client.head("/handler").status_code == 200


def test_marked_action_is_not_watched(settings, client, accounts):
    class Actions(AccountScopeMixin, ViewSet):
        authentication_classes = [ApiKeyAuthentication]
        permission_classes = []

        @unscoped("shows a number of all accounts")
        def list(self, request):
            return Response(len(read_all()))

        def create(self, request):
            self.scoped(Account.objects.all())
            return Response(len(read_all()))

    router = SimpleRouter()
    router.register("actions", Actions, basename="action")
    settings.ROOT_URLCONF = tuple(router.urls)
    with watch_scope():
        assert client.get("/actions/").data == 3
    with pytest.raises(ScopeLeak), watch_scope():
        client.post("/actions/")


def test_function_view_is_watched(routed, client, accounts):
    @scoped_view()
    @api_view(["GET"])
    @authentication_classes([ApiKeyAuthentication])
    def function(request):
        request.auth.scoped(Account.objects.all())
        return Response(len(read_all()))

    routed(function=function)
    with pytest.raises(ScopeLeak, match="function read"), watch_scope():
        client.get("/function")


def test_unscoped_rows_ends_with_its_block(routed, client, accounts):
    class Counts(Keyed):
        def get(self, request):
            self.scoped(Account.objects.all())
            with unscoped_rows("outer"):
                with unscoped_rows("inner"):
                    read_all()
                read_all()
            return Response(len(read_all()) if "more" in request.GET else 0)

    routed(counts=Counts)
    with watch_scope():
        client.get("/counts")
    with pytest.raises(ScopeLeak), watch_scope():
        client.get("/counts?more")


def test_rows_of_shared_models_are_not_watched(routed, settings, client, accounts):
    settings.FINTA_KEYS_SHARED_MODELS = ["accounts_app.Transaction"]
    TransactionFactory(account=accounts.savings)

    class Shared(Keyed):
        def get(self, request):
            self.scoped(Account.objects.all())
            return Response(len(Transaction.objects.all()))

    routed(shared=Shared)
    with watch_scope():
        assert client.get("/shared").data == 1


# --- messages --------------------------------------------------------------------------------------------------------


def test_other_error_of_the_block_gets_a_note(routed, restricted, accounts):
    routed(all=ReadsAll)
    quiet_client = key_client(restricted.secret, raise_request_exception=False)
    with pytest.raises(ValueError, match="could not convert") as raised, watch_scope() as messages:
        float(quiet_client.get("/all").reason_phrase)
    assert raised.value.__notes__ == messages
    assert "ReadsAll read rows" in messages[0]


def test_nested_blocks_both_fail(routed, restricted, accounts):
    routed(all=ReadsAll)
    with pytest.raises(ScopeLeak), watch_scope(), pytest.raises(ScopeLeak), watch_scope():
        key_client(restricted.secret, raise_request_exception=False).get("/all")


def test_statement_that_cannot_be_checked_fails(routed, client, accounts):
    column = "ctid" if connection.vendor == "postgresql" else "rowid"

    class ReadsRowNumber(Keyed):
        def get(self, request):
            self.scoped(Account.objects.all())
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT accounts_app_account.{column} FROM accounts_app_account")  # noqa: S608
            return Response()

    routed(number=ReadsRowNumber)
    with pytest.raises(ScopeLeak, match=r"cannot check \(.*\) on rows of accounts_app\.Account"), watch_scope():
        client.get("/number")


def test_other_databases_are_rejected(monkeypatch):
    monkeypatch.setattr(connections["default"], "vendor", "mysql")
    with pytest.raises(ImproperlyConfigured, match="SQLite and PostgreSQL, not on mysql"), watch_scope():
        pass


def test_statements_are_counted_once(routed, client, accounts, django_assert_num_queries):
    class Lists(Keyed):
        def get(self, request):
            return Response(AccountSerializer(self.scoped(Account.objects.all()), many=True).data)

    routed(lists=Lists)
    client.get("/lists")
    with watch_scope(), django_assert_num_queries(2):  # the key, the accounts
        client.get("/lists")


def test_views_without_queries_are_watched(routed, client, accounts):
    routed(empty=lambda request: HttpResponse(str(get_key(request))))
    with watch_scope():
        assert client.get("/empty").content == b"Restricted"


def test_rows_of_other_models_may_be_saved(routed, client, alice, accounts):
    """The new row has no path to an account, but the statement names a table that has one."""

    class Saves(Keyed):
        def get(self, request):
            self.scoped(Account.objects.all())
            User.objects.bulk_create([User(email="accounts_app_account@example.com", email_key="accounts_app_account")])
            name = Account.objects.filter(owner=OuterRef("pk"), pk=accounts.checking.pk).values("name")[:1]
            User.objects.filter(pk=alice.pk).update(email=Subquery(name))
            return Response()

    routed(saves=Saves)
    with watch_scope():
        assert client.get("/saves").status_code == 200


def test_owner_may_be_deleted(routed, unrestricted, bobs_account):
    class Leaves(Keyed):
        def get(self, request):
            self.scoped(Account.objects.all())
            return Response(request.user.delete()[0])

    routed(leaves=Leaves)
    with watch_scope():
        assert key_client(unrestricted.secret).get("/leaves").data > 4
    assert Account.objects.get() == bobs_account


def test_empty_queryset_has_no_rows(accounts):
    assert watch_sql.fetch(connection, Account.objects.none().values_list("pk")) == []


def test_composed_statement_is_read():
    composed = SimpleNamespace(as_string=lambda driver: "SELECT 1")
    assert watch_sql.text_of(connection, composed) == watch_sql.text_of(connection, "SELECT 1") == "SELECT 1"


def test_error_of_a_check_keeps_the_transaction(monkeypatch, accounts):
    """As on PostgreSQL, which would end the transaction."""
    monkeypatch.setattr(connection, "vendor", "postgresql")
    with pytest.raises(DatabaseError):
        watch_sql.execute(connection, "SELECT missing FROM accounts_app_account", ())
    assert len(watch_sql.execute(connection, "SELECT id FROM accounts_app_account", ())) == 3


@pytest.mark.parametrize("value", [memoryview(b"row"), b"row"])
def test_binary_values_are_compared(value):
    assert watch_sql.comparable([[value]]) == [("b'row'",)]


# --- pytest ----------------------------------------------------------------------------------------------------------


def test_fixture_watches(routed, client, accounts, watch_scope):
    routed(all=ReadsAll)
    with pytest.raises(ScopeLeak):
        client.get("/all")
    assert len(watch_scope) == 1
    watch_scope.clear()


def run_plugin(messages, error=None):
    """Run the plugin around a test that has left these messages, and raised this error or none."""
    item = SimpleNamespace(stash={pytest_plugin._messages: messages})
    hook = pytest_plugin.pytest_runtest_call(item)
    next(hook)
    with pytest.raises(StopIteration):
        hook.throw(error) if error else hook.send("result")


def test_plugin_fails_the_test_itself():
    run_plugin([])
    messages = ["leak", "leak"]
    with pytest.raises(ScopeLeak, match=r"^leak$"):
        run_plugin(messages)
    assert messages == []


@pytest.mark.parametrize(("error", "notes"), [(ValueError("status"), ["leak"]), (ScopeLeak("leak"), None)])
def test_plugin_explains_failed_tests(error, notes):
    messages = ["leak"]
    with pytest.raises(type(error)) as raised:
        run_plugin(messages, error)
    assert getattr(raised.value, "__notes__", None) == notes
    assert messages == []


# --- DEBUG -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def debug(settings):
    settings.DEBUG = True


@pytest.mark.usefixtures("debug")
def test_debug_watches_requests_of_keys(routed, client, alices_browser, accounts):
    routed(all=ReadsAll)
    with pytest.raises(ScopeLeak):
        client.get("/all")
    assert alices_browser.get("/all").data == 3
    assert watch.running.get() is None
    assert not hasattr(CursorWrapper._execute_with_wrappers, "__wrapped__")


@pytest.mark.usefixtures("debug")
def test_debug_watches_until_the_response_is_closed(routed, client, accounts):
    routed(body=lambda request: get_key(request) and StreamingHttpResponse(len(read_all()) for _ in "1"))
    response = client.get("/body")
    with pytest.raises(ScopeLeak):
        response.getvalue()
    assert len(read_all()) == 3


@pytest.mark.usefixtures("debug")
def test_debug_and_block_together(routed, client, accounts):
    routed(all=ReadsAll)
    with pytest.raises(ScopeLeak), watch_scope():
        client.get("/all")


PRODUCTION = """
import sys
import django
django.setup()
import accounts_app.api.urls, finta_keys.scoping, finta_keys.authentication
print([name for name in sys.modules if name.startswith("finta_keys.watch")])
"""


@pytest.mark.slow
@pytest.mark.rule("S7.10")
def test_production_imports_nothing_of_it():
    command = [sys.executable, "-c", PRODUCTION]
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PATH": ""}
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout  # noqa: S603
    assert printed.strip() == "[]"


# --- below a declared parent -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["row", "queryset"])
def test_deletion_below_a_declared_parent_is_found(settings, client, accounts, way):
    """The parent in the URL is visible, and the row is looked up by its id alone."""
    hidden = TransactionFactory(account=accounts.savings)

    class Remove(Keyed):
        scoped_kwargs = {"account_pk": Account, "pk": None}

        def delete(self, request, account_pk, pk):
            if way == "row":
                Transaction(pk=pk).delete()
            else:
                Transaction.objects.filter(pk=pk).delete()
            return Response(status=204)

    settings.ROOT_URLCONF = (path("accounts/<uuid:account_pk>/transactions/<uuid:pk>", Remove.as_view()),)
    url = f"/accounts/{accounts.checking.pk}/transactions/{hidden.pk}"
    with pytest.raises(ScopeLeak, match=r"DELETE of .*Remove deleted rows of accounts_app\.Transaction"), watch_scope():
        client.delete(url)
    assert Transaction.objects.filter(pk=hidden.pk).exists()
    assert client.delete(url).status_code == 204  # Without watch_scope(), nothing finds it.


@pytest.mark.rule("S4")
def test_assert_indistinguishable_watches(settings, client, accounts):
    """The responses and the number of queries are the same, but the view has read the hidden row."""

    class Shows(Keyed, RetrieveAPIView):
        queryset = Account.objects.all()
        serializer_class = AccountSerializer
        scoped_kwargs = {"pk": None}

        def retrieve(self, request, pk):
            Account.objects.filter(pk=pk).first()
            self.scoped(Account.objects.all())
            return Response(status=404)

    settings.ROOT_URLCONF = (path("accounts/<uuid:pk>", Shows.as_view()),)
    missing = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(ScopeLeak):
        assert_indistinguishable(client, f"/accounts/{accounts.savings.pk}", f"/accounts/{missing}", methods=["GET"])


# --- models with several paths ---------------------------------------------------------------------------------------


with isolate_apps("accounts_app"):

    class Tag(models.Model):
        account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")

        class Meta:
            app_label = "accounts_app"

        def __str__(self):
            return "tag"

    class Memo(models.Model):
        account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
        tag = models.ForeignKey(Tag, on_delete=models.SET_NULL, null=True)

        class Meta:
            app_label = "accounts_app"

        def __str__(self):
            return "memo"


@pytest.fixture
def tagged(transactional_db):
    with connection.schema_editor() as editor:
        editor.create_model(Tag)
        editor.create_model(Memo)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Memo)
        editor.delete_model(Tag)


@pytest.mark.usefixtures("tagged")
def test_deletion_that_changes_hidden_rows_is_found(restricted, accounts):
    tag = Tag.objects.create(account=accounts.checking)
    Memo.objects.create(account=accounts.checking, tag=tag)

    class Deletes(Keyed):
        def post(self, request):
            self.scoped(Account.objects.all())
            tag = Tag.objects.get(pk=request.data["tag"])
            tag.delete()
            return Response()

    with watch_scope():
        assert call(Deletes, restricted.secret, "post", {"tag": tag.pk}).status_code == 200
    tag = Tag.objects.create(account=accounts.checking)
    Memo.objects.create(account=accounts.savings, tag=tag)
    with pytest.raises(ScopeLeak, match=r"changed rows of accounts_app\.Memo"), watch_scope():
        call(Deletes, restricted.secret, "post", {"tag": tag.pk})


@pytest.fixture
def note(extra_tables, accounts):  # noqa: F811
    """A note on a visible account about a hidden transaction."""
    return Note.objects.create(account=accounts.checking, transaction=TransactionFactory(account=accounts.savings))


class ReadsNote(Keyed):
    account_path = "account"

    def get(self, request):
        if "unscoped" in request.GET:
            list(Note.objects.all())
        (note,) = self.scoped(Note.objects.all())
        return Response(note.transaction.summary if "transaction" in request.GET else note.text)


class ReadsNoteByAnotherPath(ReadsNote):
    account_path = ""

    def scoped(self, queryset):
        return self.request.auth.scoped(queryset, "account")


@pytest.mark.usefixtures("note")
@pytest.mark.parametrize("view", [ReadsNote, ReadsNoteByAnotherPath])
def test_rows_are_visible_along_account_path(routed, client, view):
    routed(note=view)
    with watch_scope():
        assert client.get("/note").status_code == 200
    with pytest.raises(ScopeLeak), watch_scope():
        client.get("/note?transaction")


@pytest.mark.usefixtures("note")
def test_without_a_path_every_path_counts(routed, client):
    routed(note=ReadsNoteByAnotherPath)
    with pytest.raises(ScopeLeak, match=r"accounts_app\.Note"), watch_scope():
        client.get("/note?unscoped")


class NoteSerializer(ScopedModelSerializer):
    account = AccountRelatedField()

    class Meta:
        model = Note
        fields = ["account", "labels"]


@pytest.mark.usefixtures("extra_tables")
def test_serializer_that_keeps_hidden_relations_passes(restricted, accounts):
    note = Note.objects.create(account=accounts.checking)
    hidden = Label.objects.create(account=accounts.savings, name="Hidden")
    visible = Label.objects.create(account=accounts.checking, name="Visible")
    note.labels.add(hidden)

    class Updates(Keyed):
        def post(self, request):
            note = request.auth.scoped(Note.objects.all(), "account").get()
            serializer = NoteSerializer(note, data=request.data, context={"request": request}, partial=True)
            serializer.is_valid(raise_exception=True)
            serializer.save()
            return Response()

    with watch_scope():
        assert call(Updates, restricted.secret, "post", {"labels": [visible.pk]}).status_code == 200
    assert set(note.labels.all()) == {hidden, visible}


@pytest.mark.usefixtures("extra_tables")
def test_relation_to_hidden_rows_is_found(restricted, accounts):
    note = Note.objects.create(account=accounts.checking)
    hidden = Label.objects.create(account=accounts.savings, name="Hidden")

    class Relates(Keyed):
        def get(self, request):
            self.scoped(Account.objects.all())
            Note(pk=note.pk).labels.add(hidden.pk)
            return Response()

    with pytest.raises(ScopeLeak, match=r"saved rows of accounts_app\.Note_labels"), watch_scope():
        call(Relates, restricted.secret)


def package_function(name, path):
    """Return a function of an installed package that calls another."""
    module = {"__name__": name}
    exec(compile("def dispatch(call, *args):\n    return call(*args)", f"/venv/site-packages/{path}", "exec"), module)  # noqa: S102
    return module["dispatch"]


def test_library_is_named_if_no_project_code_ran():
    """The package of another project may contain the view, or the project itself."""
    library, view = package_function("library", "library.py"), package_function("rest_framework.views", "views.py")
    origin = view(lambda: library(find_origin, "SELECT"))
    assert origin.place.startswith("tests/finta_keys/test_watch_modes.py")
    assert view(library, find_origin, "SELECT").place == "/venv/site-packages/library.py:2"
    assert view(find_origin, "SELECT").place == ""


@pytest.mark.parametrize("from_package", [True, False])
def test_cursors_of_others_hide_no_statement(monkeypatch, routed, client, accounts, from_package):
    """Packages and projects wrap cursors to log statements."""
    execute = CursorWrapper.execute
    package = package_function("logs", "logs.py")

    def logged(cursor, sql, params=None):
        return package(execute, cursor, sql, params) if from_package else execute(cursor, sql, params)

    class Changes(Keyed):
        def get(self, request):
            self.scoped(Account.objects.all()).update(mask="1")
            if "all" in request.GET:
                Account.objects.all()._raw_delete("default")
            return Response()

    monkeypatch.setattr(CursorWrapper, "execute", logged)
    routed(changes=Changes)
    with watch_scope():
        client.get("/changes")
    with pytest.raises(ScopeLeak, match="changed rows"), watch_scope():
        client.get("/changes?all")


def test_statements_of_the_app_are_its_own(restricted):
    request = make_request(restricted.secret)
    with watch_scope():
        assert get_key(request) == restricted.key
