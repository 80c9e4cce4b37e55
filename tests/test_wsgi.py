"""What happens before Django's own code has a request."""

from io import BytesIO

import pytest

from config.wsgi import application


@pytest.mark.django_db
@pytest.mark.parametrize("charset", ["hex", "zlib", "undefined", "utf-16", "nonsense", '"', "x; x*=foo''%ff"])
def test_no_charset_makes_the_api_answer_in_anything_but_json(charset):
    answered = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/v2/me",
        "QUERY_STRING": "status=all",
        "CONTENT_TYPE": f"application/json; charset={charset}",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
    }
    body = b"".join(application(environ, lambda status, headers: answered.append((status, dict(headers)))))
    status, headers = answered[0]
    assert status.startswith("401")
    assert headers["Content-Type"] == "application/json"
    assert b"Missing or invalid" in body
