"""The settings of a process that serves no pages: a node, a command. It loads no frameworks for pages and API."""

from clustercore.project.settings import *  # noqa: F403
from clustercore.project.settings import LEDGER_APPS

INSTALLED_APPS = LEDGER_APPS
# Celery has Django check all that is set, and would load every page for it.
ROOT_URLCONF = ""
MIDDLEWARE = []
TEMPLATES = []
