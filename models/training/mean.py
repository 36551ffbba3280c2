"""Writes a guard whose weights are the mean of those of several runs of one training.

    python mean.py build/guard3 build/guard4 --out build/guard

The runs have the same vocabulary and labels, the later ones having gone on from the earlier (`--from`).
Shares of the linear tier and the scale are not kept: `shares.py --write` and `portcullis model scale`
make them anew.
"""

import argparse
import json
from pathlib import Path

import torch

from model import LEFT, load, save


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+", help="folders that train.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    guards, tokenizers = zip(*map(load, options.runs))
    if len({tokenizer.to_str() for tokenizer in tokenizers}) != 1:
        parser.error("the runs have different vocabularies; give runs that went on from each other")
    states = [guard.state_dict() for guard in guards]
    mean = {
        name: torch.stack([state[name] for state in states]).mean(0) if tensor.is_floating_point() else tensor
        for name, tensor in states[0].items()
    }
    guards[0].load_state_dict(mean)
    first = options.runs[0]
    named = json.loads((first / "config.json").read_text("utf-8"))["id2label"].values()
    left = [label.removeprefix(LEFT) for label in named if label.startswith(LEFT)]
    max_tokens = json.loads((first / "portcullis.json").read_text("utf-8"))["max_tokens"]
    save(guards[0], tokenizers[0], options.out, max_tokens, left=left)


if __name__ == "__main__":
    main()
