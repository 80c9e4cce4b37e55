"""Serializers with a project's own code, on ``ScopedSerializerMixin``: hidden rows are like missing ones."""

import uuid
from functools import partial

import pytest
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import IntegrityError, connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from rest_framework.authentication import SessionAuthentication
from rest_framework.relations import ManyRelatedField
from rest_framework.response import Response
from rest_framework.serializers import (
    CharField,
    HyperlinkedRelatedField,
    ListField,
    ListSerializer,
    ModelSerializer,
    PrimaryKeyRelatedField,
    RelatedField,
    Serializer,
)
from rest_framework.validators import UniqueTogetherValidator, UniqueValidator
from rest_framework.views import APIView

from accounts_app.models import Account, User
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.fields import AccountRelatedField
from finta_keys.scoping import AccountScopeMixin
from finta_keys.serializers import ScopedModelSerializer, ScopedSerializerMixin
from tests.finta_keys.calls import call
from tests.finta_keys.extra_models import Label, Note, extra_tables  # noqa: F401  # a fixture

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.rule("S7.7"),
    pytest.mark.filterwarnings("ignore:The list-based error format"),  # also for visible duplicates
]


class ScopedSerializer(ScopedSerializerMixin, Serializer):
    pass


def send(caller, make, data, *, save=False, method="post"):
    """Validate and save data in a handler. Return the status and the body of the response.

    ``caller`` is a secret or a user; ``make`` makes the serializer from its data and context.
    """

    def handle(self, request):
        self.scoped(Account.objects.all())
        serializer = make(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        if save:
            serializer.save()
        return Response(serializer.data if save else str(serializer.validated_data))

    attributes = {"authentication_classes": [ApiKeyAuthentication, SessionAuthentication], method: handle}
    view = type("View", (AccountScopeMixin, APIView), attributes)
    is_person = isinstance(caller, User)
    response = call(view, None if is_person else caller, method, data, user=caller if is_person else None)
    return response.status_code, response.render().content.decode()


@pytest.fixture(params=["key", "person"])
def caller(request, alice, restricted):
    return restricted.secret if request.param == "key" else alice


@pytest.fixture
def hidden(caller, accounts, bobs_account):
    """An account that the caller may not access."""
    return bobs_account if isinstance(caller, User) else accounts.savings


# --- fields that are added late, and fields of the project ------------------------------------------------------------


def any_account(**options):
    return PrimaryKeyRelatedField(queryset=Account.objects.all(), **options)


class AddsField(ScopedSerializer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["account"] = any_account()


class ReplacesQueryset(ScopedSerializer):
    account = PrimaryKeyRelatedField(queryset=Account.objects.none())

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["account"].queryset = Account.objects.all()


class AddsInValidation(ScopedSerializer):
    def to_internal_value(self, data):
        self.fields["account"] = any_account()
        return super().to_internal_value(data)


class AddsByProperty(ScopedSerializer):
    @property
    def fields(self):
        fields = super().fields
        fields["account"] = any_account()
        return fields


class PropertyOfProject(Serializer):
    """Decides on each access which fields there are."""

    hidden_name = CharField(required=False)

    @property
    def fields(self):
        fields = super().fields
        fields["account"] = any_account()
        return {name: field for name, field in fields.items() if name != "hidden_name"}


class FiltersByProperty(Serializer):
    account, other = any_account(), any_account()

    @property
    def fields(self):
        return {name: field for name, field in super().fields.items() if name != "other"}


class BehindMixin(ScopedSerializerMixin, PropertyOfProject):
    pass


class AddsToNested(Serializer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["account"] = any_account()


class AddsToNestedInValidation(Serializer):
    def run_validation(self, *args, **kwargs):
        self.fields["account"] = any_account()
        return super().run_validation(*args, **kwargs)


class BecomesWritable(ScopedSerializer):
    account = PrimaryKeyRelatedField(read_only=True)
    accounts = PrimaryKeyRelatedField(read_only=True, many=True)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        one, several = self.fields["account"], self.fields["accounts"]
        one.queryset = several.child_relation.queryset = Account.objects.all()
        one.read_only = several.read_only = several.child_relation.read_only = False
        one.required = several.required = False


class ListOfOthers(ScopedSerializerMixin, ListSerializer):
    child = AddsToNested()


class ByName(RelatedField):
    def to_internal_value(self, data):
        return self.queryset.get(pk=data)

    def to_representation(self, value):
        return value.name


class ByNameAmongChoices(ByName):
    def to_internal_value(self, data):
        return self.get_queryset().get(pk=data)


class ByManager(ByName):
    def to_internal_value(self, data):
        return Account.objects.get(pk=data)


class FallsBack(ByName):
    """Reads its queryset, and then rows from elsewhere."""

    def to_internal_value(self, data):
        return self.get_queryset().filter(pk=data).first() or Account.objects.get(pk=data)


class ByLink(HyperlinkedRelatedField):
    def to_internal_value(self, data):
        return self.get_object(None, None, {"pk": data})

    def get_object(self, view_name, view_args, view_kwargs):
        return Account.objects.get(**view_kwargs)


class Together(ManyRelatedField):
    def to_internal_value(self, data):
        rows = list(self.child_relation.queryset.filter(pk__in=data))
        if len(rows) != len(data):
            self.fail("not_a_list", input_type=f"{data}")
        return rows


class OneByOne(Together):
    def to_internal_value(self, data):
        return [self.child_relation.to_internal_value(item) for item in data]


class TogetherByManager(Together):
    def to_internal_value(self, data):
        return list(Account.objects.filter(pk__in=data)) or self.fail("empty")


class OpenAccounts(AccountRelatedField):
    def get_queryset(self):
        return Account.objects.filter(status="active")


class AccountByManager(AccountRelatedField):
    def to_internal_value(self, data):
        return Account.objects.get(pk=data)


def with_field(field, base=ScopedSerializer):
    return type("S", (base,), {"account": field})


def nested(serializer, wrap=lambda pk: {"inner": {"account": pk}}):
    return type("S", (ScopedSerializer,), {"inner": serializer}), wrap


def alone(serializer_class):
    return serializer_class, lambda pk: {"account": pk}


def listed(serializer_class):
    return serializer_class, lambda pk: {"account": [pk]}


OWN_CODE = {
    "added in __init__": alone(AddsField),
    "queryset replaced in __init__": alone(ReplacesQueryset),
    "added in validation": alone(AddsInValidation),
    "added by a property": alone(AddsByProperty),
    "added by a property behind the mixin": alone(BehindMixin),
    "becomes writable": alone(BecomesWritable),
    "many, becomes writable": (BecomesWritable, lambda pk: {"accounts": [pk]}),
    "list of another serializer": (ListOfOthers, lambda pk: [{"account": pk}]),
    "nested, added in __init__": nested(AddsToNested()),
    "nested list, added in __init__": nested(AddsToNested(many=True), lambda pk: {"inner": [{"account": pk}]}),
    "nested, added in validation": nested(AddsToNestedInValidation()),
    "nested, filtered by a property": nested(FiltersByProperty()),
    "reads self.queryset": alone(with_field(ByName(queryset=Account.objects.all()))),
    "reads self.queryset, manager": alone(with_field(ByName(queryset=Account.objects))),
    "reads get_queryset()": alone(with_field(ByNameAmongChoices(queryset=Account.objects.all()))),
    "reads a manager": alone(with_field(ByManager(queryset=Account.objects.all()))),
    "reads get_queryset(), then a manager": alone(with_field(FallsBack(queryset=Account.objects.all()))),
    "overrides get_object()": alone(with_field(ByLink(view_name="x", queryset=Account.objects.all()))),
    "account field, own queryset": alone(with_field(OpenAccounts())),
    "account field, own queryset, other serializer": alone(with_field(OpenAccounts(), Serializer)),
    "account field, by a manager": alone(with_field(AccountByManager())),
    "account field, by a manager, other serializer": alone(with_field(AccountByManager(), Serializer)),
    "many account fields, by a manager": listed(with_field(AccountByManager(many=True), Serializer)),
    "many account fields, own list by a manager": listed(
        with_field(TogetherByManager(child_relation=AccountRelatedField()))
    ),
    "many, reads self.queryset": listed(with_field(ByName(queryset=Account.objects.all(), many=True))),
    "many, own list": listed(with_field(Together(child_relation=any_account()))),
    "many, own list of own fields": listed(with_field(OneByOne(child_relation=ByName(queryset=Account.objects.all())))),
    "many, own list by a manager": listed(with_field(TogetherByManager(child_relation=any_account()))),
    "many, listed": listed(with_field(ListField(child=ByManager(queryset=Account.objects.all())))),
}


@pytest.mark.rule("S4")
@pytest.mark.parametrize("name", OWN_CODE)
def test_hidden_account_is_like_a_missing_one(name, caller, hidden, accounts):
    serializer_class, wrap = OWN_CODE[name]
    assert send(caller, serializer_class, wrap(str(accounts.checking.pk)))[0] == 200
    rejected = []
    for pk in (hidden.pk, uuid.uuid4()):
        with CaptureQueriesContext(connection) as queries:
            response = send(caller, serializer_class, wrap(str(pk)))
        rejected.append((*response, len(queries)))
    assert rejected[0] == rejected[1]
    assert rejected[0][0] == 400


def test_choices_of_late_fields_are_limited(caller, hidden, accounts):
    shown = []

    def make(**kwargs):
        serializer = AddsField(**kwargs)
        shown.extend(serializer.fields["account"].choices)
        return serializer

    send(caller, make, {"account": str(accounts.checking.pk)})
    assert accounts.checking.pk in shown
    assert hidden.pk not in shown


def test_own_field_may_return_other_objects(caller, accounts):
    class ByText(ByName):
        def to_internal_value(self, data):
            return Account(pk=None, name=data) if data == "new" else data

    make = with_field(ByText(queryset=Account.objects.all()))
    assert send(caller, make, {"account": "new"})[0] == 200
    assert send(caller, make, {"account": "text"}) == (200, "\"{'account': 'text'}\"")


def test_own_field_may_have_no_queryset(caller, hidden, accounts):
    class Fixed(ByManager):
        def get_queryset(self):
            return None

    make = with_field(Fixed())
    assert send(caller, make, {"account": str(accounts.checking.pk)})[0] == 200
    for pk in (hidden.pk, uuid.uuid4()):
        assert send(caller, make, {"account": str(pk)})[0] == 400


def test_property_behind_the_mixin_decides_again(alice):
    serializer = BehindMixin()
    assert list(serializer.fields) == list(serializer.fields) == ["account"]


# --- duplicates of hidden rows ----------------------------------------------------------------------------------------


class LabelSerializer(ScopedModelSerializer):
    class Meta:
        model = Label
        fields = ["account", "name"]


class PlainLabel(ModelSerializer):
    class Meta:
        model = Label
        fields = ["account", "name"]


class NoteWithLabels(ScopedModelSerializer):
    labels = PlainLabel(many=True)

    class Meta:
        model = Note
        fields = ["account", "text", "labels"]

    def create(self, validated_data):
        labels = validated_data.pop("labels")
        note = super().create(validated_data)
        note.labels.set([Label.objects.create(**fields) for fields in labels])
        return note


class LabelWithPair(LabelSerializer):
    class Meta(LabelSerializer.Meta):
        extra_kwargs = {"name": {"validators": []}}
        validators = [UniqueTogetherValidator(queryset=Label.objects.all(), fields=["name"])]


class LabelWithBoth(LabelSerializer):
    class Meta(LabelSerializer.Meta):
        validators = [UniqueTogetherValidator(queryset=Label.objects.all(), fields=["name"])]


class CleansLabel(LabelSerializer):
    def create(self, validated_data):
        label = Label(**validated_data)
        label.full_clean()
        label.save()
        return label


class AddsValidator(LabelSerializer):
    name = CharField()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["name"].validators.append(UniqueValidator(Label.objects.all()))


class BulkList(ListSerializer):
    def create(self, validated_data):
        return Label.objects.bulk_create([Label(**fields) for fields in validated_data])


class BulkLabel(LabelSerializer):
    class Meta(LabelSerializer.Meta):
        list_serializer_class = BulkList


def many(serializer_class):
    return lambda **kwargs: serializer_class(many=True, **kwargs)


def one(account, name):
    return {"account": account, "name": name}


def several(account, name):
    return [one(account, "First"), one(account, name)]


def inside(account, name):
    return {"account": account, "text": "Note", "labels": several(account, name)}


DUPLICATES = {
    "field": (LabelSerializer, one),
    "pair": (LabelWithPair, one),
    "field and pair": (LabelWithBoth, one),
    "full_clean()": (CleansLabel, one),
    "late validator": (AddsValidator, one),
    "many": (many(LabelSerializer), several),
    "own list": (many(BulkLabel), several),
    "nested": (NoteWithLabels, inside),
}


@pytest.mark.rule("S4")
@pytest.mark.parametrize("name", DUPLICATES)
def test_hidden_duplicate_is_like_a_visible_one(name, extra_tables, caller, hidden, accounts):  # noqa: F811
    make, wrap = DUPLICATES[name]
    for account, label in ((accounts.checking, "Visible"), (hidden, "Hidden")):
        Label.objects.create(account=account, name=label)
    pk = str(accounts.checking.pk)
    responses = [send(caller, make, wrap(pk, label), save=True) for label in ("Visible", "Hidden")]
    assert responses[0] == responses[1]
    assert responses[0][0] == 400
    assert set(Label.objects.values_list("name", flat=True)) == {"Visible", "Hidden"}
    assert not Note.objects.exists()
    assert send(caller, make, wrap(pk, "New"), save=True)[0] == 200


@pytest.mark.rule("S4")
@pytest.mark.parametrize("serializer_class", [LabelSerializer, LabelWithPair, LabelWithBoth])
def test_update_to_hidden_duplicate_is_an_error(serializer_class, extra_tables, caller, hidden, accounts):  # noqa: F811
    label = Label.objects.create(account=accounts.checking, name="Mine")
    for account, name in ((accounts.checking, "Visible"), (hidden, "Hidden")):
        Label.objects.create(account=account, name=name)

    def make(**kwargs):
        return serializer_class(Label.objects.get(pk=label.pk), partial=True, **kwargs)

    responses = [send(caller, make, {"name": name}, save=True, method="patch") for name in ("Visible", "Hidden")]
    assert responses[0] == responses[1]
    assert responses[0][0] == 400
    assert Label.objects.get(pk=label.pk).name == "Mine"


class UpdatesLabels(ListSerializer):
    def to_internal_value(self, data):
        values = []
        for row, item in zip(self.instance, data, strict=True):
            self.child.instance = row
            values.append(self.child.run_validation(item))
        return values

    def update(self, instance, validated_data):
        return [self.child.update(row, fields) for row, fields in zip(instance, validated_data, strict=True)]


class BulkPair(LabelWithPair):
    class Meta(LabelWithPair.Meta):
        list_serializer_class = UpdatesLabels


@pytest.mark.rule("S4")
@pytest.mark.parametrize("wrap", [list, QuerySet.all], ids=["list", "queryset"])
def test_bulk_update_to_hidden_duplicate_is_an_error(wrap, extra_tables, caller, hidden, accounts):  # noqa: F811
    for account, name in ((accounts.checking, "A"), (accounts.checking, "Visible"), (hidden, "Hidden")):
        Label.objects.create(account=account, name=name)

    def make(**kwargs):
        labels = Label.objects.filter(account=accounts.checking).order_by("pk")
        return BulkPair(wrap(labels), many=True, partial=True, **kwargs)

    def patch(name):
        return send(caller, make, [{"name": name}, {}], save=True, method="patch")

    assert patch("Hidden") == patch("Visible")
    assert patch("Hidden")[0] == 400
    assert patch("B")[0] == 200


def test_mixin_behind_the_serializer_class_is_an_error():
    with pytest.raises(TypeError, match="before the serializer class"):
        type("WrongOrder", (Serializer, ScopedSerializerMixin), {})


def test_nested_validators_compare_with_visible_rows(extra_tables, caller, hidden, accounts):  # noqa: F811
    Label.objects.create(account=hidden, name="Hidden")
    assert send(caller, NoteWithLabels, inside(str(accounts.checking.pk), "Hidden"))[0] == 200


def test_other_errors_of_save_are_raised(extra_tables, accounts):  # noqa: F811
    class Fails(LabelSerializer):
        def create(self, validated_data):
            raise error

    for error in (IntegrityError("other"), DjangoValidationError("other")):
        serializer = Fails(data=one(accounts.checking.pk, "New"))
        assert serializer.is_valid()
        with pytest.raises(type(error), match="other"):
            serializer.save()


class TagsOfNote(ScopedSerializer):
    """A serializer for labels that changes the labels of their note."""

    tags = PrimaryKeyRelatedField(source="note.labels", many=True, queryset=Label.objects.all())

    def update(self, instance, validated_data):
        if "note" in validated_data:
            instance.note.labels.set(validated_data["note"]["labels"])
        return instance


def test_relation_of_another_row_keeps_hidden_rows(extra_tables, caller, hidden, accounts):  # noqa: F811
    old, concealed = (
        Label.objects.create(account=account, name=account.name) for account in (accounts.checking, hidden)
    )
    note = old.note = Note.objects.create(account=accounts.checking, text="a")
    note.labels.set([old, concealed])
    assert send(caller, partial(TagsOfNote, old), {"tags": []}, save=True, method="patch")[0] == 200
    assert list(note.labels.all()) == [concealed]


# --- updates of several rows ------------------------------------------------------------------------------------------


class UpdatesEach(ListSerializer):
    def update(self, instance, validated_data):
        return [self.child.update(row, fields) for row, fields in zip(instance, validated_data, strict=True)]


class NoteSerializer(ScopedModelSerializer):
    class Meta:
        model = Note
        fields = ["text", "labels"]
        list_serializer_class = UpdatesEach


class NoteByAccountField(NoteSerializer):
    labels = AccountRelatedField(many=True, queryset=Label.objects.all(), account_path="account")


class NoteWithoutTheMixin(ModelSerializer):
    labels = AccountRelatedField(many=True, queryset=Label.objects.all(), account_path="account")

    class Meta(NoteSerializer.Meta):
        pass


class NoteWithOwnUpdate(NoteSerializer):
    def update(self, instance, validated_data):
        labels = validated_data.pop("labels", None)
        if labels is not None:
            instance.labels.set(labels)
        return super().update(instance, validated_data)


@pytest.mark.parametrize(
    "serializer_class", [NoteSerializer, NoteByAccountField, NoteWithoutTheMixin, NoteWithOwnUpdate]
)
def test_updates_of_several_rows_keep_hidden_relations(
    serializer_class,
    extra_tables,  # noqa: F811
    caller,
    hidden,
    accounts,
):
    names = [(accounts.checking, "old"), (hidden, "hidden"), (accounts.checking, "new")]
    old, concealed, new = (Label.objects.create(account=account, name=name) for account, name in names)
    notes = [Note.objects.create(account=accounts.checking, text=text) for text in "ab"]
    for note in notes:
        note.labels.set([old, concealed])
    data = [{"text": "changed", "labels": [new.pk]}, {"text": "same"}]

    def make(**kwargs):
        return serializer_class(notes, many=True, partial=True, **kwargs)

    assert send(caller, make, data, save=True, method="patch")[0] == 200
    assert set(notes[0].labels.all()) == {concealed, new}
    assert set(notes[1].labels.all()) == {old, concealed}
    rejected = [send(caller, make, [{"labels": [pk]}, {}], save=True, method="patch") for pk in (concealed.pk, 10**6)]
    assert rejected[0] == rejected[1]
    assert rejected[0][0] == 400


class TagsOfSeveralNotes(TagsOfNote):
    class Meta:
        list_serializer_class = UpdatesEach


def test_updates_of_several_related_rows_keep_hidden_rows(extra_tables, caller, hidden, accounts):  # noqa: F811
    old, concealed = (
        Label.objects.create(account=account, name=account.name) for account in (accounts.checking, hidden)
    )
    old.note = Note.objects.create(account=accounts.checking, text="a")
    old.note.labels.set([old, concealed])
    make = partial(TagsOfSeveralNotes, [old], many=True, partial=True)
    for data in ({}, {"tags": []}):
        assert send(caller, make, [data], save=True, method="patch")[0] == 200
    assert list(old.note.labels.all()) == [concealed]


class UpdatesAllAlike(ListSerializer):
    def update(self, instance, validated_data):
        return [self.child.update(row, validated_data[0]) for row in instance]


class NotesAlike(ScopedModelSerializer):
    class Meta:
        model = Note
        fields = ["labels"]
        list_serializer_class = UpdatesAllAlike


def test_same_data_keeps_each_rows_own_relations(extra_tables, caller, hidden, accounts):  # noqa: F811
    concealed, new = (
        Label.objects.create(account=account, name=account.name) for account in (hidden, accounts.checking)
    )
    notes = [Note.objects.create(account=accounts.checking, text=text) for text in "ab"]
    notes[0].labels.set([concealed])
    make = partial(NotesAlike, notes, many=True)
    assert send(caller, make, [{"labels": [new.pk]}], save=True, method="patch")[0] == 200
    assert set(notes[0].labels.all()) == {concealed, new}
    assert list(notes[1].labels.all()) == [new]
