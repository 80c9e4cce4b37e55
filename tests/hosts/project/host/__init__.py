"""Settings of another project with its own accounts and users, independent of the site in this repository.

The environment selects its primary keys; see ``variant.py``.
"""
