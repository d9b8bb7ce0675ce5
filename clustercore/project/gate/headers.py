"""What browsers are told to refuse, on every answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Policy = Mapping[str, str]
Pair = tuple[bytes, bytes]

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


def secured(headers: Iterable[Pair]) -> list[Pair]:
    """Returns the headers of an answer that goes out by TLS: browsers send its cookies by TLS alone."""
    return [
        (name, value + b"; Secure" if name.lower() == b"set-cookie" and b"; secure" not in value.lower() else value)
        for name, value in headers
    ]


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
