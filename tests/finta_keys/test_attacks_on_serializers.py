"""Serializers and filters of ordinary projects, second collection: hidden rows are like missing ones."""
# ruff: noqa: DJ001, DJ008

import uuid
from datetime import date
from types import SimpleNamespace

import django_filters
import pytest
from django import forms
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, models
from django.db.models.functions import Lower
from django.test.utils import CaptureQueriesContext, isolate_apps
from rest_framework import filters, generics, serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.test import APIRequestFactory
from rest_framework.validators import UniqueTogetherValidator, UniqueValidator

from accounts_app.models import Account, Transaction, User
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.filters import ScopedFilterBackend
from finta_keys.save_signals import receive_m2m_changes
from finta_keys.scoping import AccountScopeMixin
from finta_keys.serializers import ScopedModelSerializer
from tests.factories import TransactionFactory
from tests.finta_keys.calls import call
from tests.finta_keys.tables import tables_of

pytestmark = [pytest.mark.thorough, pytest.mark.django_db, pytest.mark.rule("S4"), pytest.mark.rule("S7.7")]

WORD = "Zanzibar"

with isolate_apps("accounts_app") as isolated:

    class Topic(models.Model):
        account = models.ForeignKey(Account, models.CASCADE, related_name="+")
        owner = models.ForeignKey(User, models.CASCADE, null=True, related_name="+")
        name = models.CharField(max_length=50)
        code = models.CharField(max_length=50, null=True)
        kind = models.CharField(max_length=50, default="a")
        day = models.DateField(default=date(2026, 1, 1))
        is_open = models.BooleanField(default=True)

        class Meta:
            app_label = "accounts_app"
            unique_together = [("code", "kind")]
            constraints = [
                models.UniqueConstraint(fields=["name"], condition=models.Q(is_open=True), name="open_name"),
                models.UniqueConstraint(Lower("name"), "kind", name="lower_name"),
            ]

    class Post(models.Model):
        topic = models.ForeignKey(Topic, models.CASCADE, related_name="posts", limit_choices_to={"is_open": True})
        origin = models.ForeignKey(Topic, models.SET_NULL, null=True, blank=True, related_name="+")
        text = models.CharField(max_length=50)
        topics = models.ManyToManyField(Topic, through="Link", related_name="linked")

        class Meta:
            app_label = "accounts_app"

    class Link(models.Model):
        post = models.ForeignKey(Post, models.CASCADE, related_name="links")
        topic = models.ForeignKey(Topic, models.CASCADE, related_name="links")
        weight = models.IntegerField(default=1)

        class Meta:
            app_label = "accounts_app"

    class Reply(models.Model):
        post = models.ForeignKey(Post, models.CASCADE, related_name="replies")
        text = models.CharField(max_length=50)

        class Meta:
            app_label = "accounts_app"

    isolated.do_pending_operations(Account)
    isolated.do_pending_operations(User)

MODELS = (Topic, Post, Link, Reply)
receive_m2m_changes([Post])


_tables = tables_of(*MODELS)


@pytest.fixture
def rows(restricted, accounts, bobs_account):
    result = {}
    for target, account in (("visible", accounts.checking), ("hidden", accounts.savings), ("foreign", bobs_account)):
        word = "Lunch" if target == "visible" else f"{WORD} {target}"
        topic = Topic.objects.create(account=account, owner=account.owner, name=word, code=f"code-{target}")
        closed = Topic.objects.create(account=account, name=f"closed {target}", is_open=False)
        post = Post.objects.create(topic=topic, text=word)
        result[target] = SimpleNamespace(
            account=account,
            topic=topic,
            closed=closed,
            post=post,
            reply=Reply.objects.create(post=post, text=word),
            transaction=TransactionFactory(account=account, summary=word, provider_id=f"ref-{target}"),
        )
    return SimpleNamespace(**result)


class Open(AccountScopeMixin):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]


@pytest.fixture(params=["key", "person"])
def caller(request, restricted, alice):
    return {"secret": restricted.secret} if request.param == "key" else {"user": alice}


def outside(rows, caller):
    """The rows that the caller may not access."""
    return [rows.foreign] if "user" in caller else [rows.hidden, rows.foreign]


def parts(response):
    return response.status_code, response.render().content.decode()


def write(caller, serializer_class, data, *, method="post", instance=None, path="topic__account", **attributes):
    model = serializer_class.Meta.model
    bases = (Open, generics.ListCreateAPIView if method == "post" else generics.UpdateAPIView)
    view = type(
        "View",
        bases,
        {"queryset": model.objects.all(), "serializer_class": serializer_class, "account_path": path, **attributes},
    )
    kwargs = {"pk": instance.pk} if instance else {}
    return parts(call(view, method=method, data=data, kwargs=kwargs, **caller))


def check(caller, rows, serializer_class, value, data, **options):
    """The visible value is accepted; all others get one error."""
    before = {model: model.objects.count() for model in MODELS}
    rejected = [write(caller, serializer_class, data(value(row)), **options) for row in outside(rows, caller)]
    missing = SimpleNamespace(**dict.fromkeys(("pk", "id"), 999))
    row = SimpleNamespace(
        topic=SimpleNamespace(pk=999, name="missing", code="missing"),
        post=missing,
        account=SimpleNamespace(pk=uuid.UUID(int=5), name="missing"),
    )
    rejected += [write(caller, serializer_class, data(value(row)), **options)]
    assert {model: model.objects.count() for model in MODELS} == before
    assert all(answer == rejected[0] for answer in rejected), rejected
    assert rejected[0][0] == 400, rejected[0]
    assert WORD not in str(rejected)
    accepted = write(caller, serializer_class, data(value(rows.visible)), **options)
    assert accepted[0] in (200, 201), accepted
    return accepted


def serializer(model, fields, bases=(ScopedModelSerializer,), meta=None, **attributes):
    attributes["Meta"] = type("Meta", (), {"model": model, "fields": fields, **(meta or {})})
    return type("S", bases, attributes)


Nested = serializer(Link, ["topic", "weight"], bases=(serializers.ModelSerializer,))


def create_links(self, validated_data):
    links = validated_data.pop("links")
    post = Post.objects.create(**validated_data)
    for fields in links:
        Link.objects.create(post=post, **fields)
    return post


def pk_of(name):
    return lambda row: getattr(row, name).pk


def any_topic(**options):
    return serializers.PrimaryKeyRelatedField(queryset=Topic.objects.all(), **options)


RELATIONS = {
    "plain": (serializer(Post, ["id", "topic", "text"]), pk_of("topic"), lambda v: {"topic": v, "text": "x"}),
    "depth": (
        serializer(Post, ["id", "topic_id", "topic", "text"], meta={"depth": 3}, topic_id=any_topic(source="topic")),
        pk_of("topic"),
        lambda v: {"topic_id": v, "text": "x"},
    ),
    "nested many": (
        serializer(Post, ["id", "topic", "text", "links"], links=Nested(many=True), create=create_links),
        pk_of("topic"),
        lambda v: {"topic": v, "text": "x", "links": [{"topic": v, "weight": 2}]},
    ),
    "pk_field": (
        serializer(
            Topic,
            ["account", "name"],
            account=serializers.PrimaryKeyRelatedField(
                queryset=Account.objects.all(), pk_field=serializers.UUIDField()
            ),
        ),
        pk_of("account"),
        lambda v: {"account": str(v), "name": "x"},
    ),
    "annotated": (
        serializer(
            Post,
            ["topic", "text"],
            topic=serializers.PrimaryKeyRelatedField(
                queryset=Topic.objects.select_related("account")
                .annotate(n=models.Count("posts"))
                .distinct()
                .only("name", "account")
            ),
        ),
        pk_of("topic"),
        lambda v: {"topic": v, "text": "x"},
    ),
    "slug over a relation": (
        serializer(Post, ["topic", "text"], topic=serializers.SlugRelatedField("code", queryset=Topic.objects.all())),
        lambda row: row.topic.code,
        lambda v: {"topic": v, "text": "x"},
    ),
    "dict": (
        serializer(
            Topic,
            ["account", "name", "extra"],
            extra=serializers.DictField(child=any_topic(), write_only=True),
            create=lambda self, data: (data.pop("extra"), Topic.objects.create(**data))[1],
        ),
        lambda row: (row.account.pk, row.topic.pk),
        lambda v: {"account": str(v[0]), "name": "x", "extra": {"a": v[1]}},
    ),
    "dict of lists": (
        serializer(
            Post,
            ["topic", "text", "extra"],
            extra=serializers.DictField(child=serializers.ListField(child=any_topic()), write_only=True),
            create=lambda self, data: (data.pop("extra"), Post.objects.create(**data))[1],
        ),
        pk_of("topic"),
        lambda v: {"topic": v, "text": "x", "extra": {"a": [v]}},
    ),
    "two paths": (serializer(Reply, ["post", "text"]), pk_of("post"), lambda v: {"post": v, "text": "x"}),
    "through": (
        serializer(
            Post,
            ["topic", "text", "topics"],
            topics=any_topic(many=True),
            create=lambda self, data: (
                topics := data.pop("topics"),
                post := Post.objects.create(**data),
                post.topics.set(topics),
            )[1],
        ),
        pk_of("topic"),
        lambda v: {"topic": v, "text": "x", "topics": [v]},
    ),
}
PATHS = {"pk_field": "account", "dict": "account", "two paths": "post__topic__account"}


@pytest.mark.parametrize("name", RELATIONS)
def test_relation_to_hidden_row(caller, rows, name):
    serializer_class, value, data = RELATIONS[name]
    check(caller, rows, serializer_class, value, data, path=PATHS.get(name, "topic__account"))


def test_limit_choices_to_is_kept(caller, rows):
    data = [{"topic": row.closed.pk, "text": "x"} for row in (rows.visible, *outside(rows, caller))]
    answers = [write(caller, RELATIONS["plain"][0], fields) for fields in data]
    assert all(answer == answers[0] for answer in answers), answers
    assert answers[0][0] == 400


def test_reverse_relation_keeps_hidden_rows(restricted, accounts, rows):
    caller = {"secret": restricted.secret}
    made = serializer(Topic, ["name", "posts"], meta={"extra_kwargs": {"posts": {"required": False}}})
    extra = Post.objects.create(topic=rows.visible.closed, text="x")
    options = {"method": "patch", "instance": rows.visible.topic, "path": "account"}
    rejected = [
        write(caller, made, {"posts": [pk]}, **options) for pk in (rows.hidden.post.pk, rows.foreign.post.pk, 999)
    ]
    assert rejected[0] == rejected[1] == rejected[2], rejected
    accepted = write(caller, made, {"posts": [extra.pk, rows.visible.post.pk]}, **options)
    assert accepted[0] == 200, accepted
    rows.hidden.post.refresh_from_db()
    assert rows.hidden.post.topic == rows.hidden.topic


def test_row_with_hidden_second_path(restricted, accounts, rows):
    """The post is visible by its topic, and its origin is hidden."""
    caller = {"secret": restricted.secret}
    reply = serializer(Reply, ["post", "text"])
    for origin in (rows.hidden.topic, rows.foreign.topic):
        mixed = Post.objects.create(topic=rows.visible.topic, origin=origin, text="Mixed")
        answers = [
            write(caller, reply, {"post": pk, "text": "x"}, path="post__topic__account") for pk in (mixed.pk, 999)
        ]
        assert answers[0][0] == 201 or answers[0] == answers[1], answers


TOPIC = ["account", "name", "code", "kind", "is_open"]
UNIQUE = {
    "together": (serializer(Topic, TOPIC), lambda row, target: {"name": f"new {target}", "code": f"code-{target}"}),
    "condition": (serializer(Topic, TOPIC), lambda row, target: {"name": row.topic.name, "code": "new", "kind": "b"}),
    "function": (
        serializer(Topic, TOPIC),
        lambda row, target: {"name": row.topic.name.upper(), "code": "new", "is_open": True},
    ),
    "iexact": (
        serializer(
            Topic, TOPIC, name=serializers.CharField(validators=[UniqueValidator(Topic.objects.all(), lookup="iexact")])
        ),
        lambda row, target: {"name": row.topic.name, "code": "new", "is_open": True},
    ),
    "declared": (
        serializer(
            Topic,
            TOPIC,
            meta={
                "validators": [
                    UniqueTogetherValidator(queryset=Topic.objects.all(), fields=["code", "kind"], message="Taken.")
                ]
            },
        ),
        lambda row, target: {"name": f"new {target}", "code": f"code-{target}"},
    ),
}


@pytest.mark.parametrize("name", UNIQUE)
def test_hidden_duplicate_is_like_a_visible_one(caller, rows, name):
    serializer_class, data = UNIQUE[name]
    before = set(Topic.objects.values_list("pk"))
    answers = []
    for target in ("visible", *[row for row in ("hidden", "foreign") if getattr(rows, row) in outside(rows, caller)]):
        fields = {
            "account": str(rows.visible.account.pk),
            "kind": "a",
            "is_open": True,
            **data(getattr(rows, target), target),
        }
        try:
            answers.append(write(caller, serializer_class, fields, path="account"))
        except Exception as error:
            answers.append(type(error).__name__)
    assert all(answer == answers[0] for answer in answers), answers
    assert set(Topic.objects.values_list("pk")) == before


def test_several_rows_at_once(caller, rows):
    class Many(Open, generics.CreateAPIView):
        queryset, account_path = Topic.objects.all(), "account"
        serializer_class = serializer(Topic, TOPIC)

        def get_serializer(self, *args, **kwargs):
            return super().get_serializer(*args, many=True, **kwargs)

    account = str(rows.visible.account.pk)
    before = Topic.objects.count()
    answers = []
    for row in (*outside(rows, caller), None):
        bad = str(row.account.pk if row else uuid.UUID(int=5))
        data = [{"account": account, "name": "One", "code": "1"}, {"account": bad, "name": "Two", "code": "2"}]
        answers.append(parts(call(Many, method="post", data=data, **caller)))
    assert all(answer == answers[0] for answer in answers), answers
    assert answers[0][0] == 400
    assert Topic.objects.count() == before
    data = [{"account": account, "name": name, "code": name} for name in ("One", "Two")]
    assert parts(call(Many, method="post", data=data, **caller))[0] == 201


def test_error_codes_are_the_same(restricted, rows):
    made = serializer(Post, ["topic", "text"])
    errors = []

    class Codes(Open, generics.CreateAPIView):
        queryset, account_path, serializer_class = Post.objects.all(), "topic__account", made

        def handle_exception(self, exc):
            errors.append(exc.get_full_details())
            return super().handle_exception(exc)

    for pk in (rows.hidden.topic.pk, rows.foreign.topic.pk, 999, "malformed", None, [], {}):
        call(Codes, method="post", data={"topic": pk, "text": "x"}, secret=restricted.secret)
    assert [details == errors[0] for details in errors] == [True, True, True, True, False, True, True], errors


def test_queries_are_the_same(restricted, rows, django_assert_num_queries):
    made = serializer(Post, ["topic", "text", "topics"], topics=any_topic(many=True))
    counts = []
    for pk in (rows.hidden.topic.pk, rows.foreign.topic.pk, 999):
        with CaptureQueriesContext(connection) as queries:
            write(
                {"secret": restricted.secret}, made, {"topic": pk, "text": "x", "topics": [rows.visible.topic.pk, pk]}
            )
        counts.append(len(queries))
    assert len(set(counts)) == 1, counts


# Filters


class TransactionSerializer(serializers.ModelSerializer):
    class Meta:
        model = Transaction
        fields = ["summary"]


class LookupRow(django_filters.FilterSet):
    account = django_filters.LookupChoiceFilter(
        field_class=forms.ModelChoiceField, queryset=Account.objects.all(), lookup_choices=["exact"]
    )


class RowIn(django_filters.FilterSet):
    class Meta:
        model = Transaction
        fields = {"account": ["in"]}


class ByName(django_filters.FilterSet):
    account = django_filters.ModelChoiceFilter(queryset=Account.objects.all(), to_field_name="name", null_label="None")


class SeveralByName(django_filters.FilterSet):
    account = django_filters.ModelMultipleChoiceFilter(
        field_name="account__name", queryset=Account.objects.all(), to_field_name="name", conjoined=True
    )


class Excluded(django_filters.FilterSet):
    account = django_filters.ModelChoiceFilter(queryset=Account.objects.all(), exclude=True)


class ByColumn(django_filters.FilterSet):
    account = django_filters.UUIDFilter(field_name="account_id")


class ByMethod(django_filters.FilterSet):
    account = django_filters.ModelChoiceFilter(queryset=Account.objects.all(), method="of_account")

    def of_account(self, queryset, name, value):
        return Transaction.objects.filter(account=value)


class ByQs(django_filters.FilterSet):
    account = django_filters.UUIDFilter(method="ignore")

    def ignore(self, queryset, name, value):
        return queryset

    @property
    def qs(self):
        return (
            Transaction.objects.filter(account_id=self.form.cleaned_data.get("account"))
            if self.is_valid()
            else super().qs
        )


class OwnFilter(django_filters.Filter):
    field_class = forms.ModelMultipleChoiceField

    def filter(self, qs, value):
        return qs.filter(account__in=value) if value else qs


class OwnClass(django_filters.FilterSet):
    account = OwnFilter(queryset=Account.objects.all(), required=False)


class Owner(django_filters.FilterSet):
    class Meta:
        model = Transaction
        fields = {
            "account__owner": ["exact", "in"],
            "account": ["exact", "isnull"],
            "account__name": ["exact", "icontains"],
        }


def get(caller, query, **attributes):
    base = {
        "queryset": Transaction.objects.order_by("summary"),
        "account_path": "account",
        "serializer_class": TransactionSerializer,
        "filter_backends": [ScopedFilterBackend],
    }
    view = type("View", (Open, generics.ListAPIView), {**base, **attributes})
    headers = {"authorization": f"Bearer {caller['secret']}"} if "secret" in caller else {}
    request = APIRequestFactory().get("/", query, headers=headers)
    if "user" in caller:
        request.user = caller["user"]
    return parts(view.as_view()(request))


FILTERS = {
    "lookup choice": (LookupRow, lambda pk, name: {"account": pk, "account_lookup": "exact"}),
    "in": (RowIn, lambda pk, name: {"account__in": pk}),
    "by name": (ByName, lambda pk, name: {"account": name}),
    "several by name": (SeveralByName, lambda pk, name: {"account": name}),
    "excluded": (Excluded, lambda pk, name: {"account": pk}),
    "by column": (ByColumn, lambda pk, name: {"account": pk}),
    "by method": (ByMethod, lambda pk, name: {"account": pk}),
    "by qs": (ByQs, lambda pk, name: {"account": pk}),
    "own class": (OwnClass, lambda pk, name: {"account": pk}),
    "exact": (Owner, lambda pk, name: {"account": pk}),
    "account name": (Owner, lambda pk, name: {"account__name": name}),
    "contains": (Owner, lambda pk, name: {"account__name__icontains": name}),
}


@pytest.mark.parametrize("name", FILTERS)
def test_filter_by_hidden_account(caller, rows, name):
    filterset, query = FILTERS[name]
    outsiders = outside(rows, caller)
    for row in (rows.hidden, rows.foreign):
        Account.objects.filter(pk=row.account.pk).update(name=f"Account {row.account.pk}")
    ids = [(str(row.account.pk), f"Account {row.account.pk}") for row in outsiders] + [(str(uuid.uuid4()), "Nothing")]
    answers = []
    for pk, account_name in ids:
        status, body = get(caller, query(pk, account_name), filterset_class=filterset)
        assert WORD not in body or (name == "excluded" and "user" in caller)
        answers.append((status, body.replace(account_name, "NAME").replace(pk, "PK")))
    assert all(answer == answers[0] for answer in answers), answers
    visible = rows.visible.account
    status, body = get(caller, query(str(visible.pk), visible.name), filterset_class=filterset)
    assert status == 200, body
    assert ("Lunch" in body) is (name != "excluded")


def test_filter_by_owner(caller, rows, alice, bob):
    for lookup in ("account__owner", "account__owner__in"):
        answers = [get(caller, {lookup: str(pk)}, filterset_class=Owner) for pk in (bob.pk, uuid.uuid4())]
        assert answers[0][1].replace(str(bob.pk), "") == answers[1][1].replace(str(bob.pk), ""), answers
        status, body = get(caller, {lookup: str(alice.pk)}, filterset_class=Owner)
        assert (status, "Lunch" in body) == (200, True)


def test_search_and_order(caller, rows):
    options = {
        "filter_backends": [filters.SearchFilter, filters.OrderingFilter],
        "search_fields": ["summary", "account__name"],
        "ordering_fields": ["account__name", "summary"],
    }
    for query in ({"search": WORD}, {"search": "Savings"}, {"ordering": "-account__name"}, {"search": "unch"}):
        status, body = get(caller, query, **options)
        assert status == 200
        assert "foreign" not in body
        assert "user" in caller or WORD not in body


def test_filters_by_shared_or_unknown_models(caller, rows, settings):
    class GroupFilter(django_filters.FilterSet):
        group = django_filters.ModelChoiceFilter(field_name="account__owner__groups", queryset=Group.objects.all())

    group = Group.objects.create(name="x")
    with pytest.raises(ImproperlyConfigured, match="FINTA_KEYS_SHARED_MODELS"):
        get(caller, {"group": group.pk}, filterset_class=GroupFilter)
    settings.FINTA_KEYS_SHARED_MODELS = ["auth.Group"]
    assert get(caller, {"group": group.pk}, filterset_class=GroupFilter)[0] == 200
