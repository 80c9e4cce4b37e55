"""The page that describes the API to people."""

import pytest

from tests.conftest import ApiClient
from tests.finta_keys.pages import read, url

pytestmark = pytest.mark.django_db

DOCS = "/v2/docs"


@pytest.fixture
def document():
    return ApiClient().get("/v2/openapi.json").json()


def test_page_has_every_operation(client, document):
    response = client.get(DOCS)
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/html")
    text = read(response)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert f"{method.upper()} /v2{path} {' '.join(operation['description'].split())}" in text
            assert f"Statuses: {', '.join(operation['responses'])}" in text
            for parameter in operation.get("parameters", ()):
                assert f"{parameter['name']} {parameter['in']}" in text


def test_page_has_the_fields_of_bodies(client):
    text = read(client.get(DOCS))
    assert "currency body string, required" in text
    assert "currentBalance body number (double), required" in text
    assert text.count("currency body string") == 2  # to create an account, and to change one


def test_page_says_what_values_mean(client):
    text = read(client.get(DOCS))
    assert "endDate query string (date) The last posted date." in text
    assert "status query posted or pending or deleted or all" in text


def test_address_is_that_of_the_request(client):
    assert "curl http://testserver/v2/accounts" in read(client.get(DOCS))


def test_header_of_signed_in_user(client, alices_browser):
    assert "alice@example.com" in read(alices_browser.get(DOCS))
    assert "Create a key, and send" in read(alices_browser.get(DOCS))
    assert "Sign in to create a key, and send" in read(client.get(DOCS))


def test_page_is_not_in_the_openapi_document(document):
    assert "/docs" not in document["paths"]


def test_page_has_the_headers_of_pages(alices_browser):
    page, docs = (alices_browser.get(address) for address in (url("list"), DOCS))
    assert docs["Content-Security-Policy"] == page["Content-Security-Policy"]
    assert docs["X-Frame-Options"] == page["X-Frame-Options"]


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "PUT"])
def test_other_methods_are_not_allowed(client, method):
    assert client.generic(method, DOCS).status_code == 405
