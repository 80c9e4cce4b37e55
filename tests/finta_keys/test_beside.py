"""In a project like others: all of DRF as it comes, other ways to authenticate, and packages that many have."""

import re
import subprocess
import sys
import uuid
from base64 import b64encode

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from rest_framework_simplejwt.tokens import AccessToken

from accounts_app.models import Transaction
from finta_keys.checks import relations, views
from finta_keys.testing import EVERY_METHOD, answer_of, assert_indistinguishable
from tests.factories import PASSWORD, TransactionFactory

pytestmark = pytest.mark.urls("tests.finta_keys.urls_beside")

HTML = {"HTTP_ACCEPT": "text/html"}
HEADERS = {"json": {}, "browsable": HTML}


@pytest.fixture(autouse=True)
def _jwt(settings):
    settings.SIMPLE_JWT = {"SIGNING_KEY": "only for tests, but long enough for HS256"}


@pytest.fixture
def transactions(accounts, bobs_account):
    """One on each account."""
    return {
        account.name: TransactionFactory(account=account, summary=account.name)
        for account in (accounts.checking, accounts.savings, accounts.cash, bobs_account)
    }


def by(authorization, **options):
    return Client(headers={"authorization": authorization}, raise_request_exception=False, **options)


def jwt(user):
    return f"Bearer {AccessToken.for_user(user)}"


def basic(email, password=PASSWORD):
    return "Basic " + b64encode(f"{email}:{password}".encode()).decode()


def names(response):
    rows = response.json()
    rows = rows.get("results", rows) if isinstance(rows, dict) else rows
    return [row["name"] for row in rows]


# --- other ways to authenticate --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/accounts/", "/read-only/", "/list", "/session-first", "/basic-first", "/tokens-last"]
)
def test_S3_a_key_is_inside_its_scope_beside_other_ways(restricted, bobs_account, path):
    assert names(restricted.client.get(path)) == ["Checking"]


@pytest.mark.parametrize("path", ["/narrows", "/narrows.json", "/narrows-in-a-viewset"])
def test_S3_views_without_a_queryset_are_inside_the_scope(restricted, bobs_account, path):
    assert restricted.client.get(path).json() == ["Checking"]


def test_other_ways_still_lead_in(alice, accounts, bobs_account, alices_browser):
    everything = ["Bob's", "Cash", "Checking", "Savings"]
    assert names(alices_browser.get("/accounts/")) == everything
    assert names(by(jwt(alice)).get("/accounts/")) == everything
    assert names(by(basic(alice.email)).get("/accounts/")) == everything
    assert names(by(jwt(alice)).get("/jwt-first")) == everything
    assert names(by("Bearer alice").get("/tokens-last")) == everything
    assert names(by("Bearer alice").get("/tokens-first")) == everything
    assert by(jwt(alice)).get("/narrows").json() == everything


@pytest.mark.parametrize("path", ["/accounts/", "/narrows", "/session-first", "/basic-first", "/jwt-first"])
def test_nobody_is_not_let_in(accounts, path):
    for client in (Client(), by("Bearer x.y.z"), by(basic("nobody@example.com"))):
        assert client.get(path).status_code in (401, 403)


def test_a_function_view_takes_all_of_them(alice, restricted, alices_browser):
    for client in (restricted.client, alices_browser, by(jwt(alice)), by(basic(alice.email))):
        assert client.get("/who-calls").json() == {"email": "alice@example.com"}
    assert restricted.client.post("/who-calls").json() == {"email": "alice@example.com"}


def test_a_key_needs_no_csrf_token_and_a_session_does(alice, restricted):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert browser.post("/who-calls").status_code == 403
    assert by(f"Bearer {restricted.secret}", enforce_csrf_checks=True).post("/who-calls").status_code == 200


@pytest.mark.parametrize("path", ["/jwt-first", "/tokens-first"])
def test_another_bearer_scheme_that_stands_first_refuses_every_key(restricted, path):
    """It takes whatever a Bearer header holds for its own. So ours stands first."""
    assert by(f"Bearer {restricted.secret}").get(path).status_code >= 400


def test_who_asks_for_a_key_is_told_the_first_way(restricted):
    unknown = restricted.secret[:-1] + "!"
    assert by(f"Bearer {unknown}").get("/accounts/")["WWW-Authenticate"] == "Bearer"
    assert by(f"Bearer {unknown}").get("/basic-first")["WWW-Authenticate"].startswith("Basic")
    assert by(f"Bearer {unknown}").get("/session-first").status_code == 403  # DRF's answer where the first has none


def test_a_session_that_stands_first_decides_for_the_person(restricted, alices_browser, bobs_account):
    response = alices_browser.get("/session-first", headers={"authorization": f"Bearer {restricted.secret}"})
    assert len(names(response)) == 4


def test_a_key_that_stands_first_decides_before_the_session(restricted, alices_browser, bobs_account):
    response = alices_browser.get("/accounts/", headers={"authorization": f"Bearer {restricted.secret}"})
    assert names(response) == ["Checking"]


# --- pages, searches, filters ----------------------------------------------------------------------------------------


def test_S3_counts_and_pages_are_of_the_scope(restricted, unrestricted, bobs_account):
    for path in ("/pages", "/offsets"):
        assert restricted.client.get(path).json() == {
            "count": 1,
            "next": None,
            "previous": None,
            "results": [{"id": str(restricted.key.accounts.get().pk), "name": "Checking"}],
        }
        page = unrestricted.client.get(path).json()
        assert page["count"] == 3
        assert names(unrestricted.client.get(page["next"])) == ["Savings"]


def test_S3_a_page_of_one_key_shows_another_nothing_more(restricted, unrestricted, bobs_account):
    following = unrestricted.client.get("/cursors").json()["next"]
    assert names(unrestricted.client.get(following)) == ["Savings"]
    assert names(restricted.client.get(following)) == []
    assert restricted.client.get("/cursors").json()["next"] is None
    assert restricted.client.get("/pages?page=2").status_code == 404


def test_S3_searching_and_ordering_stay_inside_the_scope(restricted, bobs_account):
    assert names(restricted.client.get("/accounts/?search=Savings")) == []
    assert names(restricted.client.get("/accounts/?search=c&ordering=-name")) == ["Checking"]
    assert names(restricted.client.get("/accounts/?ordering=owner")) == ["Checking"]


def test_S3_S4_a_filter_by_what_is_seen_tells_nothing(restricted, accounts, bobs_account, transactions):
    seen = restricted.client.get(f"/filtered/?account={accounts.checking.pk}")
    assert [row["summary"] for row in seen.json()] == ["Checking"]
    assert_indistinguishable(
        restricted.client,
        *(f"/filtered/?account={pk}" for pk in (accounts.savings.pk, uuid.uuid4(), bobs_account.pk)),
    )
    assert restricted.client.get(f"/filtered/?account={accounts.savings.pk}").status_code == 400


def test_S4_the_filter_that_the_check_warns_of_tells_what_exists(restricted, accounts, transactions):
    """Why there is finta_keys.W019."""
    hidden, missing = (
        restricted.client.get(f"/any-account/?account={pk}") for pk in (accounts.savings.pk, uuid.uuid4())
    )
    assert (hidden.status_code, hidden.json(), missing.status_code) == (200, [], 400)
    assert {message.id for message in relations.check_filters(None)} == {"finta_keys.W019"}


# --- the same answer to the byte (rule S4) ---------------------------------------------------------------------------


def unseen(prefix, hidden, foreign, suffix="/"):
    """Return the URLs of something hidden, missing and somebody else's."""
    return [f"{prefix}{pk}{suffix}" for pk in (hidden, uuid.uuid4(), foreign)]


@pytest.mark.parametrize("suffix", ["/", ".json", ".json/", ".api"])
@pytest.mark.parametrize("prefix", ["/accounts/", "/read-only/"])
def test_S4_what_is_hidden_looks_like_what_never_existed(restricted, accounts, bobs_account, prefix, suffix):
    urls = unseen(prefix, accounts.savings.pk, bobs_account.pk, suffix)
    if suffix == ".api":
        assert_same_pages(restricted.client, urls)
        return
    assert_indistinguishable(restricted.client, *urls)
    malformed = f"{prefix}malformed{suffix}"
    assert_indistinguishable(restricted.client, urls[0], malformed, same_queries=False)


def assert_same_pages(client, urls):
    """The browsable API writes the URL into its page, and a token that differs each time: all else is equal."""
    for method in EVERY_METHOD:
        answers = set()
        for url in urls:
            status, body, headers = answer_of(client.generic(method, url, **HTML))
            pk = re.fullmatch(r"/[\w-]+/([\w-]+).*", url)[1]
            headers.pop("content-length", None)
            body = re.sub(rb'"csrfToken": "\w+"', b"", body.replace(pk.encode(), b"ID"))
            answers.add((status, body, str(headers)))
        assert len(answers) == 1, method


@pytest.mark.parametrize("prefix", ["/accounts/", "/transactions/"])
def test_S4_pages_of_the_browsable_api_tell_no_more(restricted, accounts, bobs_account, transactions, prefix):
    hidden = {"/accounts/": accounts.savings, "/transactions/": transactions["Savings"]}[prefix]
    foreign = {"/accounts/": bobs_account, "/transactions/": transactions["Bob's"]}[prefix]
    assert_same_pages(restricted.client, [*unseen(prefix, hidden.pk, foreign.pk), f"{prefix}malformed/"])


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
def test_S4_a_404_names_no_model(restricted, accounts, headers):
    for path in (f"/accounts/{accounts.savings.pk}/", "/accounts/malformed/", f"/transactions/{uuid.uuid4()}/"):
        response = restricted.client.get(path, **headers)
        assert response.status_code == 404
        assert b"Not found." in response.content
        assert b"matches the given query" not in response.content


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_S4_what_is_sent_along_makes_no_difference(restricted, accounts, bobs_account, method):
    for body in ('{"name": "x"}', "{}", "not JSON"):
        assert_indistinguishable(
            restricted.client,
            *unseen("/accounts/", accounts.savings.pk, bobs_account.pk),
            methods=(method,),
            data=body,
            content_type="application/json",
        )


def test_S4_nested_routes_show_the_same_for_every_account_that_is_not_seen(
    restricted, accounts, bobs_account, transactions
):
    seen = restricted.client.get(f"/accounts/{accounts.checking.pk}/transactions/")
    assert [row["summary"] for row in seen.json()] == ["Checking"]
    assert_indistinguishable(
        restricted.client,
        *unseen("/accounts/", accounts.savings.pk, bobs_account.pk, "/transactions/"),
        methods=("GET", "HEAD", "OPTIONS", "PUT", "DELETE"),
    )
    rows = [transactions[name] for name in ("Savings", "Bob's")]
    assert_indistinguishable(
        restricted.client,
        *(f"/accounts/{row.account.pk}/transactions/{row.pk}/" for row in rows),
        f"/accounts/{accounts.checking.pk}/transactions/{rows[0].pk}/",
        f"/accounts/{accounts.checking.pk}/transactions/{uuid.uuid4()}/",
    )


# --- writes ----------------------------------------------------------------------------------------------------------


def written(account, **fields):
    return {
        "account": str(account),
        "provider": "manual",
        "provider_id": "1",
        "summary": "New",
        "amount": "1.00",
        "currency": "EUR",
        "status": "pending",
        **fields,
    }


@pytest.mark.parametrize("path", ["/transactions/", "/list-create"])
def test_S3_S4_a_key_writes_into_what_it_sees_only(restricted, accounts, bobs_account, path):
    def post(pk):
        return restricted.client.send("post", path, written(pk))

    assert post(accounts.checking.pk).status_code == 201
    refused = {post(pk).content for pk in (accounts.savings.pk, bobs_account.pk, uuid.uuid4(), "malformed")}
    assert refused == {b'{"account":["There is no such object."]}'}
    assert list(Transaction.objects.values_list("account__name", flat=True)) == ["Checking"]


def test_S3_a_key_moves_nothing_into_what_it_does_not_see(restricted, accounts, bobs_account, transactions):
    url = f"/transactions/{transactions['Checking'].pk}/"
    refused = [
        restricted.client.send("patch", url, {"account": str(pk)})
        for pk in (accounts.savings.pk, bobs_account.pk, uuid.uuid4())
    ]
    assert {(response.status_code, response.content) for response in refused} == {
        (400, b'{"account":["There is no such object."]}')
    }
    transactions["Checking"].refresh_from_db()
    assert transactions["Checking"].account == accounts.checking


def test_S3_a_nested_write_into_what_is_not_seen_is_refused(restricted, accounts, bobs_account):
    """drf-nested-routers puts the account of the path into the body."""

    def post(pk):
        return restricted.client.send("post", f"/accounts/{pk}/transactions/", written(accounts.checking.pk))

    refused = {(post(pk).status_code, post(pk).content) for pk in (accounts.savings.pk, bobs_account.pk, uuid.uuid4())}
    assert refused == {(400, b'{"account":["There is no such object."]}')}
    assert post(accounts.checking.pk).status_code == 201
    assert Transaction.objects.get().account == accounts.checking


def test_S3_the_field_that_the_check_reports_takes_what_is_hidden(restricted, accounts, bobs_account):
    """Why there is finta_keys.E017: what is told with the answer has been done."""
    assert restricted.client.send("post", "/any-account/", written(bobs_account.pk)).status_code == 500
    assert Transaction.objects.get().account == bobs_account
    assert {message.id for message in relations.check_related_fields(None)} == {"finta_keys.E017"}


def test_S3_the_forms_of_the_browsable_api_offer_what_is_seen(restricted, accounts, bobs_account, transactions):
    url = f"/transactions/{transactions['Checking'].pk}/"
    for path in ("/transactions/", url):
        page = restricted.client.get(path, **HTML).content.decode()
        assert f'<option value="{accounts.checking.pk}"' in page
        assert str(accounts.savings.pk) not in page
        assert str(bobs_account.pk) not in page


# --- what was not narrowed -------------------------------------------------------------------------------------------


def test_S7_an_action_that_forgets_answers_no_key(restricted, alice):
    client = by(f"Bearer {restricted.secret}")
    client.raise_request_exception = True
    with pytest.raises(ImproperlyConfigured, match="AccountViewSet answers a GET of a key without narrowing anything"):
        client.get("/accounts/forgetful/")
    assert client.get("/accounts/marked/").json() == {"one": 1}
    assert by(jwt(alice)).get("/accounts/forgetful/").status_code == 200


def test_the_checks_find_the_mistakes_of_this_project_only():
    checks = (
        views.check_views_are_scoped,
        views.check_account_paths,
        views.check_staff_is_not_asked,
        relations.check_owner_is_not_taken,
    )
    assert [message for check in checks for message in check(None)] == []


# --- other packages, there or not ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_drf_spectacular_describes_these_views(settings, capsys):
    schema = SchemaGenerator(urlconf="tests.finta_keys.urls_beside").get_schema(public=True)
    properties = schema["components"]["schemas"]["Transaction"]["properties"]
    assert properties["account"] == {"type": "string", "format": "uuid"}
    assert {"apiKey": []} in schema["paths"]["/accounts/"]["get"]["security"]
    assert "AccountRelatedField" not in capsys.readouterr().err


WITHOUT = """
from importlib.machinery import PathFinder

found = PathFinder.find_spec
absent = {"drf_spectacular", "django_filters", "rest_framework_nested", "rest_framework_simplejwt"}
PathFinder.find_spec = lambda name, *args: None if name.partition(".")[0] in absent else found(name, *args)

from django.conf import settings
import tests.settings as site

named = {name: getattr(site, name) for name in dir(site) if name.isupper()}
absent_too = {"django.contrib.admin"}  # The site's admin uses its API's serializers, and those drf-spectacular.
named["INSTALLED_APPS"] = [app for app in named["INSTALLED_APPS"] if app not in absent | absent_too]
settings.configure(**named | {"REST_FRAMEWORK": {}, "MIDDLEWARE": [], "DATABASES": {"default": {
    "ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"
}}})

import django

django.setup()

from django.core.management import call_command
from django.urls import path
from finta_keys import testing
from tests.factories import AccountFactory
from tests.finta_keys import urls_made_up

settings.ROOT_URLCONF = (path("accounts", urls_made_up.Accounts.as_view()),)
call_command("check", "--tag", "security", "--tag", "models")
call_command("migrate", verbosity=0)
account = AccountFactory(name="Checking")
key, secret = testing.make_key(account.owner)
print(testing.key_client(secret).get("/accounts").json()[0]["name"])
"""


def test_it_works_without_packages_that_it_can_do_without():
    """Its checks, and a request with a key."""
    ran = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)  # noqa: S603
    assert (ran.returncode, ran.stdout.splitlines()[-1:]) == (0, ["Checking"]), ran.stderr[-2000:]
