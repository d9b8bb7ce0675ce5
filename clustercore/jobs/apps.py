from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "clustercore.jobs"
    label = "jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        """The node agent below learns of the ledger here, once models may be imported."""
        from clustercore.jobs.services.keeper import LeaseKeeper
        from clustercore.jobs.workflows import knock
        from clustercore.nodes.domain.hooks import register_hook

        register_hook(LeaseKeeper(knock))
