import os

from django.apps import AppConfig

from clustercore.project.celery import app

PRIVATE = 0o077
"""The umask: directories 0700, files 0600."""


class ProjectConfig(AppConfig):
    """Importing the Celery application here binds every process's tasks to it, whoever started the process."""

    default = True
    name = "clustercore.project"
    label = "project"
    verbose_name = "Project"
    celery = app

    def ready(self) -> None:
        from clustercore.blobs.services import CacheUpkeep
        from clustercore.jobs.services.retention import tidy_ledger
        from clustercore.nodes.domain.hooks import agent_hooks
        from clustercore.project import checks  # noqa: F401  (registers itself)

        agent_hooks.register(CacheUpkeep(tidy_ledger))
        # Every process of the product comes by here, and so do the children it starts: what they make is their
        # account's alone, and nobody has to think of it where a file is made.
        os.umask(PRIVATE)
