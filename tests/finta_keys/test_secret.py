"""The format of a secret (rules X1 and X2), without a database."""

import hashlib
import inspect
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
from finta_keys.models import key as models
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


def test_X1_a_secret_has_the_shape_that_clients_check():
    made = secret.generate()
    assert re.fullmatch(r"finta_[A-Za-z0-9]+", made)
    assert len(made) == len("finta_") + 48 + 6
    assert isinstance(made, Secret)
    assert secret.is_wellformed(made)


def test_X1_the_alphabet_is_all_62_letters_and_digits():
    assert Counter(secret.ALPHABET) == Counter(string.ascii_letters + string.digits)


def test_X1_the_random_characters_come_from_the_operating_systems_generator():
    with mock.patch("secrets.choice", side_effect=lambda alphabet: alphabet[-1]) as choice:
        assert secret.generate().startswith("finta_" + "z" * 48)
    assert choice.call_count == 48


def test_X1_all_characters_occur_at_every_place():
    made = [secret.generate() for _ in range(1_500)]
    for place in range(6, 54):
        assert len({each[place] for each in made}) == 62


def test_X1_ten_thousand_secrets_are_distinct():
    assert len({secret.generate() for _ in range(10_000)}) == 10_000


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
def test_X1_the_checksum_is_the_one_that_the_docs_describe(body, checksum):
    assert secret.checksum(body) == checksum
    assert secret.is_wellformed(body + checksum)


def test_X1_the_largest_checksum_fits_six_characters():
    with mock.patch("zlib.crc32", return_value=2**32 - 1):
        assert secret.checksum("finta_") == base62(2**32 - 1)
    assert len(base62(2**32 - 1)) == 6


def test_X1_a_small_checksum_is_padded():
    with mock.patch("zlib.crc32", return_value=61):
        assert secret.checksum("finta_") == "00000z"


@given(secrets_, st.integers(0, 59), st.sampled_from(secret.ALPHABET))
def test_X1_every_change_of_one_character_is_refused(good, place, character):
    changed = good[:place] + character + good[place + 1 :]
    assert secret.is_wellformed(changed) == (changed == good)


def test_X1_every_change_of_one_character_of_one_secret_is_refused():
    good = secret.generate()
    changed = {good[:i] + c + good[i + 1 :] for i in range(len(good)) for c in secret.ALPHABET + "_-é\n"} - {good}
    assert not [each for each in changed if secret.is_wellformed(each)]


@given(secrets_, st.integers(0, 58))
def test_X1_two_neighbours_that_changed_places_are_refused(good, place):
    swapped = good[:place] + good[place + 1] + good[place] + good[place + 2 :]
    assert secret.is_wellformed(swapped) == (swapped == good)


@given(secrets_, st.integers(0, 59))
def test_X1_a_change_of_case_is_refused(good, place):
    changed = good[:place] + good[place].swapcase() + good[place + 1 :]
    assert secret.is_wellformed(changed) == (changed == good)


@given(secrets_, st.integers(0, 59))
def test_X1_a_truncated_secret_is_refused(good, length):
    assert not secret.is_wellformed(good[:length])
    assert not secret.is_wellformed(good[60 - length :])


@given(secrets_, st.text(min_size=1))
def test_X1_an_extended_secret_is_refused(good, more):
    assert not secret.is_wellformed(good + more)
    assert not secret.is_wellformed(more + good)


@pytest.mark.parametrize("end", ["\n", "\r\n", " ", "\0", "\u2028"])
def test_X1_whitespace_at_the_end_is_refused(end):
    assert not secret.is_wellformed(secret.generate() + end)


@given(st.text())
def test_X1_whatever_else_is_presented_is_refused_without_an_error(text):
    assert not secret.is_wellformed(text)
    assert not secret.is_wellformed("finta_" + text)


@given(bodies, st.sampled_from("٠۱߂०１Ａа"))
def test_X1_digits_and_letters_of_other_alphabets_are_refused(body, character):
    assert not secret.is_wellformed(f"{body[:-1]}{character}{secret.checksum(body)}")


def test_X1_the_published_pattern_finds_a_secret_in_text_and_is_anchored_by_its_users():
    good = secret.generate()
    assert re.fullmatch(secret.pattern(), good)
    assert re.search(secret.pattern(), f"curl -H 'Authorization: Bearer {good}' https://example.com").group() == good
    anchored = re.compile(f"^{secret.pattern()}$")
    assert anchored.match(good)
    assert not anchored.match(good + "A")
    assert not anchored.match(" " + good)
    assert not re.fullmatch(secret.pattern(), good + "\n")
    assert not re.fullmatch(secret.pattern(), good[:-1])


def test_X1_the_pattern_needs_no_flags_and_no_python():
    assert secret.pattern() == "finta_[0-9A-Za-z]{54}"


def test_X1_the_hint_is_the_prefix_the_first_4_and_the_last_4():
    assert secret.hint("finta_abcd" + "x" * 46 + "wxyz") == "finta_abcd…wxyz"


@given(secrets_)
def test_X1_the_hint_tells_8_characters_only(good):
    hint = secret.hint(good)
    assert len(hint) == len("finta_") + 4 + 1 + 4
    assert good[10:-4] not in hint


def shown(value):
    """Every form in which debuggers and error reports show a value."""
    return [repr(value), f"{value!r}", ascii(value), pprint.pformat(value), pprint.pformat({"a": [value]})]


def test_K2_a_secret_shows_only_its_hint_where_objects_are_dumped():
    made = secret.generate()
    for text in [*shown(made), *shown([made]), *shown((made,)), *shown({"secret": made})]:
        assert made not in text
        assert made[10:-4] not in text
        assert ascii(secret.hint(made))[1:-1] in ascii(text).replace("\\\\", "\\")


def test_K2_a_secret_is_still_a_string_where_it_is_meant_to_be_shown():
    made = secret.generate()
    assert str(made) == f"{made}" == "".join(made)
    assert json.dumps(made) == f'"{made}"'
    assert not hasattr(made, "__dict__")


def failing(made):
    held = made  # noqa: F841  # the error report looks at it
    raise RuntimeError("for the report")


def test_K2_the_error_report_of_a_frame_that_holds_a_secret_does_not_show_it():
    made = secret.generate()
    try:
        failing(made)
    except RuntimeError as error:
        reporter = ExceptionReporter(None, type(error), error, error.__traceback__)
    for text in (reporter.get_traceback_text(), reporter.get_traceback_html()):
        assert made not in text
        assert made[10:-4] not in text


@pytest.mark.parametrize("function", [models._new_secret, models.ApiKeyManager.create_key, models.ApiKey.rotate])
def test_K2_functions_that_hold_a_secret_hide_their_variables(function):
    assert inspect.unwrap(function) is not function
    assert function.__wrapped__ is inspect.unwrap(function)


def test_K2_the_presented_header_is_hidden_in_error_reports():
    meta = SafeExceptionReporterFilter().cleanse_setting("HTTP_AUTHORIZATION", f"Bearer {secret.generate()}")
    assert meta == SafeExceptionReporterFilter.cleansed_substitute


@given(secrets_, st.binary(min_size=32, max_size=32))
def test_X2_a_digest_is_32_bytes_and_depends_on_the_pepper(good, pepper):
    digest = secret.digest(good, pepper)
    assert len(digest) == 32 == secret.DIGEST_LENGTH
    assert digest == secret.digest(good, pepper)
    assert (digest == secret.digest(good, PEPPER)) == (pepper == PEPPER)


def test_X2_the_digest_is_an_hmac_sha256_of_the_whole_secret():
    good = secret.generate()
    inner = hashlib.sha256(bytes(x ^ 0x36 for x in PEPPER.ljust(64, b"\0")) + good.encode()).digest()
    outer = hashlib.sha256(bytes(x ^ 0x5C for x in PEPPER.ljust(64, b"\0")) + inner).digest()
    assert secret.digest(good, PEPPER) == outer


def test_X3_a_pepper_id_is_8_hex_digits_that_depend_on_the_pepper_and_are_none_of_it():
    assert re.fullmatch(r"[0-9a-f]{8}", secret.pepper_id(PEPPER))
    assert secret.pepper_id(PEPPER) != secret.pepper_id(PEPPER[::-1].replace(b"\x22", b"\x23"))
    assert secret.pepper_id(PEPPER) not in PEPPER.hex()
