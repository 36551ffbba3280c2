"""Composes labelled texts from the authored phrasings in `authored/`.

    python compose.py --leave-out EVAL --out build/authored.jsonl.gz

Phrasings are written by hand, one file per language; this script combines them: acts with frames,
groups with statements, requests with the forms that attacks take, answers with openings, planted
instructions with the documents that carry them. Each combination is made for harmful and harmless
seeds alike. The same seed gives the same file.

A row has the fields of the training corpus: `id`, `text`, `role`, `lang`, `source`, `licence`,
`labels` (a missing key is unknown), `split`, `vectors` (1 or 0 for each known way round a guard), and
`context` where an answer has its prompt.
Phrasings, and not rows, are divided into train and dev: no dev row shares an act or a statement
with a train row.
"""

import argparse
import gzip
import hashlib
import json
import random
from pathlib import Path

import yaml

import transforms
from leaks import Kept

HAZARDS = (
    "violence crime controlled_goods cyber cbrn sexual_crime child_safety hate harassment "
    "self_harm sexual privacy deception"
).split()
TOPICS = ["advice_medical", "advice_legal", "advice_financial"]
ATTACKS = ["jailbreak", "injection"]
LABELS = ["unsafe", *HAZARDS, *TOPICS, *ATTACKS]
#: By what a text tries to get round a guard, whatever it asks for.
VECTORS = [
    f"vector_{name}"
    for name in ("psychological", "logic", "syntactic", "semantic", "perspective", "non_english")
]
#: The vector of each kind of frame.
VECTOR_OF = {
    "authority": "psychological", "emotional": "psychological", "scoring": "psychological",
    "refusal_suppression": "psychological",
    "hypothetical": "logic", "false_premise": "logic", "rules_off": "logic",
    "format": "syntactic", "split": "syntactic",
    "metaphor": "semantic",
    "roleplay": "perspective", "fiction": "perspective", "persona": "perspective",
}

#: Hazards that a text of one hazard may well have too: there the label is left unknown.
NEAR = {
    "violence": "crime controlled_goods cbrn hate harassment self_harm child_safety",
    "crime": "deception privacy cyber controlled_goods violence harassment",
    "controlled_goods": "crime violence cbrn sexual_crime child_safety",
    "cyber": "crime privacy deception violence harassment",
    "cbrn": "violence controlled_goods",
    "sexual_crime": "violence sexual crime child_safety harassment privacy",
    "child_safety": "sexual_crime sexual crime violence",
    "hate": "harassment violence deception",
    "harassment": "hate violence privacy sexual crime self_harm sexual_crime deception",
    "self_harm": "violence harassment child_safety controlled_goods",
    "sexual": "sexual_crime harassment child_safety privacy",
    "privacy": "harassment crime cyber sexual_crime violence",
    "deception": "crime harassment hate privacy cyber",
}
#: Share of the phrasings that only dev rows use.
DEV_SHARE = 0.1
#: Rows of foreign languages per act.
FOREIGN_FRAMES = 5
ENGLISH_FRAMES = 7


def is_dev(phrase: str) -> bool:
    digest = hashlib.blake2b(phrase.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32 < DEV_SHARE


def harmful(*hazards: str, topic: str | None = None) -> dict[str, int]:
    """The labels of a text with these hazards and, until said otherwise, no attack."""
    near = {name for hazard in hazards for name in NEAR[hazard].split()}
    labels = {name: 0 for name in HAZARDS + ATTACKS if name not in near}
    return labels | {name: 1 for name in hazards} | {"unsafe": 1}


def harmless(*topics: str) -> dict[str, int]:
    labels = {name: 0 for name in ["unsafe", *HAZARDS, *ATTACKS]}
    if topics:
        labels |= {name: int(name in topics) for name in TOPICS}
    return labels


def gerund(phrase: str) -> str:
    """`pick a lock` as `picking a lock`."""
    verb, _, rest = phrase.partition(" ")
    vowels = "aeiou"
    if verb.endswith("ie"):
        verb = verb[:-2] + "y"
    elif verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
        verb = verb[:-1]
    elif (
        3 <= len(verb) <= 5
        and verb[-1] not in vowels + "wxy"
        and verb[-2] in vowels
        and verb[-3] not in vowels
        and verb not in {"open", "offer", "visit", "enter", "alter", "order", "gather", "cover"}
    ):
        verb += verb[-1]
    return f"{verb}ing {rest}".strip()


def vectors(lang: str, *used: str | None) -> dict[str, int]:
    """Which vectors a text uses: those named, and another language than English."""
    named = {f"vector_{name}" for name in used if name}
    known = {name: int(name in named) for name in VECTORS}
    return known | {"vector_non_english": int(not lang.startswith("en"))}


class Composer:
    def __init__(self, authored: Path, seed: int):
        self.random = random.Random(seed)
        self.rows: list[dict] = []
        self.seen: set[tuple] = set()
        self.files = [
            yaml.safe_load(path.read_text(encoding="utf-8"))
            for path in sorted(authored.glob("*.yaml"))
        ]
        self.merged: dict[str, dict] = {}

    # ------------------------------------------------------------------ rows

    def add(
        self,
        text: str,
        labels: dict[str, int],
        phrases: list[str],
        *,
        kind: str,
        lang: str = "en",
        role: str = "prompt",
        context: str | None = None,
        vector: str | None = None,
        place: str | None = None,
    ) -> None:
        """Keeps a row; one whose phrases belong to train and to dev is lost."""
        parts = {is_dev(phrase) for phrase in phrases}
        if len(parts) == 2:
            return
        split = "dev" if True in parts else "train"
        key = (text, context)
        if key in self.seen:
            return
        if vector == "syntactic" and labels.get("unsafe") == 1 and labels.get("jailbreak") == 0:
            # Noise or code around a harmful request is an attack to some and none to others.
            labels = {name: value for name, value in labels.items() if name != "jailbreak"}
        self.seen.add(key)
        row = {
            "id": f"authored-{hashlib.blake2b(repr(key).encode(), digest_size=6).hexdigest()}",
            "text": text,
            "role": role,
            "lang": lang,
            "source": f"authored_{kind}",
            "licence": "Apache-2.0",
            "labels": labels,
            "vectors": vectors(lang, vector),
            "split": split,
        }
        if context is not None:
            row["context"] = context
        if place is not None:
            row["meta"] = {"position": place}
        self.rows.append(row)

    def some(self, items: list, n: int) -> list:
        return self.random.sample(items, min(n, len(items)))

    def english(self, key: str) -> dict:
        """What all English files say under a key, merged."""
        if key in self.merged:
            return self.merged[key]
        merged = self.merged.setdefault(key, {})
        for file in self.files:
            found = file.get(key) if file["lang"] == "en" else None
            if isinstance(found, dict):
                for name, items in found.items():
                    merged.setdefault(name, []).extend(items)
            elif found:
                merged.setdefault("", []).extend(found)
        return merged

    # ----------------------------------------------------------------- parts

    def requests(self) -> None:
        """Acts in frames, in every language."""
        english = self.english("frames")
        for file in self.files:
            lang = file["lang"]
            frames = english if lang == "en" else {"plain": file.get("frames", [])}
            every = [(frame, kind) for kind, frames_of in frames.items() for frame in frames_of]
            plain = [(frame, kind) for frame, kind in every if kind in ("plain", "polite", "terse")]
            if not every:
                continue
            n_frames = ENGLISH_FRAMES if lang == "en" else FOREIGN_FRAMES
            for key, is_harmful in [("acts", True), ("safe_acts", False)]:
                for hazard, acts in file.get(key, {}).items():
                    for act in acts:
                        if hazard in TOPICS:
                            labels = harmless(hazard) if is_harmful else harmless("none")
                        else:
                            labels = harmful(hazard) if is_harmful else harmless()
                        # Who wants a poem on a treatment asks for no advice.
                        for frame, kind in self.some(plain if hazard in TOPICS else every, n_frames):
                            text, vector = self.varied(frame.replace("{act}", act))
                            vector = vector or ("perspective" if kind == "story" else None)
                            self.add(text, labels, [act], kind="requests", lang=lang, vector=vector)

    def varied(self, text: str) -> tuple[str, str | None]:
        """Most texts as they are, some with what people put around or do to them; and the vector."""
        if self.random.random() < 0.8:
            return text, None
        return self.disguised(text)

    def disguised(self, text: str) -> tuple[str, str | None]:
        form, name = transforms.disguise(text, self.random)
        return form, None if form == text else transforms.vector_of(name)

    def messages(self) -> None:
        """Whole messages, as they are and in one other form."""
        for file in self.files:
            lang = file["lang"]
            for key, is_harmful in [("texts", True), ("safe_texts", False)]:
                for hazard, texts in file.get(key, {}).items():
                    for text in texts:
                        labels = harmful(hazard) if is_harmful else harmless()
                        role = "comment" if hazard in ("hate", "harassment") else "prompt"
                        for form, vector in [(text, None), self.disguised(text)]:
                            self.add(form, labels, [text], kind="messages", lang=lang, role=role, vector=vector)

    def statements(self) -> None:
        """Statements about groups, and the same about things."""
        for file in self.files:
            lang = file["lang"]
            groups, things = file.get("groups", []), file.get("things", [])
            n_each = 28 if lang == "en" else 10
            for frame in file.get("hate_frames", []):
                for group in self.some(groups, n_each):
                    text, vector = self.varied(self.fill(frame, group))
                    self.add(text, harmful("hate"), [frame], kind="statements", lang=lang, role="comment",
                             vector=vector)
                for thing in self.some(things, n_each // 3):
                    # Rude at most: only that it is no hate is sure.
                    text = self.fill(frame, thing)
                    self.add(text, {"hate": 0, "injection": 0, "jailbreak": 0}, [frame],
                             kind="statements", lang=lang, role="comment")
            for frame in file.get("safe_group_frames", []):
                for group in self.some(groups, n_each):
                    text, vector = self.varied(self.fill(frame, group))
                    self.add(text, harmless(), [frame], kind="statements", lang=lang, role="comment",
                             vector=vector)

    @staticmethod
    def fill(frame: str, group: str) -> str:
        text = frame.replace("{group}", group)
        return text[:1].upper() + text[1:]

    def forms(self) -> None:
        """English requests in the forms that manipulate: most harmless users use them too."""
        forms, attacks = self.english("form_frames"), self.english("attack_frames")
        forms = [(frame, VECTOR_OF[kind]) for kind, frames in forms.items() for frame in frames]
        attacks = [(frame, VECTOR_OF[kind]) for kind, frames in attacks.items() for frame in frames]
        if not forms:
            return
        for request, labels, act in self.seeds():
            for frame, vector in self.some(forms, 2):
                own = dict(labels)
                if labels["unsafe"]:
                    del own["jailbreak"]
                text = frame.replace("{request}", request)
                self.add(text, own, [act, frame], kind="forms", vector=vector)
            if attacks and self.random.random() < 0.7:
                frame, vector = self.random.choice(attacks)
                own = dict(labels) | {"jailbreak": 1}
                own.pop("injection")
                text = frame.replace("{request}", request)
                self.add(text, own, [act, frame], kind="attacks", vector=vector)
            if self.random.random() < 0.25:
                code = transforms.code_wrap(request, self.random)
                own = dict(labels)
                own.pop("jailbreak")
                self.add(code, own, [act], kind="forms", vector="syntactic")

    def seeds(self):
        """English requests, harmful and harmless in equal parts, one frame for each act."""
        frames = [frame for frames in self.english("frames").values() for frame in frames]
        for key, is_harmful in [("acts", True), ("safe_acts", False)]:
            for hazard, acts in self.english(key).items():
                for act in acts:
                    if hazard in TOPICS:
                        labels = harmless()
                    else:
                        labels = harmful(hazard) if is_harmful else harmless()
                    yield self.random.choice(frames).replace("{act}", act), labels, act

    def injections(self) -> None:
        """Instructions to the application: alone, after a harmless request, and in documents."""
        sure = "violence cbrn sexual_crime child_safety hate self_harm sexual".split()
        attack = {name: 0 for name in sure} | {"injection": 1}
        requests = [text for text, labels, _ in self.seeds() if not labels["unsafe"]]
        english = self.english("injections")
        plant = [text for texts in english.values() for text in texts]
        # An order to the assistant that stands in a document is an injection; from the user himself
        # it is a request like any other.
        alone = [text for kind, texts in english.items() if kind != "indirect" for text in texts]
        for text in alone:
            for form, vector in [(text, None), self.disguised(text), self.disguised(text)]:
                self.add(form, attack, [text], kind="injections", vector=vector)
            for _ in range(3):
                request = self.random.choice(requests)
                joined = self.random.choice(["{a} {b}", "{a}\n\n{b}", "{a}\n---\n{b}", "{b} {a}"])
                self.add(joined.format(a=request, b=text), attack, [text], kind="injections")
        for file in self.files:
            if file["lang"] != "en":
                for text in file.get("injections", []):
                    for form in {text, transforms.chatty(text, self.random)}:
                        self.add(form, attack, [text], kind="injections", lang=file["lang"])
                for text in file.get("safe_triggers", []):
                    for form in {text, transforms.chatty(text, self.random)}:
                        self.add(form, harmless(), [text], kind="triggers", lang=file["lang"])
        for text in self.english("safe_triggers").get("", []):
            for form, vector in [(text, None), self.disguised(text), self.disguised(text)]:
                self.add(form, harmless(), [text], kind="triggers", vector=vector)
            self.add(f"{self.random.choice(requests)} {text}", harmless(), [text], kind="triggers")
        self.documents(plant, attack)

    def documents(self, plant: list[str], attack: dict[str, int]) -> None:
        """Documents with and without an instruction in them, in windows around it."""
        carriers = [text for texts in self.english("carriers").values() for text in texts]
        harmless_plant = self.english("safe_indirect").get("", [])
        if not carriers:
            return
        for carrier in carriers:
            for text in self.some(plant, 24):
                document, place = self.planted(carrier, text)
                self.add(document, attack, [text], kind="documents", place=place)
            for text in self.some(harmless_plant, 16):
                document, place = self.planted(carrier, text)
                self.add(document, harmless(), [text], kind="documents", place=place)
            for _ in range(4):
                self.add(self.window(carrier), harmless(), [carrier], kind="documents")
            self.add(carrier, harmless(), [carrier], kind="documents")

    def window(self, text: str) -> str:
        """A run of words of a text, layout kept."""
        n_words = self.random.randrange(25, 100)
        start = self.random.randrange(max(1, len(text) - 5 * n_words))
        return text[start : start + 6 * n_words]

    def planted(self, carrier: str, text: str) -> tuple[str, str]:
        """An instruction at the start, in the middle or at the end of a window of a document."""
        body = self.window(carrier)
        breaks = [0, len(body)]
        breaks += [at + 1 for at, sign in enumerate(body) if sign in "\n.;"]
        at = self.random.choice(breaks) if self.random.random() < 0.6 else self.random.choice([0, len(body)])
        glue = self.random.choice([" ", "\n", "\n\n"])
        place = "start" if at < len(body) / 3 else "middle" if at < len(body) * 2 / 3 else "end"
        return (body[:at].rstrip() + glue + text + glue + body[at:].lstrip()).strip(), place

    def answers(self) -> None:
        """What an assistant answers, whole and in windows, with and without the prompt."""
        openings, closings = self.english("openings").get("", []), self.english("closings").get("", [])
        bodies = {True: self.english("harmful_answers"), False: self.english("safe_answers")}
        if not openings:
            return
        frames = [frame for frames in self.english("frames").values() for frame in frames] or ["how do I {act}?"]
        for key, is_harmful in [("acts", True), ("safe_acts", False)]:
            for hazard, acts in self.english(key).items():
                if hazard not in HAZARDS:
                    continue
                labels = harmful(hazard) if is_harmful else harmless()
                for act in acts:
                    prompt = self.random.choice(frames).replace("{act}", act)
                    for _ in range(2):
                        body = self.random.choice(bodies[is_harmful][hazard])
                        opening = self.random.choice(openings).replace("{topic}", gerund(act))
                        closing = self.random.choice(closings) if self.random.random() < 0.3 else ""
                        text = f"{opening}\n\n{self.placeholders(body)}\n\n{closing}".strip()
                        self.add(text, labels, [act, body], kind="answers", role="response",
                                 context=prompt)
                    if is_harmful:
                        self.refuse(act, prompt)
        for is_harmful, by_hazard in bodies.items():
            for hazard, texts in by_hazard.items():
                labels = harmful(hazard) if is_harmful else harmless()
                for body in texts:
                    self.add(self.placeholders(body), labels, [body], kind="answers", role="response")
                    for _ in range(3):
                        self.add(self.part(body), labels, [body], kind="answers", role="response")
        for topic, texts in self.english("advice_answers").items():
            for body in texts:
                self.add(body, harmless(topic), [body], kind="answers", role="response")
                self.add(self.part(body), harmless(topic), [body], kind="answers", role="response")
        for body in self.english("plain_answers").get("", []):
            for form in {body, self.part(body), self.part(body), self.part(body)}:
                self.add(form, harmless("none"), [body], kind="answers", role="response")
        for key, labels in [("context_pairs", {"unsafe": 1}), ("safe_context_pairs", harmless())]:
            for pair in self.english(key).get("", []):
                prompt, _, answer = pair.partition(" ||| ")
                self.add(answer, labels, [pair], kind="context", role="response", context=prompt)

    def refuse(self, act: str, prompt: str) -> None:
        """Refusals and explanations are harmless, whatever they name."""
        for key, n in [("refusals", 2), ("warnings", 1)]:
            for frame in self.some(self.english(key).get("", []), n):
                text = frame.replace("{topic}", gerund(act))
                self.add(text, harmless(), [act, frame], kind="answers", role="response",
                         context=prompt)

    def part(self, body: str) -> str:
        """A window as streams are cut, long enough to say what it is about."""
        words = self.placeholders(body).split(" ")
        n_words = self.random.randrange(16, 40)
        if len(words) <= n_words:
            return " ".join(words)
        start = self.random.randrange(len(words) - n_words)
        return " ".join(words[start : start + n_words])

    def placeholders(self, body: str) -> str:
        """Other words for what was left out, so that no mark in brackets betrays harm."""
        words = {
            "[SUBSTANCE]": ["the substance", "the product", "compound A", "[item]", "it"],
            "[AMOUNT]": ["a certain amount", "some", "[n]", "enough", "the usual amount"],
            "[NAME]": ["Alex", "that person", "[name]", "him", "her", "Mr. X"],
            "<step omitted>": ["do the next part", "continue as before", "...", "follow the usual way"],
            "[EXPLICIT]": ["...", "and so on", "the rest", "more"],
            "[X]": ["some", "X", "this", "the other one"],
        }
        for mark, others in words.items():
            while mark in body and self.random.random() < 0.9:
                body = body.replace(mark, self.random.choice(others), 1)
        return body

    def whole(self) -> None:
        """Texts that were written whole, rather than put together."""
        for file in self.files:
            for group in file.get("whole", []):
                hazards, attack = group["hazards"], group.get("attack")
                topics = group.get("topics", [])
                if hazards:
                    labels = harmful(*hazards)
                elif attack:
                    labels = {}
                else:
                    labels = harmless(*topics)
                if attack:
                    other = {name: value for name, value in labels.items() if name not in ATTACKS}
                    labels = other | {attack: 1}
                for text in group["say"]:
                    self.add(
                        text, labels, [text], kind="whole", lang=group.get("lang", file["lang"]),
                        role=group.get("role", "prompt"), context=group.get("context"),
                        vector=group.get("vector"),
                    )

    def compose(self) -> list[dict]:
        self.whole()
        self.requests()
        self.messages()
        self.statements()
        self.forms()
        self.injections()
        self.answers()
        self.random.shuffle(self.rows)
        return self.rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--authored", type=Path, default=Path(__file__).parent / "authored")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--leave-out", type=Path, help="folder of evaluation sets whose texts no row may say")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows = Composer(options.authored, options.seed).compose()
    if options.leave_out:
        kept = Kept.read(options.leave_out)
        n_composed = len(rows)
        rows = [row for row in rows if not kept.has(row["text"])]
        print(f"{n_composed - len(rows)} rows left out, as the evaluation sets say the same")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(options.out, "wb", mtime=0) as file:
        for row in rows:
            file.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
    counts: dict[str, list[int]] = {}
    for row in rows:
        kind = counts.setdefault(f"{row['source']} {row['split']}", [0, 0])
        kind[row["labels"].get("unsafe", 0)] += 1
    for name, (n_harmless, n_harmful) in sorted(counts.items()):
        print(f"{name}: {n_harmless} not unsafe, {n_harmful} unsafe")
    print(f"{len(rows)} rows in {options.out}")


if __name__ == "__main__":
    main()
