"""The key of django-tenant-apikeys, as its documentation defines it. The tenant is the owner of the accounts."""

from django.conf import settings
from django.db import models
from django_tenant_apikeys.models import AbstractTenantAPIKey


class TenantKey(AbstractTenantAPIKey):
    tenant = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="tenant_keys")
