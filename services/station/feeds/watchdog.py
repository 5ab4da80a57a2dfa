# SPDX-License-Identifier: Apache-2.0
"""Is data still coming? Judged by the last bar of each symbol, because a silent connection looks like a healthy one."""

from __future__ import annotations

from collections.abc import Iterable

from station.feeds.port import Finding
from station.feeds.reading import text
from station.feeds.sessions import Sessions


class Watchdog:
    """Knows which bar of each symbol should be there by now.

    Args:
        symbols: that are watched.
        interval: microseconds.
        grace: microseconds after its close that a bar may take.
        sessions: which bars there should be.
        since: microseconds UTC; what closed before is not waited for.
    """

    def __init__(self, symbols: Iterable[str], interval: int, grace: int, sessions: Sessions, since: int) -> None:
        self._interval = interval
        self._grace = grace
        self._sessions = sessions
        self._last = dict.fromkeys(symbols, since)

    def saw(self, symbol: str, close: int) -> None:
        """Note a bar."""
        self._last[symbol] = max(close, self._last[symbol])

    def stale(self, now: int) -> dict[str, int]:
        """Return the symbols whose newest bar is overdue, with the close of the bar that is missing.

        Raises:
            StationError: the calendar does not reach to now.
        """
        due = self._sessions.last_close(now - self._grace, self._interval)
        return {symbol: due for symbol, last in self._last.items() if due is not None and last < due}


class VendorClock:
    """Notices when the vendor's clock, or ours, is wrong: what just happened must not lie in the future.

    Args:
        tolerance: microseconds that a vendor may be ahead.
    """

    def __init__(self, tolerance: int) -> None:
        self._tolerance = tolerance
        self._told = False

    def see(self, symbol: str, vendor: int, now: int) -> Finding | None:
        """Return a finding at the first message from the future, until one is within tolerance again.

        Args:
            symbol: what the message is about.
            vendor: its time by the vendor, microseconds UTC.
            now: our time.
        """
        ahead = vendor - now > self._tolerance
        if ahead and not self._told:
            self._told = True
            detail = f"the vendor says {text(vendor)}, our clock {text(now)}: check time synchronisation"
            return Finding("clock", symbol, vendor, detail)
        self._told = ahead
        return None
