"""Bodies with ``Transfer-Encoding: chunked``, which a server such as gunicorn decodes."""

import json
from io import BytesIO

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client

from accounts_app.models import Account
from config.wsgi import application
from tests.accounts_app.api_assertions import manual_account
from tests.factories import PASSWORD


class BrokenStream:
    def read(self, *args):
        raise OSError("invalid chunk")


@pytest.fixture
def send():
    """Return a function that sends a chunked POST. It returns the status and the body."""

    def send(path, stream, content_type, **headers):
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": path,
            "CONTENT_TYPE": content_type,
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.url_scheme": "http",
            "wsgi.input": stream,
            "wsgi.input_terminated": True,
            **headers,
        }
        statuses = []
        for signal in (request_started, request_finished):  # They would close the test's connection.
            signal.disconnect(close_old_connections)
        response = application(environ, lambda status, headers: statuses.append(int(status[:3])))
        return statuses[0], b"".join(response)

    yield send
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def post(send, unrestricted):
    """Return a function that posts a chunked body to the API."""

    def post(stream, **headers):
        headers = {"HTTP_AUTHORIZATION": f"Bearer {unrestricted.secret}", **headers}
        status, body = send("/v2/accounts", stream, "application/json", **headers)
        return status, json.loads(body)

    return post


def test_chunked_body_creates_account(post):
    status, body = post(BytesIO(json.dumps(manual_account(name="Chunked")).encode()))
    assert status == 201, body
    assert Account.objects.filter(name="Chunked").count() == 1


@pytest.mark.parametrize("size", [64 * 1024 + 1, 3 * 1024 * 1024])
def test_large_chunked_body_is_413(post, size):
    stream = BytesIO(b" " * size)
    assert post(stream)[0] == 413
    assert stream.tell() <= 2_621_440 + 1  # The rest is not read.


def test_invalid_chunk_is_400(post):
    status, body = post(BrokenStream())
    assert (status, body["error"]["code"]) == (400, "BAD_REQUEST")


def test_chunked_body_needs_support_of_server(post):
    status, body = post(BytesIO(b"{}"), **{"wsgi.input_terminated": False})
    assert status == 400
    assert "Content-Length" in body["error"]["message"]


def test_chunked_body_without_key_is_401(send, db):
    assert send("/v2/accounts", BytesIO(b"{}"), "application/json")[0] == 401


def test_chunked_sign_in(send, alice):
    browser = Client()
    token = browser.get("/login").cookies["csrftoken"].value
    body = f"username=alice%40example.com&password={PASSWORD.replace(' ', '+')}&csrfmiddlewaretoken={token}".encode()
    status, _ = send("/login", BytesIO(body), "application/x-www-form-urlencoded", HTTP_COOKIE=f"csrftoken={token}")
    assert status == 302


@pytest.mark.parametrize("stream", [BytesIO(b"x" * 3_000_000), BrokenStream()])
def test_bad_chunked_form_is_not_a_500(send, db, stream):
    status, _ = send("/login", stream, "application/x-www-form-urlencoded")
    assert status in (400, 403)
