"""What a key is and all that can happen to it."""

from finta_keys.models.key import ApiKey
from finta_keys.models.once import AlreadyDone, CreateNonce
from finta_keys.models.scope import KeyAccountScope

__all__ = ["AlreadyDone", "ApiKey", "CreateNonce", "KeyAccountScope"]
