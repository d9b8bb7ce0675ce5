"""Setting Django and Celery up for a command, with the pages of the web process or without."""

from __future__ import annotations

import os

import django
from django.core.exceptions import ImproperlyConfigured

from clustercore.terminal.domain.commands import Needs
from clustercore.terminal.domain.endings import CommandError, ExitCode


def set_up(needs: Needs) -> None:
    """Sets Django up; its settings are read from the variables set by now. Raises CommandError.

    The Celery application comes with our Django applications, so that tasks bind to it.
    """
    if needs is Needs.PAGES:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clustercore.project.settings")
    elif needs is Needs.TABLES:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clustercore.project.reading_settings")
    else:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clustercore.project.ledger_settings")
    try:
        django.setup()
    except (ImproperlyConfigured, ValueError) as error:
        raise CommandError(str(error), ExitCode.USAGE) from error
