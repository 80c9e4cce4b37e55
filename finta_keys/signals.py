"""Signals of this app."""

from django.dispatch import Signal

# Sent inside the transaction that creates a key, with ``key`` (an ``ApiKey``). A receiver that raises undoes the
# creation: nothing is kept and no secret is shown.
key_created = Signal()
