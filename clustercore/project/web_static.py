"""Static files of the pages and the admin, straight from the installed packages: nobody has to collect them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile


class StaticFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]
    """WhiteNoise with answers that ASGI takes: a synchronous stream would be read at once with a warning each time.

    It works in both of Django's worlds. As it comes, each request of the asynchronous one would hold a thread from its
    beginning to its end.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        if self.is_async:
            return self._pass_async(request)
        answer: HttpResponse = super().__call__(request)
        return answer

    async def _pass_async(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(self.static_prefix):
            found = self.find_file(request.path_info) if self.autorefresh else self.files.get(request.path_info)
            if found is not None:
                return await sync_to_async(self.serve)(found, request)
        answer: HttpResponse = await self.get_response(request)
        return answer

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponse:
        found = static_file.get_response(request.method, request.META)
        body = b""
        if found.file is not None:
            with found.file as file:
                body = file.read()
        response = HttpResponse(body, status=int(found.status))
        del response["Content-Type"]
        for name, value in found.headers:
            response[name] = value
        return response
