from django.apps import AppConfig, apps
from django.conf import settings


class JobsConfig(AppConfig):
    name = "clustercore.jobs"
    label = "jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        """The rooms below learn of the ledger here, once models may be imported."""
        from clustercore.jobs.selectors.node_load import work_of_nodes
        from clustercore.nodes.domain.node_status import use_work

        use_work(work_of_nodes)
        if settings.ONLY_READS:
            return
        from clustercore.jobs.domain.kinds import known_contracts, send_usually_by
        from clustercore.jobs.services.held_leases import HeldLeases
        from clustercore.jobs.services.lease_hook import LeaseHook
        from clustercore.jobs.services.work_finder import use_wake_up
        from clustercore.jobs.workflows import ring_units, wake_up
        from clustercore.nodes.domain.contracts import known_work
        from clustercore.nodes.domain.hooks import agent_hooks, lease_extenders

        known_work.register(known_contracts)
        use_wake_up(wake_up)
        send_usually_by(ring_units)
        leases = HeldLeases()
        lease_extenders.register(leases)
        agent_hooks.register(LeaseHook(wake_up, leases))
        if apps.is_installed("clustercore.live"):
            from clustercore.jobs.topics import JOB, JOBS
            from clustercore.live.domain.topics import register_topic

            for topic in (JOB, JOBS):
                register_topic(topic)
