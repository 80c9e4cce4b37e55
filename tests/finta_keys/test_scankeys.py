"""The command ``scankeys``: secrets that have leaked (rule X1), and whose they are."""

import io
import json
import os
import socket
import sys
import tracemalloc
from io import BytesIO, StringIO

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.db import OperationalError, connection
from django.db.models.signals import pre_delete

from finta_keys import leaks
from finta_keys import secret as secrets
from finta_keys.management.commands.scankeys import PLACES_KEPT, Command
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.finta_keys.snapshots import columns

LOOKALIKE = "finta_" + "0" * 54  # its checksum is wrong
UNKNOWN = "no key has it: rotated, deleted, or of another site"


def scan(*arguments):
    """Run the command and return its exit status and what it printed on standard output and on standard error."""
    out, err, status = StringIO(), StringIO(), 0
    try:
        call_command("scankeys", *map(str, arguments), stdout=out, stderr=err)
    except SystemExit as end:
        status = end.code
    return status, out.getvalue(), err.getvalue()


def scan_json(*arguments):
    status, out, _ = scan("--json", *arguments)
    return status, json.loads(out)


def write(path, *parts):
    path.write_bytes(b"".join(part if isinstance(part, bytes) else part.encode() for part in parts))
    return path


def found(data, at_a_time=None):
    """Return what ``leaks.find()`` finds in some bytes, of which the stream gives so many at a time."""
    return [(line, str(text)) for line, text in leaks.find(Dribble(data, at_a_time or len(data)))]


class Dribble(BytesIO):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data, at_a_time):
        super().__init__(data)
        self.at_a_time = at_a_time

    def read(self, size=-1):
        return super().read(min(size, self.at_a_time))


class Stdin:
    """Standard input of these bytes, then what ``then`` raises, if it is given."""

    def __init__(self, data=b"", *, then=None, terminal=False):
        self.buffer, self.data, self.then, self.terminal = self, [data], then, terminal

    def isatty(self):
        return self.terminal

    def read(self, size):
        if not self.data and self.then:
            raise self.then
        return self.data.pop() if self.data else b""


@pytest.fixture
def stdin(monkeypatch):
    """Set standard input: ``stdin(b"...")``."""
    return lambda *args, **kwargs: monkeypatch.setattr(sys, "stdin", Stdin(*args, **kwargs))


class TestWhatIsASecret:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "utf-16-be"])
    def test_it_is_found_in_text_of_any_encoding_that_contains_ascii_and_in_utf16(self, encoding):
        secret = secrets.generate()
        assert found(f"é\nb {secret}, c\n".encode(encoding)) == [(2, secret)]
        assert found(secret.encode(encoding)) == [(1, secret)]

    @pytest.mark.parametrize(
        "around", ["x{}", "{}x", "9{}9", "Bearer%20{}", r'"\n{}\n"', "_{}_", "{0}{0}", "\0{}\0", "KEY={}"]
    )
    def test_what_stands_around_it_does_not_hide_it(self, around):
        secret = secrets.generate()
        assert set(found(around.format(secret).encode())) == {(1, secret)}
        assert len(found(around.format(secret).encode())) == around.count("{")

    def test_one_that_begins_within_a_lookalike_is_found(self):
        secret = secrets.generate()
        text = "finta_" + "0" * 49 + secret
        assert found(text.encode()) == [(1, text[:60]), (1, secret)]

    @pytest.mark.parametrize("text", ["finta_", "finta_" + "0" * 53, "finta_" + "é" * 54, "Finta_" + "0" * 54, ""])
    def test_what_has_not_the_shape_of_one_is_none(self, text):
        assert found(text.encode()) == []

    @pytest.mark.parametrize("encoding", ["ascii", "utf-16-le", "utf-16-be"])
    @pytest.mark.parametrize("at_a_time", [1, 2, 3, 7, 59, 60, 61, 118, 119, 120, 121, 250])
    def test_it_is_found_once_however_it_is_split(self, encoding, at_a_time):
        first, second = secrets.generate(), secrets.generate()
        data = f"a\n\n{first}\n{second}{first} \n\n{second}\n".encode(encoding)
        assert found(data, at_a_time) == [(3, first), (4, second), (4, first), (6, second)]

    @pytest.mark.parametrize("encoding", ["ascii", "utf-16-le"])
    @pytest.mark.parametrize("before", [0, 1, 30, 59, 60, 61, 118, 119, 120])
    def test_it_is_found_once_across_the_chunks_of_a_big_file(self, encoding, before):
        secret = secrets.generate()
        filling = ("-\n" * (leaks.CHUNK // 2)).encode()[: leaks.CHUNK - before]
        data = filling + secret.encode(encoding) + filling
        assert len(data) > leaks.CHUNK
        assert [text for _, text in leaks.find(BytesIO(data))] == [secret]
        assert [line for line, _ in leaks.find(BytesIO(data))] == [filling.count(b"\n") + 1]

    def test_memory_is_bounded_on_a_line_of_any_length(self):
        secret, chunk = secrets.generate(), b"x" * leaks.CHUNK

        class Endless(BytesIO):
            left = 40

            def read(self, size=-1):
                self.left -= 1
                return chunk if self.left > 0 else secret.encode() if self.left == 0 else b""

        tracemalloc.start()
        try:
            assert list(leaks.find(Endless())) == [(1, secret)]
            assert tracemalloc.get_traced_memory()[1] < 6 * leaks.CHUNK
        finally:
            tracemalloc.stop()

    def test_what_was_found_shows_only_its_hint_where_objects_are_dumped(self):
        secret = secrets.generate()
        assert secret not in repr(list(leaks.find(BytesIO(secret.encode()))))


class TestWhichFiles:
    def test_folders_are_searched_with_all_below_them_in_order(self, tmp_path):
        for name in ("b/z/deep", "b/a", "a", ".hidden", "c"):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        names = [os.path.relpath(path, tmp_path) for path in leaks.files(str(tmp_path), pytest.fail)]
        assert names == [".hidden", "a", "c", "b/a", "b/z/deep"]

    def test_a_file_is_searched_by_its_name(self, tmp_path):
        assert list(leaks.files(str(tmp_path / "a"), pytest.fail)) == [str(tmp_path / "a")]

    def test_links_pipes_and_sockets_in_folders_are_left_out(self, tmp_path, monkeypatch):
        outside, inside = tmp_path / "outside", tmp_path / "inside"
        outside.mkdir()
        inside.mkdir()
        (outside / "file").touch()
        (inside / "to-file").symlink_to(outside / "file")
        (inside / "to-folder").symlink_to(outside)
        (inside / "to-itself").symlink_to(inside)
        (inside / "to-nothing").symlink_to("nothing")
        os.mkfifo(inside / "pipe")
        monkeypatch.chdir(inside)  # The whole path may be too long for the address of a socket.
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("socket")
        assert (inside / "socket").is_socket()
        assert list(leaks.files(str(inside), pytest.fail)) == []

    def test_a_link_that_is_named_is_followed(self, tmp_path):
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "file").touch()
        (tmp_path / "link").symlink_to(tmp_path / "folder")
        assert list(leaks.files(str(tmp_path / "link"), pytest.fail)) == [str(tmp_path / "link" / "file")]

    def test_a_folder_that_cannot_be_read_is_named_and_the_others_are_searched(self, tmp_path):
        for name in ("a", "b/gone", "c/kept"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        failures = []
        walk = leaks.files(str(tmp_path), lambda path, error: failures.append((path, type(error))))
        assert next(walk) == str(tmp_path / "a")
        (tmp_path / "b" / "gone").unlink()
        (tmp_path / "b").rmdir()
        assert list(walk) == [str(tmp_path / "c" / "kept")]
        assert failures == [(str(tmp_path / "b"), FileNotFoundError)]


@pytest.mark.django_db
class TestWhatIsTold:
    def test_a_live_key_its_owner_and_all_places(self, restricted, tmp_path):
        write(tmp_path / "a.log", "x\n", restricted.secret, "\n\n", restricted.secret, b"\xff\0\n")
        write(tmp_path / "b.bin", b"\0\xff", restricted.secret, b"\xff")

        status, out, err = scan(tmp_path)

        assert status == 1
        assert out.splitlines() == [
            f"{secrets.hint(restricted.secret)}  live: the key “Restricted” of alice@example.com",
            f"    {tmp_path}/a.log:2",
            f"    {tmp_path}/a.log:4",
            f"    {tmp_path}/b.bin:1",
            "1 live key, 0 of inactive owners, 0 secrets that no key has; 0 look-alikes with a wrong checksum; "
            "2 files read, 0 not.",
        ]
        assert err == ""

    def test_a_secret_that_no_key_has(self, restricted, tmp_path):
        restricted.key.rotate()
        status, out, _ = scan(write(tmp_path / "a", restricted.secret, " ", secrets.generate()))
        assert status == 0
        assert out.count(UNKNOWN) == 2
        assert "0 live keys, 0 of inactive owners, 2 secrets that no key has" in out

    def test_a_key_of_an_inactive_owner_exists(self, alice, restricted, tmp_path):
        alice.is_active = False
        alice.save()
        status, out, _ = scan(write(tmp_path / "a", restricted.secret))
        assert status == 1
        assert "exists, but its owner is inactive: the key “Restricted” of alice@example.com" in out
        assert "0 live keys, 1 of inactive owners" in out

    @pytest.mark.parametrize("peppers", [["11" * 32], ["aa" * 32, "11" * 32], ["aa" * 32, "bb" * 32, "11" * 32]])
    def test_X3_a_key_under_any_pepper_is_live(self, settings, restricted, tmp_path, peppers):
        settings.FINTA_KEYS_PEPPERS = peppers
        assert scan(write(tmp_path / "a", restricted.secret))[0] == 1

    def test_X3_a_key_under_a_pepper_that_is_not_configured_is_not(self, settings, restricted, tmp_path):
        settings.FINTA_KEYS_PEPPERS = ["aa" * 32]
        assert scan(write(tmp_path / "a", restricted.secret))[0] == 0

    def test_lookalikes_are_counted_on_the_last_line_and_not_listed(self, db, tmp_path):
        status, out, _ = scan(write(tmp_path / "a", f"{LOOKALIKE} {LOOKALIKE}\nx{LOOKALIKE}9"))
        assert status == 0
        assert out.startswith("0 live keys")
        assert "; 3 look-alikes with a wrong checksum;" in out.splitlines()[-1]

    def test_of_many_places_some_are_named_and_all_are_counted_once_a_line(self, restricted, tmp_path):
        _, out, _ = scan(write(tmp_path / "a", f"{restricted.secret} {restricted.secret}\n" * (PLACES_KEPT + 1)))
        assert out.count(f"{tmp_path}/a:") == PLACES_KEPT
        assert "    and 1 more place\n" in out

    @pytest.mark.parametrize("arguments", [[], ["-"]])
    def test_standard_input_is_searched_where_no_file_is_named(self, restricted, stdin, arguments):
        stdin(f"\n{restricted.secret}".encode())
        status, out, err = scan(*arguments)
        assert status == 1
        assert "    standard input:2\n" in out
        assert err == ""

    def test_who_types_into_it_is_told_how_to_end(self, db, stdin):
        stdin(terminal=True)
        assert scan() == (0, scan()[1], "Reading standard input; end it with Ctrl-D. To search files, name them.\n")

    @pytest.mark.parametrize("extra", [[], ["--json"], ["--delete"], ["--delete", "--yes", "--json"]])
    def test_K2_the_secret_is_never_printed(self, alice, tmp_path, extra):
        key, secret = make_key(alice, "Key")
        ApiKey.objects.filter(pk=key.pk).update(name=f"was {secret}")
        write(tmp_path / f"{secret}.log", secret)
        status, out, err = scan(tmp_path, tmp_path / secret, *extra)
        assert status == 1
        assert secrets.hint(secret) in out or json.loads(out)
        assert secret[10:-4] not in out + err

    def test_names_of_files_steer_no_terminal_and_forge_no_line(self, restricted, tmp_path):
        name = os.fsdecode(b"\x1b[31m\n9 live keys\xff\xc3\xa9")
        write(tmp_path / name, restricted.secret)
        _, out, _ = scan(tmp_path)
        assert r"\x1b[31m\n9 live keys\udcffé:1" in out
        assert len(out.splitlines()) == 3

    def test_an_output_that_cannot_show_all_characters_gets_all_lines(self, restricted, tmp_path):
        raw = BytesIO()
        out = io.TextIOWrapper(raw, encoding="ascii")
        with pytest.raises(SystemExit):
            call_command("scankeys", write(tmp_path / "a", restricted.secret), stdout=out)
        assert rb"live: the key \u201cRestricted\u201d of" in raw.getvalue()

    def test_json(self, restricted, tmp_path):
        unknown = secrets.generate()
        path = write(tmp_path / "a", restricted.secret, "\n", unknown, "\n", restricted.secret, LOOKALIKE)
        status, told = scan_json(path, tmp_path / "nothing")
        assert status == 1
        assert told == {
            "secrets": [
                {
                    "hint": restricted.key.hint,
                    "state": "live",
                    "key": {"id": str(restricted.key.pk), "name": "Restricted", "owner": "alice@example.com"},
                    "deleted": False,
                    "note": "",
                    "places": [{"path": str(path), "line": 1}, {"path": str(path), "line": 3}],
                    "placeCount": 2,
                },
                {
                    "hint": secrets.hint(unknown),
                    "state": "unknown",
                    "key": None,
                    "deleted": False,
                    "note": "",
                    "places": [{"path": str(path), "line": 2}],
                    "placeCount": 1,
                },
            ],
            "lookAlikes": 1,
            "filesRead": 1,
            "problems": [{"path": str(tmp_path / "nothing"), "problem": "No such file or directory"}],
        }

    def test_json_tells_of_an_inactive_owner(self, alice, restricted, tmp_path):
        alice.is_active = False
        alice.save()
        _, told = scan_json(write(tmp_path / "a", restricted.secret))
        assert [each["state"] for each in told["secrets"]] == ["ownerInactive"]

    @pytest.mark.parametrize(
        ("peppers", "number", "queries"), [(1, 0, 0), (1, 1, 1), (1, 500, 1), (1, 501, 2), (2, 250, 1), (2, 251, 2)]
    )
    def test_some_hundred_secrets_cost_one_query(
        self, settings, stdin, django_assert_num_queries, peppers, number, queries
    ):
        settings.FINTA_KEYS_PEPPERS = ["11" * 32, "22" * 32][:peppers]
        stdin("".join(secrets.generate() for _ in range(number)).encode())
        with django_assert_num_queries(queries):
            assert f" {number} secret" in scan()[1]

    def test_help_says_what_is_not_done_and_keeps_its_paragraphs(self):
        text = Command().create_parser("manage.py", "scankeys").format_help()
        assert "\n  git log -p --all | python manage.py scankeys\n" in text
        assert "There is no way to rotate them from here" in text
        assert "Exit status: 0 no key" in text


@pytest.mark.django_db
class TestDelete:
    @pytest.fixture
    def leaked(self, restricted, unrestricted, tmp_path):
        """A file with the secrets of two keys."""
        return write(tmp_path / "a", restricted.secret, "\n", unrestricted.secret)

    @pytest.fixture
    def on_delete(self):
        """Call a function before a key is deleted, as a host's receiver would."""
        receivers = []

        def connect(function):
            receivers.append(lambda instance, **kwargs: function(instance))
            pre_delete.connect(receivers[-1], sender=ApiKey)

        yield connect
        for receiver in receivers:
            pre_delete.disconnect(receiver, sender=ApiKey)

    def test_with_yes_the_keys_are_gone_and_the_status_says_that_they_had_leaked(self, leaked, alice, on_delete):
        kept, _ = make_key(alice, "Kept")
        deleted = []
        on_delete(lambda key: deleted.append(key.name))
        status, out, err = scan(leaked, "--delete", "--yes")
        assert status == 1
        assert out.count(", deleted\n") == 2
        assert sorted(deleted) == ["All accounts", "Restricted"]
        assert list(ApiKey.objects.all()) == [kept]
        assert err == ""
        assert scan(leaked)[0] == 0

    def test_without_yes_nothing_is_deleted_and_the_way_is_told(self, leaked, restricted):
        before = columns(restricted.key)
        status, out, err = scan(leaked, "--delete")
        assert status == 1
        assert out.count(", would be deleted\n") == 2
        assert err == "Nothing was deleted. To delete them for good, repeat the command with --yes.\n"
        assert columns(restricted.key) == before
        assert ApiKey.objects.count() == 2

    def test_without_yes_there_is_nothing_to_ask_where_no_key_leaked(self, db, tmp_path):
        status, _, err = scan(write(tmp_path / "a", secrets.generate()), "--delete")
        assert (status, err) == (0, "")

    def test_a_key_of_an_inactive_owner_is_deleted_too(self, leaked, alice):
        alice.is_active = False
        alice.save()
        assert scan(leaked, "--delete", "--yes")[0] == 1
        assert not ApiKey.objects.exists()

    def test_json_tells_which_was_deleted_and_its_id(self, leaked, restricted, unrestricted):
        ids = {str(restricted.key.pk), str(unrestricted.key.pk)}
        _, told = scan_json(leaked, "--delete", "--yes")
        assert {each["key"]["id"] for each in told["secrets"]} == ids
        assert [each["deleted"] for each in told["secrets"]] == [True, True]

    def test_a_key_that_was_rotated_meanwhile_is_left(self, leaked, on_delete):
        on_delete(lambda key: ApiKey.objects.exclude(pk=key.pk).get().rotate())
        status, out, _ = scan(leaked, "--delete", "--yes")
        assert status == 1
        assert "rotated in the meantime, so this secret is dead and the key was left" in out
        assert ApiKey.objects.get().rotation == 1
        assert scan(leaked)[0] == 0

    def test_a_key_that_was_deleted_meanwhile_is_told(self, leaked, on_delete):
        names = []

        def delete_the_other(key):
            names.append(key.name)
            if len(names) == 1:
                ApiKey.objects.exclude(pk=key.pk).get().delete()

        on_delete(delete_the_other)
        status, out, _ = scan(leaked, "--delete", "--yes")
        assert status == 1
        assert out.count("deleted by somebody else in the meantime") == 1
        assert not ApiKey.objects.exists()

    def test_one_that_cannot_be_deleted_keeps_no_other_alive(self, leaked, restricted, on_delete):
        def refuse(key):
            if key == restricted.key:
                raise RuntimeError(restricted.secret)

        on_delete(refuse)
        status, out, err = scan(leaked, "--delete", "--yes")
        assert status == 1
        assert "the key “Restricted” of alice@example.com, NOT deleted (RuntimeError)" in out
        assert restricted.secret not in out + err
        assert list(ApiKey.objects.all()) == [restricted.key]


@pytest.mark.django_db
class TestWhatGoesWrong:
    def test_a_path_that_cannot_be_read_is_named_and_the_others_are_searched(self, restricted, tmp_path):
        nothing = tmp_path / "nothing"
        status, out, err = scan(nothing, write(tmp_path / "a", secrets.generate()))
        assert status == 2
        assert err == f"Could not be read: {nothing}: No such file or directory\n"
        assert "1 file read, 1 not." in out
        assert UNKNOWN in out

    def test_an_empty_name_such_as_that_of_an_unset_variable_is_no_folder(self, db):
        assert scan("")[::2] == (2, "Could not be read: (an empty name): No such file or directory\n")

    def test_a_live_key_goes_before_a_path_that_cannot_be_read(self, restricted, tmp_path):
        assert scan(tmp_path / "nothing", write(tmp_path / "a", restricted.secret))[0] == 1

    def test_what_was_found_before_the_reading_failed_counts(self, restricted, stdin):
        stdin(restricted.secret.encode(), then=OSError(5, "Input/output error"))
        status, out, err = scan()
        assert status == 1
        assert "standard input:1" in out
        assert err == "Could not be read: standard input: Input/output error\n"

    def test_a_standard_input_that_is_closed_is_told(self, db, monkeypatch):
        monkeypatch.setattr(sys, "stdin", None)
        status, _, err = scan()
        assert status == 2
        assert err == "Could not be read: standard input: It is closed. Name a file or a folder.\n"

    def test_yes_alone_is_refused(self, tmp_path):
        with pytest.raises(CommandError, match="--yes goes with --delete") as refused:
            scan(tmp_path, "--yes")
        assert refused.value.returncode == 2

    def test_an_unknown_option_is_wrong_use(self, capsys):
        with pytest.raises(SystemExit) as end:
            Command().run_from_argv(["manage.py", "scankeys", "--rotate"])
        assert end.value.code == 2
        assert "unrecognized arguments: --rotate" in capsys.readouterr().err

    def test_settings_that_the_checks_refuse_are_no_finding(self, settings, tmp_path):
        settings.FINTA_KEYS_PEPPERS = []
        with pytest.raises(SystemCheckError) as refused:
            call_command("scankeys", tmp_path, skip_checks=False)
        assert refused.value.returncode == 2

    def test_settings_that_the_checks_accept_are_no_hindrance(self, tmp_path):
        assert call_command("scankeys", tmp_path, skip_checks=False, stdout=StringIO()) is None

    def test_a_database_that_does_not_answer_is_told_and_is_no_finding(self, restricted, tmp_path):
        def fail(*args):
            raise OperationalError("host db.internal")

        path = write(tmp_path / "a", restricted.secret)
        with (
            connection.execute_wrapper(fail),
            pytest.raises(CommandError, match=r"^The database did not answer \(OperationalError\)") as refused,
        ):
            scan(path)
        assert refused.value.returncode == 2
        assert "db.internal" not in str(refused.value)

    def test_ctrl_c_ends_it_quietly(self, db, stdin):
        stdin(b"x", then=KeyboardInterrupt())
        assert scan() == (130, "", "")

    def test_a_reader_that_has_gone_ends_it_quietly(self, restricted, tmp_path):
        path = write(tmp_path / "a", restricted.secret)
        reader, writer = os.pipe()
        os.close(reader)
        err = StringIO()
        with os.fdopen(writer, "w") as out:
            with pytest.raises(SystemExit) as end:
                call_command("scankeys", path, "--delete", "--yes", stdout=out, stderr=err)
            out.flush()  # as Python does at its end
        assert end.value.code == 141
        assert err.getvalue() == ""
        assert not ApiKey.objects.exists()
