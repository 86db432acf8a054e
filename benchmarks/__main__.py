"""`python -m benchmarks`: measures, prints a table, and writes `benchmarks/results/latest.json`."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks import dashboard, following, judging, listing, parsing, queueing, starting, watching
from benchmarks.ground import Ground
from benchmarks.rows import Row
from tests.machine import AGENT_IMAGE

KINDS = (starting, listing, parsing, queueing, following, watching, judging, dashboard)
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each kind, taken in turn")
    parser.add_argument("--image", default=AGENT_IMAGE, help="image of the docker executor")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scopecraft-bench-") as folder:
        ground = Ground(Path(folder), options.rounds, options.image)
        try:
            rows = [row for kind in KINDS for row in kind.measure(ground)]
        finally:
            ground.stop_supervisor()
    report(rows)


def report(rows: list[Row]) -> None:
    print(f"{'':<44} {'median':>10} {'minimum':>10} {'ratio':>7} {'limit':>8}")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        limit = "" if row.limit is None else f"{row.limit:.2f}"
        met = {None: "", True: "met", False: "MISSED"}[row.met]
        values = f"{row.median:>6.1f} {row.unit:<3} {row.minimum:>6.1f} {row.unit:<3}"
        print(f"{row.name:<44} {values} {ratio:>7} {limit:>8} {met}".rstrip())
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.json").write_text(json.dumps([row.as_json() for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
