from django.apps import AppConfig


class TelemetryConfig(AppConfig):
    name = "clustercore.telemetry"
    label = "telemetry"
    verbose_name = "Telemetry"

    def ready(self) -> None:
        """What can be followed of the rooms below, which do not know of this one."""
        from clustercore.telemetry.domain.topics import register_topic
        from clustercore.telemetry.services.cluster_topics import CLUSTER, NODES
        from clustercore.telemetry.services.job_topics import JOB, JOBS

        for topic in (JOB, JOBS, NODES, CLUSTER):
            register_topic(topic)
