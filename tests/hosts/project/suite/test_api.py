"""What a key can see, and cannot be told."""

import html
import re
from uuid import UUID

import pytest
from host.variant import KEYS, key, never_existed
from shops.models import Order, OrderLine, Shop

from finta_keys.testing import assert_indistinguishable, assert_scope_covers, key_client, make_key
from suite.reading import api, keys_of, seen

ROWS = {"shops": Shop, "orders": Order, "order-lines": OrderLine}


def rows(name, shop):
    """Return the rows of a list that belong to a shop."""
    path = {"shops": "pk", "orders": "shop", "order-lines": "order__shop"}[name]
    return ROWS[name].objects.filter(**{path: shop.pk})


@pytest.mark.parametrize("name", ROWS)
def test_a_restricted_key_sees_its_shop_only(name, shops, restricted):
    assert seen(restricted.secret, name) == keys_of(rows(name, shops[0]))


@pytest.mark.parametrize("name", ROWS)
def test_a_key_for_all_sees_its_owners_shops_only(name, merchant, shops, foreign):
    _, secret = make_key(merchant)
    assert seen(secret, name) == keys_of(row for shop in shops for row in rows(name, shop))


@pytest.mark.parametrize("name", ROWS)
def test_each_shop_is_reached_by_its_own_key_only(name, merchant, shops):
    for shop in shops:
        client = key_client(make_key(merchant, accounts=[shop.pk])[1])
        answers = {each.name: client.get(api(name, rows(name, each).get().pk)).status_code for each in shops}
        assert answers == {each.name: 200 if each == shop else 404 for each in shops}


@pytest.mark.parametrize("name", ROWS)
def test_hidden_foreign_and_missing_are_the_same_to_the_byte(name, shops, foreign, restricted):
    hidden, elses = rows(name, shops[1]).get(), rows(name, foreign).get()
    missing, *malformed = never_existed() if name != "order-lines" else ("98765", "abc")
    addresses = [api(name, pk) for pk in (hidden.pk, elses.pk, missing)]
    assert_indistinguishable(restricted.client, *addresses)
    for pk in malformed:
        assert_indistinguishable(restricted.client, addresses[0], api(name, pk), same_queries=False)
    for method in ("PUT", "PATCH"):
        sent = {"data": '{"name": "x", "town": 1}', "content_type": "application/json"}
        assert_indistinguishable(restricted.client, *addresses, methods=[method], **sent)


def test_hidden_and_missing_are_the_same_in_the_browsable_api(shops, foreign, restricted):
    def page(pk):
        response = restricted.client.get(api("shops", pk), headers={"accept": "text/html"})
        assert response.status_code == 404
        text = re.sub(r'"csrfToken": "\w+"', "", response.content.decode())
        request = response.wsgi_request  # The page says which path was asked for.
        return text.replace(html.escape(request.get_full_path()), "…").replace(html.escape(request.path), "…")

    assert page(shops[1].pk) == page(foreign.pk) == page(never_existed()[0])


def test_an_order_goes_into_a_shop_that_is_seen_only(shops, foreign, restricted):
    def answer(shop):
        sent = {"number": 5000, "shop": shop, **({"id": "new order"} if KEYS == "text" else {})}
        response = restricted.client.post(api("orders"), sent, content_type="application/json")
        return response.status_code, response.content

    refused = answer(str(shops[1].pk))
    assert refused[0] == 400
    assert Order.objects.count() == len(shops) + 1
    for other in (foreign.pk, *never_existed(), "a\0b", "", None, True, [], {}):
        status, body = answer(str(other) if isinstance(other, UUID) else other)
        assert (status, body) == refused or other in ("", None), other
        assert status == 400
    assert answer(str(shops[0].pk))[0] == 201


def test_the_browsable_api_offers_a_shop_that_is_seen_only(shops, foreign, restricted):
    page = restricted.client.get(api("orders"), headers={"accept": "text/html"}).content.decode()
    assert shops[0].name in page
    assert shops[1].name not in page
    assert foreign.name not in page


def test_a_new_shop_joins_the_scope_of_the_key_that_made_it(shops, restricted):
    sent = {"name": "New", "town": shops[0].town_id} | ({"id": "new/one"} if KEYS == "text" else {})
    response = restricted.client.post(api("shops"), sent, content_type="application/json")
    assert response.status_code == 201, response.content
    assert str(response.json()["id"]) in seen(restricted.secret)


def test_an_account_that_changes_its_owner_is_gone(merchant, rival, shops, restricted):
    everything = make_key(merchant)[1]
    Shop.objects.filter(pk=shops[0].pk).update(merchant=rival)
    assert seen(restricted.secret) == []
    assert seen(everything) == keys_of(shops[1:])
    assert str(shops[0].pk) in seen(make_key(rival)[1])
    Shop.objects.filter(pk=shops[0].pk).update(merchant=merchant)
    assert seen(restricted.secret) == keys_of(shops[:1])


def test_a_deleted_account_opens_nothing(shops, restricted):
    assert restricted.client.delete(api("shops", shops[0].pk)).status_code == 204
    assert seen(restricted.secret) == []
    restricted.key.refresh_from_db()
    assert not restricted.key.share_all_accounts


def test_a_deleted_owner_takes_the_keys_along(merchant, restricted):
    merchant.delete()
    assert restricted.client.get(api("shops")).status_code == 401


def test_a_deactivated_owner_is_not_let_in(merchant, restricted):
    merchant.is_active = False
    merchant.save()
    assert restricted.client.get(api("shops")).status_code == 401


def test_function_view_generic_and_plain_view(shops, restricted):
    assert restricted.client.get("/api/caller").json() == {"user": "merchant", "key": "Restricted"}
    assert [line["article"] for line in restricted.client.get("/api/lines").json()] == ["article of Shop 00"]
    assert restricted.client.get("/api/order-count").json() == {"orders": 1}
    assert restricted.client.get("/api/shop-count").json() == {"shops": 1}


def test_every_view_that_takes_keys_keeps_to_the_scope():
    assert len(assert_scope_covers()) >= 10


def test_the_same_key_is_not_another_one(merchant, shops):
    """A shop, an order and a user may have the same key: scope is about shops."""
    twin = Order.objects.create(shop=shops[1], number=77, **key(str(shops[0].pk)))
    secret = make_key(merchant, accounts=[shops[0]])[1]
    assert [row["number"] for row in key_client(secret).get(api("orders")).json()] == [0]
    if KEYS == "text":
        assert key_client(secret).get(api("orders", twin.pk)).status_code == 404
