"""Writes the usual English words that typing mistakes are put right with.

    python words.py --data DIR --authored build/authored.jsonl.gz --out models/text/src/decoded/words.txt

Words of three to fifteen letters that stand in at least `LEAST` English training rows, the commonest
first, without those that are commoner ones with two letters swapped (`thier`); and the rarer ones
that a dictionary has (of Debian's `wamerican` and `wbritish`), so that `tuck` is no slip of something
else. The same rows and dictionaries give the same file.
"""

import argparse
import re
from collections import Counter
from pathlib import Path

import devset

LEAST = 10
DICTIONARIES = [Path("/usr/share/dict/american-english"), Path("/usr/share/dict/british-english")]
#: A word is a slip of one that stands in so many times as many rows.
SLIP = 20
WORD = re.compile(r"(?<![^\W_'’-])[a-z]{3,15}(?![^\W_])")


def is_slip(word: str, n_rows: Counter) -> bool:
    swapped = (word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1))
    return any(SLIP * n_rows[word] < n_rows[other] for other in swapped)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--authored", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    known = {word.lower() for path in DICTIONARIES for word in path.read_text("utf-8").split()}
    n_rows: Counter = Counter()
    for path in [*sorted(options.data.glob("train-*.jsonl.gz")), options.authored]:
        for row in devset.lines(path):
            if row.get("lang", "en").lower().startswith("en") and row.get("split") != "dev":
                n_rows.update(set(WORD.findall(row["text"].lower())))
    words = [word for word, n in sorted(n_rows.items(), key=lambda item: (-item[1], item[0]))
             if word in known or (LEAST <= n and not is_slip(word, n_rows))]
    options.out.write_text("".join(f"{word}\n" for word in words), "ascii")
    print(f"{len(words)} words in {options.out}")


if __name__ == "__main__":
    main()
