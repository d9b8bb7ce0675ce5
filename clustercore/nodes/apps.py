from django.apps import AppConfig


class NodesConfig(AppConfig):
    name = "clustercore.nodes"
    label = "nodes"
    verbose_name = "Nodes"
