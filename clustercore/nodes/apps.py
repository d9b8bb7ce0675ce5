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
        from clustercore.nodes import services  # noqa: PLC0415
        from clustercore.nodes.domain.hooks import agent_hooks  # noqa: PLC0415
        from clustercore.nodes.domain.ledger import node_ledger  # noqa: PLC0415
        from clustercore.nodes.services.model_pulls import ModelPuller  # noqa: PLC0415

        node_ledger.register(services)
        agent_hooks.register(ModelPuller())
