"""Is it told rightly what more trials add? Plays random searches on the table of curves, and compares with what came.

    python examples/benchmarks/enough.py        # seconds; the table is made by curves.py

Each of 1,000 orders of the table's candidates is a search: after 25, 50 and 100 trials the expected gain of the next 50
stands beside what the next 50 of the same order added. In the second half of the lines only the best tenth, or
four, come to their end, by the second of four epochs, as where a study stops candidates early.
"""

import json
import random
from pathlib import Path
from statistics import mean

from cnnsearch.gain import rise

TABLE = Path(__file__).with_name("curves.jsonl")
IMAGES = 2_500  # validation images of the table
ORDERS = 1_000
MORE = 50
RUNG = 1  # the place of the second epoch


def complete(curves: list[list[float]], *, stops: bool) -> list[float]:
    """Give the scores of those that came to their end."""
    if stops:
        curves = sorted(curves, key=lambda curve: curve[RUNG], reverse=True)[: max(4, len(curves) // 10)]
    return [curve[-1] for curve in curves]


def main() -> None:
    """Print a line for each number of trials."""
    curves = [[right / IMAGES for right in json.loads(line)["right"]] for line in TABLE.read_text().splitlines()]
    print(f"{'trials':>6}  stopping  expected  came (points)  within the upper end")
    for stops in (False, True):
        for trials in (25, 50, 100):
            expected, came, within = [], [], []
            for order in range(ORDERS):
                drawn = random.Random(order).sample(curves, trials + MORE)  # noqa: S311 (no secret)
                scores = complete(drawn[:trials], stops=stops)
                mid, most = rise(scores, trials, MORE)
                gained = max(complete(drawn, stops=stops)) - max(scores)
                expected.append(mid)
                came.append(gained)
                within.append(gained <= most)
            told = f"{100 * mean(expected):8.3f}  {100 * mean(came):13.3f}  {100 * mean(within):19.1f} %"
            print(f"{trials:6}  {'yes' if stops else 'no':>8}  {told}")


if __name__ == "__main__":
    main()
