"""What happens to a key, told to the project.

All are sent by ``ApiKey``, with ``key`` and what stands beside each, inside the transaction of the change, which is
done but not committed: a receiver that raises undoes it, and the caller gets the exception. What must not undo it, or
must see it committed, such as a mail, belongs in ``transaction.on_commit(..., using=key._state.db)``. No signal carries
a secret.
"""

from django.dispatch import Signal

key_created = Signal()
key_renamed = Signal()  # old_name: str
# Also where an account that was made with a restricted key joins its scope, and not where accounts are deleted.
key_scope_edited = Signal()
key_rotated = Signal()  # old_hint: str
# However it was deleted: by itself, with others in bulk, or with its owner. The key still has its attributes, and its
# scope is empty.
key_deleted = Signal()
