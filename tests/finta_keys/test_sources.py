"""The network and the kind of program that a request comes from."""

import pytest
from django.test import RequestFactory

from finta_keys import secret
from finta_keys.sources import address_of, agent_family, source_of

request = RequestFactory().get


@pytest.mark.rule("H2")
@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        (" 203.0.113.77 ", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("::1", "::/48"),
        ("", "unknown"),
        ("/run/site.sock", "unknown"),
        ("203.0.113.77, 10.0.0.1", "unknown"),
        ("203.0.113.999", "unknown"),
    ],
)
def test_network(address, expected):
    assert source_of(request("/", REMOTE_ADDR=address))[0] == expected


@pytest.mark.rule("H2")
@pytest.mark.parametrize(
    ("header", "family"),
    [
        ("python-requests/2.31.0", "python-requests"),
        ("curl/8.5.0", "curl"),
        ("Go-http-client", "Go-http-client"),
        ("my-script (nightly)", "my-script"),
        ("Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36", "Chrome"),
        ("Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 Edg/120", "Edge"),
        ("Mozilla/5.0 (X11; rv:121.0) Gecko/20100101 Firefox/121.0", "Firefox"),
        ("Mozilla/5.0 (compatible; bot)", "Mozilla"),
        ("", "none"),
        ("/1.0", "other"),
        ("\x00\x1b[31mred", "other"),
        ("curl\r\nX: y", "other"),
        ("Größe/1.0", "other"),
        ("a" * 41, "other"),
        ("x" * 65_536, "other"),
        ("\x07" * 65_536, "other"),
    ],
)
def test_agent_family(header, family):
    assert agent_family(header) == family
    assert source_of(request("/", headers={"user-agent": header}))[1] == family


@pytest.mark.rule("H2")
@pytest.mark.rule("K2")
@pytest.mark.parametrize("form", ["{}", "{}/1.0", "Mozilla/5.0 {}", "Bearer {}", "finta_abc"])
def test_agent_family_is_never_a_secret(form):
    presented = str(secret.generate())
    family = agent_family(form.format(presented))
    assert "finta_" not in family
    assert presented[6:] not in family


def test_long_headers_are_not_kept():
    agent_family.cache_clear()
    agent = "curl/" + "1" * 65_536
    source_of(request("/", headers={"user-agent": agent}, REMOTE_ADDR="1" * 65_536))
    agent_family(agent[:512])
    assert agent_family.cache_info().hits == 1


def test_forged_forwarded_address_is_ignored():
    forged = request("/", REMOTE_ADDR="192.0.2.1", headers={"x-forwarded-for": "203.0.113.77"})
    assert source_of(forged)[0] == "192.0.2.0/24"


def test_project_names_client_address(settings):
    behind_proxy = request("/", REMOTE_ADDR="127.0.0.1", headers={"x-forwarded-for": "6.6.6.6, 203.0.113.77"})
    settings.TRUSTED_PROXY_COUNT = 1
    assert source_of(behind_proxy)[0] == "203.0.113.0/24"
    settings.FINTA_KEYS_CLIENT_ADDRESS = None
    assert address_of(behind_proxy) == "127.0.0.1"


@pytest.mark.parametrize("path", ["tests.finta_keys.test_sources.fail", "no.such.function"])
def test_failing_function_is_logged(settings, caplog, path):
    settings.FINTA_KEYS_CLIENT_ADDRESS = path
    assert source_of(request("/"))[0] == "unknown"
    assert "FINTA_KEYS_CLIENT_ADDRESS raised an error" in caplog.text


def fail(request):
    raise ZeroDivisionError
