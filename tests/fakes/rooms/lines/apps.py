from django.apps import AppConfig


class LinesConfig(AppConfig):
    name = "tests.fakes.rooms.lines"

    def ready(self) -> None:
        """The ledger learns of this kind of job here."""
        from clustercore.jobs.workflows import open_kind
        from tests.fakes.rooms.lines.workflows import LINES

        open_kind(LINES)
