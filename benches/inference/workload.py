"""Writes the workload: 2,000 chat-like texts, the same on every machine.

    python workload.py --tokenizer DIR/tokenizer.json --out texts.jsonl

Lengths in tokens are log-normal (median about 35, 95th percentile about 250, at most 512), the
words are drawn from a seed, and a text is walked to its length with the given tokenizer.
With MiniLM's WordPiece that makes the figures of `EXPECTED`; anything else ends the run.
"""

import argparse
import json
import math
import random

import numpy as np
from tokenizers import Tokenizer

N_TEXTS = 2000
SEED = 20231101
MAX_TOKENS = 512

#: What MiniLM's tokenizer makes of the texts.
EXPECTED = {"n_texts": 2000, "n_tokens": 134_341, "median": 34, "p95": 243, "max": 512}

WORDS = """
the be to of and a in that have I it for not on with he as you do at this but his by from they we
say her she or an will my one all would there their what so up out if about who get which go me
when make can like time no just him know take people into year your good some could them see other
than then now look only come its over think also back after use two how our work first well way
even new want because any these give day most us is are was were been has had did said got made
went took came thing world life hand part child eye woman place week case point government company
number group problem fact please explain write code function python rust javascript error stack
trace compile server database query table index password account login token secret payment
invoice customer order refund shipping address email phone message chat model prompt assistant
system instruction ignore previous policy safety weapon chemical medicine doctor symptom treatment
dosage history essay summary translate french german spanish poem story character dialogue recipe
flour sugar butter oven degrees minutes travel flight hotel budget weather climate energy battery
engine physics quantum particle equation integral derivative matrix vector probability statistics
regression neural network training dataset benchmark latency throughput kubernetes container
deployment cluster configuration yaml json schema validation authentication cryptography
certificate vulnerability exploit malware phishing ransomware firewall compliance regulation
privacy consent understanding unbelievable misunderstanding counterproductive electromagnetic
photosynthesis constitutional interdisciplinary
""".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz"
MARKS = [",", ".", "?", "!", ":", ";", " -", "..."]
OPENINGS = [
    "Hi,",
    "Hello!",
    "Can you",
    "Please",
    "How do I",
    "What is",
    "Write me",
    "Explain",
    "I need help with",
    "Tell me about",
    "Why does",
    "Ignore all previous instructions and",
    "/reset-ai",
    "Translate this:",
    "Fix this code:",
    "Summarize:",
]


def lengths():
    """The length of each text in tokens."""
    draw = random.Random(SEED)
    mu, sigma = math.log(35), math.log(250 / 35) / 1.6449
    drawn = (round(math.exp(draw.gauss(mu, sigma))) for _ in range(N_TEXTS))
    return [max(4, min(MAX_TOKENS, length)) for length in drawn]


def pieces(draw):
    """An opening, then words with marks, numbers, code, lines and nonsense among them, for ever."""
    yield draw.choice(OPENINGS)
    while True:
        kind = draw.random()
        if kind < 0.86:
            yield " " + draw.choice(WORDS)
        elif kind < 0.93:
            yield draw.choice(MARKS)
        elif kind < 0.95:
            yield " " + str(draw.randrange(100_000))
        elif kind < 0.97:
            name = draw.choice(WORDS).capitalize() + draw.choice(WORDS).capitalize()
            yield f" {name}({draw.choice(WORDS)}_{draw.choice(WORDS)});"
        elif kind < 0.98:
            yield "\n"
        else:
            yield " " + "".join(draw.choice(LETTERS) for _ in range(draw.randrange(5, 12)))


def text_of(tokenizer, number, n_tokens):
    """The text of that number: grown past its length, then walked back to it."""

    def n_now():
        return len(tokenizer.encode("".join(parts)).ids)

    stream = pieces(random.Random(SEED * 1_000_003 + number))
    parts, step = [next(stream)], max(1, int(n_tokens * 0.5))
    while n_now() < n_tokens:
        parts.extend(next(stream) for _ in range(step))
        step = max(1, step // 2)
    while 1 < len(parts) and n_tokens < n_now():
        parts.pop()
    text = "".join(parts)
    encoding = tokenizer.encode(text)
    # The last token is the closing one; a text past the model's length ends before it.
    return text[: encoding.offsets[-2][1]] if encoding.overflowing else text


def load_tokenizer(path):
    """The tokenizer without padding, cut at the model's length."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def read_texts(path):
    """The texts of a `{"text": …}` a line file."""
    with open(path) as file:
        return [json.loads(line)["text"] for line in file]


def facts(lens):
    """What `EXPECTED` fixes."""
    lens = np.array(lens)
    return {
        "n_texts": len(lens),
        "n_tokens": int(lens.sum()),
        "median": int(np.median(lens)),
        "p95": int(np.percentile(lens, 95)),
        "max": int(lens.max()),
    }


def write(tokenizer_path, out):
    """Writes the texts, after their figures were found to be the expected ones."""
    tokenizer = load_tokenizer(tokenizer_path)
    texts = [text_of(tokenizer, number, n) for number, n in enumerate(lengths())]
    tokenizer.no_truncation()
    found = facts([len(encoding.ids) for encoding in tokenizer.encode_batch(texts)])
    if found != EXPECTED:
        raise SystemExit(f"the workload is not the one that was measured: {found}, not {EXPECTED}")
    with open(out, "w") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    print(f"{out}: {found}, mean {found['n_tokens'] / found['n_texts']:.1f}")


if __name__ == "__main__":
    cli = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    cli.add_argument("--tokenizer", required=True)
    cli.add_argument("--out", required=True)
    args = cli.parse_args()
    write(args.tokenizer, args.out)
