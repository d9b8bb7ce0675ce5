"""What people are asked about a job, and their answers."""

from __future__ import annotations

from dataclasses import asdict

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clustercore.access.api import requester
from clustercore.access.domain.roles import Permission
from clustercore.jobs.api import examples
from clustercore.jobs.api.details import JobPart
from clustercore.jobs.api.pages import PAGE_PARAMETERS
from clustercore.jobs.api.serializers import AnswerSerializer, QuestionPageSerializer, QuestionSerializer
from clustercore.jobs.selectors.questions import question_of, questions_page
from clustercore.jobs.services import actions


class JobQuestions(JobPart):
    @extend_schema(
        operation_id="jobs_questions",
        tags=["jobs"],
        summary="What people are asked about a job, and what they answered",
        parameters=PAGE_PARAMETERS,
        responses=QuestionPageSerializer,
    )
    def get(self, request: Request, job_id: int) -> Response:
        """Oldest first; those whose `state` is `open` hold a unit."""
        return self.answer(request, job_id, lambda *page: [asdict(one) for one in questions_page(*page)])


class QuestionAnswer(APIView):
    """The answer to one question."""

    permissions = {"POST": Permission.OPERATE}

    @extend_schema(
        operation_id="jobs_answer",
        tags=["jobs"],
        summary="Answer what a job asks",
        request=AnswerSerializer,
        responses={200: QuestionSerializer, 409: None},
        examples=[examples.ANSWER, examples.QUESTION],
    )
    def post(self, request: Request, job_id: int, question_id: int) -> Response:
        """409 where it is answered or over, or is bound to something else than was shown."""
        actions.require_operable(requester(request), job_id)
        chosen = AnswerSerializer(data=request.data)
        chosen.is_valid(raise_exception=True)
        actions.answer(requester(request), job_id, question_id, **chosen.validated_data)
        found = question_of(job_id, question_id)
        return Response(asdict(found) if found is not None else None)
