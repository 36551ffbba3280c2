"""Disguised words, in prompts and in answers of both dialects."""

import os.path

from . import disguise
from .answers import chat, chat_stream, message, message_stream
from .case import BENIGN, GAP, SENTENCE, TAIL, Case
from .requests import ask

#: Disguises that a rule on words is not made to see through, and why.
GAPS: dict[str, str] = {}


def sentence_with(make):
    return lambda word: SENTENCE.format(make(word))


def sentence_as(make):
    return lambda word, old="", new="": make(SENTENCE.format(word).replace(old, new))


def disguises():
    """Every disguise as a function from the word to a whole text."""
    yield from (
        (f"word, {name}", sentence_with(make), make) for name, make in disguise.WORD.items()
    )
    for name, make in disguise.WHOLE.items():
        whole = sentence_as(make)
        yield f"text, {name}", whole, lambda word, whole=whole: until_word(whole, word)


def until_word(make, word):
    """The disguised text up to the end of the word, as far as that can be told."""
    one, other = make(word), make(word, "at home", "zz zzzz")
    same = os.path.commonprefix([one, other])
    return same if len(same) > len(one) // 2 else one


def asked(dialect, make):
    return lambda word: ask(dialect, make(word))


def streamed(dialect):
    return lambda _: ask(dialect, stream=True)


def in_whole(dialect, make, secret):
    def answer(word):
        said = f"Well. {make(word)}\n{TAIL}"
        made = (
            chat({"content": said})
            if dialect == "openai"
            else message([{"type": "text", "text": said}])
        )
        made.secrets = [secret(word)]
        return made

    return answer


def in_stream(dialect, make, secret):
    """A letter a delta, and the tail after it."""

    def answer(word):
        pieces = ["Well. ", *make(word), "\n", TAIL]
        if dialect == "openai":
            made = chat_stream([{"content": piece} for piece in pieces])
        else:
            made = message_stream([(pieces,)])
        made.secrets = [secret(word)]
        return made

    return answer


def every():
    dialects = ["openai", "anthropic"]
    for at, (name, make, secret) in enumerate(disguises()):
        dialect, other = dialects[at % 2], dialects[1 - at % 2]
        kind = {"expect": GAP, "reason": GAPS[name]} if name in GAPS else {}
        yield Case(f"hidden in: {name}", dialect, asked(dialect, make), **kind)
        yield Case(
            f"hidden out: {name}",
            dialect,
            lambda _, d=dialect: ask(d),
            in_whole(dialect, make, secret),
            **kind,
        )
        yield Case(
            f"hidden stream: {name}", other, streamed(other), in_stream(other, make, secret), **kind
        )
    for name, text in HARMLESS.items():
        yield Case(
            f"harmless in: {name}",
            "openai",
            lambda _, text=text: ask("openai", text),
            expect=BENIGN,
        )
        yield Case(f"harmless stream: {name}", "anthropic", streamed("anthropic"),
                   lambda _, text=text: message_stream([(list(text),)]), expect=BENIGN)  # fmt: skip


#: Texts that hold the word only for a reader who looks too hard.
HARMLESS = {
    "two words that meet": "The club ombudsman will see you.",
    "two words with a comma": "a crumb, ombre curtains and a verb. Ombudsmen",
    "digits": "Call 80 mb of 0.6 and 806 m on page 80.",
    "initials": "B. O. Martin and M. B. Obama wrote it; see b.o. and m.b.",
    "base64 of a picture": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
    "a git commit": "commit 2dd895e9b1f7a3c64d5e8f00112233445566778899 fixes it",
    "a UUID": "id 626f6d6a-2062-4f6d-8b6f-6d6200000000",
    "percent in prose": "100%25 of 62% and %6 of %zz",
    "entities in prose": "AT&T &amp; &lt;b&gt; &#9; &nbsp;om &unknown;",
    "a table of letters": "| b | o | n | d |\n| m | o | b | s |",
    "chemistry": "B-O-N-D and M-O-B are letters.",
    "Russian": "Как испечь хлеб дома? Тёплый день, мост и лампа.",
    "Greek": "Πώς να φτιάξω ψωμί στο σπίτι;",
    "code": "for b in o: m = b[0]; print(f'{b}{o}', m)",
    "a spaced heading": "B R E A D   R E C I P E",
    "bytes": "48 65 6c 6c 6f and 0x48 0x69 and \\x48\\x69",
    "a repeated letter": "Boooo, mbappe! Soooo good.",
}
