"""Users, accounts and transactions in the admin. ``finta_keys.admin`` has the keys."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import BadRequest, ValidationError
from django.db import DataError, IntegrityError, models
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from accounts_app.models import Account, Transaction, User
from accounts_app.sign_in.confirm_password import require_recent_password
from accounts_app.validators import validate_liability

MAX_LISTED_ROWS = 100  # before they are deleted


class BaseAdmin(admin.ModelAdmin):
    """Asks for the password before a row is added or changed, unless it was entered recently.

    Otherwise a visitor at an open session could change permissions, the owner of an account, or a
    user's password or e-mail, and then create a key.
    """

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return require_recent_password(request) or super().changeform_view(request, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        try:
            return super().changelist_view(request, extra_context)
        except (ValidationError, ValueError, DataError):
            raise BadRequest("Invalid filter or selection.") from None  # Django checks some filters only.

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return super().get_search_results(request, queryset, search_term.replace("\0", ""))


class ChangedColumnsAdmin(BaseAdmin):
    """Saves only the changed columns, and deletes with the model's ``delete()``.

    Saving all columns would switch Storage Mode off again if a key was created while the form was
    open. Deleting in bulk would take locks in another order than the rest of the project, and could
    deadlock.
    """

    def save_model(self, request: HttpRequest, obj: models.Model, form: Any, change: bool) -> None:
        rows = type(obj)._base_manager.select_for_update(no_key=True)
        if change and not rows.filter(pk=obj.pk).exists():
            raise IntegrityError("The row was deleted after the form was opened.")
        columns = {field.name for field in obj._meta.concrete_fields}
        obj.save(update_fields=columns.intersection(form.changed_data) if change else None)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Count the dependent rows instead of listing them: an owner can have millions."""
        registry, counts, denied = self.admin_site._registry, {self.opts.verbose_name_plural: len(objs)}, set()
        for model, lookups in _dependent_rows(self.model).items():
            condition = functools.reduce(operator.or_, [models.Q((f"{lookup}__in", objs)) for lookup in lookups])
            if count := model._base_manager.filter(condition).count():
                counts[model._meta.verbose_name_plural] = count
                if model in registry and not registry[model].has_delete_permission(request):
                    denied.add(model._meta.verbose_name)
        return [str(obj) for obj in objs[:MAX_LISTED_ROWS]], counts, denied, []

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        for obj in queryset:
            obj.delete()

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except IntegrityError:  # Another request saved a conflicting row after the form was validated.
            message = "Not saved: another change was saved at the same time. Check the current values, then try again."
            self.message_user(request, message, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


def _dependent_rows(model: Any, path: str = "") -> dict[Any, list[str]]:
    """Return the models whose rows are deleted with rows of ``model``, each with its lookups of
    those rows."""
    lookups: dict[Any, list[str]] = {}
    for relation in model._meta.related_objects:
        if getattr(relation, "on_delete", None) is models.CASCADE:
            lookup = f"{relation.field.name}__{path}" if path else relation.field.name
            lookups.setdefault(relation.related_model, []).append(lookup)
            for dependent, deeper in _dependent_rows(relation.related_model, lookup).items():
                lookups.setdefault(dependent, []).extend(deeper)
    return lookups


class NewUserForm(AdminUserCreationForm):
    class Meta:
        model = User
        fields = ("email",)


class UserForm(UserChangeForm):
    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class UserAdmin(ChangedColumnsAdmin, auth_admin.UserAdmin):
    form = UserForm
    add_form = NewUserForm
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Settings", {"fields": ("storage_mode",)}),
        ("Permissions", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Important dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "usable_password", "password1", "password2")}),)
    readonly_fields = ("storage_mode", "last_login", "date_joined")
    list_display = ("email", "storage_mode", "is_active", "is_staff", "date_joined")
    list_filter = ("storage_mode", "is_active", "is_staff", "is_superuser", "groups")
    search_fields = ("email",)
    ordering = ("email",)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        return require_recent_password(request) or super().user_change_password(request, id, form_url)


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(BaseAdmin, auth_admin.GroupAdmin):
    pass


class LiabilityField(forms.JSONField):
    """JSON of a liability. JSON that Python cannot parse is a form error too."""

    def to_python(self, value: Any) -> Any:
        try:
            liability = super().to_python(value)
            # The model does not validate {}, which Django takes for empty.
            if liability is not None:
                validate_liability(liability)
            return liability
        except (ValueError, RecursionError):  # Thousands of digits or brackets.
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None

    def bound_data(self, data: Any, initial: Any) -> Any:
        # The submitted text, unchanged: parsing and dumping it can produce text that has no UTF-8.
        return InvalidJSONInput(data) if isinstance(data, str) else initial


class OwnerSelect(AutocompleteSelect):
    def optgroups(self, name: str, value: Sequence[str], attr: dict[str, Any] | None = None) -> Any:
        try:
            return super().optgroups(name, value, attr)
        except ValidationError:  # Django looks up the submitted value even if it is not a valid id.
            return super().optgroups(name, [], attr)


@admin.register(Account)
class AccountAdmin(ChangedColumnsAdmin):
    """Changing the owner removes the account from the old owner's keys at once."""

    formfield_overrides = {models.JSONField: {"form_class": LiabilityField}}
    autocomplete_fields = ("owner",)
    readonly_fields = ("created_at",)
    list_display = ("name", "institution_name", "mask", "owner", "provider", "type", "status")
    list_filter = ("status", "provider", "type")
    list_select_related = ("owner",)
    search_fields = ("name", "institution_name", "mask", "provider_account_id", "owner__email")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        widget = OwnerSelect(db_field, self.admin_site, using=kwargs.get("using"))
        return super().formfield_for_foreignkey(db_field, request, widget=widget, **kwargs)


@admin.register(Transaction)
class TransactionAdmin(ChangedColumnsAdmin):
    raw_id_fields = ("account",)
    readonly_fields = ("created_date",)
    list_display = ("summary", "account", "amount", "currency", "status", "sort_date")
    list_filter = ("status", "provider")
    list_select_related = ("account",)
    search_fields = ("summary", "merchant_name", "provider_id")
    show_full_result_count = False  # slow
