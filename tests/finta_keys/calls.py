"""Call a view of Django REST framework without a URL."""

from rest_framework.test import APIRequestFactory


def make_request(secret=None, method="get", data=None, *, user=None, **headers):
    """Return a new HttpRequest that presents a secret, as the session of ``user`` if one is given."""
    if secret:
        headers["authorization"] = f"Bearer {secret}"
    body = {} if data is None else {"data": data, "format": "json"}
    factory = APIRequestFactory()
    send = getattr(factory, method.lower(), None)
    request = send("/", headers=headers, **body) if send else factory.generic(method.upper(), "/", headers=headers)
    if user is not None:
        request.user = user
    return request


def call(view, secret=None, method="get", data=None, *, kwargs=None, user=None, headers=None, **initkwargs):
    """Return the response of a view class or a function view. An exception that escapes from the view is raised."""
    request = make_request(secret, method, data, user=user, **(headers or {}))
    function = view.as_view(**initkwargs) if isinstance(view, type) else view
    return function(request, **(kwargs or {}))
