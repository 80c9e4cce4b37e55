"""What a key is and all that can happen to it."""

from finta_keys.exceptions import AlreadyDone
from finta_keys.models.key import ApiKey
from finta_keys.models.scope import KeyAccountScope
from finta_keys.nonces import CreateNonce

__all__ = ["AlreadyDone", "ApiKey", "CreateNonce", "KeyAccountScope"]
