"""Why something that was asked for is not done, whichever way it was asked: each class is one kind of reason.

Services raise these, or classes of their own below them. `access.http.refusals` says which status each kind is.
"""

from __future__ import annotations


class Refused(Exception):
    """Is not done; the message says why and what to do instead. Raise one of the kinds below."""

    code: str | None = None
    """The word by which programs tell the reason apart."""

    retry_after: int | None = None
    """Seconds after which trying again may help."""

    def __init__(self, message: str, *, field: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.message, self.field = message, field
        if retry_after is not None:
            self.retry_after = retry_after


class Invalid(Refused):
    """A value that cannot be right; `field` names it."""

    code: str | None = "invalid"


class Unacceptable(Refused):
    """A value that is understood and breaks a rule, such as that of passwords."""


class NotIdentified(Refused):
    """Nobody is known who asks."""

    code: str | None = "not_authenticated"


class NotPermitted(Refused):
    """Who asks is known and may not."""

    code: str | None = "not_permitted"


class NotFound(Refused):
    """It is not there, or not theirs to see: nobody can tell which."""

    code: str | None = "not_found"


class Conflict(Refused):
    """What stands already does not allow it."""


class Expired(Refused):
    """It was good once."""


class TooLarge(Refused):
    """More than is taken."""

    code: str | None = "too_large"


class InUse(Refused):
    """Somebody else is at it: trying again soon helps."""


class TooMany(Refused):
    """More than one may have or do at once: waiting or ending something helps."""


class Unavailable(Refused):
    """Cannot be done at present by anybody: trying again later helps."""


class NoRoom(Refused):
    """The disk is full, or kept for others."""

    code: str | None = "disk_full"
