"""The site as a WSGI application, with everything a first visitor would wait for loaded beforehand."""

from __future__ import annotations

from django.core.handlers.wsgi import WSGIHandler
from django.template import engines
from django.template.backends.jinja2 import Jinja2
from django.urls import get_resolver

from posthouse import database
from posthouse.web.assets import assets, fingerprint


def _warm() -> None:
    """Load URLs, views, assets and compiled templates, so that forked processes share them and nobody waits."""
    get_resolver().url_patterns  # noqa: B018  # the first look imports every view
    backend = engines["jinja2"]
    assert isinstance(backend, Jinja2)
    environment = backend.env
    for name in environment.list_templates(extensions=["html", "xml", "txt"]):
        environment.get_template(name)
    assets()
    fingerprint()


database.setup()
application = WSGIHandler()
_warm()
