"""How a sweep stands, as gauges that Ray shows to Prometheus beside its own.

Ray puts `ray_` before each name. deploy/grafana.json is a board of them.
"""

from collections import Counter
from collections.abc import Mapping

from ray.util.metrics import Gauge

from sweeps.running.outcome import Cause

ABOUT = {  # by name, what it is and what tells its values apart, besides the sweep
    "osr_stages": ("Stages by state: done, running, queued, waiting or failed", ("state",)),
    "osr_retries": ("Attempts of this launch that came to nothing and are repeated", ("cause",)),
    "osr_store_seconds": ("How long the store took to answer the driver's last question", ()),
}


class Gauges:
    """Of one sweep, in its driver."""

    def __init__(self, sweep: str) -> None:
        self._gauges = {}
        for name, (description, keys) in ABOUT.items():
            gauge = Gauge(name, description, tag_keys=("sweep", *keys))
            gauge.set_default_tags({"sweep": sweep})
            self._gauges[name] = gauge
        self._retries: Counter[Cause] = Counter()

    def show(self, stages: Mapping[str, int], store_s: float) -> None:
        """How many stages are in each state now, and how long the store took to answer."""
        for state, count in stages.items():
            self._gauges["osr_stages"].set(count, {"state": state})
        self._gauges["osr_store_seconds"].set(store_s)

    def retried(self, cause: Cause) -> None:
        """An attempt is repeated."""
        self._retries[cause] += 1
        self._gauges["osr_retries"].set(self._retries[cause], {"cause": str(cause)})
