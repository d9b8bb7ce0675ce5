from django.apps import AppConfig


class NodesConfig(AppConfig):
    name = "clustercore.nodes"
    label = "nodes"
    verbose_name = "Nodes"

    def ready(self) -> None:
        from clustercore.access.domain.errors import RequestRefused  # noqa: PLC0415
        from clustercore.access.domain.refusals import refuse_as  # noqa: PLC0415
        from clustercore.nodes import services  # noqa: PLC0415
        from clustercore.nodes.domain.ledger import use_ledger  # noqa: PLC0415

        use_ledger(services)
        refuse_as(services.StillThere, lambda error: RequestRefused(409, str(error), code="still_there"))
