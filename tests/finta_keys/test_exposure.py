"""The exposure report (rule H4): the page, the CSV file and the command."""

import csv
import datetime as dt
import io
import json
import sys
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts_app.models import Account
from finta_keys import secret
from finta_keys.access_history import AccessHistory
from finta_keys.exposure import Report
from finta_keys.models import AccountUsage, KeyEvent, KeyUsage, RetiredSecret
from finta_keys.testing import count_usage, make_key
from tests.conftest import ApiClient
from tests.factories import AccountFactory
from tests.finta_keys.conftest import START
from tests.finta_keys.pages import read, url

pytestmark = [pytest.mark.django_db, pytest.mark.rule("H4")]

DAY = dt.timedelta(days=1)


@pytest.fixture
def story(clock, alice, accounts):
    """A key for all accounts that used one of them, for three days from two networks."""
    key, presented = make_key(alice, "Nightly backup")
    for number in range(3):
        with count_usage():
            client = ApiClient(presented, REMOTE_ADDR=f"192.0.{number % 2}.1", HTTP_USER_AGENT="curl/8.5")
            client.get(f"/v2/accounts/{accounts.checking.pk}")
            client.get("/v2/accounts/unknown")
        clock.shift(DAY)
    return SimpleNamespace(key=key, secret=presented, accounts=accounts, clock=clock, owner=alice)


def report(key_id, first=None, last=None):
    today = dt.datetime.now(dt.UTC).date()
    return Report(AccessHistory.of(key_id), first or today - 89 * DAY, last or today)


def run(*arguments, stdin="", monkeypatch=None, **options):
    out = io.StringIO()
    if monkeypatch:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    call_command("keyreport", *arguments, stdout=out, **options)
    return out.getvalue()


# --- The report ----------------------------------------------------------------------------------------------------


def test_report_says_what_key_did(story):
    result = report(story.key.pk)
    total = result.total
    assert (total.requests, total.reads, total.writes, total.refused) == (6, 3, 0, 3)
    assert (total.first_at, total.last_at) == (START, START + 2 * DAY)
    networks = {line.network: (line.program, line.requests, line.refused) for line in result.sources}
    assert networks == {"192.0.0.0/24": ("curl", 4, 2), "192.0.1.0/24": ("curl", 2, 1)}
    (used,) = result.used_accounts
    assert used.pk == str(story.accounts.checking.pk)
    assert (used.responses, used.first_at, used.last_at) == (3, START, START + 2 * DAY)
    assert {line.pk for line in result.accessible_accounts} == {
        str(account.pk) for account in vars(story.accounts).values()
    }
    assert not result.has_uncertain
    assert result.unknown == []


def test_report_is_limited_to_its_days(story):
    first = (START + DAY).date()
    result = report(story.key.pk, first, first)
    assert (result.total.requests, result.used_accounts[0].responses) == (2, 1)
    midnight = START + dt.timedelta(hours=12)
    assert result.accessible_accounts[0].spans == [(midnight, midnight + DAY)]
    before = report(story.key.pk, (START - 9 * DAY).date(), (START - DAY).date())
    assert (before.total.requests, before.accounts, before.sources) == (0, [], [])
    assert before.total.first_at is None


def test_deleted_key_has_a_report(story):
    pk = story.key.pk
    story.key.delete()
    result = report(pk)
    assert (result.key, result.name, result.hint) == (
        None,
        "Nightly backup",
        story.secret[:10] + "…" + story.secret[-4:],
    )
    assert result.total.requests == 6
    assert len(result.accessible_accounts) == 3


def test_deleted_owner_leaves_numbers_only(story):
    pk = story.key.pk
    story.owner.delete()
    result = report(pk)
    assert result.name == ""
    assert result.total.requests == 6
    (used,) = result.accounts
    assert (used.label, used.is_certain) == (str(story.accounts.checking.pk), False)
    assert result.unknown == [(START, START + 3 * DAY)]


def test_account_of_another_owner_keeps_its_old_label(story, bob):
    account = story.accounts.checking
    account.owner = bob
    account.save()
    Account.objects.filter(pk=account.pk).update(name="Bob's secret plan")
    text = run(str(story.key.pk))
    assert "Bob's" not in text
    assert "Checking" in text


def test_account_without_record_is_not_certain(story, bob):
    Account.objects.filter(pk=story.accounts.checking.pk).update(owner=bob)
    AccountUsage.objects.create(
        key_id=story.key.pk, account_id="9", day=START.date(), responses=1, first_at=START, last_at=START
    )
    result = report(story.key.pk)
    uncertain = {line.pk for line in result.accounts if not line.is_certain}
    assert uncertain == {"9", str(story.accounts.checking.pk)}
    assert result.has_uncertain


def test_account_shown_outside_the_scope_is_not_certain(story):
    """The scope was changed and restored without a record."""
    key, _ = make_key(story.owner, "Savings", [story.accounts.savings])
    checking = str(story.accounts.checking.pk)
    AccountUsage.objects.create(
        key_id=key.pk, account_id=checking, day=START.date(), responses=1, first_at=START, last_at=START
    )
    (line,) = (line for line in report(key.pk).accounts if line.pk == checking)
    assert (line.spans, line.is_certain) == ([], False)


def test_report_of_future_days_ends_now(story):
    last = (START + 30 * DAY).date()
    assert report(story.key.pk, START.date(), last).accounts[0].spans == [(START, START + 3 * DAY)]


@pytest.mark.rule("K2")
def test_secret_in_label_is_redacted(story):
    Account.objects.update(name=story.secret)
    labels = [line.label for line in report(story.key.pk).accounts]
    assert len(labels) == 3
    assert not any(story.secret in label for label in labels)


# --- The page ------------------------------------------------------------------------------------------------------


def test_page_shows_the_report(story, alices_browser):
    text = read(alices_browser.get(url("report", story.key)))
    assert "Requests 6 Reads 3 Writes 0 Rejected 3" in text
    assert "It could access 3" in text
    assert "and used 1." in text
    assert "192.0.1.0/24" in text
    assert "not certain" not in text


def test_page_marks_unknown_times(story, alices_browser):
    KeyEvent.objects.filter(key_id=story.key.pk).delete()
    story.key.rename("New")
    story.clock.shift(DAY)
    text = read(alices_browser.get(url("report", story.key)))
    assert "not recorded for these periods: 1 March 2027, 12:00 UTC to 4 March 2027, 12:00 UTC" in text


def test_page_of_unused_key_says_so(story, alices_browser, alice):
    key, _ = make_key(alice)
    Account.objects.all().delete()
    text = read(alices_browser.get(url("report", key) + "?since=2020-01-01&until=2020-02-01"))
    assert "The key was not used in this period." in text
    assert "is recorded for this period" in text


def test_owner_sees_report_of_deleted_key(story, alices_browser):
    address = url("report", story.key)
    story.key.delete()
    text = read(alices_browser.get(address))
    assert "This key was deleted." in text
    assert "Nightly backup" in text


def test_deleted_keys_are_listed(story, alices_browser, bob, monkeypatch):
    assert "No deletion of a key is recorded." in read(alices_browser.get(url("deleted_keys")))
    address = url("report", story.key)
    other, _ = make_key(story.owner, "Other")
    for key in (story.key, other):
        key.delete()
    monkeypatch.setattr("finta_keys.report_views.DeletedKeysView.paginate_by", 1)
    first, second = (alices_browser.get(url("deleted_keys"), {"page": page}) for page in (1, 2))
    assert "Other" in read(first)
    assert f'href="{address}"' in second.content.decode()
    assert alices_browser.get(url("deleted_keys"), {"page": "x"}).status_code == 404
    browser = Client()
    browser.force_login(bob)
    assert "Nightly backup" not in read(browser.get(url("deleted_keys")))


@pytest.mark.parametrize("name", ["report", "report_file"])
def test_keys_of_others_have_no_report(story, bob, name):
    browser = Client()
    browser.force_login(bob)
    missing = browser.get(url(name, SimpleNamespace(pk=uuid4())))
    for key in (story.key, SimpleNamespace(pk="malformed")):
        hidden = browser.get(url(name, key))
        assert hidden.status_code == missing.status_code == 404
        assert read(hidden) == read(missing)
    pk = story.key.pk
    story.key.delete()
    assert browser.get(url(name, SimpleNamespace(pk=pk))).status_code == 404
    assert Client().get(url(name, SimpleNamespace(pk=pk))).status_code == 302


@pytest.mark.rule("K6")
def test_keys_cannot_read_reports(story, alices_browser):
    response = alices_browser.get(url("report", story.key), HTTP_AUTHORIZATION=f"Bearer {story.secret}")
    assert response.status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        "since=2027-03-05&until=2027-03-01",
        "since=x",
        "until=0001-01-01",
        "since=9999-12-31&until=9999-12-31",
        "since=%00",
    ],
)
def test_invalid_period_is_ignored(story, alices_browser, query):
    text = read(alices_browser.get(f"{url('report', story.key)}?{query}"))
    assert "From 5 December 2026 to 4 March 2027" in text


def test_page_is_bounded(story, alices_browser, alice, monkeypatch):
    monkeypatch.setattr("finta_keys.report_views.LINES_SHOWN", 1)
    text = read(alices_browser.get(url("report", story.key)))
    assert "The CSV file has 2 others." in text
    assert "The CSV file has 1 others." in text


def test_page_costs_few_queries(story, alices_browser, alice, django_assert_max_num_queries):
    AccountFactory.create_batch(30, owner=alice)
    with django_assert_max_num_queries(12):
        alices_browser.get(url("report", story.key))


def test_tries_of_retired_secrets_are_shown(story, alices_browser):
    story.key.rotate()
    story.clock.shift(DAY)
    source = {"last_network": "203.0.113.0/24", "last_agent": "curl"}
    RetiredSecret.objects.update(tries=14, last_tried_at=START + 4 * DAY, **source)
    text = "was tried 14 times, last just now, from 203.0.113.0/24 (curl)"
    assert text in read(alices_browser.get(url("report", story.key)))
    assert "tried 14 times since 2027-03-04T12:00:00Z, last 2027-03-05T12:00:00Z" in run(str(story.key.pk))
    file = alices_browser.get(url("report_file", story.key)).content.decode()
    assert "retired secret,203.0.113.0/24," in file


# --- CSV -----------------------------------------------------------------------------------------------------------


def test_file_has_all_numbers(story, alices_browser):
    response = alices_browser.get(url("report_file", story.key))
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith(f'attachment; filename="key-{story.key.pk}-2026-12-05')
    rows = list(csv.DictReader(io.StringIO(response.content.decode())))
    assert [row["kind"] for row in rows] == ["key", "account", "account", "account", "source", "source"]
    assert (rows[0]["requests"], rows[0]["refused"]) == ("6", "3")
    assert (rows[1]["id"], rows[1]["responses"]) == (str(story.accounts.checking.pk), "3")
    assert (rows[1]["from"], rows[1]["until"]) == ("2027-03-01T12:00:00Z", "2027-03-04T12:00:00Z")
    assert (rows[4]["id"], rows[4]["name"], rows[4]["requests"]) == ("192.0.0.0/24", "curl", "4")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_file_contains_no_formulas(story, alices_browser, start):
    story.key.rename(f"{start.strip()}1")
    KeyUsage.objects.update(agent=f"{start}1")
    rows = list(csv.reader(io.StringIO(alices_browser.get(url("report_file", story.key)).content.decode())))
    assert not any(cell.startswith(start) for row in rows for cell in row)


def test_file_says_what_is_unknown(story, alices_browser):
    KeyEvent.objects.all().delete()
    rows = list(csv.DictReader(io.StringIO(alices_browser.get(url("report_file", story.key)).content.decode())))
    assert (rows[1]["kind"], rows[1]["from"], rows[1]["certain"]) == ("unknown", "2027-03-01T12:00:00Z", "False")


# --- The command ---------------------------------------------------------------------------------------------------


def test_command_prints_the_report(story):
    text = run(str(story.key.pk))
    assert f"“Nightly backup” {story.key.hint} {story.key.pk}" in text
    assert "6 requests: 3 reads, 0 writes, 3 rejected" in text
    assert "3 accounts accessible, 1 used" in text
    assert "    3 responses: 2027-03-01T12:00:00Z to 2027-03-03T12:00:00Z" in text
    assert "192.0.1.0/24 curl: 2 requests, 1 rejected" in text


@pytest.mark.parametrize("dots", ["…", "..."])
def test_command_accepts_hint_of_deleted_key(story, dots):
    hint, pk = story.key.hint, story.key.pk
    story.key.delete()
    assert f"{pk} (deleted)" in run(hint.replace("…", dots))


def test_command_reads_secret_from_standard_input(story, monkeypatch):
    text = run(stdin=f"{story.secret}\n", monkeypatch=monkeypatch)
    assert str(story.key.pk) in text
    assert story.secret not in text
    assert run("-", stdin=story.secret, monkeypatch=monkeypatch) == text


@pytest.mark.rule("K2")
def test_command_rejects_secret_as_argument(story):
    for arguments in (
        [story.secret],
        [story.secret[:-1]],
        ["x", story.secret],
        [str(story.key.pk), f"--from={story.secret}"],
    ):
        with pytest.raises(CommandError) as error:
            run(*arguments)
        assert story.secret[:-1] not in str(error.value)
    with pytest.raises(CommandError, match="may have leaked: rotate the key"):
        run(story.secret)


def test_command_finds_key_of_retired_secret(story, monkeypatch):
    story.key.rotate()
    assert str(story.key.pk) in run(stdin=story.secret, monkeypatch=monkeypatch)
    pk = story.key.pk
    hint = story.key.hint
    story.key.delete()
    KeyEvent.objects.filter(action="deleted").update(key_hint="")
    assert f"{pk} (deleted)" in run(secret.hint(story.secret))
    assert f"{pk} (deleted)" in run(hint)


def test_command_without_known_secret_says_so(story, monkeypatch):
    for stdin, message in {"": "no valid", "finta_x": "no valid", secret.generate(): "No key has or had"}.items():
        with pytest.raises(CommandError, match=message):
            run(stdin=stdin, monkeypatch=monkeypatch)


def test_command_without_standard_input_says_so(story, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(CommandError, match="no valid secret"):
        run()


def test_ambiguous_hint_names_the_ids(story, alice):
    other, _ = make_key(alice)
    type(other).objects.filter(pk=other.pk).update(hint=story.key.hint)
    with pytest.raises(CommandError) as error:
        run(story.key.hint)
    assert {str(story.key.pk), str(other.pk)} <= set(str(error.value).replace(",", "").split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["finta_none…none"], "No key has or had this hint"),
        (["00000000-0000-0000-0000-000000000000"], "No key and no event has this id"),
        (["a", "b"], "Name one key"),
        (["a", "--csv", "--json"], "Choose --csv or --json"),
        (["a", "--from", "2027-02-30"], "Write days like"),
        (["a", "--from", "x"], "Write days like"),
        (["a", "--from", "0001-01-01"], "Write days like"),
        (["a", "--from", "2027-03-02", "--until", "2027-03-01"], "--from is after --until"),
    ],
)
def test_wrong_arguments_are_explained(story, arguments, message):
    with pytest.raises(CommandError, match=message):
        run(*arguments)


def test_command_prints_csv_and_json(story):
    text = run(str(story.key.pk), "--csv", "--from", "2027-03-01", "--until", "2027-03-02")
    assert next(csv.DictReader(io.StringIO(text)))["requests"] == "4"
    rows = json.loads(run(str(story.key.pk), "--json"))["rows"]
    assert (rows[0]["kind"], rows[0]["requests"]) == ("key", 6)


def test_command_marks_what_is_unknown(story, bob):
    KeyEvent.objects.all().delete()
    AccountUsage.objects.update(account_id="\x1b[31m9")
    text = run(str(story.key.pk))
    assert "not recorded what it could access: 2027-03-01T12:00:00Z to 2027-03-04T12:00:00Z" in text
    assert "\x1b" not in text
    assert "(not certain)" in text
