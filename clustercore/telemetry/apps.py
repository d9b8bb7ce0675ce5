from django.apps import AppConfig


class TelemetryConfig(AppConfig):
    name = "clustercore.telemetry"
    label = "telemetry"
    verbose_name = "Telemetry"
