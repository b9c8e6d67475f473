"""Django's settings, derived from the one configuration file; nothing here is meant to be edited by an operator."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from posthouse import belonging
from posthouse.configuration import Configuration, active

# BEGIN IMMEDIATE takes the write lock at the start, so a transaction never fails half way for want of it; FULL makes
# each commit durable before it returns.
SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=20000; PRAGMA foreign_keys=ON; "
    "PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=16777216; "
    "PRAGMA mmap_size=268435456"
)


def databases(configuration: Configuration) -> dict[str, Any]:
    """Django's DATABASES for a configuration."""
    url = configuration.database_url
    if url.startswith("sqlite:///"):
        return {
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": url.removeprefix("sqlite:///"),
                "CONN_MAX_AGE": None,
                "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": SQLITE_PRAGMAS, "timeout": 20},
            }
        }
    parts = urlsplit(url)
    return {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": unquote(parts.hostname or ""),
            "PORT": str(parts.port or ""),
            "CONN_MAX_AGE": None,
            "CONN_HEALTH_CHECKS": False,
            # A 250 is a promise: it must not rest on a server or a role where commits return before they are durable.
            "OPTIONS": {"connect_timeout": 5, "options": "-c synchronous_commit=on", **dict(parse_qsl(parts.query))},
        }
    }


def secret_key(data: Path) -> str:
    """The site's secret, made at the first start and kept in the data directory, readable by its owner only."""
    path = data / "secret"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    if not data.is_dir():
        return secrets.token_urlsafe(48)  # nothing is kept yet, so nothing can depend on it
    made = path.with_name(f"secret.{secrets.token_hex(4)}")
    made.touch(mode=0o600)
    belonging.hand_over(made)
    made.write_text(secrets.token_urlsafe(48))
    try:
        path.hardlink_to(made)  # the first of several processes wins, and all read the same
    except FileExistsError:
        pass
    made.unlink()
    return path.read_text().strip()


_configuration = active()

SECRET_KEY = secret_key(_configuration.data)
DEBUG = False
ALLOWED_HOSTS = ["*"]  # the host is never used to build an address: base_url is
DATABASES = databases(_configuration)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "directory.Account"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "posthouse.content",
    "posthouse.directory",
    "posthouse.encounters",
    "posthouse.queue",
    "posthouse.archive",
    "posthouse.lists",
    "posthouse.web",
]
MIDDLEWARE = [
    "posthouse.web.middleware.Safety",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "posthouse.web.language.Language",
]
ROOT_URLCONF = "posthouse.web.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [Path(__file__).parent / "web" / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {"environment": "posthouse.web.environment.environment"},
    }
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("fr", "Français")]  # of the pages; locale/ holds a catalogue for each but English
LOCALE_PATHS = [Path(__file__).parent / "web" / "locale"]
MIGRATION_MODULES: dict[str, str] = {}
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _configuration.web.base_url.startswith("https://")
SESSION_SAVE_EVERY_REQUEST = False
CSRF_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [_configuration.web.base_url]
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
CSRF_FAILURE_VIEW = "posthouse.web.views.site.forged"
LOGGING_CONFIG = None
