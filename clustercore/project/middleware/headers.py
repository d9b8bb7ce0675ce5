"""What browsers are told to refuse, on every answer."""

from __future__ import annotations

from collections.abc import Mapping

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from clustercore.project.middleware.passage import Passage

Policy = Mapping[str, str]

OWN_PAGES: Policy = {
    "default-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "form-action": "'self'",
    "media-src": "'self' blob:",
    "img-src": "'self' data:",
    "connect-src": "'self'",
}
"""No script or style but our own files. `'self'` in connect-src covers the WebSocket of the same place."""

EXCEPTIONS: Mapping[str, Policy] = {
    # Unfold's menus are Alpine.js, which evaluates attributes, and its theme sets styles in the page.
    "/admin/": {
        **OWN_PAGES,
        "script-src": "'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src": "'self' 'unsafe-inline'",
    },
    # Flower's pages carry scripts and styles in the page.
    "/flower/": {**OWN_PAGES, "script-src": "'self' 'unsafe-inline'", "style-src": "'self' 'unsafe-inline'"},
    # Swagger's page sets styles in the page; its scripts are files.
    "/api/v1/docs": {**OWN_PAGES, "style-src": "'self' 'unsafe-inline'"},
}
"""Third-party pages, by path: the only ones that may carry scripts or styles. All of them need a signed-in person."""

PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()"


class Headers(Passage):
    """Adds what Django's SecurityMiddleware does not: the content policy, the permissions policy, secure cookies."""

    def after(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        for name, value in headers_of_answers(request.path).items():
            response.setdefault(name, value)
        if request.is_secure():
            for cookie in response.cookies.values():
                cookie["secure"] = True
        return response


def headers_of_answers(path: str) -> dict[str, str]:
    """What every answer from an address says, unless it says something stricter itself."""
    return {
        "Content-Security-Policy": policy_of(path),
        "Permissions-Policy": PERMISSIONS,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "X-Frame-Options": "DENY",
    }


def policy_of(path: str) -> str:
    """The Content-Security-Policy of an address."""
    for prefix, policy in EXCEPTIONS.items():
        if path.startswith(prefix):
            return _text(policy)
    return _text(OWN_PAGES)


def _text(policy: Policy) -> str:
    return "; ".join(f"{directive} {sources}" for directive, sources in policy.items())
