"""The manager of keys: create a key, and find the key of a secret."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from finta_keys import conf, expiry, history, names, owners, secret, signals, transactions
from finta_keys.compiled import CompiledQuery, NamedSql
from finta_keys.database import KeyDatabaseManager, key_database, key_model
from finta_keys.deprecation import warn_renamed
from finta_keys.models import scope_rows
from finta_keys.models.retired import RetiredSecret
from finta_keys.nonces import CreateNonce

if TYPE_CHECKING:
    from finta_keys.models.key import ApiKey


class Match(NamedTuple):
    """The result of a lookup: a key, or the digest of a retired secret, or neither."""

    key: ApiKey | None = None
    retired_digest: bytes | None = None


UNKNOWN = Match()
_DIGEST = RetiredSecret._meta.get_field("digest")


class ApiKeyManager(KeyDatabaseManager["ApiKey"]):
    @sensitive_variables()
    def create_key(
        self,
        *,
        owner: AbstractBaseUser,
        name: str,
        accounts: Iterable[Any] | None = None,
        read_only: bool = False,
        expires_at: datetime | date | None = None,
        nonce: str | None = None,
    ) -> tuple[ApiKey, secret.Secret]:
        """Create a key. Return it with its secret, which is stored nowhere.

        ``accounts`` are accounts of the owner, or their primary keys. Only ``None`` means all
        accounts. A key that is ``read_only`` may use safe methods only. ``expires_at`` is a time,
        or a date, which is read as the start of that day in the current time zone; None means
        never. ``nonce`` comes from ``nonces.read()`` and is spent here, so that a form creates one
        key.

        Raise ``ValidationError`` for ``owner``, ``name``, ``accounts`` or ``expires_at``, and
        ``AlreadyDone`` if the nonce is spent.
        """
        selected = None if accounts is None else list(accounts)
        columns = {"name": names.clean(name), "read_only": read_only, "expires_at": expiry.clean(expires_at)}
        return self._create(owner.pk, columns, selected, nonce)

    @transactions.retry_conflicts
    @sensitive_variables()
    def _create(
        self, owner_pk: Any, columns: dict[str, Any], accounts: list[Any] | None, nonce: str | None
    ) -> tuple[ApiKey, secret.Secret]:
        new_secret, secret_columns = key_model()._new_secret()
        columns |= secret_columns | {"name_key": names.normalize(columns["name"])}
        key: ApiKey = key_model()(**columns, share_all_accounts=accounts is None)
        with transactions.atomic():
            key.owner = owners.require_active(owners.lock_owner(owner_pk))
            if nonce is not None:
                CreateNonce.spend(nonce, key)
            with key._explain_taken_name(key.name_key):
                key.save(force_insert=True, using=key_database())
            if accounts is not None:
                scope_rows.replace(key, accounts)
            history.record(history.Action.CREATED, key, history.state_of_key(key, history.scope_of(key)))
            signals.key_created.send(sender=key_model(), key=key)
        return key, new_secret

    def require_free_name(self, owner_pk: Any, name_key: str, *, key_pk: Any = None) -> None:
        """Raise ``ValidationError`` for ``name`` if the owner has another key with this
        ``name_key``."""
        others = self.using(key_database()).filter(owner_id=owner_pk, name_key=name_key).exclude(pk=key_pk)
        if others.exists():
            message = _("You already have a key with this name. Choose another name.")
            raise ValidationError({"name": ValidationError(message, code="taken")}) from None

    @transactions.retry_conflicts
    def delete_all(self, *, owner: AbstractBaseUser) -> int:
        """Delete all keys of an owner in one transaction. Return their number."""
        with transactions.atomic():
            owners.lock_owner(owner.pk)
            _, numbers = self.using(key_database()).filter(owner_id=owner.pk).delete()
        return numbers.get(key_model()._meta.label, 0)

    def authenticate(self, presented: str) -> ApiKey | None:
        """Return the key with this secret, its owner loaded, or None if the secret is not valid
        now.

        A malformed secret is rejected without a query. Any other secret costs one query,
        independent of the number of peppers. A related manager, such as ``alice.finta_keys``,
        rejects keys of other owners.
        """
        presented = secret.Secret(presented)  # Error reports show the repr() of local variables.
        return self.match(presented).key

    def match(self, presented: str) -> Match:
        """Return the key that ``authenticate()`` returns, or the digest of a retired secret."""
        presented = secret.Secret(presented)
        if not secret.is_wellformed(presented, conf.prefix()):
            return UNKNOWN
        digests = [secret.digest(presented, pepper) for pepper in conf.peppers()]
        keys, retired_digest = _match_digests(key_database(), digests)
        if retired_digest is not None:  # Even if a restored row of a key has the digest again.
            return Match(None, retired_digest)
        # A related manager is an instance of a subclass.
        if not keys or (type(self) is not ApiKeyManager and not self.using(key_database()).contains(keys[0])):
            return UNKNOWN
        key = keys[0]
        key.matched_digest, key.first_pepper_digest = secret.HiddenBytes(key.digest), digests[0]
        return Match(key) if owners.can_sign_in(key.owner) and not key.is_expired else UNKNOWN

    @sensitive_variables()
    def issue(self, **kwargs: Any) -> tuple[ApiKey, secret.Secret]:
        """Deprecated: use ``create_key()``."""
        warn_renamed("ApiKey.objects.issue()", "ApiKey.objects.create_key()")
        return self.create_key(**kwargs)

    def with_secret(self, presented: str) -> ApiKey | None:
        """Deprecated: use ``authenticate()``."""
        presented = secret.Secret(presented)
        warn_renamed("ApiKey.objects.with_secret()", "ApiKey.objects.authenticate()")
        return self.authenticate(presented)


def _match_digests(alias: str, digests: list[bytes]) -> tuple[list[ApiKey], bytes | None]:
    """Return the key that has one of these digests, with its owner, and the digest that belongs to
    a retired secret.

    The list of keys is empty if there is none, or if the default manager of the user model leaves
    its owner out.
    """
    connection = connections[alias]
    prepared = [_DIGEST.get_db_prep_value(digest, connection) for digest in digests]
    if not owners.manager_filters():
        return _digest_query(alias, len(digests)).match(connection, prepared)
    # Compile the query each time: the manager may filter by values that change, such as the time.
    users = get_user_model()._default_manager.using(alias).order_by()
    keys = key_model()._default_manager.using(alias).select_related("owner").order_by()
    keys = keys.filter(digest__in=digests, owner__in=users)
    parameters = {f"digest{place}": digest for place, digest in enumerate(prepared)}
    return DigestQuery(keys, list(parameters)).match(
        connection, keys.query.get_compiler(alias).as_sql()[1], **parameters
    )


@cache
def _digest_query(alias: str, number: int) -> DigestQuery:
    """Return the query for a key, with its owner, by this number of digests. It is built once
    per process."""
    keys = key_model()._default_manager.using(alias).select_related("owner").order_by()
    # All different, because Django removes duplicates from the values of IN.
    examples = [bytes([byte]) * secret.DIGEST_LENGTH for byte in range(number)]
    return DigestQuery(keys.filter(digest__in=examples))


class DigestQuery(CompiledQuery["ApiKey"]):
    """A query for keys by digests that also finds the digests of retired secrets.

    One statement finds both, so that unknown and retired secrets cost the same (rule H3). The row
    of a retired secret is empty except for its digest.
    """

    def __init__(self, queryset: QuerySet[ApiKey], digest_names: list[str] | None = None) -> None:
        """``digest_names`` are the parameters for the digests, by default all of the queryset."""
        super().__init__(queryset)
        key_columns = self._models[0]
        self.pk, self.digest = (key_columns.columns.start + key_columns.names.index(name) for name in ("id", "digest"))
        columns = ["NULL"] * self._models[-1].columns.stop
        quote = connections[self.alias].ops.quote_name
        columns[self.digest] = quote("digest")
        placeholders = ", ".join(f"%({name})s" for name in digest_names or self.names)
        retired = (
            f" UNION ALL SELECT {', '.join(columns)} FROM {quote(RetiredSecret._meta.db_table)} "  # noqa: S608  # our own names
            f"WHERE {quote('digest')} IN ({placeholders})"
        )
        self.sql = NamedSql(self.sql + retired, [*self.names, *(digest_names or ())])

    def match(self, connection: Any, values: Sequence[Any], **digests: Any) -> tuple[list[ApiKey], bytes | None]:
        """Return the keys, or the digest of a retired secret."""
        rows = self.fetch(connection, values, **digests)
        for row in rows:
            if row[self.pk] is None:
                return [], secret.HiddenBytes(row[self.digest])
        return [self._make(self._converted(row, connection)) for row in rows], None
