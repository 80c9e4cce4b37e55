"""Somebody else's project: it has accounts, users and settings of its own, and knows nothing of the site in this
repository. What its primary keys are is decided by the environment, see ``variant.py``."""
