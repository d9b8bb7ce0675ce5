"""Django and Celery settings. Importing them starts nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clustercore.access.domain.roles import Permission
from clustercore.config.environment import environment
from clustercore.embedded.domain.endpoints import Secret, database_settings
from clustercore.embedded.domain.layout import Layout
from clustercore.embedded.selectors import resolve_endpoints
from clustercore.jobs.domain.lifecycle import AttemptOutcome, JobState, UnitState
from clustercore.nodes.domain.broker_address import broker_url
from clustercore.project.rooms import ROOMS
from clustercore.project.web_theme import ADMIN_THEME

ENVIRONMENT = environment()
ENDPOINTS = resolve_endpoints(ENVIRONMENT.data_dir, ENVIRONMENT.database_url, ENVIRONMENT.redis_url)
BASE_DIR = Path(__file__).resolve().parents[2]
_BROKER_URL = broker_url(ENDPOINTS.redis_url)

# Those that sign something take theirs (`web.take_signing_key`); in others Django refuses what would need one.
SECRET_KEY = ""
DEBUG = ENVIRONMENT.debug
# Which names of this hub a browser may use is decided by project.gate.places, which knows addresses and names.
ALLOWED_HOSTS = ["*"]
ALLOWED_NAMES = ENVIRONMENT.allowed_hosts
HUB_URL = ENVIRONMENT.hub_url
TRUSTED_PROXIES = [str(network) for network in ENVIRONMENT.trusted_proxies]
REQUESTS_PER_MINUTE = ENVIRONMENT.requests_per_minute
SETUP_FILE = Layout(ENDPOINTS.data_dir).setup_link
ROOT_URLCONF = "clustercore.project.urls"
ASGI_APPLICATION = "clustercore.project.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "templates" / "static"]
WHITENOISE_USE_FINDERS = True

READING_APPS = ["django.contrib.auth", "django.contrib.contenttypes", *ROOMS, *ENVIRONMENT.rooms]
"""What a command needs that only looks at the tables (`reading_settings`): those of the work and of who asks for it."""

LEDGER_APPS = [*READING_APPS, "clustercore.project"]
"""What a node and most commands need (`ledger_settings`)."""

ONLY_READS = False
"""Whether this process neither works nor gives work, so that kinds of job need not be loaded."""

PAGE_APPS = [
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "unfold.apps.BasicAppConfig",
    "clustercore.project.page_apps.AdministrationConfig",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "clustercore.live",
    "clustercore.telemetry",
]
INSTALLED_APPS = [*PAGE_APPS, *LEDGER_APPS]

MIDDLEWARE = [
    "clustercore.project.middleware.errors.Errors",
    "django.middleware.security.SecurityMiddleware",
    "clustercore.project.web_static.StaticFilesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "clustercore.project.views.frame",
            ],
            "builtins": ["clustercore.project.web_filters"],
        },
    }
]

DATABASES = {"default": database_settings(ENDPOINTS.database_url, pool_size=max(8, ENVIRONMENT.slots or 0) + 2)}

UNFOLD = ADMIN_THEME

LOGIN_URL = "access:sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "access:sign-in"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "clustercore.project.middleware.errors.csrf_failure"
SESSION_COOKIE_AGE = 14 * 86_400
SILENCED_SYSTEM_CHECKS = [
    # gate.headers sends X-Frame-Options, and makes cookies secure where the request came by TLS: the hub
    # itself speaks plain HTTP on loopback, and whether a proxy before it adds TLS is not known here.
    "security.W002",
    "security.W012",
    "security.W016",
    # For the same reason HSTS and the way from HTTP to HTTPS are the TLS proxy's to add.
    "security.W004",
    "security.W008",
]

DATA_DIR = ENVIRONMENT.data_dir
REDIS_URL = Secret(ENDPOINTS.redis_url)
# Bodies go to the disk, beside the store: memory stays what it is however many people upload at once.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]
FILE_UPLOAD_MAX_MEMORY_SIZE = 256 << 10
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 << 20
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200
DATA_UPLOAD_MAX_NUMBER_FILES = 100

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["clustercore.access.api.IdentityAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["clustercore.access.api.MethodPermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["clustercore.access.api.parsing.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "clustercore.access.api.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "clustercore",
    "DESCRIPTION": "Private speech, language and data work on every machine you own, at once.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["clustercore.access.api.MethodPermission"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "clustercore.blobs.api.describe_uploads",
        "transcription.api.catalogue.describe_openai",
        "clustercore.project.api.schema.document_refusals",
    ],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "Permission": [permission.value for permission in Permission],
        "JobState": [state.value for state in JobState],
        "UnitState": [state.value for state in UnitState],
        "AttemptOutcome": [state.value for state in AttemptOutcome],
    },
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# All that Celery knows: it tells its whole configuration to whoever asks a worker for it, so nothing else is in reach.
CELERY: dict[str, Any] = {
    "broker_url": _BROKER_URL,
    "timezone": TIME_ZONE,
    "worker_consumer": "clustercore.nodes.adapters.tolerant_consumer:TolerantConsumer",
    "result_backend": _BROKER_URL,
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    "task_serializer": "json",
    "result_serializer": "json",
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_create_missing_queues": True,
    "worker_pool": "threads",
    "worker_prefetch_multiplier": 1,
    "worker_concurrency": ENVIRONMENT.slots,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_hijack_root_logger": False,
    # Events of tasks cost as much as the tasks: they are sent while somebody listens, who asks the workers for them.
    "worker_send_task_events": False,
    "task_send_sent_event": False,
    "result_backend_always_retry": True,
    # A broker without memory answers, and takes nothing: the slot that ends a place would wait for it for ever. What is
    # lost by it is lost with a broker that is away, too. Each try that fails is logged with its traceback.
    "result_backend_max_retries": 3,
    "result_backend_base_sleep_between_retries_ms": 1000,
    "result_expires": 86_400,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_transport_options": {
        "visibility_timeout": 6 * 3600,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": 5,
        "socket_timeout": 30,
        "socket_keepalive": True,
    },
    "result_backend_transport_options": {"visibility_timeout": 6 * 3600},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    # At INFO httpx writes every address, and the blobs' addresses carry their signatures.
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {
        "httpx": {"level": "WARNING"},
        # Django writes tracebacks of failed requests only while DEBUG is on; ours go to the web process's log.
        "django.request": {"level": "ERROR", "handlers": ["stderr"]},
    },
}
