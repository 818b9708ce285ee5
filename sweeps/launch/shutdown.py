"""What asks a launch to stop: the first signal for an orderly end, the second to end at once."""

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from sweeps.signals import NOTICES

REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
AHEAD = (signal.SIGUSR1, signal.SIGUSR2)  # sent a time before the end: a SIGTERM will follow
GRACE_S = 7.0  # for running epochs to end and be saved; with Ray's own end it stays under ten


class AtOnce(KeyboardInterrupt):
    """The time for an orderly end is over, or the user asked twice."""


class Shutdown:
    """While entered, the first signal calls `ask`; a second SIGINT or SIGTERM, or time, ends at
    once. A notice that comes again, as a closing terminal sends it, asks for nothing more.
    """

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.getsignal(number) for number in (*REQUESTS, *NOTICES)}
        if self._before[signal.SIGHUP] == signal.SIG_IGN:
            del self._before[signal.SIGHUP]  # `nohup` wants it so
        self.take_signals()
        return self

    def take_signals(self) -> None:
        """Handle the signals from now on, whoever did before."""
        for number in self._before:
            if signal.getsignal(number) != self._handle:
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
            is_heeded = self.requested and number in NOTICES
            signal.signal(number, signal.SIG_IGN if is_heeded else handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number in NOTICES:
            return
        if self.requested:
            raise AtOnce
        self.requested = True
        if number not in AHEAD:
            signal.setitimer(signal.ITIMER_REAL, GRACE_S)
        self._ask()
