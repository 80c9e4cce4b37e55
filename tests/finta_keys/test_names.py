"""What may be in a name, and when two names are the same (rule K1)."""

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

ZERO_WIDTH_JOINER = "\u200d"


def refused(name):
    with pytest.raises(ValidationError) as refusal:
        names.clean(name)
    assert refusal.value.message_dict.keys() == {"name"}
    (message,) = refusal.value.message_dict["name"]
    return message


@given(st.text())
@example("\u0345\u0300ſ\ufb03")
@example("\u3164Production")
def test_K1_folding_again_changes_nothing(text):
    assert names.fold(names.fold(text)) == names.fold(text)


@pytest.mark.slow
def test_K1_folding_any_one_character_again_changes_nothing():
    every = map(chr, range(sys.maxunicode + 1))
    assert not [character for character in every if names.fold(names.fold(character)) != names.fold(character)]


@given(st.text())
def test_K1_a_name_is_refused_or_fits_both_columns(text):
    try:
        name = names.clean(text)
    except ValidationError:
        return
    assert name == text.strip()
    assert 1 <= len(name) <= 100
    assert 1 <= len(names.fold(name)) <= names.KEY_MAX_LENGTH
    name.encode()


@pytest.mark.parametrize("around", [" ", "\t", "\n", "\r\n", "\u3000", "\u00a0", "\u2028"])
def test_K1_a_name_is_trimmed(around):
    assert names.clean(f"{around}Personal scripts{around}") == "Personal scripts"


@pytest.mark.parametrize("length", [1, 2, 99, 100])
@pytest.mark.parametrize("character", ["a", "é", "漢", "🔑"])
def test_K1_a_name_of_up_to_100_characters_is_kept(length, character):
    assert names.clean(character * length) == character * length


def test_K1_the_100_characters_are_counted_after_trimming():
    assert names.clean(" " * 50 + "a" * 100 + " " * 50) == "a" * 100


@pytest.mark.parametrize("length", [101, 10_000])
def test_K1_a_longer_name_is_refused_with_its_length(length):
    assert refused("a" * length) == f"This name has {length} characters. Shorten it to 100 at most."


@pytest.mark.parametrize(
    "name", ["", " ", "\t\n", "\u3000", "\u200b", "\u200d\u200c", "\ufeff \u00ad", "\u2060", "\u180e"]
)
def test_K1_an_empty_or_invisible_name_is_refused(name):
    assert refused(name) == "Give the key a name, such as where it is used."


@pytest.mark.parametrize("name", ["\u3164", "\u115f\u1160", "\uffa0", "\ufe0f", "\u034f", "\U000e0100", "\u17b4"])
def test_K1_fillers_and_variation_selectors_alone_are_an_invisible_name(name):
    assert refused(name) == "Give the key a name, such as where it is used."


@pytest.mark.parametrize(
    "character",
    [*"\0\x07\t\n\r\x1b\x7f\x85\x9b\u2028\u2029", *map(chr, (0xD800, 0xDFFF)), *sorted(names.BIDI_CONTROLS)],
    ids=ascii,
)
def test_K1_control_characters_line_separators_bidi_controls_and_lone_surrogates_are_refused(character):
    assert "control character" in refused(f"Pro{character}duction")


def test_K1_the_bidi_controls_are_unicodes():
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
def test_K1_emoji_and_every_script_are_kept_as_they_are(name):
    assert names.clean(name) == name


def test_K1_a_name_whose_ligatures_would_not_fit_is_refused():
    longest = "\ufdfa"  # One character, folded into 18.
    assert len(names.fold(longest)) == 18
    assert refused(longest * 23) == "This name is too long when its ligatures are written out. Shorten it."
    assert names.clean(longest * 22)


def test_K1_the_folded_column_is_the_one_that_the_model_has():
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
def test_K1_names_that_differ_in_case_or_encoding_only_are_one_name(alice, name, same):
    make_key(alice, name)
    with pytest.raises(ValidationError) as refusal:
        make_key(alice, same)
    message = "You already have a key of this name. Choose another, or rename the other key first."
    assert refusal.value.message_dict == {"name": [message]}
    assert refusal.value.error_dict["name"][0].code == "taken"
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize(("name", "same"), SAME_NAMES[:3], ids=ascii)
def test_K1_another_owner_may_use_the_same_name(alice, bob, name, same):
    make_key(alice, name)
    key, _ = make_key(bob, same)
    key.rename(name)
    assert ApiKey.objects.filter(name=name).count() == 2


def test_K1_names_that_differ_otherwise_are_two_names(alice):
    for name in ["Production", "Production 2", "Produktion", "Pröduction", "🔑", "🗝"]:
        make_key(alice, name)
    assert ApiKey.objects.count() == 6


def test_K1_an_owner_can_create_any_number_of_keys(alice):
    for number in range(120):
        make_key(alice, f"Key {number}")
    assert alice.api_keys.count() == 120


def test_K1_the_name_is_stored_as_typed_and_the_folded_one_beside_it(alice):
    key, _ = make_key(alice, " Büro STRASSE ")
    key.refresh_from_db()
    assert (key.name, key.name_key) == ("Büro STRASSE", "büro strasse")


def test_K1_a_name_is_free_again_after_its_key_was_deleted_or_renamed(alice):
    first, _ = make_key(alice, "Production")
    first.rename("Old")
    second, _ = make_key(alice, "production")
    second.delete()
    make_key(alice, "PRODUCTION")


def test_K1_the_database_decides_between_two_who_take_a_name_at_once(alice):
    """The look-up that a form could make beforehand would find the name free for both; there is none to trust."""
    make_key(alice, "Production")
    with mock.patch.object(names, "clean", side_effect=lambda name: name), pytest.raises(ValidationError):
        ApiKey.objects.create_key(owner=alice, name="production")


@pytest.mark.parametrize("name", ["\u200b Production", "Production \u2060", "\u2800Production"])
def test_K1_an_invisible_character_beside_a_space_makes_no_other_name(name):
    assert names.normalize(names.clean(name)) == names.normalize("Production")
