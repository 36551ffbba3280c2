"""How much of the linear tier's evidence an encoder is given, chosen on dev rows.

    python shares.py --binary target/release/portcullis --model build/guard --dev build/dev.jsonl.gz

For each share prints the average precision on dev rows, and the recall at 1 % of ordinary harmless
rows: of `unsafe`, and the mean over the other categories, each on texts written whole and on rows of
the corpus. The share with the best mean of these is chosen, one for English and one for other
languages, and with `--write` it is set in the model's `portcullis.json`; the scale has to be fitted
after that. Categories that the model leaves to the linear tier stay so. Rows of sources that the
linear tier learned from and the encoder did not (`corpus.HELD_OUT`) would flatter the one: they are
left out.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import devset
from compose import LABELS
from corpus import HELD_OUT
from train import average_precision

SHARES = [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0]
#: Positives of a category that say something.
LEAST = 8
RATE = 0.01


def labels_of(model: Path) -> list[str]:
    """The categories that are not left to the linear tier."""
    named = json.loads((model / "config.json").read_text("utf-8"))["id2label"].values()
    return [label for label in named if label in LABELS]


def logits(binary: Path, model: Path, rows: list[dict], share: float) -> list[dict[str, float]]:
    """What the model says with this share of the linear tier, by row."""
    with tempfile.TemporaryDirectory() as folder:
        for path in model.iterdir():
            if path.is_file():
                (Path(folder) / path.name).symlink_to(path.resolve())
        own = json.loads((model / "portcullis.json").read_text("utf-8"))
        own.pop("scale", None)
        own.pop("linear_non_english", None)
        own["linear"] = {label: share for label in labels_of(model)}
        (Path(folder) / "portcullis.json").unlink()
        (Path(folder) / "portcullis.json").write_text(json.dumps(own), "utf-8")
        texts = Path(folder) / "rows.jsonl.gz"
        devset.write(texts, rows)
        command = [binary, "model", "logits", folder, "--precision", "int8", "--texts", texts]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [json.loads(line)["logits"] for line in done.stdout.splitlines()]


def column(found: list[dict[str, float]], label: str) -> np.ndarray:
    return np.array([own[label] for own in found], np.float32)


def figures(scores: np.ndarray, known: np.ndarray, holds: np.ndarray, parts: list[np.ndarray], ordinary: np.ndarray) -> list[float]:
    """Average precision and recall of one category, in each part of the rows that can tell."""
    reached = np.quantile(scores[ordinary], 1 - RATE)
    found = []
    for part in parts:
        taken = part & known
        if LEAST <= holds[taken].sum() < taken.sum():
            found.append(average_precision(holds[taken].astype(float), scores[taken]))
            found.append(float((reached < scores[taken & holds]).mean()))
    return found


def chosen(rows: list[dict], encoder: list[dict], both: list[dict], is_language: np.ndarray) -> float:
    """The best share for the rows of a language; prints what each comes to."""
    ordinary = np.array([devset.kind(row) == "ordinary" for row in rows])
    whole = np.array([row["source"] == "authored_whole" for row in rows])
    composed = np.array([devset.is_composed(row) for row in rows])
    parts = [is_language & whole, is_language & ~whole & ~composed]
    evidence = {
        label: (column(encoder, label), column(both, label), np.array([row["labels"].get(label, -1) for row in rows]))
        for label in encoder[0] if label in LABELS
    }
    best, most = 0.0, 0.0
    for share in SHARES:
        by_label = {}
        for label, (own, added, holds) in evidence.items():
            found = figures(own + share * (added - own), holds >= 0, holds == 1, parts, ordinary)
            if found:
                by_label[label] = float(np.mean(found))
        if len(by_label) < 2 or "unsafe" not in by_label:
            raise SystemExit("too few labelled rows of this language; give more dev rows")
        unsafe = by_label.pop("unsafe")
        others = float(np.mean(list(by_label.values())))
        mean = (unsafe + others) / 2
        print(f"  {share:5} unsafe {unsafe:.4f}, {len(by_label)} others {others:.4f}, mean {mean:.4f}")
        if most < mean:
            best, most = share, mean
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="set them in portcullis.json")
    options = parser.parse_args()
    rows = [row for row in devset.lines(options.dev) if row["source"] not in HELD_OUT]
    binary = options.binary.resolve()
    encoder = logits(binary, options.model, rows, 0.0)
    both = logits(binary, options.model, rows, 1.0)
    is_english = np.array([row.get("lang", "en").lower().startswith("en") for row in rows])
    print("English")
    english = chosen(rows, encoder, both, is_english)
    print("other languages")
    other = chosen(rows, encoder, both, ~is_english)
    print(f"chosen: {english} and {other}")
    if options.write:
        path = options.model / "portcullis.json"
        own = json.loads(path.read_text("utf-8"))
        labels = labels_of(options.model)
        own["linear"] = {label: english for label in labels}
        own["linear_non_english"] = {label: other for label in labels}
        path.write_text(json.dumps(own, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
