from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "clustercore.jobs"
    label = "jobs"
    verbose_name = "Jobs"
