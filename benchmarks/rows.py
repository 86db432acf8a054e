"""One thing that was measured."""

from __future__ import annotations

import statistics
from typing import Any, NamedTuple


class Row(NamedTuple):
    """`limit` is one of the ratio to `floor`; of the median where there is no floor."""

    name: str
    samples: list[float]
    floor: list[float] | None = None
    limit: float | None = None
    unit: str = "ms"

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def minimum(self) -> float:
        return min(self.samples)

    @property
    def ratio(self) -> float | None:
        return self.median / statistics.median(self.floor) if self.floor else None

    @property
    def met(self) -> bool | None:
        """Whether it keeps to its limit; None where it has none."""
        value = self.median if self.ratio is None else self.ratio
        return None if self.limit is None else value <= self.limit

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "median": round(self.median, 2),
            "minimum": round(self.minimum, 2),
            "unit": self.unit,
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "limit": self.limit,
            "met": self.met,
        }
