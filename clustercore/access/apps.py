from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "clustercore.access"
    label = "access"
    verbose_name = "Access"
