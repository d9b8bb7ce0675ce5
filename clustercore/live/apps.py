from django.apps import AppConfig


class LiveConfig(AppConfig):
    """Installed where pages are served, and nowhere else; the rooms above register their topics then."""

    name = "clustercore.live"
    label = "live"
    verbose_name = "Live"
