"""`python -m benchmarks`: measures, prints a table, and writes `benchmarks/results/latest.json`."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.measures import Bench, Row
from tests.machine import AGENT_IMAGE

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each kind, taken in turn")
    parser.add_argument("--image", default=AGENT_IMAGE, help="image of the docker executor")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scopecraft-bench-") as folder:
        bench = Bench(Path(folder), options.rounds, options.image)
        try:
            rows = bench.measure()
        finally:
            bench.clean()
    report(rows)


def report(rows: list[Row]) -> None:
    print(f"{'':<44} {'median':>9} {'minimum':>9} {'ratio':>7} {'limit':>7}")
    for row in rows:
        ratio = f"{row.ratio:7.2f}" if row.ratio is not None else " " * 7
        limit = f"{row.limit:7.2f}" if row.limit is not None else " " * 7
        print(f"{row.name:<44} {row.median:>6.1f} {row.unit:<2} {row.minimum:>6.1f} {row.unit:<2} {ratio} {limit}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.json").write_text(json.dumps([row.as_json() for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
