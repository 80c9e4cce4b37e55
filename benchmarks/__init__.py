"""Compare the cost of API keys with the same view without authentication and with other libraries (``make bench``)."""
