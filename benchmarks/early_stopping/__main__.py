"""Records learning curves, and replays them under early stopping.

python -m benchmarks.early_stopping record --arms 40
python -m benchmarks.early_stopping replay --orders 20
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.early_stopping import curves, table


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    recording = verbs.add_parser("record", help="train arms for real and keep their curves")
    recording.add_argument("--arms", type=int, default=40)
    recording.add_argument(
        "--cache-folder", type=Path, default=Path.home() / ".cache" / "archfront"
    )
    replaying = verbs.add_parser("replay", help="write what stopping early saves and costs")
    replaying.add_argument("--orders", type=int, default=20)
    replaying.add_argument("--min-trials", type=int, default=8)
    replaying.add_argument("--curves", type=Path, default=curves.RECORDED)
    replaying.add_argument("--out", type=Path, default=table.TABLE)
    given = parser.parse_args()
    if given.verb == "record":
        with tempfile.TemporaryDirectory() as folder:
            curves.record(given.arms, given.cache_folder, Path(folder))
    else:
        page = table.tabulate(curves.read(given.curves), given.orders, given.min_trials)
        given.out.write_text(page)
        print(page)


if __name__ == "__main__":
    main()
