# SPDX-License-Identifier: Apache-2.0
"""What Prometheus reads of a service, on a loopback port of its own."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from station.errors import StationError

_LOOPBACK = "127.0.0.1"
# Around the budgets of the stages: strategy 20, risk 8, execution 7 ms.
_HANDLING = (0.0005, 0.001, 0.002, 0.005, 0.007, 0.008, 0.01, 0.015, 0.02, 0.05, 0.1, 0.5, 1, 5)


class Metrics:
    """The figures of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.read = self._counter("events_read", "Events taken from the bus")
        self.published = self._counter("events_published", "Events put on the bus")
        self.late = self._counter("events_late", "Answers that came after their deadline or budget, and were dropped")
        self.dead = self._counter("dead_letters", "Events that could not be handled and were put aside")
        self.alarms = self._counter("alarms", "Times that the bus had something for a person", "kind")
        self.denied = self._counter("orders_denied", "New orders that the kill switch denied")
        self.findings = self._counter("feed_findings", "What the feed noticed about its data", "kind")
        self.lag = self._gauge("lag_entries", "Entries not yet given to this service's group", "stream")
        self.pending = self._gauge("pending_entries", "Entries given to this service's group and not done", "stream")
        self.progress = self._gauge("last_progress_timestamp_seconds", "When work was last done")
        self.ready = self._gauge("ready", "1 once the service does its work")
        self.halted = self._gauge("halted", "1 while the kill switch denies orders")
        self.handling = Histogram(
            "station_handling_seconds",
            "Time from taking an event to its answer",
            buckets=_HANDLING,
            registry=self.registry,
        )

    def watch_halt(self, halted: Callable[[], bool]) -> None:
        """Ask the kill switch itself whenever Prometheus asks."""
        self.halted.set_function(lambda: float(halted()))

    def watch(self, name: str, meaning: str, look: Callable[[], float]) -> None:
        """Serve a figure that somebody else keeps, as it is when Prometheus asks."""
        self._gauge(name, meaning).set_function(look)

    def serve(self, port: int) -> Callable[[], None]:
        """Answer Prometheus from now on and return what ends that.

        Raises:
            StationError: the port is taken.
        """
        try:
            server, thread = start_http_server(port, addr=_LOOPBACK, registry=self.registry)
        except OSError as error:
            raise StationError(
                f"metrics_port: {_LOOPBACK}:{port}: {error.strerror}; give the service a free port"
            ) from None

        def end() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return end

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"station_{name}", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"station_{name}", meaning, labels, registry=self.registry)
