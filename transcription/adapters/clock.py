"""Where sound belongs by the source's time stamps: real gaps are kept, a broken clock is not believed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

GAP_SECONDS = 0.1
"""A jump of the time stamps is a real gap from here on; less is jitter."""
UNPROVEN_SECONDS = 3600.0
"""So much silence, in all, is put in on the word of the time stamps alone; more needs the header or the bytes."""
BYTES_PER_SECOND = 250
"""A gap through which at least so much of other tracks was read has really passed: a picture needs more."""
SHARE_OF_BYTES = 0.05
"""And at least so much of what is read for a second of the recording elsewhere."""
TRAIL_SECONDS = 2.0
"""How much sound may be written into the file together with the sound behind a gap."""
STEP_BACK_SECONDS = 1.0
"""Sound that overlaps by up to this much; a longer step back is a recording that begins anew."""
RETURN_SECONDS = 10.0
"""A clock that stepped back and is right again within so much sound was wrong in between."""


@dataclass(slots=True)
class Clock:
    """Says how much silence is missing before each frame. Moments and lengths in seconds.

    `origin` is the moment that is 0:00, None for that of the first sound; `promised_end` the moment at which the header
    says that the recording ends, None where no header says so; `longest` how much sound and silence may be in all.
    """

    origin: float | None
    promised_end: float | None = None
    longest: float = float("inf")
    unbelieved_seconds: float = 0.0
    _expected: float | None = None
    _passed: float = 0.0
    _unproven: float = UNPROVEN_SECONDS
    _surplus: float = 0.0
    _since_step_back: float = 0.0
    _trail: deque[tuple[float, int]] = field(default_factory=lambda: deque([(0.0, 0)]))
    """How much of the recording had passed, sound and silence, and the byte reached: of the last seconds."""

    def gap_before(self, moment: float | None, seconds: float, position: int | None) -> float:
        """Seconds of silence missing before a frame that lasts `seconds`; 0 when it follows on.

        `moment` is its time stamp, None for "as expected"; `position` the byte at which its packet begins.
        """
        reached = max(self._trail[-1][1], position or 0)
        gap = 0.0 if moment is None else self._gap(moment, reached)
        if self._expected is not None:
            self._expected += seconds
        self._passed += gap + seconds
        self._trail.append((self._passed, reached))
        while len(self._trail) > 1 and self._trail[1][0] < self._passed - TRAIL_SECONDS:
            self._trail.popleft()
        self._forget_surplus(seconds)
        return gap

    def _gap(self, moment: float, reached: int) -> float:
        if self._expected is None:
            # Sound without a believable moment may have gone before: then the first sound began that much earlier.
            began = moment - self._passed
            self._expected = self._passed + (began if self.origin is None else min(self.origin, began))
        jump = moment - self._expected
        if abs(jump) < GAP_SECONDS:
            return 0.0
        self._expected = moment
        if jump < 0:
            self._surplus -= jump
            self._since_step_back = 0.0
            return 0.0
        missing = max(0.0, jump - self._surplus)
        self._surplus = max(0.0, self._surplus - jump)
        if missing < GAP_SECONDS:
            return 0.0
        if not self._believes(missing, moment, reached):
            self.unbelieved_seconds += missing
            return 0.0
        return missing

    def _believes(self, gap: float, moment: float, reached: int) -> bool:
        if self._passed + gap > self.longest:
            return False
        if self.promised_end is not None and moment <= self.promised_end + 1.0:
            return True
        if self._was_read_through(gap, reached):
            return True
        if gap > self._unproven:
            return False
        self._unproven -= gap
        return True

    def _was_read_through(self, gap: float, reached: int) -> bool:
        """Whether so much of other tracks lies in the file that the gap was a pause of this one."""
        passed, before = self._trail[0]
        rate = self._trail[-1][1] / self._passed if self._passed else 0.0
        foreign = reached - before - (self._passed - passed) * rate
        return foreign >= gap * max(BYTES_PER_SECOND, SHARE_OF_BYTES * rate)

    def _forget_surplus(self, seconds: float) -> None:
        self._since_step_back += seconds
        if self._surplus > STEP_BACK_SECONDS and self._since_step_back > RETURN_SECONDS:
            self._surplus = 0.0
