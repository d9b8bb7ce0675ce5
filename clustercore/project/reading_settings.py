"""The settings of a command that only looks at the tables: without Celery, and without what the work itself needs."""

from clustercore.project.settings import *  # noqa: F403
from clustercore.project.settings import DATABASES, READING_APPS

INSTALLED_APPS = READING_APPS
# Celery has Django check all that is set, and would load every page for it.
ROOT_URLCONF = ""
MIDDLEWARE = []
TEMPLATES = []
ONLY_READS = True
# One question after the other: a pool would keep threads and look after them.
del DATABASES["default"]["OPTIONS"]["pool"]
