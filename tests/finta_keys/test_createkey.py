"""The command ``createkey``: an API for shells."""

import json
import re
from io import StringIO
from unittest.mock import Mock
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError, connection, connections, transaction
from django.views.debug import ExceptionReporter

from accounts_app.models import UserManager
from finta_keys import secret as secrets
from finta_keys.management.commands.createkey import Command
from finta_keys.models import ApiKey
from finta_keys.signals import key_created
from finta_keys.testing import make_key

ALICE = ("--user", "alice@example.com")


def createkey(*arguments):
    """Run the command and return what it printed on standard output and on standard error."""
    out, err = StringIO(), StringIO()
    call_command("createkey", *map(str, arguments), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def refusal(*arguments):
    """Return the sentence with which the command refuses, having changed nothing and printed nothing."""
    out, keys = StringIO(), list(ApiKey.objects.values())
    with pytest.raises(CommandError) as refused:
        call_command("createkey", *map(str, arguments), stdout=out, stderr=out)
    assert list(ApiKey.objects.values()) == keys
    assert out.getvalue() == ""
    return str(refused.value)


def whole_database():
    """Return everything that is stored, as one text."""
    stored = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608  # our own tables
            stored += [str(bytes(value) if isinstance(value, memoryview) else value) for row in cursor for value in row]
    return "\n".join(stored)


@pytest.fixture
def known_secret(monkeypatch):
    """The secret that the next key gets: plain text, without the repr that hides it."""
    known = str(secrets.generate())
    monkeypatch.setattr(secrets, "generate", lambda *_: known)
    return known


class Broken(StringIO):
    """A pipe whose reader has gone."""

    def write(self, text):
        raise BrokenPipeError


class BrokenLater(StringIO):
    """A full disk: it shows when the buffer is emptied."""

    def flush(self):
        raise OSError


class TestWhatIsPrinted:
    def test_standard_output_is_the_bare_secret(self, alice):
        out, _ = createkey(*ALICE, "--name", "CI")

        assert re.fullmatch(r"finta_[A-Za-z0-9]+\n", out)
        key = ApiKey.objects.authenticate(out.strip())
        assert (key.owner, key.name, key.share_all_accounts) == (alice, "CI", True)

    def test_standard_error_tells_what_was_made(self, alice):
        _, err = createkey(*ALICE, "--name", "CI")

        key = alice.api_keys.get()
        assert f"Created the key “CI” ({key.hint}) of alice@example.com. It sees all accounts, future ones" in err
        assert "will not be shown again" in err

    def test_K2_the_secret_is_on_standard_output_only(self, alice, caplog):
        caplog.set_level(0)
        out, err = createkey(*ALICE, "--name", "CI")

        secret = out.strip()
        assert secret not in err
        assert secret not in caplog.text
        stored = whole_database()
        assert alice.api_keys.get().hint in stored
        assert secret not in stored
        assert secret.removeprefix("finta_") not in stored

    def test_json_is_one_object(self, alice, accounts):
        out, err = createkey(*ALICE, "--name", "CI", "--account", accounts.checking.pk, "--json")

        key, answer = alice.api_keys.get(), json.loads(out)
        assert ApiKey.objects.authenticate(answer.pop("secret")) == key
        assert answer == {
            "created": True,
            "id": str(key.pk),
            "name": "CI",
            "hint": key.hint,
            "shareAllAccounts": False,
            "accounts": [str(accounts.checking.pk)],
        }
        assert "It sees 1 account." in err

    @pytest.mark.parametrize(("number", "said"), [(1, "1 store"), (2, "2 stores"), (0, "all stores, future ones")])
    def test_it_speaks_the_projects_words(self, settings, alice, accounts, number, said):
        settings.FINTA_KEYS_ACCOUNT_WORDS = ("store", "stores")
        chosen = [accounts.checking.pk, accounts.savings.pk][:number]
        _, err = createkey(*ALICE, "--name", "CI", *(["--account", *chosen] if chosen else []))
        assert f"It sees {said}" in err
        assert "stores" in Command().create_parser("manage.py", "createkey").format_help()

    def test_what_a_receiver_prints_is_not_taken_for_the_secret(self, alice, accounts, capsys):
        def receiver(**kwargs):
            print("a mail on the console")
            transaction.on_commit(lambda: print("and one more"))

        key_created.connect(receiver)
        try:
            call_command("createkey", *ALICE, "--name", "CI")
        finally:
            key_created.disconnect(receiver)
        out, err = capsys.readouterr()
        assert ApiKey.objects.authenticate(out.removesuffix("\n"))
        assert "a mail on the console" in err

    def test_json_has_null_accounts_where_all_are_shared(self, alice, accounts):
        answer = json.loads(createkey(*ALICE, "--name", "CI", "--json")[0])

        assert (answer["shareAllAccounts"], answer["accounts"]) == (True, None)

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            ((*ALICE, "--name", "CI"), None, "Created the key"),
            ((*ALICE, "--name", "there", "--if-absent"), None, "nothing was made"),
            ((*ALICE, "--name", "there"), 1, "CommandError: alice@example.com has a key of this name already."),
            (("--user", "x@y", "--name", "CI"), 1, "CommandError: No user has e-mail 'x@y'."),
            (
                (*ALICE, "--name", "CI", "--account", "nope"),
                1,
                "CommandError: At least one of these ids belongs to no account of alice",
            ),
            (ALICE, 2, "the following arguments are required: --name"),
            ((*ALICE, "--name", "CI", "--account"), 2, "argument --account: expected at least one argument"),
            (("--user", "\udcff", "--name", "CI"), 2, "argument --user: this is not UTF-8 text."),
            ((*ALICE, "--name", "CI", "--account", "\udcff"), 2, "argument --account: this is not UTF-8 text."),
        ],
    )
    def test_a_shell_sees_the_exit_code_and_two_streams(self, alice, capsys, monkeypatch, arguments, code, said):
        make_key(alice, "There")
        monkeypatch.setattr(connections, "close_all", lambda: None)
        exit_code = None
        try:
            Command().run_from_argv(["manage.py", "createkey", *arguments])
        except SystemExit as stop:
            exit_code = stop.code

        printed = capsys.readouterr()
        assert exit_code == code
        assert said in printed.err
        assert printed.out.startswith("finta_") == ("Created" in said)
        assert "Traceback" not in printed.err


class TestDatabase:
    @pytest.mark.parametrize("error", [OperationalError, ProgrammingError])
    @pytest.mark.parametrize("table", ["accounts_app_user", "finta_keys_apikey"])
    def test_a_database_that_does_not_answer_or_lacks_tables_is_told_in_one_sentence(self, alice, error, table):
        def fail(execute, sql, *args):
            if table in sql:
                raise error("no such table, host db.internal")
            return execute(sql, *args)

        with connection.execute_wrapper(fail), pytest.raises(CommandError) as failed:
            createkey(*ALICE, "--name", "CI")
        assert str(failed.value) == (
            f"The database did not answer ({error.__name__}), so there is no secret to hand over. "
            "See that it can be reached and that migrate has run, then repeat the command."
        )
        assert isinstance(failed.value.__cause__, error)  # for --traceback


class TestAccounts:
    def test_several_accounts_at_once_and_the_option_repeated(self, alice, accounts):
        checking, savings, cash = accounts.checking.pk, accounts.savings.pk, accounts.cash.pk
        _, err = createkey(*ALICE, "--name", "CI", "--account", checking, savings, "--account", cash, checking)

        key = alice.api_keys.get()
        assert not key.share_all_accounts
        assert set(key.scope_rows.values_list("account_id", flat=True)) == {checking, savings, cash}
        assert "It sees 3 accounts." in err

    def test_S6_an_account_that_is_not_the_owners_is_refused(self, alice, accounts, bobs_account):
        mine = accounts.checking.pk
        for account in (bobs_account.pk, uuid4(), "nope", "", "1", bobs_account.pk.hex):
            said = refusal(*ALICE, "--name", "CI", "--account", mine, "--account", account)
            assert said == f"At least one of these ids belongs to no account of {alice}: {mine}, {account}. Check them."
        alice.refresh_from_db()
        assert not alice.storage_mode

    def test_S1_no_account_given_by_another_program_is_not_all(self, alice, accounts):
        with pytest.raises(CommandError, match="Choose at least one account"):
            call_command("createkey", user="alice@example.com", name="CI", accounts=[])
        assert not ApiKey.objects.exists()


class TestOwner:
    def test_the_user_is_found_as_at_sign_in(self, alice):
        createkey("--user", "ALICE@Example.com", "--name", "CI")

        assert alice.api_keys.count() == 1

    @pytest.mark.parametrize("email", ["x@y", "", "alice", "alice@example.com\n"])
    def test_an_unknown_user_is_refused_with_the_way_out(self, alice, email):
        assert refusal("--user", email, "--name", "CI") == (
            f"No user has e-mail {email!r}. Check it, or add the user first."
        )

    def test_what_can_be_no_user_name_is_an_unknown_user(self, db, monkeypatch):
        monkeypatch.setattr(UserManager, "get_by_natural_key", Mock(side_effect=ValueError))  # as with a number
        assert refusal("--user", "x", "--name", "CI") == "No user has e-mail 'x'. Check it, or add the user first."

    @pytest.mark.parametrize("more", [(), ("--if-absent",)])
    def test_a_deactivated_owner_is_refused(self, alice, more):
        make_key(alice, "There")
        alice.is_active = False
        alice.save(update_fields=["is_active"])

        for name in ("There", "CI"):
            assert "Activate the user first." in refusal(*ALICE, "--name", name, *more)

    def test_M2_storage_mode_goes_on(self, alice, bob):
        createkey(*ALICE, "--name", "CI")

        alice.refresh_from_db()
        bob.refresh_from_db()
        assert alice.storage_mode
        assert not bob.storage_mode


class TestNames:
    @pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb", "a\tb", "\u202eabc", "a\u2028b", "\udcff"])
    @pytest.mark.parametrize("more", [(), ("--if-absent",)])
    def test_K1_a_bad_name_is_refused(self, alice, name, more):
        assert re.search(r"Give the key a name|Shorten it|Type it without", refusal(f"--name={name}", *ALICE, *more))

    @pytest.mark.parametrize("name", ["Straße", "STRASSE", " strasse ", "ｓｔｒａｓｓｅ"])
    def test_K1_a_taken_name_is_refused_with_two_ways_out(self, alice, name):
        make_key(alice, "Strasse")

        said = refusal(*ALICE, "--name", name)
        assert "Choose another name, or add --if-absent" in said

    def test_K1_a_name_that_somebody_else_uses_is_free(self, alice, bob):
        make_key(bob, "CI")

        for more in ((), ("--if-absent",)):
            out, _ = createkey(*ALICE, "--name", f"CI{''.join(more)}", *more)
            assert ApiKey.objects.authenticate(out.strip()).owner == alice


class TestIfAbsent:
    def test_the_key_is_made_where_there_is_none(self, alice):
        out, _ = createkey(*ALICE, "--name", "CI", "--if-absent")

        assert ApiKey.objects.authenticate(out.strip()).owner == alice

    @pytest.mark.parametrize("name", ["CI", "ci", " ＣＩ "])
    def test_K1_nothing_is_made_where_a_name_is_the_same_by_folding(self, alice, bob, accounts, name):
        key, secret = make_key(alice, "CI", [accounts.checking, accounts.savings])
        make_key(bob, "CI")
        before = list(ApiKey.objects.values())
        out, err = createkey(*ALICE, "--name", name, "--if-absent")

        assert out == ""
        assert f"alice@example.com has a key “CI” ({key.hint}) already, so nothing was made. It sees 2 accounts." in err
        assert list(ApiKey.objects.values()) == before
        assert ApiKey.objects.authenticate(secret) == key

    def test_json_tells_of_the_key_without_a_secret(self, alice, accounts, bob):
        key, _ = make_key(alice, "CI", [accounts.checking, accounts.savings])
        accounts.savings.owner = bob  # out of the key's sight at once (S3)
        accounts.savings.save()
        out, _ = createkey(*ALICE, "--name", "ci", "--if-absent", "--json")

        assert json.loads(out) == {
            "created": False,
            "id": str(key.pk),
            "name": "CI",
            "hint": key.hint,
            "shareAllAccounts": False,
            "accounts": [str(accounts.checking.pk)],
        }

    def test_the_scope_asked_for_does_not_touch_the_key_that_is_there(self, alice, accounts):
        key, _ = make_key(alice, "CI", [accounts.checking])
        createkey(*ALICE, "--name", "CI", "--if-absent")
        createkey(*ALICE, "--name", "CI", "--if-absent", "--account", accounts.savings.pk)

        assert list(key.scope_rows.values_list("account_id", flat=True)) == [accounts.checking.pk]

    def test_only_a_taken_name_is_excused(self, alice, bobs_account):
        make_key(alice, "There")

        assert "no account of alice" in refusal(*ALICE, "--name", "CI", "--account", bobs_account.pk, "--if-absent")


class TestASecretThatNobodyGets:
    @pytest.mark.parametrize("stream", [Broken, BrokenLater])
    @pytest.mark.parametrize("more", [(), ("--json",)])
    def test_K2_its_key_is_deleted_so_that_a_second_try_can_make_it(self, alice, known_secret, stream, more):
        arguments = ("createkey", *ALICE, "--name", "CI", *more)
        with pytest.raises(CommandError, match="so the key was deleted again"):
            call_command(*arguments, stdout=stream(), stderr=StringIO())

        assert ApiKey.objects.authenticate(known_secret) is None
        call_command(*arguments, "--if-absent", stdout=StringIO(), stderr=StringIO())
        assert ApiKey.objects.authenticate(known_secret)

    @pytest.mark.parametrize("more", [(), ("--json",)])
    def test_K2_error_reports_do_not_show_it(self, alice, known_secret, monkeypatch, more):
        def fail(key):
            raise RuntimeError("the database has gone")

        monkeypatch.setattr(ApiKey, "delete", fail)
        with pytest.raises(RuntimeError) as failed:
            call_command("createkey", *ALICE, "--name", "CI", *more, stdout=Broken(), stderr=StringIO())

        below_this_test = failed.tb.tb_next
        report = ExceptionReporter(None, failed.type, failed.value, below_this_test)
        shown = report.get_traceback_html() + report.get_traceback_text()
        assert "_hand_over" in shown
        assert known_secret not in shown
