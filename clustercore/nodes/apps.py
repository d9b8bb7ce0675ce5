from django.apps import AppConfig
from django.conf import settings


class NodesConfig(AppConfig):
    name = "clustercore.nodes"
    label = "nodes"
    verbose_name = "Nodes"

    def ready(self) -> None:
        """The agent learns of the ledger here; a process that only reads has none."""
        if settings.ONLY_READS:
            return
        from clustercore.nodes import services
        from clustercore.nodes.domain.hooks import agent_hooks
        from clustercore.nodes.domain.ledger import node_ledger
        from clustercore.nodes.services.model_pulls import ModelPuller

        node_ledger.register(services)
        agent_hooks.register(ModelPuller())
