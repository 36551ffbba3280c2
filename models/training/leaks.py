"""Rows that say what an evaluation set says: they are left out of training.

A row leaks when its words equal those of a text of the set, or when half of the runs of three words
of both together are shared.
"""

import gzip
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

#: Runs of three words that more texts of the set have say nothing.
COMMON = 300
#: Shared runs as a part of all runs of both texts.
MOST = 0.5


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def runs(of: list[str]) -> set[tuple[str, ...]]:
    return {tuple(of[k : k + 3]) for k in range(len(of) - 2)}


class Kept:
    """Texts kept aside, to hold others against."""

    def __init__(self, texts: list[str]):
        self.whole = set()
        self.n_runs = []
        self.having: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number, text in enumerate(texts):
            own = words(text)
            self.whole.add(" ".join(own))
            self.n_runs.append(len(runs(own)))
            for run in runs(own):
                self.having[run].append(number)

    @classmethod
    def read(cls, folder: Path) -> "Kept":
        texts = []
        for path in sorted(folder.glob("*.jsonl.gz")):
            with gzip.open(path, "rt", encoding="utf-8") as file:
                texts += [json.loads(line)["text"] for line in file if line.strip()]
        if not texts:
            raise SystemExit(f"{folder}: no *.jsonl.gz in it")
        return cls(texts)

    def has(self, text: str) -> bool:
        own = words(text)
        if " ".join(own) in self.whole:
            return True
        mine = runs(own)
        shared: Counter[int] = Counter()
        for run in mine:
            others = self.having.get(run, [])
            if len(others) < COMMON:
                shared.update(others)
        return any(
            MOST <= n / (len(mine) + self.n_runs[number] - n) for number, n in shared.most_common(3)
        )
