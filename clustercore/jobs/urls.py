"""The addresses of this room."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from clustercore.jobs import views
from clustercore.jobs.api import details, files, lists, questions
from clustercore.jobs.api.kinds import kind_urls
from clustercore.jobs.api.stream import JobStream
from clustercore.jobs.api.waiting import answers_when_over

app_name = "jobs"

_API = "api/v1/jobs"
urlpatterns: list[URLPattern | URLResolver] = [
    path(_API, lists.JobList.as_view(), name="api-list"),
    path(f"{_API}/causes", lists.CauseList.as_view(), name="api-causes"),
    path(f"{_API}/<int:job_id>", answers_when_over(details.JobDetail.as_view()), name="api-detail"),
    path(f"{_API}/<int:job_id>/units", details.JobUnits.as_view(), name="api-units"),
    path(f"{_API}/<int:job_id>/units/<int:unit_id>/files/<str:name>", files.UnitFile.as_view(), name="api-unit-file"),
    path(f"{_API}/<int:job_id>/attempts", details.JobAttempts.as_view(), name="api-attempts"),
    path(f"{_API}/<int:job_id>/events", details.JobEvents.as_view(), name="api-events"),
    path(f"{_API}/<int:job_id>/questions", questions.JobQuestions.as_view(), name="api-questions"),
    path(
        f"{_API}/<int:job_id>/questions/<int:question_id>/answer",
        questions.QuestionAnswer.as_view(),
        name="api-answer",
    ),
    path(f"{_API}/<int:job_id>/stream", JobStream.as_view(), name="job-stream"),
    path(f"{_API}/<int:job_id>/cancel", details.JobCancel.as_view(), name="api-cancel"),
    path(f"{_API}/<int:job_id>/retry", details.JobRetry.as_view(), name="api-retry"),
    path(f"{_API}/<int:job_id>/pause", details.JobPause.as_view(), name="api-pause"),
    path(f"{_API}/<int:job_id>/resume", details.JobResume.as_view(), name="api-resume"),
    *kind_urls(),
    path("jobs/", views.job_list, name="list"),
    path("jobs/new/<str:name>/", views.new, name="new"),
    path("jobs/<int:job_id>/", views.job_detail, name="detail"),
    path("jobs/<int:job_id>/questions/<int:question_id>/", views.answer, name="answer"),
    path("jobs/<int:job_id>/cancel/", views.act_after_asking, {"verb": "cancel"}, name="cancel"),
    path("jobs/<int:job_id>/remove/", views.act_after_asking, {"verb": "remove"}, name="remove"),
    path("jobs/<int:job_id>/retry/", views.act, {"verb": "retry"}, name="retry"),
    path("jobs/<int:job_id>/pause/", views.act, {"verb": "pause"}, name="pause"),
    path("jobs/<int:job_id>/resume/", views.act, {"verb": "resume"}, name="resume"),
    path("jobs/<int:job_id>/share/", views.share, name="share"),
    path("jobs/<int:job_id>/clone/", views.clone, name="clone"),
]
