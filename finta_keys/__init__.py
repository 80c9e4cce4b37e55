"""Named, rotatable API keys for the users of a Django project, limited to chosen rows of one of
its models."""

__version__ = "0.1.0"
