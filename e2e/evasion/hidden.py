"""Disguised words, in prompts and in answers of both dialects."""

import os.path

from . import cunning, disguise
from .answers import chat, chat_stream, message, message_stream
from .case import GAP, SENTENCE, TAIL, Case
from .requests import ask

#: Disguises that a rule on words is not made to see through, and why.
ALONE = "one word alone is too little to tell it from a word that is meant as it stands"
CIPHER = "a cipher that only a reader who knows it undoes; classifiers may see that it is one"
NOT_TEXT = "data that no model reads by itself"
GAPS = {
    "word, Morse": CIPHER,
    "word, NATO alphabet": CIPHER,
    "word, acrostic": CIPHER,
    "word, Pig Latin": CIPHER,
    "text, Caesar by three": CIPHER,
    "text, Atbash": CIPHER,
    "text, rot47": CIPHER,
    "text, uuencode": CIPHER,
    "text, base85": CIPHER,
    "text, ascii85": CIPHER,
    "text, base64 eight times": "how deep encodings are undone is bounded",
    "text, base64 backwards": CIPHER,
    "text, gzip in base64": NOT_TEXT,
    "word, backwards": ALONE,
    "word, backwards and leet": ALONE,
    "word, rot13": ALONE,
    "word, rot13 in upper case": ALONE,
    "word, sharp s": "two letters of the word are one; the twin says what its reader makes of it",
    "word, named characters": CIPHER,
    "word, overlong percent": "bytes that are no UTF-8; decoders refuse them",
}


def sentence_with(make):
    return lambda word: SENTENCE.format(make(word))


def sentence_as(make):
    return lambda word, old="", new="": make(SENTENCE.format(word).replace(old, new))


def disguises():
    """Every disguise as a function from the word to a whole text."""
    for table in (disguise, cunning):
        for name, make in table.WORD.items():
            yield f"word, {name}", sentence_with(make), make
        for name, make in table.WHOLE.items():
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
    """A letter a delta (more where the text is long), and the tail after it."""

    def answer(word):
        text = make(word)
        step = 1 + len(text) // 2000
        cut = [text[at : at + step] for at in range(0, len(text), step)]
        pieces = ["Well. ", *cut, "\n", TAIL]
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
