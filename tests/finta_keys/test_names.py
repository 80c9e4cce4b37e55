"""Names of keys: which are valid, and when two are the same."""

import sys
import unicodedata
from unittest import mock

import pytest
from django.core.exceptions import ValidationError
from hypothesis import example, given
from hypothesis import strategies as st

from finta_keys import names
from finta_keys.models import ApiKey
from finta_keys.testing import make_key

pytestmark = pytest.mark.rule("K1")

ZERO_WIDTH_JOINER = "\u200d"


def rejection(name):
    """Return the error message of ``names.clean()``."""
    with pytest.raises(ValidationError) as error:
        names.clean(name)
    assert error.value.message_dict.keys() == {"name"}
    (message,) = error.value.message_dict["name"]
    return message


@pytest.mark.thorough
@given(st.text())
@example("\u0345\u0300ſ\ufb03")
@example("\u3164Production")
def test_fold_is_idempotent(text):
    assert names.fold(names.fold(text)) == names.fold(text)


@pytest.mark.slow
def test_fold_is_idempotent_for_every_character():
    characters = map(chr, range(sys.maxunicode + 1))
    assert not [character for character in characters if names.fold(names.fold(character)) != names.fold(character)]


@given(st.text())
def test_valid_names_fit_both_columns(text):
    try:
        name = names.clean(text)
    except ValidationError:
        return
    assert name == text.strip()
    assert 1 <= len(name) <= 100
    assert 1 <= len(names.fold(name)) <= names.KEY_MAX_LENGTH
    name.encode()


@pytest.mark.parametrize("around", [" ", "\t", "\n", "\r\n", "\u3000", "\u00a0", "\u2028"])
def test_name_is_trimmed(around):
    assert names.clean(f"{around}Personal scripts{around}") == "Personal scripts"


@pytest.mark.parametrize("length", [1, 2, 99, 100])
@pytest.mark.parametrize("character", ["a", "é", "漢", "🔑"])
def test_name_of_100_characters_is_valid(length, character):
    assert names.clean(character * length) == character * length


def test_length_is_counted_after_trimming():
    assert names.clean(" " * 50 + "a" * 100 + " " * 50) == "a" * 100


@pytest.mark.parametrize("length", [101, 10_000])
def test_longer_name_is_rejected(length):
    assert rejection("a" * length) == f"This name has {length} characters. Use at most 100."


@pytest.mark.parametrize("name", ["a" + "\u0315" * 50_000 + "\u0316" * 50_000, "\u200b" * 101, "\n" + "a" * 101])
def test_length_is_checked_before_folding(name):
    """NFKC takes quadratic time to sort combining marks: minutes for this name."""
    with mock.patch.object(names, "fold", side_effect=AssertionError):
        assert "Use at most 100" in rejection(name)


@pytest.mark.django_db
def test_long_name_costs_no_query(alice, restricted, django_assert_num_queries):
    with django_assert_num_queries(0):
        for change in (lambda: make_key(alice, "a" * 101), lambda: restricted.key.rename("a" * 101)):
            with pytest.raises(ValidationError):
                change()


@pytest.mark.parametrize(
    "name", ["", " ", "\t\n", "\u3000", "\u200b", "\u200d\u200c", "\ufeff \u00ad", "\u2060", "\u180e"]
)
def test_empty_or_invisible_name_is_rejected(name):
    assert rejection(name) == "Enter a name, such as where the key is used."


@pytest.mark.parametrize("name", ["\u3164", "\u115f\u1160", "\uffa0", "\ufe0f", "\u034f", "\U000e0100", "\u17b4"])
def test_name_of_fillers_is_rejected(name):
    assert rejection(name) == "Enter a name, such as where the key is used."


@pytest.mark.parametrize(
    "character",
    [*"\0\x07\t\n\r\x1b\x7f\x85\x9b\u2028\u2029", *map(chr, (0xD800, 0xDFFF)), *sorted(names.BIDI_CONTROLS)],
    ids=ascii,
)
def test_control_characters_are_rejected(character):
    assert "control character" in rejection(f"Pro{character}duction")


def test_bidi_controls_match_unicode():
    embedding = {"LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    by_class = {chr(c) for c in range(sys.maxunicode + 1) if unicodedata.bidirectional(chr(c)) in embedding}
    marks = {"\N{ARABIC LETTER MARK}", "\N{LEFT-TO-RIGHT MARK}", "\N{RIGHT-TO-LEFT MARK}"}
    assert by_class | marks == names.BIDI_CONTROLS


@pytest.mark.parametrize(
    "name",
    [
        "🔑",
        "👨‍👩‍👧‍👦 budget",
        "🇩🇪",
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
        "❤️",
        "👍🏽",
        "1️⃣",
        "日本語",
        "עברית",
        "العربية",
        "Zoë’s laptop",
        "<b>",
        "'; --",
        "क्‍ष",
    ],
)
def test_emoji_and_all_scripts_are_valid(name):
    assert names.clean(name) == name


def test_name_with_too_many_ligatures_is_rejected():
    longest = "\ufdfa"  # one character, which folds to 18
    assert len(names.fold(longest)) == 18
    assert (
        rejection(longest * 23)
        == "This name is too long: some of its characters stand for several letters. Shorten it."
    )
    assert names.clean(longest * 22)


def test_columns_have_the_maximum_lengths():
    assert ApiKey._meta.get_field("name_key").max_length == names.KEY_MAX_LENGTH == 400
    assert ApiKey._meta.get_field("name").max_length == names.MAX_LENGTH == 100


SAME_NAMES = [
    ("Production", "PRODUCTION"),
    ("Production", "Ｐｒｏｄｕｃｔｉｏｎ"),
    ("Production", f"Pro{ZERO_WIDTH_JOINER}duction"),
    ("Production", "Pro\u00adduction\ufe0f"),
    ("Production", "Produc\ufb05ion".replace("\ufb05", "t")),
    ("straße", "STRASSE"),
    ("first", "\ufb01rst"),
    ("Café", "Cafe\u0301"),
    ("ÉCLAIR", "éclair"),
    ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ("one two", "one\u00a0two"),
    ("K", "\N{KELVIN SIGN}"),
    ("  Production ", "production"),
]


@pytest.mark.parametrize(("name", "same"), SAME_NAMES, ids=ascii)
def test_names_that_look_alike_are_the_same(alice, name, same):
    make_key(alice, name)
    with pytest.raises(ValidationError) as error:
        make_key(alice, same)
    message = "You already have a key with this name. Choose another name."
    assert error.value.message_dict == {"name": [message]}
    assert error.value.error_dict["name"][0].code == "taken"
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize(("name", "same"), SAME_NAMES[:3], ids=ascii)
def test_another_owner_can_use_the_name(alice, bob, name, same):
    make_key(alice, name)
    key, _ = make_key(bob, same)
    key.rename(name)
    assert ApiKey.objects.filter(name=name).count() == 2


def test_different_names_are_not_the_same(alice):
    for name in ["Production", "Production 2", "Produktion", "Pröduction", "🔑", "🗝"]:
        make_key(alice, name)
    assert ApiKey.objects.count() == 6


def test_owner_can_create_many_keys(alice):
    for number in range(120):
        make_key(alice, f"Key {number}")
    assert alice.finta_keys.count() == 120


def test_name_is_stored_as_typed(alice):
    key, _ = make_key(alice, " Büro STRASSE ")
    key.refresh_from_db()
    assert (key.name, key.name_key) == ("Büro STRASSE", "büro strasse")


def test_name_is_free_after_delete_or_rename(alice):
    first, _ = make_key(alice, "Production")
    first.rename("Old")
    second, _ = make_key(alice, "production")
    second.delete()
    make_key(alice, "PRODUCTION")


def test_database_rejects_the_second_of_two_names(alice):
    """A lookup before the insert would find the name free for both."""
    make_key(alice, "Production")
    with mock.patch.object(names, "clean", side_effect=lambda name: name), pytest.raises(ValidationError):
        ApiKey.objects.create_key(owner=alice, name="production")


@pytest.mark.parametrize("name", ["\u200b Production", "Production \u2060", "\u2800Production"])
def test_invisible_characters_at_the_ends_are_ignored(name):
    assert names.normalize(names.clean(name)) == names.normalize("Production")
