"""Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends at once."""

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
GRACE_S = 7.0  # for running epochs to end and be saved; with Ray's own end it stays under ten


class AtOnce(KeyboardInterrupt):
    """The time for an orderly end is over, or the user asked twice."""


class Shutdown:
    """While entered, the first SIGINT or SIGTERM calls `ask`; the second, or time, ends at once."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        self.take_signals()
        return self

    def take_signals(self) -> None:
        """Handle the signals from now on, whoever did before."""
        for number in SIGNALS:
            signal.signal(number, self._handle)

    def disarm(self) -> None:
        """There is nothing more to wait for."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.disarm()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise AtOnce
        self.requested = True
        signal.setitimer(signal.ITIMER_REAL, GRACE_S)
        self._ask()
