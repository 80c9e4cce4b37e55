"""The command ``scankeys``: leaked secrets and the keys they belong to."""

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
from django.utils import timezone

from finta_keys import expiry, leaks
from finta_keys import secret as secrets
from finta_keys.management.commands.scankeys import PLACES_KEPT, Command
from finta_keys.models import ApiKey, RetiredSecret
from finta_keys.testing import make_key
from tests.finta_keys.snapshots import columns

LOOKALIKE = "finta_" + "0" * 54  # its checksum is wrong
UNKNOWN = "no key has this secret, as far as is known: it may belong to another site"


def scan(*arguments):
    """Run the command. Return its exit status, standard output and standard error."""
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


def matches(data, chunk=None):
    """Return the matches of ``leaks.find()`` in a stream that returns ``chunk`` bytes at a time."""
    return [(line, str(text)) for line, text in leaks.find(SlowStream(data, chunk or len(data)))]


class SlowStream(BytesIO):
    """A stream that returns a few bytes at a time."""

    def __init__(self, data, chunk):
        super().__init__(data)
        self.chunk = chunk

    def read(self, size=-1):
        return super().read(min(size, self.chunk))


class Stdin:
    """Standard input with these bytes, followed by the exception ``then``, if any."""

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


class TestMatches:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
    def test_secret_is_found_in_ascii_compatible_text(self, encoding):
        secret = secrets.generate()
        assert matches(f"é\nb {secret}, c\n".encode(encoding)) == [(2, secret)]
        assert matches(secret.encode(encoding)) == [(1, secret)]

    @pytest.mark.parametrize(
        "around", ["x{}", "{}x", "9{}9", "Bearer%20{}", r'"\n{}\n"', "_{}_", "{0}{0}", "\0{}\0", "KEY={}"]
    )
    def test_surrounding_characters_do_not_matter(self, around):
        secret = secrets.generate()
        assert set(matches(around.format(secret).encode())) == {(1, secret)}
        assert len(matches(around.format(secret).encode())) == around.count("{")

    def test_secret_inside_a_lookalike_is_found(self):
        secret = secrets.generate()
        text = "finta_" + "0" * 49 + secret
        assert matches(text.encode()) == [(1, text[:60]), (1, secret)]

    @pytest.mark.parametrize("text", ["finta_", "finta_" + "0" * 53, "finta_" + "é" * 54, "Finta_" + "0" * 54, ""])
    def test_other_text_is_not_a_secret(self, text):
        assert matches(text.encode()) == []

    @pytest.mark.parametrize("chunk", [1, 2, 3, 7, 59, 60, 61, 118, 119, 120, 121, 250])
    def test_split_secret_is_found_once(self, chunk):
        first, second = secrets.generate(), secrets.generate()
        data = f"a\n\n{first}\n{second}{first} \n\n{second}\n".encode()
        assert matches(data, chunk) == [(3, first), (4, second), (4, first), (6, second)]

    @pytest.mark.parametrize("before", [0, 1, 30, 59, 60, 61])
    def test_secret_across_two_chunks_is_found_once(self, before):
        secret = secrets.generate()
        filling = ("-\n" * (leaks.CHUNK // 2)).encode()[: leaks.CHUNK - before]
        data = filling + secret.encode() + filling
        assert len(data) > leaks.CHUNK
        assert [text for _, text in leaks.find(BytesIO(data))] == [secret]
        assert [line for line, _ in leaks.find(BytesIO(data))] == [filling.count(b"\n") + 1]

    def test_memory_is_bounded_for_long_lines(self):
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

    @pytest.mark.rule("K2")
    def test_repr_of_a_match_hides_the_secret(self):
        secret = secrets.generate()
        assert secret not in repr(list(leaks.find(BytesIO(secret.encode()))))


class TestFiles:
    def test_folders_are_searched_recursively(self, tmp_path):
        for name in ("b/z/deep", "b/a", "a", ".hidden", "c"):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        names = [os.path.relpath(path, tmp_path) for path in leaks.files(str(tmp_path), pytest.fail)]
        assert names == [".hidden", "a", "c", "b/a", "b/z/deep"]

    def test_single_file_is_searched(self, tmp_path):
        assert list(leaks.files(str(tmp_path / "a"), pytest.fail)) == [str(tmp_path / "a")]

    def test_links_pipes_and_sockets_are_skipped(self, tmp_path, monkeypatch):
        outside, inside = tmp_path / "outside", tmp_path / "inside"
        outside.mkdir()
        inside.mkdir()
        (outside / "file").touch()
        (inside / "to-file").symlink_to(outside / "file")
        (inside / "to-folder").symlink_to(outside)
        (inside / "to-itself").symlink_to(inside)
        (inside / "to-nothing").symlink_to("nothing")
        os.mkfifo(inside / "pipe")
        monkeypatch.chdir(inside)  # An absolute path may be too long for a socket.
        with socket.socket(socket.AF_UNIX) as unix_socket:
            unix_socket.bind("socket")
        assert (inside / "socket").is_socket()
        assert list(leaks.files(str(inside), pytest.fail)) == []

    def test_link_as_argument_is_followed(self, tmp_path):
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "file").touch()
        (tmp_path / "link").symlink_to(tmp_path / "folder")
        assert list(leaks.files(str(tmp_path / "link"), pytest.fail)) == [str(tmp_path / "link" / "file")]

    def test_unreadable_folder_is_reported(self, tmp_path):
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
class TestReport:
    def test_live_key_is_reported_with_its_places(self, restricted, tmp_path):
        write(tmp_path / "a.log", "x\n", restricted.secret, "\n\n", restricted.secret, b"\xff\0\n")
        write(tmp_path / "b.bin", b"\0\xff", restricted.secret, b"\xff")

        status, out, err = scan(tmp_path)

        assert status == 1
        assert out.splitlines() == [
            f"{secrets.hint(restricted.secret)}  live: the key “Restricted” of alice@example.com",
            f"    {tmp_path}/a.log:2",
            f"    {tmp_path}/a.log:4",
            f"    {tmp_path}/b.bin:1",
            "1 live key, 0 of inactive owners, 0 retired secrets, 0 secrets without a key; "
            "0 look-alikes with a wrong checksum; 2 files read, 0 unreadable.",
        ]
        assert err == ""

    def test_unknown_secret_is_reported(self, db, tmp_path):
        status, out, _ = scan(write(tmp_path / "a", secrets.generate(), " ", secrets.generate()))
        assert status == 0
        assert out.count(UNKNOWN) == 2
        assert "0 live keys, 0 of inactive owners, 0 retired secrets, 2 secrets without a key" in out

    @pytest.mark.rule("H3")
    def test_key_of_retired_secret_is_named(self, restricted, tmp_path):
        fresh = restricted.key.rotate()
        restricted.key.delete()
        path = write(tmp_path / "a", restricted.secret, " ", fresh)
        status, out, _ = scan(path)
        day = f"{timezone.now():%Y-%m-%d}"
        assert status == 0
        assert f"not valid: the key “Restricted” of alice@example.com was rotated on {day}\n" in out
        assert f"not valid: the key “Restricted” of alice@example.com was deleted on {day}\n" in out
        assert "0 live keys, 0 of inactive owners, 2 retired secrets, 0 secrets without a key" in out
        assert {leak["state"] for leak in scan_json(path)[1]["secrets"]} == {"retired"}

    @pytest.mark.rule("H3")
    def test_retired_secret_of_deleted_owner_is_reported(self, alice, restricted, tmp_path):
        key_id = str(restricted.key.pk)
        alice.delete()
        path = write(tmp_path / "a", restricted.secret)
        assert "not valid: a key of a deleted user was deleted on" in scan(path)[1]
        (leak,) = scan_json(path)[1]["secrets"]
        assert leak["key"] == {"id": key_id, "name": "", "owner": None}
        assert leak["retiredAt"] == expiry.to_json(RetiredSecret.objects.get().retired_at)

    def test_key_of_inactive_owner_is_reported(self, alice, restricted, tmp_path):
        alice.is_active = False
        alice.save()
        status, out, _ = scan(write(tmp_path / "a", restricted.secret))
        assert status == 1
        assert "the owner is inactive: the key “Restricted” of alice@example.com" in out
        assert "0 live keys, 1 of inactive owners" in out

    @pytest.mark.rule("X3")
    @pytest.mark.parametrize("peppers", [["11" * 32], ["aa" * 32, "11" * 32], ["aa" * 32, "bb" * 32, "11" * 32]])
    def test_key_under_any_pepper_is_live(self, settings, restricted, tmp_path, peppers):
        settings.FINTA_KEYS_PEPPERS = peppers
        assert scan(write(tmp_path / "a", restricted.secret))[0] == 1

    @pytest.mark.rule("X3")
    def test_key_under_unknown_pepper_is_not_live(self, settings, restricted, tmp_path):
        settings.FINTA_KEYS_PEPPERS = ["aa" * 32]
        assert scan(write(tmp_path / "a", restricted.secret))[0] == 0

    def test_lookalikes_are_counted(self, db, tmp_path):
        status, out, _ = scan(write(tmp_path / "a", f"{LOOKALIKE} {LOOKALIKE}\nx{LOOKALIKE}9"))
        assert status == 0
        assert out.startswith("0 live keys")
        assert "; 3 look-alikes with a wrong checksum;" in out.splitlines()[-1]

    def test_many_places_are_abbreviated(self, restricted, tmp_path):
        _, out, _ = scan(write(tmp_path / "a", f"{restricted.secret} {restricted.secret}\n" * (PLACES_KEPT + 1)))
        assert out.count(f"{tmp_path}/a:") == PLACES_KEPT
        assert "    and 1 more place\n" in out

    @pytest.mark.parametrize("arguments", [[], ["-"]])
    def test_standard_input_is_searched_without_path(self, restricted, stdin, arguments):
        stdin(f"\n{restricted.secret}".encode())
        status, out, err = scan(*arguments)
        assert status == 1
        assert "    standard input:2\n" in out
        assert err == ""

    def test_terminal_input_is_explained(self, db, stdin):
        stdin(terminal=True)
        assert scan() == (
            0,
            scan()[1],
            "Reading standard input. Press Ctrl-D to end it. To search files, pass their paths.\n",
        )

    @pytest.mark.rule("K2")
    @pytest.mark.parametrize("extra", [[], ["--json"], ["--delete"], ["--delete", "--yes", "--json"]])
    def test_secret_is_never_printed(self, alice, tmp_path, extra):
        key, secret = make_key(alice, "Key")
        ApiKey.objects.filter(pk=key.pk).update(name=f"was {secret}")
        write(tmp_path / f"{secret}.log", secret)
        status, out, err = scan(tmp_path, tmp_path / secret, *extra)
        assert status == 1
        assert secrets.hint(secret) in out or json.loads(out)
        assert secret[10:-4] not in out + err

    def test_file_names_are_escaped(self, restricted, tmp_path):
        name = os.fsdecode(b"\x1b[31m\n9 live keys\xff\xc3\xa9")
        write(tmp_path / name, restricted.secret)
        _, out, _ = scan(tmp_path)
        assert r"\x1b[31m\n9 live keys\udcffé:1" in out
        assert len(out.splitlines()) == 3

    def test_ascii_output_is_escaped(self, restricted, tmp_path):
        raw = BytesIO()
        out = io.TextIOWrapper(raw, encoding="ascii")
        with pytest.raises(SystemExit):
            call_command("scankeys", write(tmp_path / "a", restricted.secret), stdout=out)
        assert rb"live: the key \u201cRestricted\u201d of" in raw.getvalue()

    def test_json(self, restricted, tmp_path):
        unknown = secrets.generate()
        path = write(tmp_path / "a", restricted.secret, "\n", unknown, "\n", restricted.secret, LOOKALIKE)
        status, output = scan_json(path, tmp_path / "nothing")
        assert status == 1
        assert output == {
            "secrets": [
                {
                    "hint": restricted.key.hint,
                    "state": "live",
                    "key": {"id": str(restricted.key.pk), "name": "Restricted", "owner": "alice@example.com"},
                    "retiredAt": None,
                    "deleted": False,
                    "note": "",
                    "places": [{"path": str(path), "line": 1}, {"path": str(path), "line": 3}],
                    "placeCount": 2,
                },
                {
                    "hint": secrets.hint(unknown),
                    "state": "unknown",
                    "key": None,
                    "retiredAt": None,
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

    def test_json_reports_inactive_owner(self, alice, restricted, tmp_path):
        alice.is_active = False
        alice.save()
        _, output = scan_json(write(tmp_path / "a", restricted.secret))
        assert [leak["state"] for leak in output["secrets"]] == ["ownerInactive"]

    @pytest.mark.parametrize(
        ("peppers", "number", "queries"), [(1, 0, 0), (1, 1, 2), (1, 500, 2), (1, 501, 4), (2, 250, 2), (2, 251, 4)]
    )
    def test_hundreds_of_secrets_cost_two_queries(
        self, settings, stdin, django_assert_num_queries, peppers, number, queries
    ):
        settings.FINTA_KEYS_PEPPERS = ["11" * 32, "22" * 32][:peppers]
        stdin("".join(secrets.generate() for _ in range(number)).encode())
        with django_assert_num_queries(queries):
            assert f" {number} secret" in scan()[1]

    def test_help_keeps_its_paragraphs(self):
        text = Command().create_parser("manage.py", "scankeys").format_help()
        assert "\n  git log -p --all | python manage.py scankeys\n" in text
        assert "The command cannot rotate keys" in text
        assert "Exit status: 0 if no key" in text


@pytest.mark.django_db
class TestDelete:
    @pytest.fixture
    def leaked(self, restricted, unrestricted, tmp_path):
        """A file with the secrets of two keys."""
        return write(tmp_path / "a", restricted.secret, "\n", unrestricted.secret)

    @pytest.fixture
    def on_delete(self):
        """Call a function before a key is deleted, like a receiver of the project."""
        receivers = []

        def connect(function):
            receivers.append(lambda instance, **kwargs: function(instance))
            pre_delete.connect(receivers[-1], sender=ApiKey)

        yield connect
        for receiver in receivers:
            pre_delete.disconnect(receiver, sender=ApiKey)

    def test_delete_with_yes_deletes_the_keys(self, leaked, alice, on_delete):
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

    def test_delete_without_yes_deletes_nothing(self, leaked, restricted):
        before = columns(restricted.key)
        status, out, err = scan(leaked, "--delete")
        assert status == 1
        assert out.count(", would be deleted\n") == 2
        assert err == "Nothing was deleted. To delete these keys for good, repeat the command with --yes.\n"
        assert columns(restricted.key) == before
        assert ApiKey.objects.count() == 2

    def test_delete_without_leaks_prints_nothing(self, db, tmp_path):
        status, _, err = scan(write(tmp_path / "a", secrets.generate()), "--delete")
        assert (status, err) == (0, "")

    def test_key_of_inactive_owner_is_deleted(self, leaked, alice):
        alice.is_active = False
        alice.save()
        assert scan(leaked, "--delete", "--yes")[0] == 1
        assert not ApiKey.objects.exists()

    def test_json_reports_deleted_keys(self, leaked, restricted, unrestricted):
        ids = {str(restricted.key.pk), str(unrestricted.key.pk)}
        _, output = scan_json(leaked, "--delete", "--yes")
        assert {leak["key"]["id"] for leak in output["secrets"]} == ids
        assert [leak["deleted"] for leak in output["secrets"]] == [True, True]

    def test_rotated_key_is_kept(self, leaked, on_delete):
        on_delete(lambda key: ApiKey.objects.exclude(pk=key.pk).get().rotate())
        status, out, _ = scan(leaked, "--delete", "--yes")
        assert status == 1
        assert "rotated since, so this secret is not valid and the key was kept" in out
        assert ApiKey.objects.get().rotation == 1
        assert scan(leaked)[0] == 0

    def test_already_deleted_key_is_reported(self, leaked, on_delete):
        names = []

        def delete_the_other(key):
            names.append(key.name)
            if len(names) == 1:
                ApiKey.objects.exclude(pk=key.pk).get().delete()

        on_delete(delete_the_other)
        status, out, _ = scan(leaked, "--delete", "--yes")
        assert status == 1
        assert out.count("already deleted") == 1
        assert not ApiKey.objects.exists()

    def test_failed_deletion_does_not_stop_the_others(self, leaked, restricted, on_delete):
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
class TestErrors:
    def test_unreadable_path_is_reported(self, restricted, tmp_path):
        nothing = tmp_path / "nothing"
        status, out, err = scan(nothing, write(tmp_path / "a", secrets.generate()))
        assert status == 2
        assert err == f"Could not be read: {nothing}: No such file or directory\n"
        assert "1 file read, 1 unreadable." in out
        assert UNKNOWN in out

    def test_empty_path_is_reported(self, db):
        assert scan("")[::2] == (2, "Could not be read: (an empty name): No such file or directory\n")

    def test_live_key_outweighs_unreadable_path(self, restricted, tmp_path):
        assert scan(tmp_path / "nothing", write(tmp_path / "a", restricted.secret))[0] == 1

    def test_matches_before_a_read_error_count(self, restricted, stdin):
        stdin(restricted.secret.encode(), then=OSError(5, "Input/output error"))
        status, out, err = scan()
        assert status == 1
        assert "standard input:1" in out
        assert err == "Could not be read: standard input: Input/output error\n"

    def test_closed_standard_input_is_reported(self, db, monkeypatch):
        monkeypatch.setattr(sys, "stdin", None)
        status, _, err = scan()
        assert status == 2
        assert err == "Could not be read: standard input: It is closed. Pass the path of a file or folder.\n"

    def test_yes_without_delete_is_rejected(self, tmp_path):
        with pytest.raises(CommandError, match="--yes needs --delete") as error:
            scan(tmp_path, "--yes")
        assert error.value.returncode == 2

    def test_unknown_option_has_status_2(self, capsys):
        with pytest.raises(SystemExit) as end:
            Command().run_from_argv(["manage.py", "scankeys", "--rotate"])
        assert end.value.code == 2
        assert "unrecognized arguments: --rotate" in capsys.readouterr().err

    def test_failed_checks_have_status_2(self, settings, tmp_path):
        settings.FINTA_KEYS_PEPPERS = []
        with pytest.raises(SystemCheckError) as error:
            call_command("scankeys", tmp_path, skip_checks=False)
        assert error.value.returncode == 2

    def test_passed_checks_run_the_command(self, tmp_path):
        assert call_command("scankeys", tmp_path, skip_checks=False, stdout=StringIO()) is None

    def test_database_error_has_status_2(self, restricted, tmp_path):
        def fail(*args):
            raise OperationalError("host db.internal")

        path = write(tmp_path / "a", restricted.secret)
        with (
            connection.execute_wrapper(fail),
            pytest.raises(CommandError, match=r"^The database did not respond \(OperationalError\)") as error,
        ):
            scan(path)
        assert error.value.returncode == 2
        assert "db.internal" not in str(error.value)

    def test_ctrl_c_exits_quietly(self, db, stdin):
        stdin(b"x", then=KeyboardInterrupt())
        assert scan() == (130, "", "")

    def test_closed_output_exits_quietly(self, restricted, tmp_path):
        path = write(tmp_path / "a", restricted.secret)
        reader, writer = os.pipe()
        os.close(reader)
        err = StringIO()
        with os.fdopen(writer, "w") as out:
            with pytest.raises(SystemExit) as end:
                call_command("scankeys", path, "--delete", "--yes", stdout=out, stderr=err)
            out.flush()  # as Python does when it exits
        assert end.value.code == 141
        assert err.getvalue() == ""
        assert not ApiKey.objects.exists()
