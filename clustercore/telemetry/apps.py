from django.apps import AppConfig


class TelemetryConfig(AppConfig):
    name = "clustercore.telemetry"
    label = "telemetry"
    verbose_name = "Telemetry"

    def ready(self) -> None:
        """What can be followed of all machines together."""
        from clustercore.live.domain.topics import register_topic
        from clustercore.telemetry.topics import CLUSTER, NODES

        for topic in (NODES, CLUSTER):
            register_topic(topic)
