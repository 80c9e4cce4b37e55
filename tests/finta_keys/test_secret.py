"""The format of a secret. These tests need no database."""

import hashlib
import json
import pprint
import re
import string
from collections import Counter
from unittest import mock

import pytest
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter
from hypothesis import given
from hypothesis import strategies as st

from finta_keys import secret
from finta_keys.models import ApiKey
from finta_keys.models.manager import ApiKeyManager
from finta_keys.secret import Secret

PEPPER = bytes.fromhex("22" * 32)

bodies = st.text(secret.ALPHABET, min_size=48, max_size=48).map("finta_".__add__)
secrets_ = bodies.map(lambda body: body + secret.checksum(body))


def base62(number: int) -> str:
    digits = ""
    while number:
        digits = secret.ALPHABET[number % 62] + digits
        number //= 62
    return digits.rjust(6, "0")


@pytest.mark.rule("X1")
def test_secret_has_the_documented_shape():
    generated = secret.generate()
    assert re.fullmatch(r"finta_[A-Za-z0-9]+", generated)
    assert len(generated) == len("finta_") + 48 + 6
    assert isinstance(generated, Secret)
    assert secret.is_wellformed(generated)


@pytest.mark.rule("X1")
def test_alphabet_has_62_letters_and_digits():
    assert Counter(secret.ALPHABET) == Counter(string.ascii_letters + string.digits)


@pytest.mark.rule("X1")
def test_characters_come_from_the_system_generator():
    with mock.patch("secrets.choice", side_effect=lambda alphabet: alphabet[-1]) as choice:
        assert secret.generate().startswith("finta_" + "z" * 48)
    assert choice.call_count == 48


@pytest.mark.rule("X1")
def test_every_character_occurs_at_every_position():
    generated = [secret.generate() for _ in range(1_500)]
    for position in range(6, 54):
        assert len({text[position] for text in generated}) == 62


@pytest.mark.rule("X1")
def test_secrets_are_distinct():
    assert len({secret.generate() for _ in range(10_000)}) == 10_000


@pytest.mark.rule("X1")
@pytest.mark.parametrize(
    ("body", "checksum"),
    [
        # gzip says that the CRC-32 of these are 136720784 and 3477629826.
        ("finta_" + "0" * 48, base62(136_720_784)),
        ("finta_" + "0" * 48, "09FfJw"),
        ("finta_" + "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789aBcDeFgHiJkL", base62(3_477_629_826)),
        ("finta_" + "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789aBcDeFgHiJkL", "3nLmNe"),
    ],
)
def test_checksum_is_the_documented_one(body, checksum):
    assert secret.checksum(body) == checksum
    assert secret.is_wellformed(body + checksum)


@pytest.mark.rule("X1")
def test_largest_checksum_fits_six_characters():
    with mock.patch("zlib.crc32", return_value=2**32 - 1):
        assert secret.checksum("finta_") == base62(2**32 - 1)
    assert len(base62(2**32 - 1)) == 6


@pytest.mark.rule("X1")
def test_small_checksum_is_padded():
    with mock.patch("zlib.crc32", return_value=61):
        assert secret.checksum("finta_") == "00000z"


@pytest.mark.rule("X1")
@given(secrets_, st.integers(0, 59), st.sampled_from(secret.ALPHABET))
def test_changed_character_is_rejected(valid, position, character):
    changed = valid[:position] + character + valid[position + 1 :]
    assert secret.is_wellformed(changed) == (changed == valid)


@pytest.mark.rule("X1")
def test_every_changed_character_is_rejected():
    valid = secret.generate()
    changed = {valid[:i] + c + valid[i + 1 :] for i in range(len(valid)) for c in secret.ALPHABET + "_-é\n"} - {valid}
    assert not [text for text in changed if secret.is_wellformed(text)]


@pytest.mark.rule("X1")
@given(secrets_, st.integers(0, 58))
def test_swapped_neighbors_are_rejected(valid, position):
    swapped = valid[:position] + valid[position + 1] + valid[position] + valid[position + 2 :]
    assert secret.is_wellformed(swapped) == (swapped == valid)


@pytest.mark.rule("X1")
@given(secrets_, st.integers(0, 59))
def test_changed_case_is_rejected(valid, position):
    changed = valid[:position] + valid[position].swapcase() + valid[position + 1 :]
    assert secret.is_wellformed(changed) == (changed == valid)


@pytest.mark.rule("X1")
@given(secrets_, st.integers(0, 59))
def test_truncated_secret_is_rejected(valid, length):
    assert not secret.is_wellformed(valid[:length])
    assert not secret.is_wellformed(valid[60 - length :])


@pytest.mark.rule("X1")
@given(secrets_, st.text(min_size=1))
def test_extended_secret_is_rejected(valid, more):
    assert not secret.is_wellformed(valid + more)
    assert not secret.is_wellformed(more + valid)


@pytest.mark.rule("X1")
@pytest.mark.parametrize("end", ["\n", "\r\n", " ", "\0", "\u2028"])
def test_trailing_whitespace_is_rejected(end):
    assert not secret.is_wellformed(secret.generate() + end)


@pytest.mark.rule("X1")
@given(st.text())
def test_any_other_text_is_rejected(text):
    assert not secret.is_wellformed(text)
    assert not secret.is_wellformed("finta_" + text)


@pytest.mark.rule("X1")
@given(bodies, st.sampled_from("٠۱߂०１Ａа"))
def test_characters_of_other_alphabets_are_rejected(body, character):
    assert not secret.is_wellformed(f"{body[:-1]}{character}{secret.checksum(body)}")


@pytest.mark.rule("X1")
def test_pattern_finds_secrets_in_text():
    valid = secret.generate()
    assert re.fullmatch(secret.pattern(), valid)
    assert re.search(secret.pattern(), f"curl -H 'Authorization: Bearer {valid}' https://example.com").group() == valid
    anchored = re.compile(f"^{secret.pattern()}$")
    assert anchored.match(valid)
    assert not anchored.match(valid + "A")
    assert not anchored.match(" " + valid)
    assert not re.fullmatch(secret.pattern(), valid + "\n")
    assert not re.fullmatch(secret.pattern(), valid[:-1])


@pytest.mark.rule("X1")
def test_pattern_is_the_documented_one():
    assert secret.pattern() == "finta_[0-9A-Za-z]{54}"


@pytest.mark.rule("X1")
def test_hint_has_the_first_and_last_4():
    assert secret.hint("finta_abcd" + "x" * 46 + "wxyz") == "finta_abcd…wxyz"


@pytest.mark.rule("X1")
@given(secrets_)
def test_hint_reveals_8_characters_only(valid):
    hint = secret.hint(valid)
    assert len(hint) == len("finta_") + 4 + 1 + 4
    assert valid[10:-4] not in hint


def dumps(value):
    """Return a value as debuggers and error reports format it."""
    return [repr(value), f"{value!r}", ascii(value), pprint.pformat(value), pprint.pformat({"a": [value]})]


@pytest.mark.rule("K2")
def test_repr_shows_only_the_hint():
    generated = secret.generate()
    assert repr(generated) == f"<Secret {secret.hint(generated)}>"
    for text in [*dumps(generated), *dumps([generated]), *dumps((generated,)), *dumps({"secret": generated})]:
        assert generated not in text
        assert generated[10:-4] not in text
        assert ascii(secret.hint(generated))[1:-1] in ascii(text).replace("\\\\", "\\")


def test_secret_prints_like_a_string():
    generated = secret.generate()
    assert str(generated) == f"{generated}" == "".join(generated)
    assert json.dumps(generated) == f'"{generated}"'
    assert not hasattr(generated, "__dict__")


def failing(generated):
    local = generated  # noqa: F841  # a local variable for the error report
    raise RuntimeError("for the report")


@pytest.mark.rule("K2")
def test_error_report_hides_local_secret():
    generated = secret.generate()
    try:
        failing(generated)
    except RuntimeError as error:
        reporter = ExceptionReporter(None, type(error), error, error.__traceback__)
    for text in (reporter.get_traceback_text(), reporter.get_traceback_html()):
        assert generated not in text
        assert generated[10:-4] not in text


@pytest.mark.rule("K2")
@pytest.mark.parametrize(
    "function", [ApiKey._new_secret, ApiKeyManager.create_key, ApiKeyManager._create, ApiKey.rotate]
)
def test_functions_hide_their_variables(function):
    wrappers = set()
    while hasattr(function, "__wrapped__"):
        wrappers.add(function.__code__.co_name)
        function = function.__wrapped__
    assert "sensitive_variables_wrapper" in wrappers


@pytest.mark.rule("K2")
def test_error_report_hides_the_header():
    meta = SafeExceptionReporterFilter().cleanse_setting("HTTP_AUTHORIZATION", f"Bearer {secret.generate()}")
    assert meta == SafeExceptionReporterFilter.cleansed_substitute


@pytest.mark.rule("X2")
@given(secrets_, st.binary(min_size=32, max_size=32))
def test_digest_depends_on_the_pepper(valid, pepper):
    digest = secret.digest(valid, pepper)
    assert len(digest) == 32 == secret.DIGEST_LENGTH
    assert digest == secret.digest(valid, pepper)
    assert (digest == secret.digest(valid, PEPPER)) == (pepper == PEPPER)


@pytest.mark.rule("X2")
def test_digest_is_an_hmac_sha256():
    valid = secret.generate()
    inner = hashlib.sha256(bytes(x ^ 0x36 for x in PEPPER.ljust(64, b"\0")) + valid.encode()).digest()
    outer = hashlib.sha256(bytes(x ^ 0x5C for x in PEPPER.ljust(64, b"\0")) + inner).digest()
    assert secret.digest(valid, PEPPER) == outer


def test_pepper_id_reveals_nothing():
    assert re.fullmatch(r"[0-9a-f]{8}", secret.pepper_id(PEPPER))
    assert secret.pepper_id(PEPPER) != secret.pepper_id(PEPPER[::-1].replace(b"\x22", b"\x23"))
    assert secret.pepper_id(PEPPER) not in PEPPER.hex()


def test_pepper_id_of_stored_keys_is_stable():
    assert secret.pepper_id(b"\x11" * 32) == "58e5c814"
