"""One path for each operation and variant. A view that takes an argument names it in its path."""

from django.urls import path

from tests.finta_keys.row_matrix import views as v

VIEWS = {
    ("list", "scoped"): v.ListScoped,
    ("list", "generic"): v.ListGeneric,
    ("list", "forgets"): v.ListForgets,
    ("detail", "object"): v.DetailObject,
    ("detail", "scoped"): v.DetailScoped,
    ("detail", "by_hand"): v.DetailByHand,
    ("detail", "forgets"): v.DetailForgets,
    ("detail", "conflict"): v.DetailConflict,
    ("action", "object"): v.ActionObject,
    ("action", "by_hand"): v.ActionByHand,
    ("action", "download"): v.ActionDownload,
    ("nested", "declared"): v.NestedDeclared,
    ("nested", "scoped"): v.NestedByHand,
    ("nested", "forgets"): v.NestedForgets,
    ("nested", "silent"): v.NestedSilent,
    ("nested_list", "declared"): v.NestedListDeclared,
    ("nested_list", "forgets"): v.NestedListForgets,
    ("create", "scoped"): v.CreateScoped,
    ("create", "field"): v.CreateField,
    ("create", "relation"): v.CreateRelation,
    ("create", "forgets"): v.CreateForgets,
    ("create", "audited"): v.CreateAudited,
    ("search", "scoped"): v.SearchScoped,
    ("search", "forgets"): v.SearchForgets,
    ("search", "dict"): v.SearchDict,
    ("search", "values"): v.SearchValues,
    ("upsert", "scoped"): v.UpsertScoped,
    ("upsert", "forgets"): v.UpsertForgets,
    ("upsert", "put"): v.PutCreates,
    ("patch", "object"): v.WriteObject,
    ("patch", "scoped"): v.WriteScoped,
    ("patch", "by_hand"): v.WriteByHand,
    ("patch", "forgets"): v.WriteForgets,
    ("patch", "fails"): v.PatchFails,
    ("patch", "caught"): v.PatchCaught,
    ("put", "object"): v.WriteObject,
    ("put", "scoped"): v.WriteScoped,
    ("put", "by_hand"): v.WriteByHand,
    ("put", "forgets"): v.WriteForgets,
    ("delete", "object"): v.WriteObject,
    ("delete", "scoped"): v.WriteScoped,
    ("delete", "by_hand"): v.WriteByHand,
    ("delete", "forgets"): v.WriteForgets,
    ("bulk", "scoped"): v.BulkScoped,
    ("bulk", "checked"): v.BulkChecked,
    ("bulk", "updates"): v.BulkUpdates,
    ("bulk", "creates"): v.BulkCreates,
    ("bulk", "saves"): v.BulkSaves,
    ("transfer", "scoped"): v.TransferScoped,
    ("transfer", "forgets"): v.TransferForgets,
    ("theft", "scoped"): v.TheftScoped,
    ("theft", "forgets"): v.TheftForgets,
    ("export", "scoped"): v.ExportScoped,
    ("export", "forgets"): v.ExportForgets,
    ("redirect", "scoped"): v.RedirectScoped,
    ("redirect", "by_hand"): v.RedirectByHand,
    ("redirect", "forgets"): v.RedirectForgets,
    ("redirect", "saves"): v.RedirectAfterSave,
    ("streaming", "scoped"): v.StreamScoped,
    ("streaming", "forgets"): v.StreamForgets,
    ("streaming", "late"): v.StreamLate,
    ("cached", "object"): v.CachedObject,
    ("cached", "per_key"): v.CachedPerKey,
    ("cached", "forgets"): v.CachedForgets,
    ("condition", "object"): v.ConditionObject,
    ("condition", "by_hand"): v.ConditionByHand,
    ("condition", "forgets"): v.ConditionForgets,
    ("options", "object"): v.DetailObject,
    ("not_allowed", "object"): v.DetailObject,
}
ARGUMENTS = {
    **dict.fromkeys(("detail", "action", "patch", "put", "delete", "transfer", "redirect", "condition"), "pk"),
    **dict.fromkeys(("options", "not_allowed"), "pk"),
    **dict.fromkeys(("nested", "nested_list"), "account_pk"),
}
EXTRA = {("cached", "object"): "pk", ("upsert", "put"): "pk"}


def argument(operation, variant):
    return EXTRA.get((operation, variant)) or ARGUMENTS.get(operation)


def _path(operation, variant, view):
    name = argument(operation, variant)
    route = f"{operation}/{variant}" + (f"/<str:{name}>" if name else "")
    if operation == "action":
        return path(route, view.as_view({"get" if variant == "download" else "post": "archive"}, detail=True))
    return path(route, view.as_view())


urlpatterns = [_path(*names, view) for names, view in VIEWS.items()]
