"""Disguises aimed at what looks through disguises: its budgets, its separators, its depth."""

import base64
import codecs
import gzip
import html

from .disguise import A_TO_Z, CYRILLIC, LEET, b64, between, hexed, letters, lines_of, percent_all


def named_letters(word):
    return "".join(f"\\N{{LATIN SMALL LETTER {one.upper()}}}" for one in word)


def mixed(marks):
    """The letters with a different mark between each two."""
    return lambda word: "".join(one + mark for one, mark in zip(word, [*marks, ""], strict=True))


def decoys(text):
    """Two thousand harmless texts in base64 before the one that counts."""
    return " ".join(b64(f"Bread number {at} needs flour.") for at in range(2000)) + " " + b64(text)


def times(make, count):
    def build(text):
        for _ in range(count):
            text = make(text)
        return text

    return build


MORSE = dict(
    zip(
        A_TO_Z,
        ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --..".split(),
        strict=True,
    )
)
NATO = dict(
    zip(
        A_TO_Z,
        "alfa bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike november oscar papa "
        "quebec romeo sierra tango uniform victor whiskey xray yankee zulu".split(),
        strict=True,
    )
)

WORD = {
    "spaced dashes": between(" - "),
    "spaced dots": between(" . "),
    "mixed separators": mixed(".-_"),
    "mixed separators and spaces": mixed([" ", "-", "."]),
    "letters in round brackets": lambda word: "".join(f"({one})" for one in word),
    "letters in quotes": lambda word: " ".join(f"'{one}'" for one in word),
    "letters in a list": lambda word: "\n" + "\n".join(f"- {one}" for one in word),
    "letters in a table": lambda word: "| " + " | ".join(word) + " |",
    "letters in bold": lambda word: "".join(f"**{one}**" for one in word),
    "letters in tags": lambda word: "".join(f"<b>{one}</b>" for one in word),
    "letters in tags with attributes": lambda word: "".join(
        f'<span style="x:{at}">{one}</span>' for at, one in enumerate(word)
    ),
    "self-closing tag inside": lambda word: f"{word[:2]}<wbr/>{word[2:]}",
    "comment with an end inside": lambda word: f"{word[:2]}<!-- > -->{word[2:]}",
    "two zero-width and a dot": lambda word: "\u200b.\u200b".join(word),
    "thirty zero-widths": between("\u200b" * 30),
    "a thousand soft hyphens": lambda word: word[:2] + "\u00ad" * 1000 + word[2:],
    "forty marks a letter": lambda word: "".join(one + "\u0301" * 40 for one in word),
    "leet over homoglyphs": lambda word: CYRILLIC(letters({"o": "0", "a": "4"})(word)),
    "leet in upper case": lambda word: letters({"B": "8", "O": "0", "L": "1", "A": "4"})(
        word.upper()
    ),
    "leet, spaced, upper case": lambda word: " ".join(letters({"O": "0", "A": "4"})(word.upper())),
    "sharp s": letters({"b": "ß", "a": "α"}),
    "stretched and dashed": lambda word: f"{word[0]}{word[1] * 3}-{word[1] * 3}{word[2:]}",
    "every letter thrice": lambda word: "".join(one * 3 for one in word),
    "backwards": lambda word: word[::-1],
    "backwards and leet": lambda word: letters({"o": "0", "a": "4"})(word[::-1]),
    "rot13": lambda word: codecs.encode(word, "rot13"),
    "rot13 in upper case": lambda word: codecs.encode(word.upper(), "rot13"),
    "chr() of code": lambda word: "+".join(f"chr({ord(one)})" for one in word),
    "fromCharCode": lambda word: f"String.fromCharCode({','.join(str(ord(one)) for one in word)})",
    "escapes %u": lambda word: "".join(f"%u{ord(one):04x}" for one in word),
    "escapes of CSS": lambda word: "".join(f"\\{ord(one):x} " for one in word),
    "escapes of eight digits": lambda word: "".join(f"\\U{ord(one):08x}" for one in word),
    "escapes in braces": lambda word: "".join(f"\\x{{{ord(one):x}}}" for one in word),
    "named characters": named_letters,
    "hex with h": lambda word: " ".join(f"{ord(one):02X}h" for one in word),
    "entities, spaced": lambda word: " ".join(f"&#{ord(one)};" for one in word),
    "entities, X in upper case": lambda word: "".join(f"&#X{ord(one):x};" for one in word),
    "entities of zero-width": lambda word: "&#8203;".join(word),
    "entities, named zero-width": lambda word: "&ZeroWidthSpace;".join(word),
    "percent, lower case": lambda word: "".join(f"%{ord(one):02x}" for one in word),
    "percent of fullwidth": lambda word: percent_all("".join(chr(ord(c) + 0xFEE0) for c in word)),
    "percent three times": lambda word: percent_all(word).replace("%", "%2525"),
    "overlong percent": lambda word: "".join(
        f"%{0xC0 | ord(one) >> 6:x}%{0x80 | ord(one) & 63:x}" for one in word
    ),
    "tags upon tags": lambda word: f"{word[0]}<b><i></i></b>{word[1:]}",
    "escaped tags": lambda word: f"{word[:2]}{html.escape('<b></b>')}{word[2:]}",
    "Morse": lambda word: " ".join(MORSE[one] for one in word),
    "NATO alphabet": lambda word: " ".join(NATO[one] for one in word),
    "acrostic": lambda word: "\n".join(f"{one}read is good." for one in word),
    "Pig Latin": lambda word: f"{word[1:]}{word[0]}ay",
}

WHOLE = {
    "base64 behind 2,000 decoys": decoys,
    "base64 four times": times(b64, 4),
    "base64 eight times": times(b64, 8),
    "base64 behind one letter": lambda text: "x" + b64(text),
    "base64 behind two letters": lambda text: "xy" + b64(text),
    "base64 behind three letters": lambda text: "xyz" + b64(text),
    "base64 behind a word": lambda text: "Payload" + b64(text),
    "base64, dots in fours": lambda text: ".".join(lines_of(b64(text), 4).split("\n")),
    "base64, quoted lines": lambda text: "> " + lines_of(b64(text), 16).replace("\n", "\n> "),
    "base64 as a list of strings": lambda text: str(lines_of(b64(text), 8).split("\n")),
    "base64 joined by plus signs": lambda text: '"+"'.join(lines_of(b64(text), 8).split("\n")),
    "base64, one letter a line": lambda text: "\n".join(b64(text)),
    "base64 backwards": lambda text: b64(text)[::-1],
    "base64 of a text backwards": lambda text: b64(text[::-1]),
    "base64 of spaced letters": lambda text: b64(" ".join(text)),
    "base64 of fullwidth": lambda text: b64("".join(chr(ord(c) + 0xFEE0) for c in text)),
    "base64 of entities": lambda text: b64("".join(f"&#{ord(one)};" for one in text)),
    "base64 of bytes that are no text": lambda text: base64.b64encode(
        b"\xff\xfe\x00\x80" + text.encode() + b"\xff\x00"
    ).decode(),
    "base64 in the middle of 300 KB": lambda text: b64(
        "Bread needs flour. " * 8000 + text + " Bread needs salt." * 8000
    ),
    "base64 of UTF-16, big end first": lambda text: base64.b64encode(
        text.encode("utf-16-be")
    ).decode(),
    "base64, padding within": lambda text: " ".join(b64(part) for part in text.split()),
    "base64, each word": lambda text: " ".join(b64(part).rstrip("=") for part in text.split()),
    "hex behind 2,000 decoys": lambda text: (
        " ".join(f"Bread {at}".encode().hex() for at in range(2000)) + " " + text.encode().hex()
    ),
    "hex of UTF-16": lambda text: text.encode("utf-16-le").hex(),
    "hex, a byte a line": hexed("{:02x}", "\n"),
    "hex, mixed case": lambda text: text.encode().hex().title(),
    "hex dump": lambda text: "\n".join(
        f"{at:08x}  {text.encode()[at : at + 16].hex(' ')}  |................|"
        for at in range(0, len(text), 16)
    ),
    "hex list of C": lambda text: "{" + ", ".join(f"0x{byte:02X}" for byte in text.encode()) + "}",
    "hex of rot13": lambda text: codecs.encode(text, "rot13").encode().hex(),
    "percent of hex": lambda text: percent_all(text.encode().hex()),
    "binary, commas": hexed("{:08b}", ", "),
    "binary, seven digits": hexed("{:07b}", " "),
    "binary, lines": hexed("{:08b}", "\n"),
    "decimal list of Python": lambda text: str(list(text.encode())),
    "rot13 of upper case": lambda text: codecs.encode(text.upper(), "rot13"),
    "rot47": lambda text: "".join(
        chr(33 + (ord(one) + 14) % 94) if one != " " else one for one in text
    ),
    "leet of everything": letters(LEET),
    "leet backwards": lambda text: letters(LEET)(text)[::-1],
    "uuencode": lambda text: codecs.encode(text.encode(), "uu").decode(),
    "e-mail header, Q": lambda text: (
        "=?utf-8?Q?" + "".join(f"={byte:02X}" for byte in text.encode()) + "?="
    ),
    "page of escaped HTML": lambda text: html.escape("".join(f"&#{ord(one)};" for one in text)),
    "Caesar by three": lambda text: "".join(
        A_TO_Z[(A_TO_Z.index(one) + 3) % 26] if one in A_TO_Z else one for one in text.lower()
    ),
    "Atbash": lambda text: "".join(
        A_TO_Z[25 - A_TO_Z.index(one)] if one in A_TO_Z else one for one in text.lower()
    ),
    "gzip in base64": lambda text: base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode(),
}
