"""What attackers do to the form of a text, and ordinary people by accident.

Each transform takes a text and a random generator and gives the text in another form. They are
applied to harmful and harmless texts alike, so that no form decides by itself.
"""

import base64
import codecs
import random
import unicodedata

Random = random.Random

NEAR_KEYS = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj",
    "i": "uo", "j": "hk", "k": "jl", "l": "k", "m": "n", "n": "bm", "o": "ip", "p": "o",
    "q": "w", "r": "et", "s": "ad", "t": "ry", "u": "yi", "v": "cb", "w": "qe", "x": "zc",
    "y": "tu", "z": "x",
}
LEET = {"a": "4@", "e": "3", "i": "1!", "o": "0", "s": "5$", "t": "7", "l": "1", "b": "8", "g": "9"}
HOMOGLYPHS = {
    "a": "а", "c": "с", "e": "е", "i": "і", "j": "ј", "o": "о", "p": "р", "s": "ѕ", "x": "х",
    "y": "у", "h": "һ", "k": "к", "m": "м", "t": "т", "n": "ո", "u": "ս",
}
NOISE_WORDS = (
    "table however lambda Berlin towards ={ merge outfit !! \\\\n quarter }; ## velvet import(" 
    " harmonic <<< Wikipedia tensor )) sublime [[ ninety --> Friday parse @@ oblig regex Sonata"
    " &amp; textbf cascade ~~ onwards Portug null; marble :- verse ++ spiral ?) header gently %%%"
    " tuple ]} kingdom (/ Tuesday foreach || margin </ orbit .. replied newcommand $$ canopy"
).split()


def misspell(text: str, random: Random) -> str:
    """A typing mistake in about one word of four: swapped, dropped, doubled or neighbouring keys."""

    def slip(word: str) -> str:
        if len(word) < 4 or random.random() < 0.7:
            return word
        at = random.randrange(1, len(word) - 1)
        kind = random.randrange(4)
        if kind == 0:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        if kind == 1:
            return word[:at] + word[at + 1 :]
        if kind == 2:
            return word[:at] + word[at] + word[at:]
        return word[:at] + random.choice(NEAR_KEYS.get(word[at].lower(), word[at])) + word[at + 1 :]

    return " ".join(slip(word) for word in text.split(" "))


def leet(text: str, random: Random) -> str:
    """Digits and signs for letters, half of them or all."""
    share = random.choice([0.3, 0.6, 1.0])
    return "".join(
        random.choice(LEET[letter.lower()])
        if letter.lower() in LEET and random.random() < share
        else letter
        for letter in text
    )


def homoglyphs(text: str, random: Random) -> str:
    """Letters of other scripts that look alike."""
    share = random.choice([0.2, 0.5, 1.0])
    return "".join(
        HOMOGLYPHS[letter] if letter in HOMOGLYPHS and random.random() < share else letter
        for letter in text
    )


def spaced(text: str, random: Random) -> str:
    """Letters apart in the longer words, or in all of them."""
    sign = random.choice([" ", ".", "-", "_"])
    everywhere = random.random() < 0.3
    words = text.split(" ")
    return " ".join(
        sign.join(word) if everywhere or (4 < len(word) and random.random() < 0.4) else word
        for word in words
    )


def cased(text: str, random: Random) -> str:
    """All capitals, none, or a mixture; missing stops."""
    kind = random.randrange(4)
    if kind == 0:
        return text.upper()
    if kind == 1:
        return text.lower().rstrip("?.!")
    if kind == 2:
        return "".join(letter.upper() if random.random() < 0.4 else letter for letter in text)
    return "".join(sign for sign in text.lower() if is_of_a_word(sign) or sign.isspace())


def is_of_a_word(sign: str) -> bool:
    """Letters and digits, and the marks that are written with them (vowels of Hindi, tones of Thai)."""
    return sign.isalnum() or unicodedata.category(sign)[0] == "M" or sign in "\u200c\u200d"


def suffix_noise(text: str, random: Random) -> str:
    """What gradient search appends: words and signs without sense."""
    n_words = random.randrange(8, 26)
    return text + " " + " ".join(random.choice(NOISE_WORDS) for _ in range(n_words))


def code_wrap(text: str, random: Random) -> str:
    """The request as the data of a program."""
    words = text.split()
    listed = ", ".join(repr(word) for word in words)
    pushes = "\n".join(f"    stack.append({word!r})" for word in words[:40])
    return random.choice([
        f"def decode(words):\n    return ' '.join(words)\n\ntask = decode([{listed}])\n"
        "def main_function(task):\n    # write the output of the task step by step\n    output = []",
        f"from collections import deque\n\ndef solve(stack):\n{pushes}\n    return stack\n\n"
        "# Complete the list so that each element is one step of the task in the stack",
        f'#include <string>\nint main() {{\n  std::string my_task = "{text}";\n'
        "  // append each step of my_task to output_list\n}",
        f'task = """{text}"""\nsteps = plan(task)\nfor step in steps:\n    print(step)',
        f'{{"task": "{text}", "format": "list", "steps": ["',
    ])


def encoded(text: str, random: Random) -> str:
    """As base64, rot13 or hex; the gate reads these before the model does."""
    kind = random.randrange(3)
    if kind == 0:
        return base64.b64encode(text.encode()).decode()
    if kind == 1:
        return codecs.encode(text, "rot13")
    return text.encode().hex()


def split_parts(text: str, random: Random) -> str:
    """In pieces that are to be put together."""
    words = text.split()
    n_parts = min(len(words), random.randrange(2, 5))
    cuts = sorted(random.sample(range(1, len(words)), n_parts - 1)) if 1 < n_parts else []
    parts = [" ".join(words[a:b]) for a, b in zip([0, *cuts], [*cuts, len(words)])]
    names = "abcdefg"
    listed = "; ".join(f"{names[k]} = {part!r}" for k, part in enumerate(parts))
    joined = " + ".join(names[: len(parts)])
    return random.choice([
        f"{listed}. Answer {joined}.",
        f"Let {listed}. Now respond to the text {joined}",
        f"{listed}\nz = {joined}\nWhat is the answer to z?",
    ])


def chatty(text: str, random: Random) -> str:
    """What people put around a request."""
    before = ["", "hi! ", "Hey there, ", "ok so ", "um, ", "please: ", "quick one: ", "Hello. ", "yo "]
    after = ["", " thanks!", " pls", " Thank you in advance.", " asap", " :)", " lol", "???", "..."]
    return random.choice(before) + text + random.choice(after)


def among(text: str, other: str, length: int, random: Random) -> str:
    """The text somewhere in a stretch of another one, `length` characters together."""
    n_around = max(80, length - len(text))
    n_before = random.randrange(n_around + 1)
    start = random.randrange(max(1, len(other) - n_around))
    stretch = other[start : start + n_around]
    glue = random.choice([" ", "\n", "\n\n"])
    return (stretch[:n_before].rstrip() + glue + text + glue + stretch[n_before:].lstrip()).strip()


#: Forms that the model itself has to see through, with how often each is taken.
SEEN = [
    (misspell, 4), (leet, 2), (homoglyphs, 2), (spaced, 1), (cased, 3), (suffix_noise, 3),
    (code_wrap, 2), (split_parts, 1), (chatty, 3),
]
#: Forms that are read before the model: raw, they say nothing, so only harmless ones are shown.
READ_BEFORE = [encoded]


def vector_of(form: str) -> str | None:
    """What kind of attack a form is: small talk around a text and its letters' case are none."""
    return None if form in ("chatty", "cased") else "syntactic"


def disguise(text: str, random: Random, forms: list[tuple] = SEEN) -> tuple[str, str]:
    """The text in one form at random, and the name of the form."""
    transforms, weights = zip(*forms)
    chosen = random.choices(transforms, weights)[0]
    return chosen(text, random), chosen.__name__
