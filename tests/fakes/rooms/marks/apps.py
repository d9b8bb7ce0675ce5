from django.apps import AppConfig


class MarksConfig(AppConfig):
    name = "tests.fakes.rooms.marks"

    def ready(self) -> None:
        """The ledger learns of this kind of job here."""
        from clustercore.jobs.workflows import open_kind
        from tests.fakes.rooms.marks.workflows import MARKS

        open_kind(MARKS)
