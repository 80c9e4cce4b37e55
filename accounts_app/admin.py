"""Users, their accounts and transactions in the admin. Keys have their own, in ``finta_keys.admin``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from accounts_app.models import Account, Transaction, User
from accounts_app.sign_in.confirm_password import require_recent_password
from accounts_app.validators import validate_liability


class CarefulAdmin(admin.ModelAdmin):
    """Saves what was changed and nothing else, and deletes one by one, by the model's own ``delete()``.

    Otherwise a user who is edited while a key is created could lose Storage Mode again, and a deletion would take
    its locks in another order than everybody else.
    """

    def save_model(self, request: HttpRequest, obj: models.Model, form: Any, change: bool) -> None:
        rows = type(obj)._base_manager.select_for_update(no_key=True)
        if change and not rows.filter(pk=obj.pk).exists():
            raise IntegrityError("It was deleted meanwhile.")
        columns = {field.name for field in obj._meta.concrete_fields}
        obj.save(update_fields=columns.intersection(form.changed_data) if change else None)

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        for obj in queryset:
            obj.delete()

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except IntegrityError:  # The form was right when it was checked; somebody else was faster.
            message = "Somebody else has just saved a change that rules yours out. Look at it, and try again."
            self.message_user(request, message, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


class NewUserForm(AdminUserCreationForm):
    class Meta:
        model = User
        fields = ("email",)


class UserForm(UserChangeForm):
    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class UserAdmin(CarefulAdmin, auth_admin.UserAdmin):
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

    # A session that was left open must not get at a secret by a password that it sets, or by the address to which
    # one is reset.

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        return require_recent_password(request) or super().user_change_password(request, id, form_url)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return require_recent_password(request) or super().changeform_view(request, *args, **kwargs)


class LiabilityField(forms.JSONField):
    """JSON of a liability. JSON that Python cannot parse is a form error too."""

    def to_python(self, value: Any) -> Any:
        try:
            liability = super().to_python(value)
            if liability is not None:  # The model does not validate {}, which Django takes for empty.
                validate_liability(liability)
            return liability
        except (ValueError, RecursionError):  # A number of some thousand digits, or as many brackets.
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None

    def bound_data(self, data: Any, initial: Any) -> Any:
        # Shown again as it was typed: read and written anew, it can be text that no page can hold.
        return InvalidJSONInput(data) if isinstance(data, str) else initial


class OwnerSelect(AutocompleteSelect):
    def optgroups(self, name: str, value: Sequence[str], attr: dict[str, Any] | None = None) -> Any:
        try:
            return super().optgroups(name, value, attr)
        except ValidationError:  # Django looks a refused value up as it came, even a malformed id.
            return super().optgroups(name, [], attr)


@admin.register(Account)
class AccountAdmin(CarefulAdmin):
    """Changing the owner is a transfer: the account is out of the old owner's keys at once."""

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
class TransactionAdmin(CarefulAdmin):
    raw_id_fields = ("account",)
    readonly_fields = ("created_date",)
    list_display = ("summary", "account", "amount", "currency", "status", "sort_date")
    list_filter = ("status", "provider")
    list_select_related = ("account",)
    search_fields = ("summary", "merchant_name", "provider_id")
    show_full_result_count = False  # Counting all of them is slow.
