"""The command ``createkey``."""

import json
import re
import stat
from io import StringIO
from unittest.mock import Mock
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError, connection, connections, transaction
from django.views.debug import ExceptionReporter

from accounts_app.models import User, UserManager
from finta_keys import expiry
from finta_keys import secret as secrets
from finta_keys.management.commands.createkey import Command
from finta_keys.models import ApiKey
from finta_keys.signals import key_created
from finta_keys.testing import make_key

ALICE = ("--user", "alice@example.com")


def createkey(*arguments):
    """Run the command. Return its standard output and standard error."""
    out, err = StringIO(), StringIO()
    call_command("createkey", *map(str, arguments), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def failure(*arguments):
    """Return the error of the command, which must not change or print anything."""
    out, keys = StringIO(), list(ApiKey.objects.values())
    with pytest.raises(CommandError) as error:
        call_command("createkey", *map(str, arguments), stdout=out, stderr=out)
    assert list(ApiKey.objects.values()) == keys
    assert out.getvalue() == ""
    return str(error.value)


def database_text():
    """Return all rows of all tables as one text."""
    values = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608  # our own tables
            values += [str(bytes(value) if isinstance(value, memoryview) else value) for row in cursor for value in row]
    return "\n".join(values)


@pytest.fixture
def known_secret(monkeypatch):
    """The secret of the next key, as a plain string without the repr that hides it."""
    known = str(secrets.generate())
    monkeypatch.setattr(secrets, "generate", lambda *_: known)
    return known


class Broken(StringIO):
    """A pipe without a reader."""

    def write(self, text):
        raise BrokenPipeError


class BrokenLater(StringIO):
    """A full disk, which fails when the buffer is flushed."""

    def flush(self):
        raise OSError


class TestOutput:
    def test_standard_output_is_the_bare_secret(self, alice):
        out, _ = createkey(*ALICE, "--name", "CI")

        assert re.fullmatch(r"finta_[A-Za-z0-9]+\n", out)
        key = ApiKey.objects.authenticate(out.strip())
        assert (key.owner, key.name, key.share_all_accounts) == (alice, "CI", True)

    def test_standard_error_describes_the_key(self, alice):
        _, err = createkey(*ALICE, "--name", "CI")

        key = alice.finta_keys.get()
        assert (
            f"Created the key “CI” ({key.hint}) of alice@example.com. It can access all accounts, including future ones"
            in err
        )
        assert "will not be shown again" in err

    @pytest.mark.rule("K2")
    def test_secret_is_on_standard_output_only(self, alice, caplog):
        caplog.set_level(0)
        out, err = createkey(*ALICE, "--name", "CI")

        secret = out.strip()
        assert secret not in err
        assert secret not in caplog.text
        stored = database_text()
        assert alice.finta_keys.get().hint in stored
        assert secret not in stored
        assert secret.removeprefix("finta_") not in stored

    def test_json_is_one_object(self, alice, accounts):
        out, err = createkey(*ALICE, "--name", "CI", "--account", accounts.checking.pk, "--json")

        key, output = alice.finta_keys.get(), json.loads(out)
        assert ApiKey.objects.authenticate(output.pop("secret")) == key
        assert output == {
            "created": True,
            "id": str(key.pk),
            "name": "CI",
            "hint": key.hint,
            "permission": "read_write",
            "expiresAt": None,
            "shareAllAccounts": False,
            "accounts": [str(accounts.checking.pk)],
        }
        assert "It can access 1 account." in err

    @pytest.mark.parametrize(
        ("number", "scope"), [(1, "1 store"), (2, "2 stores"), (0, "all stores, including future ones")]
    )
    def test_output_uses_the_account_words(self, settings, alice, accounts, number, scope):
        settings.FINTA_KEYS_ACCOUNT_WORDS = ("store", "stores")
        selected = [accounts.checking.pk, accounts.savings.pk][:number]
        _, err = createkey(*ALICE, "--name", "CI", *(["--account", *selected] if selected else []))
        assert f"It can access {scope}" in err
        assert "stores" in Command().create_parser("manage.py", "createkey").format_help()

    def test_output_of_receivers_goes_to_standard_error(self, alice, accounts, capsys):
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

    def test_json_accounts_are_null_for_all(self, alice, accounts):
        output = json.loads(createkey(*ALICE, "--name", "CI", "--json")[0])

        assert (output["shareAllAccounts"], output["accounts"]) == (True, None)

    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            ((*ALICE, "--name", "CI"), None, "Created the key"),
            ((*ALICE, "--name", "there", "--if-absent"), None, "no key was created"),
            ((*ALICE, "--name", "there"), 1, "CommandError: alice@example.com already has a key with this name."),
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
    def test_exit_code_and_streams(self, alice, capsys, monkeypatch, arguments, code, message):
        make_key(alice, "There")
        monkeypatch.setattr(connections, "close_all", lambda: None)
        exit_code = None
        try:
            Command().run_from_argv(["manage.py", "createkey", *arguments])
        except SystemExit as stop:
            exit_code = stop.code

        printed = capsys.readouterr()
        assert exit_code == code
        assert message in printed.err
        assert printed.out.startswith("finta_") == ("Created" in message)
        assert "Traceback" not in printed.err


class TestDatabase:
    @pytest.mark.parametrize("error", [OperationalError, ProgrammingError])
    @pytest.mark.parametrize("table", ["accounts_app_user", "finta_keys_apikey"])
    def test_database_errors_are_explained(self, alice, error, table):
        def fail(execute, sql, *args):
            if table in sql:
                raise error("no such table, host db.internal")
            return execute(sql, *args)

        with connection.execute_wrapper(fail), pytest.raises(CommandError) as failed:
            createkey(*ALICE, "--name", "CI")
        assert str(failed.value) == (
            f"The database did not respond ({error.__name__}), so no key was created. "
            "Check that it can be reached and that migrate has run, then repeat the command."
        )
        assert isinstance(failed.value.__cause__, error)  # for --traceback


class TestAccounts:
    def test_account_option_can_be_repeated(self, alice, accounts):
        checking, savings, cash = accounts.checking.pk, accounts.savings.pk, accounts.cash.pk
        _, err = createkey(*ALICE, "--name", "CI", "--account", checking, savings, "--account", cash, checking)

        key = alice.finta_keys.get()
        assert not key.share_all_accounts
        assert set(key.scope_rows.values_list("account_id", flat=True)) == {checking, savings, cash}
        assert "It can access 3 accounts." in err

    @pytest.mark.rule("S6")
    def test_account_of_another_user_is_rejected(self, alice, accounts, bobs_account):
        mine = accounts.checking.pk
        for account in (bobs_account.pk, uuid4(), "nope", "", "1", bobs_account.pk.hex):
            error = failure(*ALICE, "--name", "CI", "--account", mine, "--account", account)
            assert (
                error == f"At least one of these ids belongs to no account of {alice}: {mine}, {account}. Check them."
            )
        alice.refresh_from_db()
        assert not alice.storage_mode

    @pytest.mark.rule("S1")
    def test_empty_accounts_are_not_all_accounts(self, alice, accounts):
        with pytest.raises(CommandError, match="Select at least one account"):
            call_command("createkey", user="alice@example.com", name="CI", accounts=[])
        assert not ApiKey.objects.exists()


class TestPermissionAndExpiry:
    @pytest.mark.rule("K8")
    def test_read_only(self, alice):
        _, message = createkey(*ALICE, "--name", "Reader", "--read-only")
        assert ApiKey.objects.get().read_only
        assert "It can read all accounts, including future ones. " in message

    @pytest.mark.rule("K7")
    @pytest.mark.parametrize("expires", ["2099-03-31", "30d"])
    def test_expires(self, alice, expires):
        output, message = createkey(*ALICE, "--name", "Short", "--expires", expires, "--json")
        at = ApiKey.objects.get().expires_at
        assert at == expiry.start_of(expiry.parse(expires))
        assert json.loads(output)["expiresAt"] == expiry.to_json(at)
        assert f" until {expiry.to_json(at)}. " in message

    @pytest.mark.rule("K7")
    @pytest.mark.parametrize("expires", ["2001-01-01", "0d"])
    def test_past_date_is_rejected(self, alice, expires):
        assert failure(*ALICE, "--name", "Short", "--expires", expires) == "This date is past. Choose a later one."

    @pytest.mark.parametrize("expires", ["soon", "31.12.2099", "90", ""])
    def test_other_text_names_the_way_out(self, alice, expires):
        assert "or 90d for 90 days" in failure(*ALICE, "--name", "Short", "--expires", expires)


class TestOwner:
    def test_user_is_found_as_at_sign_in(self, alice):
        createkey("--user", "ALICE@Example.com", "--name", "CI")

        assert alice.finta_keys.count() == 1

    @pytest.mark.parametrize("email", ["x@y", "", "alice", "alice@example.com\n"])
    def test_unknown_user_is_rejected(self, alice, email):
        assert failure("--user", email, "--name", "CI") == (
            f"No user has e-mail {email!r}. Check it, or add the user first."
        )

    def test_invalid_user_name_is_an_unknown_user(self, db, monkeypatch):
        monkeypatch.setattr(UserManager, "get_by_natural_key", Mock(side_effect=ValueError))  # as with a number
        assert failure("--user", "x", "--name", "CI") == "No user has e-mail 'x'. Check it, or add the user first."

    def test_user_is_found_by_primary_key(self, alice):
        createkey("--user", alice.pk, "--name", "CI")

        assert alice.finta_keys.count() == 1

    def test_duplicate_user_name_is_rejected(self, alice, monkeypatch):
        monkeypatch.setattr(UserManager, "get_by_natural_key", Mock(side_effect=User.MultipleObjectsReturned))
        assert failure("--user", "alice", "--name", "CI").startswith("Several users have e-mail 'alice'.")
        createkey("--user", alice.email, "--name", "CI")

    def test_long_user_name_is_not_looked_up(self, db, monkeypatch):
        """Looking it up could fold it, which takes quadratic time."""
        monkeypatch.setattr(UserManager, "get_by_natural_key", Mock(side_effect=AssertionError))
        assert failure("--user", "a" * 255, "--name", "CI").startswith("No user has e-mail 'aaa")

    @pytest.mark.parametrize("options", [(), ("--if-absent",)])
    def test_inactive_owner_is_rejected(self, alice, options):
        make_key(alice, "There")
        alice.is_active = False
        alice.save(update_fields=["is_active"])

        for name in ("There", "CI"):
            assert "Activate the user first." in failure(*ALICE, "--name", name, *options)

    @pytest.mark.rule("M2")
    def test_storage_mode_is_switched_on(self, alice, bob):
        createkey(*ALICE, "--name", "CI")

        alice.refresh_from_db()
        bob.refresh_from_db()
        assert alice.storage_mode
        assert not bob.storage_mode


class TestNames:
    @pytest.mark.rule("K1")
    @pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb", "a\tb", "\u202eabc", "a\u2028b", "\udcff"])
    @pytest.mark.parametrize("options", [(), ("--if-absent",)])
    def test_invalid_name_is_rejected(self, alice, name, options):
        assert re.search(
            r"Enter a name|Use at most|Remove control characters", failure(f"--name={name}", *ALICE, *options)
        )

    @pytest.mark.rule("K1")
    @pytest.mark.parametrize("name", ["Straße", "STRASSE", " strasse ", "ｓｔｒａｓｓｅ"])
    def test_taken_name_is_rejected(self, alice, name):
        make_key(alice, "Strasse")

        error = failure(*ALICE, "--name", name)
        assert "Choose another name, or add --if-absent" in error

    @pytest.mark.rule("K1")
    def test_name_of_another_users_key_is_free(self, alice, bob):
        make_key(bob, "CI")

        for options in ((), ("--if-absent",)):
            out, _ = createkey(*ALICE, "--name", f"CI{''.join(options)}", *options)
            assert ApiKey.objects.authenticate(out.strip()).owner == alice


class TestIfAbsent:
    def test_if_absent_creates_a_missing_key(self, alice):
        out, _ = createkey(*ALICE, "--name", "CI", "--if-absent")

        assert ApiKey.objects.authenticate(out.strip()).owner == alice

    @pytest.mark.rule("K1")
    @pytest.mark.parametrize("name", ["CI", "ci", " ＣＩ "])
    def test_if_absent_finds_names_that_look_alike(self, alice, bob, accounts, name):
        key, secret = make_key(alice, "CI", [accounts.checking, accounts.savings])
        make_key(bob, "CI")
        before = list(ApiKey.objects.values())
        out, err = createkey(*ALICE, "--name", name, "--if-absent")

        assert out == ""
        assert (
            f"alice@example.com already has a key “CI” ({key.hint}), so no key was created. It can access 2 accounts."
            in err
        )
        assert list(ApiKey.objects.values()) == before
        assert ApiKey.objects.authenticate(secret) == key

    def test_if_absent_json_has_no_secret(self, alice, accounts, bob):
        key, _ = make_key(alice, "CI", [accounts.checking, accounts.savings])
        accounts.savings.owner = bob  # no longer accessible
        accounts.savings.save()
        out, _ = createkey(*ALICE, "--name", "ci", "--if-absent", "--json")

        assert json.loads(out) == {
            "created": False,
            "id": str(key.pk),
            "name": "CI",
            "hint": key.hint,
            "permission": "read_write",
            "expiresAt": None,
            "shareAllAccounts": False,
            "accounts": [str(accounts.checking.pk)],
        }

    def test_if_absent_keeps_the_scope(self, alice, accounts):
        key, _ = make_key(alice, "CI", [accounts.checking])
        createkey(*ALICE, "--name", "CI", "--if-absent")
        createkey(*ALICE, "--name", "CI", "--if-absent", "--account", accounts.savings.pk)

        assert list(key.scope_rows.values_list("account_id", flat=True)) == [accounts.checking.pk]

    def test_if_absent_reports_other_errors(self, alice, bobs_account):
        make_key(alice, "There")

        assert "no account of alice" in failure(*ALICE, "--name", "CI", "--account", bobs_account.pk, "--if-absent")


class TestOutputFile:
    def test_secret_is_written_to_a_private_file(self, alice, tmp_path):
        path = tmp_path / "key"
        out, err = createkey(*ALICE, "--name", "CI", "--output", path)

        assert out == ""
        assert f"Its secret is in {path}" in err
        assert ApiKey.objects.authenticate(path.read_text().strip()).name == "CI"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_json_is_written_to_the_file(self, alice, tmp_path):
        out, _ = createkey(*ALICE, "--name", "CI", "--json", "--output", tmp_path / "key")

        assert out == ""
        assert ApiKey.objects.authenticate(json.loads((tmp_path / "key").read_text())["secret"])

    @pytest.mark.parametrize("target", ["existing", "missing"])
    def test_existing_file_is_not_overwritten(self, alice, tmp_path, target):
        (tmp_path / "existing").touch()
        (tmp_path / "key").symlink_to(tmp_path / target)
        assert "already exists" in failure(*ALICE, "--name", "CI", "--output", tmp_path / "key")

    def test_failed_write_deletes_key_and_file(self, alice, tmp_path, monkeypatch):
        monkeypatch.setattr("builtins.open", Mock(side_effect=OSError))
        with pytest.raises(CommandError, match="so the key was deleted again"):
            createkey(*ALICE, "--name", "CI", "--output", tmp_path / "key")
        assert not (tmp_path / "key").exists()
        assert not ApiKey.objects.exists()


class TestUnprintedSecret:
    @pytest.mark.parametrize("stream", [Broken, BrokenLater])
    @pytest.mark.parametrize("options", [(), ("--json",)])
    def test_unprinted_secret_deletes_the_key(self, alice, known_secret, stream, options):
        arguments = ("createkey", *ALICE, "--name", "CI", *options)
        with pytest.raises(CommandError, match="so the key was deleted again"):
            call_command(*arguments, stdout=stream(), stderr=StringIO())

        assert ApiKey.objects.authenticate(known_secret) is None
        call_command(*arguments, "--if-absent", stdout=StringIO(), stderr=StringIO())
        assert ApiKey.objects.get().name == "CI"

    @pytest.mark.rule("K2")
    @pytest.mark.parametrize("options", [(), ("--json",)])
    def test_error_report_hides_the_secret(self, alice, known_secret, monkeypatch, options):
        def fail(key):
            raise RuntimeError("the database has gone")

        monkeypatch.setattr(ApiKey, "delete", fail)
        with pytest.raises(RuntimeError) as failed:
            call_command("createkey", *ALICE, "--name", "CI", *options, stdout=Broken(), stderr=StringIO())

        below_this_test = failed.tb.tb_next
        report = ExceptionReporter(None, failed.type, failed.value, below_this_test)
        shown = report.get_traceback_html() + report.get_traceback_text()
        assert "_print_secret" in shown
        assert known_secret not in shown
