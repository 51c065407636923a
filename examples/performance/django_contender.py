"""Django's own TestCase, with the same tests, in a Django that is configured here.

It has a database of its own: :func:`configure` is called once per process, before anything of
the other functions.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

import sqlalchemy as sa

__all__ = ["configure", "make_contender"]

urlpatterns: list[Any] = []


def configure(url: sa.URL) -> None:
    """Set Django up for one database, with psycopg2 as the others use it."""
    from django.conf import settings

    if settings.configured:
        return
    settings.configure(
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": url.database,
                "USER": url.username,
                "PASSWORD": url.password,
                "HOST": url.host or url.query.get("host"),
                "PORT": url.port or url.query.get("port"),
            }
        },
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="of the performance tests",
    )
    import django

    # Django takes psycopg 3 where it is installed
    found = {name: module for name, module in sys.modules.items() if _is_psycopg(name)}
    for name in found:
        del sys.modules[name]
    sys.modules["psycopg"] = None  # type: ignore[assignment]
    try:
        django.setup()
        from django.db import connection

        assert connection.Database.__name__ == "psycopg2", connection.Database
    finally:
        del sys.modules["psycopg"]
        sys.modules.update(found)


def _is_psycopg(name: str) -> bool:
    return name.partition(".")[0] in ("psycopg", "psycopg_binary", "psycopg_c")


@functools.cache
def make_contender() -> Any:
    """Make the TestCase, which cannot be imported before Django is configured."""
    from django.db import connection, models, transaction
    from django.http import HttpResponse
    from django.test import TestCase
    from django.urls import path

    class Item(models.Model):
        name = models.TextField()

        class Meta:
            app_label = "performance"
            db_table = "item"

    def add_item(request: Any) -> HttpResponse:
        Item.objects.create(name="of a request")
        return HttpResponse(status=201)

    urlpatterns[:] = [path("items", add_item)]

    class Django(TestCase):
        """Each test in a savepoint, its class in a transaction."""

        def test_empty(self) -> None:
            pass

        def test_insert(self) -> None:
            # in a transaction of its own, as code under test has it
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("INSERT INTO item (name) VALUES (%s)", ("of the test",))

        def test_raw_insert(self) -> None:
            # without atomic(), and so without the two round trips of its savepoint
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO item (name) VALUES (%s)", ("of the test",))

        def test_request(self) -> None:
            response = self.client.post("/items")
            assert response.status_code == 201, response.content
            assert Item.objects.count() > 0

        def rows(self) -> int:
            return int(Item.objects.count())

    return Django
