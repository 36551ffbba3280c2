"""What the thresholds of `balanced` come to on dev rows, so that they are chosen from these alone.

    python thresholds.py --binary target/release/portcullis --dev build/dev.jsonl.gz

Prints, for each slack `x` (`unsafe` and self_harm act at `1 - x`, other hazards at `1 - x / 2`), and
then for each slack of attacks by the person, the share of harmless rows blocked, by the kind of source,
and the share of harmful rows blocked. The rule, for each of the two:
the largest slack at which ordinary harmless prompts are blocked in at most `ORDINARY` of cases on the
mean over sources (a tenth of the one in a hundred that is promised, since texts that nobody foresaw
are blocked more often than these), no ordinary source in more than `ONE_SOURCE`, and authored look-alikes
(harmless texts in the words and forms of harmful ones) in at most `ALIKE`. The rates of all rows
add up to at most `ALL_ROWS`.
"""

import argparse
import json
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import devset
from compose import HAZARDS
from corpus import HELD_OUT

ORDINARY, ONE_SOURCE, ALIKE, ALL_ROWS = 0.001, 0.02, 0.06, 0.02
#: Rows of a source that say something of rates like these.
LEAST = 100
SLACKS = [0.0003, 0.0005, 0.0007, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.015]
ATTACK_SLACKS = [0.0001, 0.0002, 0.0003, 0.0005, 0.0007, 0.001, 0.0015, 0.002]


def scored(binary: Path, rows: list[dict]) -> list[dict]:
    surfaces = {"response": "completion"}
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        for row in rows:
            line = {"text": row["text"], "surface": surfaces.get(row["role"], "user"),
                    "context": row.get("context")}
            file.write(json.dumps(line) + "\n")
        file.flush()
        command = [binary, "classify", "--json", "--file", file.name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [json.loads(line)["scores"] for line in done.stdout.splitlines()]


def by_hazard(scores: dict[str, float], slack: float) -> bool:
    first = max(scores["unsafe"], scores["self_harm"])
    hazard = max(scores[name] for name in HAZARDS)
    return 1 - slack <= first or 1 - slack / 2 <= hazard


def by_attack(scores: dict[str, float], slack: float) -> bool:
    return 1 - slack <= max(scores["jailbreak"], scores["injection"])


def rates(hazard: float, attack: float) -> float:
    """What the rates of all rows of a prompt add up to."""
    return 2 * hazard + (len(HAZARDS) - 1) * hazard / 2 + 2 * attack


def shares(rows: list[dict], blocked: list[bool]) -> dict[str, dict[str, float]]:
    """By kind of rows, the share that is blocked of each source."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row, is_blocked in zip(rows, blocked, strict=True):
        kind = devset.kind(row)
        if kind is None:
            continue
        count = counts[kind, row["source"]]
        count[0] += is_blocked
        count[1] += 1
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for (kind, source), (n_blocked, n) in counts.items():
        if LEAST <= n:
            found[kind][source] = n_blocked / n
    return found


def chosen(rows: list[dict], scores: list[dict], slacks: list[float], blocks: Callable) -> float:
    """The largest slack that the rule allows; prints what each comes to."""
    best = 0.0
    for slack in slacks:
        found = shares(rows, [blocks(own, slack) for own in scores])
        means = {kind: sum(of.values()) / len(of) for kind, of in found.items()}
        worst = sorted(found["ordinary"].items(), key=lambda item: -item[1])[:3]
        if means["ordinary"] <= ORDINARY and worst[0][1] <= ONE_SOURCE and means["alike"] <= ALIKE:
            best = slack
        print(f"{slack}: " + ", ".join(f"{kind} {mean:.4f}" for kind, mean in sorted(means.items())))
        print("   worst ordinary: " + ", ".join(f"{name} {value:.3f}" for name, value in worst))
        if slack == best:
            held = {name: round(of, 3) for name, of in found["harmful"].items() if name in HELD_OUT}
            print(f"   harmful, sources held out: {held}")
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--dev", type=Path, required=True)
    options = parser.parse_args()
    rows = devset.lines(options.dev)
    scores = scored(options.binary.resolve(), rows)
    print("hazards")
    hazard = chosen(rows, scores, SLACKS, by_hazard)
    print("attacks")
    prompts = [k for k, row in enumerate(rows) if row["role"] != "response"]
    attack = chosen([rows[k] for k in prompts], [scores[k] for k in prompts], ATTACK_SLACKS, by_attack)
    print(f"chosen: hazards {hazard}, attacks {attack}; all rows {rates(hazard, attack):.4f}, at most {ALL_ROWS}")


if __name__ == "__main__":
    main()
