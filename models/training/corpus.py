"""Labelled rows: reading them, choosing them for an epoch, and cutting them into batches."""

import gzip
import json
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

import transforms
from compose import HAZARDS, LABELS, VECTOR_OF, VECTORS, is_dev, vectors

#: Public sources that training never sees: with the authored dev rows they are the
#: out-of-distribution part of the dev set.
HELD_OUT = {"toxigen_prompts", "wiki_toxicity", "taskmaster", "bbh", "cyberseceval_instruct"}
#: Comment sources whose question (is this hate?) the taxonomy asks too: taken whole.
HATE_SOURCES = {
    "edos", "hatemoji_build", "stormfront", "germeval2018", "korean_hate", "told_br", "davidson",
    "identity_templates",
}
#: Rows of other comment sources that one epoch takes.
OTHER_COMMENTS = 12_000
#: Large sources of rows that are much alike: an epoch takes this share of them.
MUCH_ALIKE = {
    "davidson": 0.4, "told_br": 0.4, "sgd": 0.4, "xquad": 0.4, "clinc150": 0.4, "banking77": 0.5,
    "anthropic_evals": 0.4, "identity_templates": 0.4, "medquad": 0.4, "chatterbot": 0.5,
    "stormfront": 0.6,
}
#: The same for rows that were put together from few phrasings.
COMPOSED_SHARE = 0.5
#: Characters below which a text is short.
SHORT = 400
#: The share of short texts that an epoch disguises.
DISGUISED_SHARE = 0.16
#: The share of short prompts that an epoch puts in the middle of an ordinary text.
AMONG_SHARE = 0.12
#: Characters of such a text and what is put into it: about what one window holds.
AMONG = 460
#: Of short texts that were written whole, with typing mistakes beyond those: the commonest disguise.
MISSPELT_SHARE = 0.12
#: How often the hazards with few positives are shown in an epoch.
RARE_REPEATS = 3
#: How often an epoch shows rows of a source: texts that were written whole are few and no two
#: alike, and sexism is known to no other source.
REPEATS = {"authored_whole": 4, "edos": 2}
#: The same for long ones of the texts that were written whole: a window shows a part of them.
REPEATS_LONG = 8
RARE = [name for name in HAZARDS if name not in ("hate", "harassment")]


@dataclass
class Row:
    text: str
    role: str
    lang: str
    source: str
    labels: dict[str, int]
    context: str | None = None
    #: Which ways round a guard it uses; a missing one is unknown.
    vectors: dict[str, int] = field(default_factory=dict)
    #: Where in a long text its label is earned: 0 at the start, 1 at the end; unknown without.
    focus: float | None = None


#: What a source says of the place of an injection.
POSITIONS = {"start": 0.0, "middle": 0.5, "end": 1.0}


def read(path: Path) -> list[Row]:
    """Rows of a JSON Lines file, gzipped or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    rows = []
    with opener(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                text, labels = row["text"], row["labels"]
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise SystemExit(f"{path}:{number}: each line needs `text` and `labels`: {error!r}")
            unknown = set(labels) - set(LABELS)
            if unknown:
                raise SystemExit(f"{path}:{number}: no such label: {', '.join(sorted(unknown))}")
            meta = row.get("meta") or {}
            lang = row.get("lang", "en")
            rows.append(
                Row(text, row.get("role", "prompt"), lang, row.get("source", "own"), labels,
                    row.get("context") or meta.get("context"),
                    row.get("vectors") or {"vector_non_english": int(not lang.startswith("en"))},
                    POSITIONS.get(meta.get("position")))
            )
    return rows


class Frames:
    """The manipulative forms of the authored files, put around requests of the corpus."""

    def __init__(self, files: list[dict]):
        self.forms = self.of(files, "form_frames")
        self.attacks = self.of(files, "attack_frames")
        english = [file for file in files if file["lang"] == "en"]
        plants = [f for file in english for of in file.get("injections", {}).values() for f in of]
        self.injections = [text for text in plants if not is_dev(text)]
        sentences = [f for file in english for f in file.get("safe_indirect", [])]
        self.sentences = [text for text in sentences if not is_dev(text)]

    @staticmethod
    def of(files: list[dict], key: str) -> list[tuple[str, str]]:
        """Frames with their vector."""
        kinds = [kind for file in files for kind in file.get(key, {}).items()]
        every = [(frame, VECTOR_OF[name]) for name, frames in kinds for frame in frames]
        return [(frame, vector) for frame, vector in every if not is_dev(frame)]

    def around(self, row: Row, draw: random.Random) -> Row:
        labels = dict(row.labels)
        if draw.random() < 0.6 or not self.attacks:
            frame, vector = draw.choice(self.forms)
            if labels.get("unsafe") == 1:
                labels.pop("jailbreak", None)
        else:
            frame, vector = draw.choice(self.attacks)
            labels["jailbreak"] = 1
            labels.pop("injection", None)
        text = frame.replace("{request}", row.text)
        return replace(row, text=text, labels=labels, vectors=vectors(row.lang, vector), context=None)

    def planted(self, row: Row, draw: random.Random) -> Row:
        """A stretch of a long harmless text with a sentence in it that gives an order: to an
        assistant, which is an injection, or to the reader, which is none."""
        start = draw.randrange(max(1, len(row.text) - 500))
        body = row.text[start : start + draw.randrange(150, 500)]
        breaks = [0, len(body), *(at + 1 for at, sign in enumerate(body) if sign in "\n.!?")]
        at = draw.choice(breaks)
        is_attack = draw.random() < 0.5
        sentence = draw.choice(self.injections if is_attack else self.sentences)
        labels = dict(row.labels)
        if is_attack:
            labels["injection"] = 1
            for label in ("unsafe", "jailbreak"):
                labels.pop(label, None)
        glue = draw.choice([" ", "\n", "\n\n"])
        text = (body[:at].rstrip() + glue + sentence + glue + body[at:].lstrip()).strip()
        return replace(row, text=text, labels=labels, context=None)


class Ordinary:
    """Long harmless texts, by language."""

    def __init__(self, rows: list[Row]):
        self.texts: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            is_harmless = row.labels.get("unsafe") == 0 and not row.labels.get("injection")
            if is_harmless and SHORT < len(row.text) and not row.source.startswith("authored"):
                self.texts[row.lang].append(row.text)

    def around(self, row: Row, draw: random.Random) -> Row:
        """A short text in the middle of a stretch of an ordinary one: most of what a window shows is
        harmless, and what it is about still decides."""
        texts = self.texts.get(row.lang) or self.texts["en"]
        text = transforms.among(row.text, draw.choice(texts), AMONG, draw)
        return replace(row, text=text, context=None)


def epoch(rows: list[Row], frames: Frames | None, draw: random.Random, others: float = 1.0) -> list[Row]:
    """The rows of one epoch, some of them in another form; of rows that were not written whole the
    share `others`."""
    chosen, comments = [], []
    for row in rows:
        is_rare = any(row.labels.get(name) == 1 for name in RARE) and not row.source.startswith("authored")
        if is_rare:
            chosen += [row] * RARE_REPEATS
        elif row.source in REPEATS:
            is_long = row.source == "authored_whole" and SHORT < len(row.text)
            chosen += [row] * (REPEATS_LONG if is_long else REPEATS[row.source])
        elif row.role == "comment" and row.source not in HATE_SOURCES and not row.source.startswith("authored"):
            comments.append(row)
        elif share_of(row.source) < draw.random():
            continue
        else:
            chosen.append(row)
    chosen += draw.sample(comments, min(OTHER_COMMENTS, len(comments)))
    chosen = [row for row in chosen if row.source == "authored_whole" or draw.random() < others]
    ordinary = Ordinary(rows)
    chosen = [among(formed(row, frames, draw), ordinary, draw) for row in chosen]
    draw.shuffle(chosen)
    return chosen


def share_of(source: str) -> float:
    return MUCH_ALIKE.get(source, COMPOSED_SHARE if source.startswith("authored") else 1.0)


def among(row: Row, ordinary: Ordinary, draw: random.Random) -> Row:
    is_short = row.role == "prompt" and len(row.text) < SHORT
    return ordinary.around(row, draw) if is_short and ordinary.texts["en"] and draw.random() < AMONG_SHARE else row


def formed(row: Row, frames: Frames | None, draw: random.Random) -> Row:
    """Most rows as they are; short English prompts sometimes in a frame, any text in a disguise."""
    dice = draw.random()
    is_short = len(row.text) < SHORT
    is_plain = row.role == "prompt" and row.lang == "en" and row.labels.get("injection") != 1
    if frames and frames.forms and is_short and is_plain and row.labels.get("jailbreak") != 1:
        share = 0.3 if row.labels.get("unsafe") == 1 else 0.08
        if dice < share and not row.source.startswith("authored"):
            return frames.around(row, draw)
    is_harmless = row.labels.get("unsafe") == 0 and row.labels.get("injection", 0) == 0
    if frames and frames.injections and not is_short and is_harmless and dice < 0.08:
        return frames.planted(row, draw)
    is_misspelt = row.source == "authored_whole" and dice < MISSPELT_SHARE
    if is_short and (is_misspelt or 1 - DISGUISED_SHARE < dice):
        forms = [(transforms.misspell, 1)] if is_misspelt else transforms.SEEN
        text, form = transforms.disguise(row.text, draw, forms)
        labels = dict(row.labels)
        if form in ("suffix_noise", "code_wrap", "split_parts"):
            labels.pop("jailbreak", None)
        vector = transforms.vector_of(form) if text != row.text else None
        used = row.vectors | {f"vector_{vector}": 1} if vector else row.vectors
        return replace(row, text=text, labels=labels, vectors=used)
    if is_short and 0.995 - DISGUISED_SHARE < dice and row.labels.get("unsafe") == 0:
        return replace(row, text=transforms.encoded(row.text, draw), vectors={"vector_syntactic": 1})
    return row


def targets(rows: list[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and vectors, and which of them are known, `[n_rows, n_labels]`."""
    place = {label: idx for idx, label in enumerate([*LABELS, *VECTORS])}
    values = np.zeros((len(rows), len(place)), np.float32)
    known = np.zeros_like(values)
    for k, row in enumerate(rows):
        for label, value in (row.labels | row.vectors).items():
            values[k, place[label]], known[k, place[label]] = value, 1.0
    return values, known


def positive_weights(rows: list[Row], most: float = 6.0) -> np.ndarray:
    """Square root of negatives per positive, at most `most`."""
    values, known = targets(rows)
    n_positive = (values * known).sum(0)
    n_negative = known.sum(0) - n_positive
    return np.sqrt(np.clip(n_negative / np.maximum(n_positive, 1), 1, most**2)).astype(np.float32)


class Cutter:
    """Texts to token ids: whole, or one window of them."""

    def __init__(self, tokenizer: Tokenizer, max_tokens: int):
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.cls = tokenizer.token_to_id("[CLS]")
        self.sep = tokenizer.token_to_id("[SEP]")

    def ids(self, texts: list[str]) -> list[list[int]]:
        encoded = self.tokenizer.encode_batch(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encoded]

    def window(self, ids: list[int], start: int = 0, n_tokens: int | None = None) -> list[int]:
        n_tokens = min(n_tokens or self.max_tokens - 2, self.max_tokens - 2)
        return [self.cls, *ids[start : start + n_tokens], self.sep]

    def drawn(self, ids: list[int], row: Row, draw: random.Random) -> list[int]:
        """A window to learn from: harmless texts anywhere, harmful ones where they begin, mostly."""
        room = self.max_tokens - 2
        is_answer = row.role == "response"
        is_harmless = not any(row.labels.get(label) == 1 for label in LABELS if not label.startswith("advice"))
        if is_harmless and 64 < len(ids) and draw.random() < 0.7:
            room = min(room, 30 if is_answer and draw.random() < 0.5 else 62)
        if len(ids) <= room:
            return self.window(ids)
        last = len(ids) - room
        if row.focus is not None:
            return self.window(ids, int(row.focus * last), room)
        start = draw.randrange(last + 1) if is_harmless or draw.random() < 0.3 else 0
        return self.window(ids, start, room)

    def all(self, ids: list[int], n_tokens: int, overlap: int) -> list[list[int]]:
        """Every window of a text."""
        step = n_tokens - overlap
        starts = range(0, max(1, len(ids) - overlap), step)
        return [self.window(ids, start, n_tokens) for start in starts]


def rounded(n_tokens: int) -> int:
    """Lengths are padded to a few sizes only: a new shape costs the CPU's kernels a new plan."""
    return -(-n_tokens // 16) * 16


def batches(windows: list[list[int]], budget: int, draw: random.Random | None) -> list[list[int]]:
    """Indices of windows of like length, `budget` padded tokens to a batch, in random order."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for k, window in enumerate(windows):
        by_length[rounded(len(window))].append(k)
    cut = []
    for length, members in sorted(by_length.items()):
        if draw:
            draw.shuffle(members)
        n_rows = budget // length
        cut += [members[start : start + n_rows] for start in range(0, len(members), n_rows)]
    if draw:
        draw.shuffle(cut)
    return cut


def padded(windows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    longest = rounded(max(map(len, windows)))
    ids = np.zeros((len(windows), longest), np.int64)
    mask = np.zeros((len(windows), longest), np.int64)
    for k, window in enumerate(windows):
        ids[k, : len(window)] = window
        mask[k, : len(window)] = 1
    return ids, mask


def counts(rows: list[Row]) -> str:
    by_label: dict[str, Counter] = defaultdict(Counter)
    for row in rows:
        for label, value in row.labels.items():
            by_label[label][value] += 1
    return ", ".join(f"{label} {by_label[label][1]}/{by_label[label][0]}" for label in LABELS)
