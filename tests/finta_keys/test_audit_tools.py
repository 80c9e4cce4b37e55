"""A tool that copies the columns of every model, as django-auditlog does with AUDITLOG_INCLUDE_ALL_MODELS.

The columns to exclude are those that docs/how-to/react-to-changes.md names.
"""

import base64
import re
from pathlib import Path

import pytest
from django.apps import apps
from django.db.models import signals
from django.utils.encoding import DjangoUnicodeDecodeError, smart_str

from finta_keys import conf, secret
from finta_keys.models import ApiKey

GUIDE = Path(__file__).parents[2] / "docs/how-to/react-to-changes.md"
MODELS = list(apps.get_app_config("finta_keys").get_models())


class Tool:
    """Copies all columns but the excluded ones as texts, before and after each row is saved or deleted."""

    def __init__(self, excluded=()):
        self.excluded = excluded
        self.copies = []

    def copy(self, sender, instance, **kwargs):
        stored = sender._base_manager.filter(pk=instance.pk).first()
        for row in filter(None, (stored, instance)):
            for field in sender._meta.fields:
                if field.name not in self.excluded:
                    self.copies.append(f"{field.name}={smart_str(getattr(row, field.name))}")


@pytest.fixture
def watched():
    """Return a function that connects a tool to all models of the app."""
    tools = []

    def watch(tool):
        tools.append(tool)
        for model in MODELS:
            for signal in (signals.pre_save, signals.post_save, signals.pre_delete):
                signal.connect(tool.copy, sender=model)
        return tool

    yield watch
    for tool in tools:
        for model in MODELS:
            for signal in (signals.pre_save, signals.post_save, signals.pre_delete):
                signal.disconnect(tool.copy, sender=model)


def documented_columns():
    """Return the columns that the guide says to exclude."""
    sentence = re.search(r"exclude ((?:`\w+`(?: and )?)+)", GUIDE.read_text())
    return re.findall(r"`(\w+)`", sentence[1])


@pytest.mark.rule("X2")
def test_documented_columns_are_all_that_depend_on_secrets(alice, accounts, watched):
    tool = watched(Tool(documented_columns()))
    key, first = ApiKey.objects.create_key(owner=alice, name="Copied", accounts=[accounts.cash], nonce="0" * 32)
    key.rename("Again")
    second = key.rotate()
    key.restrict_to([accounts.savings])
    key.save(update_fields=["name"])
    key.delete()
    copies = " ".join(tool.copies)
    assert "name=Copied" in copies
    pepper = conf.peppers()[0]
    for value in (first, second):
        digest = bytes(secret.digest(value, pepper))
        for form in (str(value), digest.hex(), base64.b64encode(digest).decode(), repr(digest)[2:-1]):
            assert form not in copies
    assert secret.pepper_id(pepper) not in copies


def test_tool_without_exclusion_fails_at_the_digest(alice, watched):
    """So the guide is needed: this is how django-auditlog fails."""
    watched(Tool())
    with pytest.raises(DjangoUnicodeDecodeError):
        ApiKey.objects.create_key(owner=alice, name="Copied")
