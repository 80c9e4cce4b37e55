"""Next to other authentication classes, with all of DRF and with packages that many projects use."""

import re
import subprocess
import sys
import uuid
from base64 import b64encode

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework_simplejwt.tokens import AccessToken

from accounts_app.models import Transaction
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.checks import lookups, relations, views
from finta_keys.testing import EVERY_METHOD, assert_indistinguishable, comparable_parts
from tests.factories import PASSWORD, TransactionFactory
from tests.finta_keys.calls import call
from tests.finta_keys.urls_other_authentication import in_order

pytestmark = [pytest.mark.thorough, pytest.mark.urls("tests.finta_keys.urls_other_authentication")]

HTML = {"HTTP_ACCEPT": "text/html"}
HEADERS = {"json": {}, "browsable": HTML}


@pytest.fixture(autouse=True)
def _jwt(settings):
    settings.SIMPLE_JWT = {"SIGNING_KEY": "only for tests, but long enough for HS256"}


@pytest.fixture
def transactions(accounts, bobs_account):
    """One on every account."""
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


# --- authentication classes ------------------------------------------------------------------------------------------

VIEWS = ["/accounts/", "/read-only/", "/list", "/session-first", "/basic-first", "/jwt-first", "/tokens-first"]
NAMES = ["/names", "/names.json", "/names-of-a-viewset", "/function-names"]


@pytest.mark.rule("S7.2")
@pytest.mark.parametrize("path", [*VIEWS, "/tokens-last"])
def test_key_is_limited_in_any_line_up(restricted, bobs_account, path):
    assert names(restricted.client.get(path)) == ["Checking"]


@pytest.mark.rule("S3")
@pytest.mark.parametrize("path", NAMES)
def test_key_is_limited_without_queryset_attribute(restricted, bobs_account, path):
    assert restricted.client.get(path).json() == ["Checking"]


@pytest.mark.rule("S7.3")
def test_other_classes_limit_to_own_accounts(alice, bob, accounts, bobs_account, alices_browser):
    own = ["Cash", "Checking", "Savings"]
    assert names(alices_browser.get("/accounts/")) == own
    assert names(by(jwt(alice)).get("/accounts/")) == own
    assert names(by(basic(alice.email)).get("/accounts/")) == own
    assert names(by(jwt(alice)).get("/jwt-first")) == own
    assert names(by("Bearer alice").get("/tokens-last")) == own
    assert names(by("Bearer alice").get("/tokens-first")) == own
    assert names(by(jwt(bob)).get("/accounts/")) == ["Bob's"]
    for path in NAMES:
        assert by(jwt(bob)).get(path).json() == ["Bob's"]


@pytest.mark.parametrize("path", ["/accounts/", "/names", "/session-first", "/basic-first", "/jwt-first"])
def test_unknown_caller_is_rejected(accounts, path):
    for client in (Client(), by("Bearer x.y.z"), by(basic("nobody@example.com"))):
        assert client.get(path).status_code in (401, 403)


@pytest.mark.rule("S7.2")
@pytest.mark.parametrize(
    ("path", "status", "challenge"),
    [("/session-first", 403, None), ("/basic-first", 401, 'Basic realm="api"'), ("/jwt-first", 401, "Bearer realm")],
)
def test_missing_key_gets_the_response_of_other_classes(accounts, path, status, challenge):
    response = Client().get(path)
    assert response.status_code == status
    assert (response.get("WWW-Authenticate") or "").startswith(challenge or "")
    assert response.has_header("WWW-Authenticate") == bool(challenge)


@pytest.mark.rule("S7.2")
@pytest.mark.parametrize(
    ("others", "status", "challenge"),
    [([], 401, "Bearer"), ([SessionAuthentication], 403, None), ([BasicAuthentication], 401, 'Basic realm="api"')],
)
def test_our_class_in_front_changes_no_status(db, others, status, challenge):
    response = call(in_order(ApiKeyAuthentication, *others))
    assert (response.status_code, response.get("WWW-Authenticate")) == (status, challenge)


@pytest.mark.rule("S7.2")
@pytest.mark.parametrize("path", [*VIEWS, "/tokens-last", "/names", "/function-names", "/who-calls"])
def test_invalid_key_gets_our_401(restricted, path):
    response = by(f"Bearer {restricted.secret[:-1]}!").get(path)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


def test_function_view_accepts_all_classes(alice, restricted, alices_browser):
    for client in (restricted.client, alices_browser, by(jwt(alice)), by(basic(alice.email))):
        assert client.get("/who-calls").json() == {"email": "alice@example.com"}
    assert restricted.client.post("/who-calls").json() == {"email": "alice@example.com"}


def test_key_needs_no_csrf_token(alice, restricted):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert browser.post("/who-calls").status_code == 403
    assert by(f"Bearer {restricted.secret}", enforce_csrf_checks=True).post("/who-calls").status_code == 200


@pytest.mark.rule("S7.2")
@pytest.mark.parametrize("path", ["/accounts/", "/session-first"])
def test_key_decides_over_the_session(restricted, alices_browser, bobs_account, path):
    response = alices_browser.get(path, headers={"authorization": f"Bearer {restricted.secret}"})
    assert names(response) == ["Checking"]


# --- a signed-in user ------------------------------------------------------------------------------------------------


@pytest.fixture
def bobs_browser(bob):
    browser = Client(raise_request_exception=False)
    browser.force_login(bob)
    return browser


@pytest.mark.rule("S7.3")
def test_user_cannot_write_into_foreign_accounts(bobs_browser, accounts, bobs_account, transactions):
    own = transactions["Bob's"]
    for pk in (accounts.checking.pk, uuid.uuid4()):
        response = bobs_browser.post("/transactions/", written(pk), content_type="application/json")
        assert (response.status_code, response.json()) == (400, {"account": ["There is no such object."]})
        moved = bobs_browser.patch(f"/transactions/{own.pk}/", {"account": str(pk)}, content_type="application/json")
        assert (moved.status_code, moved.json()) == (400, {"account": ["There is no such object."]})
    response = bobs_browser.post("/transactions/", written(bobs_account.pk), content_type="application/json")
    assert response.status_code == 201


@pytest.mark.rule("S7.3")
def test_user_finds_foreign_rows_missing(bobs_browser, accounts, transactions):
    foreign, missing = transactions["Checking"].pk, uuid.uuid4()
    responses = [bobs_browser.get(f"/transactions/{pk}/") for pk in (foreign, missing)]
    assert {(response.status_code, response.content) for response in responses} == {
        (404, b'{"detail":"No Transaction matches the given query."}'),
    }


@pytest.mark.rule("S7.3")
def test_forms_offer_a_user_their_own_accounts(bobs_browser, accounts, bobs_account):
    page = bobs_browser.get("/transactions/", **HTML).content.decode()
    assert f'<option value="{bobs_account.pk}"' in page
    assert str(accounts.checking.pk) not in page


@pytest.mark.rule("S7.3")
def test_filter_does_not_tell_a_user_foreign_ids(bobs_browser, accounts, bobs_account, transactions):
    foreign, missing, own = (
        bobs_browser.get(f"/filtered/?account={pk}") for pk in (accounts.checking.pk, uuid.uuid4(), bobs_account.pk)
    )
    assert foreign.status_code == missing.status_code == 400
    assert [row["summary"] for row in own.json()] == ["Bob's"]


# --- pages, searches and filters -------------------------------------------------------------------------------------


@pytest.mark.rule("S3")
def test_pages_and_counts_stay_inside_the_scope(restricted, unrestricted, bobs_account):
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


@pytest.mark.rule("S3")
def test_cursor_of_another_key_reveals_nothing(restricted, unrestricted, bobs_account):
    following = unrestricted.client.get("/cursors").json()["next"]
    assert names(unrestricted.client.get(following)) == ["Savings"]
    assert names(restricted.client.get(following)) == []
    assert restricted.client.get("/cursors").json()["next"] is None
    assert restricted.client.get("/pages?page=2").status_code == 404


@pytest.mark.rule("S3")
def test_searching_and_ordering_stay_inside_the_scope(restricted, bobs_account):
    assert names(restricted.client.get("/accounts/?search=Savings")) == []
    assert names(restricted.client.get("/accounts/?search=c&ordering=-name")) == ["Checking"]
    assert names(restricted.client.get("/accounts/?ordering=owner")) == ["Checking"]


@pytest.mark.rule("S4")
def test_filter_by_scoped_choices_reveals_nothing(restricted, accounts, bobs_account, transactions):
    visible = restricted.client.get(f"/filtered/?account={accounts.checking.pk}")
    assert [row["summary"] for row in visible.json()] == ["Checking"]
    assert_indistinguishable(
        restricted.client,
        *(f"/filtered/?account={pk}" for pk in (accounts.savings.pk, uuid.uuid4(), bobs_account.pk)),
    )
    assert restricted.client.get(f"/filtered/?account={accounts.savings.pk}").status_code == 400


def test_filter_reported_by_W019_reveals_rows(restricted, accounts, transactions):
    hidden, missing = (
        restricted.client.get(f"/any-account/?account={pk}") for pk in (accounts.savings.pk, uuid.uuid4())
    )
    assert (hidden.status_code, hidden.json(), missing.status_code) == (200, [], 400)
    assert {message.id for message in relations.check_filters(None)} == {"finta_keys.W019"}


# --- hidden rows look like missing ones ------------------------------------------------------------------------------


def hidden_urls(prefix, hidden, foreign, suffix="/"):
    """Return the URLs of a hidden, a missing and a foreign row."""
    return [f"{prefix}{pk}{suffix}" for pk in (hidden, uuid.uuid4(), foreign)]


@pytest.mark.rule("S4")
@pytest.mark.parametrize("suffix", ["/", ".json", ".json/", ".api"])
@pytest.mark.parametrize("prefix", ["/accounts/", "/read-only/"])
def test_hidden_row_looks_like_a_missing_one(restricted, accounts, bobs_account, prefix, suffix):
    urls = hidden_urls(prefix, accounts.savings.pk, bobs_account.pk, suffix)
    if suffix == ".api":
        assert_same_pages(restricted.client, urls)
        return
    assert_indistinguishable(restricted.client, *urls)
    malformed = f"{prefix}malformed{suffix}"
    assert_indistinguishable(restricted.client, urls[0], malformed, same_queries=False)


def assert_same_pages(client, urls):
    """The pages differ only by the URL in them and by a random token."""
    for method in EVERY_METHOD:
        answers = set()
        for url in urls:
            status, body, headers = comparable_parts(client.generic(method, url, **HTML))
            pk = re.fullmatch(r"/[\w-]+/([\w-]+).*", url)[1]
            headers.pop("content-length", None)
            body = re.sub(rb'"csrfToken": "\w+"', b"", body.replace(pk.encode(), b"ID"))
            answers.add((status, body, str(headers)))
        assert len(answers) == 1, method


@pytest.mark.rule("S4")
@pytest.mark.parametrize("prefix", ["/accounts/", "/transactions/"])
def test_browsable_api_reveals_nothing(restricted, accounts, bobs_account, transactions, prefix):
    hidden = {"/accounts/": accounts.savings, "/transactions/": transactions["Savings"]}[prefix]
    foreign = {"/accounts/": bobs_account, "/transactions/": transactions["Bob's"]}[prefix]
    assert_same_pages(restricted.client, [*hidden_urls(prefix, hidden.pk, foreign.pk), f"{prefix}malformed/"])


@pytest.mark.rule("S4")
@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
def test_404_names_no_model(restricted, accounts, headers):
    for path in (f"/accounts/{accounts.savings.pk}/", "/accounts/malformed/", f"/transactions/{uuid.uuid4()}/"):
        response = restricted.client.get(path, **headers)
        assert response.status_code == 404
        assert b"Not found." in response.content
        assert b"matches the given query" not in response.content


@pytest.mark.rule("S4")
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_body_makes_no_difference_to_404(restricted, accounts, bobs_account, method):
    for body in ('{"name": "x"}', "{}", "not JSON"):
        assert_indistinguishable(
            restricted.client,
            *hidden_urls("/accounts/", accounts.savings.pk, bobs_account.pk),
            methods=(method,),
            data=body,
            content_type="application/json",
        )


@pytest.mark.slow
@pytest.mark.rule("S4")
def test_nested_routes_reveal_no_parent(restricted, accounts, bobs_account, transactions):
    visible = restricted.client.get(f"/accounts/{accounts.checking.pk}/transactions/")
    assert [row["summary"] for row in visible.json()] == ["Checking"]
    assert_indistinguishable(
        restricted.client,
        *hidden_urls("/accounts/", accounts.savings.pk, bobs_account.pk, "/transactions/"),
        methods=("GET", "HEAD", "OPTIONS", "PUT", "DELETE"),
    )
    hidden, foreign = (transactions[name] for name in ("Savings", "Bob's"))
    assert_indistinguishable(
        restricted.client,
        *(f"/accounts/{row.account.pk}/transactions/{row.pk}/" for row in (hidden, foreign)),
        f"/accounts/{uuid.uuid4()}/transactions/{hidden.pk}/",
    )
    visible_parent = f"/accounts/{accounts.checking.pk}/transactions/"
    assert_indistinguishable(
        restricted.client, *(f"{visible_parent}{pk}/" for pk in (hidden.pk, foreign.pk, uuid.uuid4()))
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


@pytest.mark.rule("S4")
@pytest.mark.parametrize("path", ["/transactions/", "/list-create"])
def test_key_writes_into_visible_accounts_only(restricted, accounts, bobs_account, path):
    def post(pk):
        return restricted.client.send("post", path, written(pk))

    assert post(accounts.checking.pk).status_code == 201
    refused = {post(pk).content for pk in (accounts.savings.pk, bobs_account.pk, uuid.uuid4(), "malformed")}
    assert refused == {b'{"account":["There is no such object."]}'}
    assert list(Transaction.objects.values_list("account__name", flat=True)) == ["Checking"]


@pytest.mark.rule("S3")
def test_key_moves_no_row_into_hidden_accounts(restricted, accounts, bobs_account, transactions):
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


@pytest.mark.rule("S7.4")
def test_nested_write_below_hidden_account_is_404(restricted, accounts, bobs_account):
    """drf-nested-routers puts the account of the path into the body."""

    def post(pk):
        return restricted.client.send("post", f"/accounts/{pk}/transactions/", written(accounts.checking.pk))

    responses = [post(pk) for pk in (accounts.savings.pk, bobs_account.pk, uuid.uuid4(), "malformed")]
    assert {(response.status_code, response.content) for response in responses} == {(404, b'{"detail":"Not found."}')}
    assert post(accounts.checking.pk).status_code == 201
    assert Transaction.objects.get().account == accounts.checking


@pytest.mark.rule("S7.6")
def test_field_reported_by_E017_saves_nothing_hidden(restricted, accounts, bobs_account):
    """The guard rejects the row, but says 404 instead of the error of the field."""
    assert restricted.client.send("post", "/any-account/", written(bobs_account.pk)).status_code == 404
    assert not Transaction.objects.exists()
    assert {message.id for message in relations.check_serializers(None)} == {"finta_keys.E017"}


@pytest.mark.rule("S3")
def test_forms_offer_visible_accounts_only(restricted, accounts, bobs_account, transactions):
    url = f"/transactions/{transactions['Checking'].pk}/"
    for path in ("/transactions/", url):
        page = restricted.client.get(path, **HTML).content.decode()
        assert f'<option value="{accounts.checking.pk}"' in page
        assert str(accounts.savings.pk) not in page
        assert str(bobs_account.pk) not in page


# --- unscoped handlers -----------------------------------------------------------------------------------------------


@pytest.mark.rule("S7.6")
def test_action_that_forgets_the_scope_raises(restricted, alice):
    client = by(f"Bearer {restricted.secret}")
    client.raise_request_exception = True
    with pytest.raises(ImproperlyConfigured, match="AccountViewSet responded to an API key without"):
        client.get("/accounts/forgetful/")
    assert client.get("/accounts/marked/").json() == {"one": 1}
    assert by(jwt(alice)).get("/accounts/forgetful/").status_code == 200


def test_checks_find_no_other_mistakes():
    checks = (
        views.check_views_open_to_keys,
        views.check_account_paths,
        views.check_url_arguments,
        lookups.check_to_many_lookups,
    )
    assert [message for check in checks for message in check(None)] == []


# --- other packages --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_drf_spectacular_describes_these_views(settings, capsys):
    schema = SchemaGenerator(urlconf="tests.finta_keys.urls_other_authentication").get_schema(public=True)
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
from tests.finta_keys import urls_example

settings.ROOT_URLCONF = (path("accounts", urls_example.Accounts.as_view()),)
call_command("check", "--tag", "security", "--tag", "models")
call_command("migrate", verbosity=0)
account = AccountFactory(name="Checking")
key, secret = testing.make_key(account.owner)
print(testing.key_client(secret).get("/accounts").json()[0]["name"])
"""


@pytest.mark.slow
def test_optional_packages_may_be_missing():
    """Run the checks, and send a request with a key."""
    ran = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)  # noqa: S603
    assert (ran.returncode, ran.stdout.splitlines()[-1:]) == (0, ["Checking"]), ran.stderr[-2000:]
