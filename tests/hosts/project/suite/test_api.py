"""The API: what keys and signed-in merchants can access."""

import html
import re
from urllib.parse import quote
from uuid import UUID

import pytest
from host.variant import KEYS, key, never_existed
from shops.models import Order, OrderLine, Shop

from finta_keys.testing import assert_indistinguishable, assert_scope_covers, key_client, make_key
from suite.conftest import signed_in
from suite.reading import api, keys_of, seen

ROWS = {"shops": Shop, "orders": Order, "order-lines": OrderLine}


def rows(name, shop):
    """Return the rows of a list that belong to a shop."""
    path = {"shops": "pk", "orders": "shop", "order-lines": "order__shop"}[name]
    return ROWS[name].objects.filter(**{path: shop.pk})


@pytest.mark.rule("S3")
@pytest.mark.parametrize("name", ROWS)
def test_restricted_key_accesses_its_shop(name, shops, restricted):
    assert seen(restricted.secret, name) == keys_of(rows(name, shops[0]))


@pytest.mark.rule("S3")
@pytest.mark.parametrize("name", ROWS)
def test_unrestricted_key_accesses_all_shops_of_owner(name, merchant, shops, foreign):
    _, secret = make_key(merchant)
    assert seen(secret, name) == keys_of(row for shop in shops for row in rows(name, shop))


@pytest.mark.rule("S3")
@pytest.mark.parametrize("name", ROWS)
def test_every_shop_needs_its_own_key(name, merchant, shops):
    for shop in shops:
        client = key_client(make_key(merchant, accounts=[shop.pk])[1])
        statuses = {other.name: client.get(api(name, rows(name, other).get().pk)).status_code for other in shops}
        assert statuses == {other.name: 200 if other == shop else 404 for other in shops}


@pytest.mark.rule("S4")
@pytest.mark.parametrize("name", ROWS)
def test_hidden_foreign_and_missing_rows_look_alike(name, shops, foreign, restricted):
    hidden, foreign_row = rows(name, shops[1]).get(), rows(name, foreign).get()
    missing, *malformed = never_existed() if name != "order-lines" else ("98765", "abc")
    addresses = [api(name, pk) for pk in (hidden.pk, foreign_row.pk, missing)]
    assert_indistinguishable(restricted.client, *addresses)
    for pk in malformed:
        assert_indistinguishable(restricted.client, addresses[0], api(name, pk), same_queries=False)
    for method in ("PUT", "PATCH"):
        sent = {"data": '{"name": "x", "town": 1}', "content_type": "application/json"}
        assert_indistinguishable(restricted.client, *addresses, methods=[method], **sent)


@pytest.mark.rule("S4")
def test_browsable_api_hides_rows(shops, foreign, restricted):
    def page(pk):
        response = restricted.client.get(api("shops", pk), headers={"accept": "text/html"})
        assert response.status_code == 404
        text = re.sub(r'"csrfToken": "\w+"', "", response.content.decode())
        request = response.wsgi_request  # The page contains the path of the request.
        return text.replace(html.escape(request.get_full_path()), "…").replace(html.escape(request.path), "…")

    assert page(shops[1].pk) == page(foreign.pk) == page(never_existed()[0])


@pytest.mark.rule("S4")
def test_order_needs_a_visible_shop(shops, foreign, restricted):
    def create(shop):
        data = {"number": 5000, "shop": shop, **({"id": "new order"} if KEYS == "text" else {})}
        response = restricted.client.post(api("orders"), data, content_type="application/json")
        return response.status_code, response.content

    rejected = create(str(shops[1].pk))
    assert rejected[0] == 400
    assert Order.objects.count() == len(shops) + 1
    for other in (foreign.pk, *never_existed(), "a\0b", "", None, True, [], {}):
        status, body = create(str(other) if isinstance(other, UUID) else other)
        assert (status, body) == rejected or other in ("", None), other
        assert status == 400
    assert create(str(shops[0].pk))[0] == 201


@pytest.mark.rule("S3")
def test_browsable_api_offers_visible_shops(shops, foreign, restricted):
    page = restricted.client.get(api("orders"), headers={"accept": "text/html"}).content.decode()
    assert shops[0].name in page
    assert shops[1].name not in page
    assert foreign.name not in page


@pytest.mark.rule("S5")
def test_new_shop_joins_the_scope(shops, restricted):
    sent = {"name": "New", "town": shops[0].town_id} | ({"id": "new/one"} if KEYS == "text" else {})
    response = restricted.client.post(api("shops"), sent, content_type="application/json")
    assert response.status_code == 201, response.content
    assert str(response.json()["id"]) in seen(restricted.secret)


@pytest.mark.rule("S3")
def test_sold_shop_leaves_the_scope(merchant, rival, shops, restricted):
    everything = make_key(merchant)[1]
    Shop.objects.filter(pk=shops[0].pk).update(merchant=rival)
    assert seen(restricted.secret) == []
    assert seen(everything) == keys_of(shops[1:])
    assert str(shops[0].pk) in seen(make_key(rival)[1])
    Shop.objects.filter(pk=shops[0].pk).update(merchant=merchant)
    assert seen(restricted.secret) == keys_of(shops[:1])


@pytest.mark.rule("S1")
def test_deleted_shop_widens_no_key(shops, restricted):
    assert restricted.client.delete(api("shops", shops[0].pk)).status_code == 204
    assert seen(restricted.secret) == []
    restricted.key.refresh_from_db()
    assert not restricted.key.share_all_accounts


def test_deleted_owner_has_no_keys(merchant, restricted):
    merchant.delete()
    assert restricted.client.get(api("shops")).status_code == 401


@pytest.mark.rule("X5")
def test_deactivated_owner_is_rejected(merchant, restricted):
    merchant.is_active = False
    merchant.save()
    assert restricted.client.get(api("shops")).status_code == 401


def test_function_generic_and_plain_views_work(shops, restricted):
    assert restricted.client.get("/api/caller").json() == {"user": "merchant", "key": "Restricted"}
    assert [line["article"] for line in restricted.client.get("/api/lines").json()] == ["article of Shop 00"]
    assert restricted.client.get("/api/order-count").json() == {"orders": 1}
    assert restricted.client.get("/api/shop-count").json() == {"shops": 1}


@pytest.mark.rule("S7.1")
def test_every_view_with_keys_is_declared():
    assert len(assert_scope_covers()) >= 10


def test_equal_primary_keys_are_not_confused(merchant, shops):
    """A shop, an order and a user may have the same primary key."""
    twin = Order.objects.create(shop=shops[1], number=77, **key(str(shops[0].pk)))
    secret = make_key(merchant, accounts=[shops[0]])[1]
    assert [row["number"] for row in key_client(secret).get(api("orders")).json()] == [0]
    if KEYS == "text":
        assert key_client(secret).get(api("orders", twin.pk)).status_code == 404


# --- the shop in the path --------------------------------------------------------------------------------------------


def orders_of(client, shop_pk, number=None):
    path = f"/api/orders-of/{quote(str(shop_pk), safe='')}/all"
    if number is None:
        return client.get(path)
    return client.post(path, {"number": number}, content_type="application/json")


@pytest.mark.rule("S7.4")
def test_orders_below_a_hidden_shop_are_404(shops, foreign, restricted):
    assert orders_of(restricted.client, shops[0].pk).json() == [0]
    assert orders_of(restricted.client, shops[0].pk, 5000).status_code == 201
    hidden = [shops[1].pk, foreign.pk, *never_existed()]
    responses = [orders_of(restricted.client, pk, number) for pk in hidden for number in (None, 6000)]
    assert {response.status_code for response in responses} == {404}
    assert len({response.content for response in responses}) == 1
    assert Order.objects.filter(number__gte=5000).count() == 1


# --- a signed-in merchant --------------------------------------------------------------------------------------------


@pytest.mark.rule("S7.3")
@pytest.mark.parametrize("name", ROWS)
def test_merchant_accesses_own_rows(name, merchants_browser, shops, foreign):
    listed = [str(row["id"]) for row in merchants_browser.get(api(name)).json()]
    assert listed == keys_of(row for shop in shops for row in rows(name, shop))
    own, other = rows(name, shops[1]).get(), rows(name, foreign).get()
    assert merchants_browser.get(api(name, own.pk)).status_code == 200
    url = api(name, other.pk)
    foreign_row = merchants_browser.get(url)
    other.delete()
    missing_row = merchants_browser.get(url)
    assert foreign_row.status_code == missing_row.status_code == 404
    assert foreign_row.content == missing_row.content


@pytest.mark.rule("S7.3")
def test_merchant_cannot_move_orders_to_foreign_shops(merchants_browser, shops, foreign):
    order = rows("orders", shops[0]).get()
    for pk in (foreign.pk, never_existed()[0]):
        data = {"number": 5000, "shop": str(pk), "id": "new order"}
        created = merchants_browser.post(api("orders"), data, content_type="application/json")
        moved = merchants_browser.patch(api("orders", order.pk), {"shop": str(pk)}, content_type="application/json")
        assert (created.status_code, moved.status_code) == (400, 400)
        assert list(moved.json()) == ["shop"]
    page = merchants_browser.get(api("orders"), headers={"accept": "text/html"}).content.decode()
    assert shops[1].name in page
    assert foreign.name not in page


@pytest.mark.rule("S7.3")
def test_superuser_accesses_own_shops_only(operator, shops, foreign):
    assert operator.get(api("shops")).json() == []
    assert operator.get("/api/shop-count").json() == {"shops": 0}


def test_merchant_creates_a_shop(merchants_browser, merchant, shops):
    data = {"name": "New", "town": shops[0].town_id} | ({"id": "new/one"} if KEYS == "text" else {})
    assert merchants_browser.post(api("shops"), data, content_type="application/json").status_code == 201
    assert merchant == Shop.objects.get(name="New").merchant


@pytest.mark.rule("S7.2")
def test_key_decides_over_the_session(rival, shops, foreign, restricted):
    browser = signed_in(rival)
    authorization = {"authorization": f"Bearer {restricted.secret}"}
    assert [str(row["id"]) for row in browser.get(api("shops"), headers=authorization).json()] == keys_of(shops[:1])
    assert browser.get("/api/shop-count").json() == {"shops": 1}
