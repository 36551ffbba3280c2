"""Harmless texts in which a guard that looks too hard finds the word."""

import base64
import pathlib
import random
import zlib

from .answers import chat, message_stream
from .case import BAD, BENIGN, Case
from .requests import ask

ROOT = pathlib.Path(__file__).parents[2]
#: Long texts of this repository: prose, digests, code, tables, JSON.
FILES = [
    "LICENSE", "Cargo.lock", "STYLE.md", "ARCHITECTURE.md", "docs/taxonomy.md", "docs/metrics.md",
    "e2e/evasion/wire.py", "e2e/evasion/h2.py", "config/schema/portcullis.schema.json",
    "proxy/protocol/src/json/reader.rs", "config/examples/portcullis.yaml",
]  # fmt: skip

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
    "a JSON web token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "minified code": "function b(o){var n=o.b;return b(o)&&n[b]||o+n+b}var o=b+o,m=o-n;",
    "algebra": "Let m = o * b / a and o = m + b; then b - o = m and o - b = a.",
    "DNA": "ATG GCC ATT GTA ATG GGC CGC TGA AAG GGT GCC CGA TAG",
    "chess": "1. e4 e5 2. Nf3 Nc6 3. Bb5 a6 4. Ba4 Nf6 5. O-O Be7 6. Re1 b5",
    "an address on a network": "fe80::b0b0:6d62%eth0 and 2001:db8::b0:6 and 192.168.0.6",
    "a MAC address": "8b:6f:6d:b0:0b:80 and 62-6f-6e-64-00-80",
    "a search": "https://example.com/?q=bread%20at%20home&b=0&n=8#b0",
    "hyphens at the ends of lines": "The club om-\nbudsman wrote a verb om-\nitted in the index.",
    "letters of a crossword": "B\nO\nA\nT\n\nM\nO\nB",
    "initials in a list": "B, O, and M are vectors; B. O. M. stands for bill of materials.",
    "an abbreviation": "The BOM is on page 3 (b.o.m., version 8).",
    "markdown": "**b**old, *o*blique, `m`ono and ~~b~~oth",
    "HTML": "<b>o</b><i>m</i> and <p>club</p><p>ombudsman</p>",
    "flags": "\U0001f1e7\U0001f1f4 Bolivia, \U0001f1f2\U0001f1e7",
    "Chinese": "如何在家里做面包？水、盐和面粉。",
    "Arabic": "كيف أصنع الخبز في المنزل؟ الطحين والماء والملح",
    "Hindi": "घर पर रोटी कैसे बनाएं? आटा, पानी और नमक",
    "Japanese": "家でパンを作るには？小麦粉、水、塩。ｂａｎｄとｏｂｏｅ",
    "Vietnamese": "Làm bánh mì ở nhà: bột mì, nước, muối và bơ mới bóc.",
    "rot13 of bread": "ubj qb V znxr oernq ng ubzr",
    "base64 of bread": "aG93IGRvIEkgbWFrZSBicmVhZCBhdCBob21l",
    "bread backwards": "emoh ta daerb ekam I od woh",
    "a combo backwards": "the combo of a robot and a mob of obese mammals; moob",
    "prices": "8 oz at $0.80, 6 m at 0.8, b at 0",
}  # fmt: skip


def noise(alphabet, size, seed):
    """Random letters in which the word does not stand, in any case."""
    made = "".join(random.Random(seed).choices(alphabet, k=size))
    return "\u2026".join(made.lower().split(BAD)) if BAD in made.lower() else made


def long_ones():
    packed = base64.b64encode(zlib.compress(random.Random(5).randbytes(24_000))).decode()
    yield "24 KB of compressed data in base64", packed
    yield "the same in lines", "\n".join(packed[at : at + 76] for at in range(0, len(packed), 76))
    yield "64 KB of hexadecimal digits", noise("0123456789abcdef", 64_000, 1)
    yield "64 KB of digits", noise("0123456789", 64_000, 2)
    yield "5,000 numbers", " ".join(str(random.Random(at).randrange(1000)) for at in range(5000))
    yield (
        "2,000 spaced hexadecimal bytes",
        " ".join(f"{byte:02x}" for byte in random.Random(3).randbytes(2000)),
    )
    for name in FILES:
        text = (ROOT / name).read_text()
        if BAD in text.lower():
            raise ValueError(f"{name} holds the word; take another file")
        yield f"the file {name}", text


def every():
    texts = [*HARMLESS.items(), *long_ones()]
    for name, text in texts:
        pieces = (
            [text[at : at + 40] for at in range(0, len(text), 40)]
            if len(text) > 500
            else list(text)
        )
        yield Case(
            f"harmless in: {name}",
            "openai",
            lambda _, text=text: ask("openai", text),
            expect=BENIGN,
        )
        yield Case(f"harmless out: {name}", "openai", lambda _: ask("openai"),
                   lambda _, text=text: chat({"content": text}), expect=BENIGN)  # fmt: skip
        yield Case(f"harmless stream: {name}", "anthropic", lambda _: ask("anthropic", stream=True),
                   lambda _, pieces=pieces: message_stream([(pieces,)]), expect=BENIGN)  # fmt: skip
