"""The models: keys, their scopes, history and use, retired secrets and spent nonces."""

from finta_keys.exceptions import AlreadyDone
from finta_keys.models import deletion as deletion  # connects its receivers
from finta_keys.models.event import KeyEvent
from finta_keys.models.key import ApiKey
from finta_keys.models.retired import RetiredSecret
from finta_keys.models.scope import KeyAccountScope
from finta_keys.models.usage import AccountUsage, KeyUsage
from finta_keys.nonces import CreateNonce

__all__ = [
    "AccountUsage",
    "AlreadyDone",
    "ApiKey",
    "CreateNonce",
    "KeyAccountScope",
    "KeyEvent",
    "KeyUsage",
    "RetiredSecret",
]
