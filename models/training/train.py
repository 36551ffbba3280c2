"""Trains the default guard, or fine-tunes one on an operator's own rows.

    python train.py --data DIR --authored build/authored.jsonl.gz --out build/guard
    python train.py --from build/guard --own rows.jsonl --head-only --out build/own

`--data` is a folder with `train-*.jsonl.gz` and `dev.jsonl.gz`. A run is cut into checkpoints of
`--every` steps under `OUT/state`; started again with the same arguments it goes on where it was.
What comes out is a Hugging Face directory that `portcullis` loads, and `dev.npz`: what the model
says of the dev rows. `fit.py` makes the score scale from it.
"""

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import torch
import yaml
from tokenizers import Tokenizer
from torch.nn import functional

import corpus
from compose import LABELS, VECTORS
from corpus import Cutter, Frames, Row
from model import Guard, enlarged_tokenizer, load, save

HERE = Path(__file__).parent
#: Tokens of the window of a prompt that an answer is judged beside.
CONTEXT_TOKENS = 62
#: Elsewhere bfloat16 is emulated, at a fifth of the speed.
HAS_BFLOAT16 = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
#: How much more a mistake in these labels counts: most texts are told from harmful ones by them, and
#: the other labels, many and rare, would else take the encoder's attention.
LABEL_WEIGHTS = {"unsafe": 3.0, "injection": 2.0}
#: How often an answer that has a prompt is shown with it.
CONTEXT_SHARE = 0.5


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the public corpus")
    parser.add_argument("--authored", type=Path, nargs="*", default=[],
                        help="rows that compose.py and documents.py made")
    parser.add_argument("--own", type=Path, help="an operator's rows, JSON Lines")
    parser.add_argument("--from", dest="start", type=Path, help="a guard trained before")
    parser.add_argument("--head-only", action="store_true", help="leave the encoder as it is")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--others", type=float, default=1.0,
                        help="the share of rows that were not written whole that an epoch takes")
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--budget", type=int, default=8192, help="padded tokens of a batch")
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--new-tokens", type=int, default=16_000)
    parser.add_argument("--rows", type=int, help="at most so many rows, for a trial")
    parser.add_argument("--every", type=int, default=200, help="steps between checkpoints")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--linear", type=float, default=0.0,
                        help="the share of the embedded linear tier's evidence that is added")
    parser.add_argument("--linear-non-english", type=float,
                        help="the same in other languages than English; without it as in English")
    parser.add_argument("--left", nargs="*", default=[], choices=LABELS, metavar="LABEL",
                        help="labels that are left to the linear tier")
    options = parser.parse_args()
    if not (options.data or options.own):
        parser.error("nothing to learn from: give --data, --own or both")
    return options


def rows_of(options: argparse.Namespace) -> tuple[list[Row], list[Row]]:
    """Train and dev rows."""
    train, dev = [], []
    if options.data:
        for path in sorted(options.data.glob("train-*.jsonl.gz")):
            for row in corpus.read(path):
                (dev if row.source in corpus.HELD_OUT else train).append(row)
        dev += corpus.read(options.data / "dev.jsonl.gz")
        if not train:
            raise SystemExit(f"{options.data}: no train-*.jsonl.gz in it")
    for path in [*options.authored, *([options.own] if options.own else [])]:
        draw = random.Random(options.seed)
        splits = splits_of(path)
        for row, split in zip(corpus.read(path), splits):
            is_dev = split == "dev" if split else draw.random() < 0.1
            (dev if is_dev else train).append(row)
    if options.rows:
        draw = random.Random(options.seed)
        train = draw.sample(train, min(options.rows, len(train)))
        dev = draw.sample(dev, min(options.rows, len(dev)))
    return train, dev


def splits_of(path: Path) -> list[str | None]:
    opener = corpus.gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return [json.loads(line).get("split") for line in file if line.strip()]


def begun(options: argparse.Namespace, train: list[Row]) -> tuple[Guard, Tokenizer]:
    """The guard to start from, and its tokenizer, which a run keeps for when it goes on."""
    if options.start:
        return load(options.start)
    kept = options.out / "state" / "tokenizer.json"
    if kept.exists():
        tokenizer = Tokenizer.from_file(str(kept))
    else:
        foreign = [row.text for row in train if row.lang != "en"]
        tokenizer = enlarged_tokenizer(foreign, options.new_tokens)
        tokenizer.save(str(kept), pretty=False)
    return Guard.pretrained(tokenizer), tokenizer


class Epoch:
    """The windows of one epoch, in batches."""

    def __init__(
        self, rows: list[Row], frames: Frames, cutter: Cutter, budget: int, seed: int, others: float
    ):
        self.draw = random.Random(seed)
        self.rows = corpus.epoch(rows, frames, self.draw, others)
        ids = cutter.ids([row.text for row in self.rows])
        self.windows = [cutter.drawn(own, row, self.draw) for own, row in zip(ids, self.rows)]
        with_context = [k for k, row in enumerate(self.rows) if row.context]
        contexts = cutter.ids([self.rows[k].context for k in with_context])
        self.contexts = {k: cutter.window(own, 0, CONTEXT_TOKENS) for k, own in zip(with_context, contexts)}
        self.values, self.known = corpus.targets(self.rows)
        self.batches = corpus.batches(self.windows, budget, self.draw)


def loss_of(guard: Guard, epoch: Epoch, batch: list[int], weights: torch.Tensor, seed: int) -> torch.Tensor:
    draw = random.Random(seed)
    beside = [k for k in batch if k in epoch.contexts and draw.random() < CONTEXT_SHARE]
    answers = run(guard, [epoch.windows[k] for k in batch])
    prompts = torch.zeros_like(answers)
    if beside:
        places = {k: place for place, k in enumerate(batch)}
        at = torch.tensor([places[k] for k in beside])
        prompts = prompts.index_copy(0, at, run(guard, [epoch.contexts[k] for k in beside]))
    logits = guard.joined(answers, prompts)
    importance = torch.tensor([LABEL_WEIGHTS.get(label, 1.0) for label in [*LABELS, *VECTORS]])
    values, known = torch.from_numpy(epoch.values[batch]), torch.from_numpy(epoch.known[batch]) * importance
    each = functional.binary_cross_entropy_with_logits(logits, values, reduction="none", pos_weight=weights)
    return (each * known).sum() / known.sum().clamp(min=1)


def run(guard: Guard, windows: list[list[int]]) -> torch.Tensor:
    ids, mask = map(torch.from_numpy, corpus.padded(windows))
    with torch.autocast("cpu", torch.bfloat16, enabled=HAS_BFLOAT16):
        return guard(ids, mask).float()


def optimiser(guard: Guard, options: argparse.Namespace) -> torch.optim.AdamW:
    if options.head_only:
        for name, parameter in guard.encoder.named_parameters():
            parameter.requires_grad = name.startswith("classifier")
    body, fast, plain = [], [], []
    for name, parameter in guard.named_parameters():
        if not parameter.requires_grad:
            continue
        is_new = "classifier" in name or "by_context" in name or "word_embeddings" in name
        (fast if is_new else plain if parameter.dim() < 2 else body).append(parameter)
    groups = [
        {"params": body, "weight_decay": 0.01, "scale": 1.0},
        {"params": plain, "weight_decay": 0.0, "scale": 1.0},
        {"params": fast, "weight_decay": 0.0, "scale": 2.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=options.rate, fused=True)


def rate_at(step: int, n_steps: int, top: float) -> float:
    warm = max(1, n_steps // 20)
    if step < warm:
        return top * (step + 1) / warm
    return top * max(0.02, (n_steps - step) / (n_steps - warm))


def train(guard: Guard, rows: list[Row], cutter: Cutter, options: argparse.Namespace) -> None:
    frames = Frames([yaml.safe_load(path.read_text("utf-8")) for path in sorted((HERE / "authored").glob("*.yaml"))])
    weights = torch.from_numpy(corpus.positive_weights(rows))
    steps = optimiser(guard, options)
    state_path = options.out / "state" / "checkpoint.pt"
    done = 0
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        guard.load_state_dict(state["guard"])
        steps.load_state_dict(state["optimiser"])
        done = state["step"]
        print(f"goes on at step {done}", flush=True)
    step, n_steps, started = 0, None, time.monotonic()
    losses = []
    for number in range(int(np.ceil(options.epochs))):
        epoch = Epoch(rows, frames, cutter, options.budget, options.seed * 1000 + number, options.others)
        if n_steps is None:
            n_steps = int(len(epoch.batches) * options.epochs)
            print(f"{len(epoch.rows)} rows, {len(epoch.batches)} batches an epoch, {n_steps} steps", flush=True)
        for batch in epoch.batches:
            if n_steps <= step:
                break
            step += 1
            if step <= done:
                continue
            for group in steps.param_groups:
                group["lr"] = rate_at(step, n_steps, options.rate) * group["scale"]
            loss = loss_of(guard, epoch, batch, weights, step)
            steps.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(guard.parameters(), 1.0)
            steps.step()
            losses.append(loss.item())
            if step % 20 == 0:
                took = (time.monotonic() - started) / (step - done)
                print(f"step {step}/{n_steps} loss {np.mean(losses[-20:]):.4f} {took:.2f} s/step", flush=True)
            if step % options.every == 0:
                state = {"guard": guard.state_dict(), "optimiser": steps.state_dict(), "step": step}
                torch.save(state, state_path.with_suffix(".new"))
                state_path.with_suffix(".new").replace(state_path)


@torch.no_grad()
def outputs_of(guard: Guard, cutter: Cutter, texts: list[str], n_tokens: int, overlap: int) -> np.ndarray:
    """The largest outputs of each text over its windows, `[n_texts, n_outputs]`."""
    guard.eval()
    windows, owners = [], []
    for k, ids in enumerate(cutter.ids(texts)):
        own = cutter.all(ids, n_tokens, overlap)
        windows += own
        owners += [k] * len(own)
    found = None
    for batch in corpus.batches(windows, 16_384, None):
        rows = run(guard, [windows[k] for k in batch]).numpy()
        if found is None:
            found = np.full((len(texts), rows.shape[1]), -np.inf, np.float32)
        np.maximum.at(found, [owners[k] for k in batch], rows)
    return found


def average_precision(values: np.ndarray, scores: np.ndarray) -> float:
    order = np.argsort(-scores, kind="stable")
    hits = values[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / max(1, hits.sum()))


def report(rows: list[Row], logits: np.ndarray) -> None:
    """Average precision on dev rows: of the corpus, of sources held out, and of authored phrasings."""
    values, known = corpus.targets(rows)
    part = np.array([
        "held out" if row.source in corpus.HELD_OUT else "authored" if row.source.startswith("authored") else "corpus"
        for row in rows
    ])
    for name in ("corpus", "held out", "authored"):
        shown = []
        for k, label in enumerate([*LABELS, *VECTORS]):
            taken = (part == name) & (known[:, k] == 1)
            if 5 <= values[taken, k].sum():
                shown.append(f"{label} {average_precision(values[taken, k], logits[taken, k]):.3f}")
        if shown:
            print(f"dev, {name} ({(part == name).sum()} rows): {', '.join(shown)}", flush=True)


def main() -> None:
    options = parsed()
    torch.manual_seed(options.seed)
    train_rows, dev_rows = rows_of(options)
    print(f"{len(train_rows)} train rows, {len(dev_rows)} dev rows", flush=True)
    print(f"positives/negatives: {corpus.counts(train_rows)}", flush=True)
    (options.out / "state").mkdir(parents=True, exist_ok=True)
    guard, tokenizer = begun(options, train_rows)
    cutter = Cutter(tokenizer, options.max_tokens)
    guard.train()
    train(guard, train_rows, cutter, options)
    save(guard, tokenizer, options.out, options.max_tokens, options.linear, options.linear_non_english, options.left)
    logits = outputs_of(guard, cutter, [row.text for row in dev_rows], options.max_tokens - 2, 32)
    report(dev_rows, logits)
    np.savez(options.out / "dev.npz", logits=logits)


if __name__ == "__main__":
    main()
