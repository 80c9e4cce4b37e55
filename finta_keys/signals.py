"""Signals that are sent when a key changes.

``ApiKey`` is the sender. Receivers get ``key`` and the arguments listed below. Signals are sent
inside the transaction of the change, before it commits: a receiver that raises undoes the change,
and the caller gets its exception. Use ``transaction.on_commit(..., using=key._state.db)`` for work
that must not undo the change or must see it committed, such as sending e-mail. No signal carries a
secret.
"""

from django.dispatch import Signal

key_created = Signal()
key_renamed = Signal()  # old_name: str
# Also sent when an account that a restricted key created joins its scope. Not sent when accounts
# are deleted.
key_scope_edited = Signal()
key_rotated = Signal()  # old_hint: str
# Sent for every deletion: of one key, of several in bulk, and with the owner. The key still has its
# attributes; its scope rows are gone.
key_deleted = Signal()
