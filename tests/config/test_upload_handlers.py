"""Multipart bodies: files are discarded, and the number of parts is limited."""

import time

import pytest
from django.test import Client


@pytest.mark.parametrize(
    "part",
    [
        b"\r\n\r\n",
        b'Content-Disposition: form-data; name="a"\r\n\r\n\r\n',
        b'Content-Disposition: form-data; name="a"; filename="b"\r\n\r\n\r\n',
        b"X: y\r\n\r\n\r\n",
    ],
)
@pytest.mark.parametrize("count", [20_000])
def test_many_parts_are_rejected_quickly(db, part, count):
    body = b"".join([b"--B\r\n" + part] * count) + b"--B--\r\n"
    browser = Client(enforce_csrf_checks=True)
    browser.get("/login")  # Without the CSRF cookie, the body would not be parsed.
    started = time.process_time()
    response = browser.post("/login", body, content_type="multipart/form-data; boundary=B")
    assert response.status_code == 400
    assert time.process_time() - started < 0.3


def test_small_multipart_form_is_accepted(alice):
    response = Client().post("/login", {"username": alice.email, "password": "x"})  # multipart by default
    assert response.status_code == 200
