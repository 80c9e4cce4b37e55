"""The HTTP API under ``/v2``: the contract of the Finta API v2."""
