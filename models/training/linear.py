"""Writes the authored rows that the linear tier learns from beside the corpus.

    python linear.py --data DIR --authored build/authored.jsonl.gz --out build/linear
    portcullis train linear --data build/linear --out models/default

`build/linear` gets links to the corpus of `DIR` and the authored rows: all texts that were written
whole, some of the short ones a second time with typing mistakes, and a share of those that were put
together, which are much alike. The same data and seed give the same files.
"""

import argparse
import random
from pathlib import Path

import transforms
from corpus import SHORT
from devset import is_composed, lines, write

COMPOSED_SHARE = 0.35
#: Of short texts that were written whole.
MISSPELT_SHARE = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--authored", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for path in sorted(options.data.glob("*.jsonl.gz")):
        link = options.out / path.name
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())
    draw = random.Random(options.seed)
    rows = [row for path in options.authored for row in lines(path)]
    learned = [
        row for row in rows
        if row["split"] != "dev" and (not is_composed(row) or draw.random() < COMPOSED_SHARE)
    ]
    learned += [
        row | {"id": f"{row['id']}-misspelt", "text": transforms.misspell(row["text"], draw)}
        for row in learned
        if not is_composed(row) and len(row["text"]) < SHORT and draw.random() < MISSPELT_SHARE
    ]
    write(options.out / "train-authored.jsonl.gz", learned)
    write(options.out / "dev-authored.jsonl.gz", [row for row in rows if row["split"] == "dev"])
    print(f"{len(learned)} authored rows beside the corpus in {options.out}")


if __name__ == "__main__":
    main()
