"""What the faults of the fakes mean to who asks: one table for the HTTP kit and for every cloud over HTTP."""

from __future__ import annotations

from hetops.errors import ErrorKind
from tests.doubles.fake_api import FaultKind

MEANS = {
    FaultKind.THROTTLED: ErrorKind.THROTTLED,
    FaultKind.THROTTLED_BARE: ErrorKind.THROTTLED,
    FaultKind.ERROR_500: ErrorKind.TRANSIENT,
    FaultKind.SLOW_BODY: ErrorKind.TRANSIENT,
    FaultKind.TRUNCATED_JSON: ErrorKind.TRANSIENT,
    FaultKind.SHORT_BODY: ErrorKind.TRANSIENT,
    FaultKind.WRONG_CONTENT_TYPE: ErrorKind.INVALID,
    FaultKind.LOGIN_PAGE: ErrorKind.INVALID,
    FaultKind.REDIRECT: ErrorKind.INVALID,
    FaultKind.RESET: ErrorKind.TRANSIENT,
    FaultKind.LOST_ANSWER: ErrorKind.TRANSIENT,
    FaultKind.SILENT_SUCCESS: ErrorKind.TRANSIENT,
    FaultKind.DEAD: ErrorKind.TRANSIENT,
    FaultKind.CLOCK_SKEW: None,
}
"""What a fault that stays means; None: it does no harm."""

PASSING = [kind for kind, means in MEANS.items() if means is not ErrorKind.INVALID]
EVERY_TIME = 10**6
