from django.apps import AppConfig
from django.conf import settings


class JobsConfig(AppConfig):
    name = "clustercore.jobs"
    label = "jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        """The rooms below learn of the ledger here, once models may be imported: agent, API errors."""
        from clustercore.jobs.selectors.occupation import work_of_nodes
        from clustercore.nodes.domain.standing import use_work

        use_work(work_of_nodes)
        if settings.ONLY_READS:
            return
        from clustercore.access.domain.errors import RequestRefused
        from clustercore.access.domain.refusals import refuse_as
        from clustercore.jobs.domain.job_request import InvalidRequest
        from clustercore.jobs.domain.kinds import known_contracts, send_usually_by
        from clustercore.jobs.services.control import NotPossible
        from clustercore.jobs.services.held_leases import HeldLeases
        from clustercore.jobs.services.keeper import LeaseKeeper
        from clustercore.jobs.services.looking import use_knock
        from clustercore.jobs.services.submit import BacklogFull, KeyReused
        from clustercore.jobs.workflows import knock, ring_units
        from clustercore.nodes.domain.contracts import use_contracts
        from clustercore.nodes.domain.hooks import extend_leases_by, register_hook

        use_contracts(known_contracts)
        use_knock(knock)
        send_usually_by(ring_units)
        leases = HeldLeases()
        extend_leases_by(leases)
        register_hook(LeaseKeeper(knock, leases))
        refuse_as(
            KeyReused,
            lambda error: RequestRefused(409, str(error), param="Idempotency-Key", code="idempotency_key_reused"),
        )
        refuse_as(InvalidRequest, lambda error: RequestRefused(400, str(error), param=error.field, code="invalid"))
        refuse_as(NotPossible, lambda error: RequestRefused(409, str(error), code="not_possible"))
        refuse_as(
            BacklogFull,
            lambda error: RequestRefused(503, str(error), code="backlog_full", retry_after=error.retry_after),
        )
