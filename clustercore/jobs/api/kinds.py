"""`POST /api/v1/kinds/KIND/jobs`: one address for each kind that has no door of its own, made of what it says."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.fields import empty
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clustercore.access.api import StrictSerializer, requester
from clustercore.access.api.parsing import JSONParser
from clustercore.access.domain.roles import Permission
from clustercore.jobs.api.serializers import JobDetailSerializer
from clustercore.jobs.api.submitting import KEY_PARAMETER, SentSerializer, answer_with, sent_with
from clustercore.jobs.domain.form_fields import FormField, fields_of
from clustercore.jobs.domain.kinds import JobKind, kind_named, kinds
from clustercore.jobs.models import Job
from clustercore.jobs.services.asked import HIGHEST_PRIORITY, LOWEST_PRIORITY, QUALITIES, Options, request_for
from clustercore.jobs.services.submit import submit

COMMON = ("title", "priority", "quality", "engine")


class OptionsSerializer(StrictSerializer):
    """What may be said of a job of any kind."""

    title = serializers.CharField(required=False, max_length=255, allow_blank=True, help_text="What it is called.")
    priority = serializers.IntegerField(
        required=False, min_value=LOWEST_PRIORITY, max_value=HIGHEST_PRIORITY, help_text="Higher goes first."
    )
    quality = serializers.ChoiceField(
        required=False, choices=list(QUALITIES), help_text="Of the models that serve it, where any does."
    )
    engine = serializers.CharField(
        required=False, max_length=260, allow_blank=True, help_text="`engine` or `engine:model`, if only that will do."
    )


class SaidBoolean(serializers.BooleanField):
    """A yes or no that a form may leave out."""

    default_empty_html = empty


class KindJobs(APIView):
    """Asking for a job of one kind."""

    permissions = {"POST": Permission.SUBMIT}
    # A form with a file has been read in front of Django: its fields come as a small form.
    parser_classes = [JSONParser, FormParser]
    kind = ""
    serializer: type[StrictSerializer] = OptionsSerializer

    def post(self, request: Request) -> Response:
        """Answers with the job at once; `Location` is where it can be followed."""
        kind = kind_named(self.kind)
        asked = self.serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        options = Options(
            **{name: given.pop(name) for name in COMMON if name in given},
            idempotency_key=request.headers.get("Idempotency-Key"),
        )
        job, is_new = self._submit(request, kind, given, options)
        return answer_with(job, is_new=is_new)

    def _submit(self, request: Request, kind: JobKind, given: dict[str, Any], options: Options) -> tuple[Job, bool]:
        identity = requester(request)
        if not kind.takes_file:
            return submit(identity, request_for(kind, given, options))
        with sent_with(request, given) as sent:
            said = {name: value for name, value in given.items() if name not in ("upload", "path")}
            return submit(identity, request_for(kind, said, options, sent), sent)


def kind_urls() -> list[URLPattern]:
    """Returns the addresses of all kinds that are known when they are asked for."""
    asked_here = [kind for kind in kinds() if kind.parameters is not None]
    return [
        path(f"api/v1/kinds/{kind.name}/jobs", view_of(kind).as_view(), name=f"api-submit-{kind.name}")
        for kind in asked_here
    ]


def view_of(kind: JobKind) -> type[KindJobs]:
    """Returns the view of a kind, which describes itself in the schema."""
    words = kind.name.title().replace(" ", "").replace("-", "").replace("_", "")
    base = (OptionsSerializer, SentSerializer) if kind.takes_file else (OptionsSerializer,)
    said = {field.name: _field(field) for field in fields_of(kind.parameters)}
    told = (kind.parameters.__doc__ if kind.parameters is not None else "") or "What is asked."
    plain = type(f"{words}RequestSerializer", base, {**said, "__doc__": told})
    body: dict[str, Any] = {"application/json": plain}
    if kind.takes_file:
        file = serializers.FileField(required=False, help_text="What it is about.")
        body["multipart/form-data"] = type(f"{words}FormSerializer", (plain,), {"file": file})
    described = extend_schema(
        operation_id=f"{kind.name.replace(' ', '_').replace('-', '_')}_create",
        tags=["jobs"],
        summary=f"Ask for a job of the kind {kind.noun}",
        parameters=[KEY_PARAMETER],
        request=body,
        responses={201: JobDetailSerializer, 200: JobDetailSerializer, 409: None, 413: None, 507: None},
    )
    view = type(f"{words}Jobs", (KindJobs,), {"kind": kind.name, "serializer": plain, "__doc__": KindJobs.__doc__})
    found: type[KindJobs] = extend_schema_view(post=described)(view)
    return found


def _field(field: FormField) -> serializers.Field[Any, Any, Any, Any]:
    common: dict[str, Any] = {"required": field.required, "help_text": field.help}
    match field.type:
        case "bool":
            return SaidBoolean(**common)
        case "int":
            return serializers.IntegerField(**common)
        case "float":
            return serializers.FloatField(**common)
        case "text":
            return serializers.CharField(**common, allow_blank=True)
        case "choice":
            return serializers.ChoiceField(**common, choices=list(field.choices))
    return serializers.JSONField(**common)
