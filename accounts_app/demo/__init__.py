"""Demo data: two owners with accounts and transactions."""
