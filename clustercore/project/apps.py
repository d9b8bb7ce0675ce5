from django.apps import AppConfig


class ProjectConfig(AppConfig):
    name = "clustercore.project"
    label = "project"
    verbose_name = "Project"
