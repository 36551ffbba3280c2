"""Writes the rows that a scale and thresholds are fitted from: the encoder learned from none of them.

    python devset.py --data DIR --authored build/authored.jsonl.gz --out build/dev.jsonl.gz --scale build/scale.jsonl.gz

They are the corpus's dev rows; of the sources that the encoder never sees (`corpus.HELD_OUT`: they
are out of distribution for it) rows of their train part too, from which the linear tier learned; and
the authored dev rows, whose phrasings neither sees. Evaluation sets take no part. The same data and
seed give the same file.

A scale is about ordinary texts: of authored rows, most of which were made to look like harmful ones,
it gets those that were written whole, as one source, and of no source more than `MOST_SCALE`.
"""

import argparse
import gzip
import json
import random
from collections import defaultdict
from pathlib import Path

import corpus

#: Rows of one source at most, so that none outweighs the others.
MOST = 1_200
#: The same for the scale.
MOST_SCALE = 600
#: Of authored rows put together from phrasings, which are much alike.
MOST_COMPOSED = 600


def lines(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def chosen(data: Path, authored: list[Path], draw: random.Random) -> list[dict]:
    rows = lines(data / "dev.jsonl.gz")
    for path in sorted(data.glob("train-*.jsonl.gz")):
        rows += [row for row in lines(path) if row["source"] in corpus.HELD_OUT]
    rows += [row for path in authored for row in lines(path) if row["split"] == "dev"]
    by_source: dict[str, list[dict]] = defaultdict(list)
    for row in rows:
        by_source[row["source"]].append(row)
    kept = []
    for source, own in sorted(by_source.items()):
        most = MOST_COMPOSED if is_composed(own[0]) else MOST
        kept += draw.sample(own, min(most, len(own)))
    return kept


def is_composed(row: dict) -> bool:
    return row["source"].startswith("authored_") and row["source"] != "authored_whole"


def kind(row: dict) -> str | None:
    """What a row says of thresholds: `harmful`, or harmless and `ordinary`, one of the `comments`, or
    authored to look `alike`; nothing where its labels leave that open."""
    labels = row["labels"]
    bad = any(value and not name.startswith("advice") for name, value in labels.items())
    if bad:
        return "harmful"
    if labels.get("unsafe") != 0:
        return None
    if row["source"].startswith("authored"):
        return "alike"
    return "comments" if row["role"] == "comment" else "ordinary"


def for_scale(rows: list[dict], draw: random.Random) -> list[dict]:
    by_source: dict[str, list[dict]] = defaultdict(list)
    for row in rows:
        if not is_composed(row):
            by_source[row["source"]].append(row)
    return [row for own in by_source.values() for row in draw.sample(own, min(MOST_SCALE, len(own)))]


def write(path: Path, rows: list[dict]) -> None:
    fields = ["id", "text", "role", "lang", "source", "split", "licence", "labels", "vectors", "context"]
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        for row in rows:
            context = row.get("context") or (row.get("meta") or {}).get("context")
            row = {name: row[name] for name in fields if row.get(name) is not None}
            if context:
                row["context"] = context
            file.write((json.dumps(row, ensure_ascii=False) + "\n").encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--authored", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scale", type=Path, help="where the rows for the scale go")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows = chosen(options.data, options.authored, random.Random(options.seed))
    write(options.out, rows)
    print(f"{len(rows)} rows in {options.out}")
    if options.scale:
        own = for_scale(rows, random.Random(options.seed))
        write(options.scale, own)
        print(f"{len(own)} rows in {options.scale}")


if __name__ == "__main__":
    main()
