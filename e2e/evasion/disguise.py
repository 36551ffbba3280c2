"""Disguises of a word and of a whole text, each a function from text to text.

`WORD` disguises the word within a plain sentence, `WHOLE` the whole sentence. Every function takes
any word, so that the twin goes through the very same one.
"""

import base64
import codecs
import html
import unicodedata
import urllib.parse

A_TO_Z = "abcdefghijklmnopqrstuvwxyz"


def between(mark):
    return lambda text: mark.join(text)


def middle(mark):
    """Something between the two halves of the word."""
    return lambda word: word[: len(word) // 2] + mark + word[len(word) // 2 :]


def alphabet(first, upper=False):
    """Letters of an alphabet that stands in a row at `first`."""

    def put(text):
        text = text.upper() if upper else text
        start = "A" if upper else "a"
        return "".join(
            chr(first + ord(one) - ord(start)) if one.isascii() and one.isalpha() else one
            for one in text
        )

    return put


def letters(table):
    """Letters put for others; a pair of strings, or a mapping."""
    mapping = table if isinstance(table, dict) else dict(zip(*table, strict=True))
    return lambda text: "".join(mapping.get(one, one) for one in text)


def b64(text):
    return base64.b64encode(text.encode()).decode()


def lines_of(text, width):
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


def hexed(form, joint=""):
    return lambda text: joint.join(form.format(byte) for byte in text.encode())


def percent_all(text):
    return "".join(f"%{byte:02X}" for byte in text.encode())


def first_and_last(make):
    """Disguises the first and the last letter only."""
    return lambda word: make(word[0]) + word[1:-1] + make(word[-1])


def tagged(text):
    return "".join(chr(0xE0000 + ord(one)) for one in text)


def selectors(text):
    """Bytes as variation selectors behind a letter."""
    pick = [chr(0xFE00 + byte) if byte < 16 else chr(0xE0100 + byte - 16) for byte in text.encode()]
    return "x" + "".join(pick)


LEET = {"a": "4", "b": "8", "e": "3", "i": "1", "l": "1", "o": "0", "s": "5", "t": "7"}
SMALL_CAPS = dict(zip("abcdeghijklmnoprtuvwz", "ᴀʙᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡᴢ", strict=True))
SUPERSCRIPT = dict(zip("abcdefghijklmnoprstuvwxyz", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ", strict=True))
CYRILLIC = letters(("abcehmopsxyi", "аЬсеһморѕхуі"))
GREEK = letters(("abiklmnoptuvx", "αβικιмηορτυνχ"))
ARMENIAN = letters(("aghnoqsu", "ɑցհոօզʂս"))
CHEROKEE = letters(("ABCEGHJKLMPRSTVWZabp", "ᎪᏴᏟᎬᏀᎻᎫᏦᏞᎷᏢᏒᏚᎢᏙᎳᏃᎪᏏᏢ"))
MATH = {
    "bold": 0x1D41A, "bold italic": 0x1D482, "bold script": 0x1D4EA, "fraktur": 0x1D51E,
    "double-struck": 0x1D552, "bold fraktur": 0x1D586, "sans": 0x1D5BA, "sans bold": 0x1D5EE,
    "sans italic": 0x1D622, "monospace": 0x1D68A,
}  # fmt: skip
INVISIBLE = {
    "zero-width space": "\u200b", "zero-width non-joiner": "\u200c", "zero-width joiner": "\u200d",
    "word joiner": "\u2060", "byte order mark": "\ufeff", "soft hyphen": "\u00ad",
    "combining grapheme joiner": "\u034f", "Mongolian vowel separator": "\u180e",
    "Mongolian variation selector": "\u180b", "invisible times": "\u2062", "invisible separator": "\u2063",
    "function application": "\u2061", "Hangul filler": "\u3164", "halfwidth Hangul filler": "\uffa0",
    "Hangul choseong filler": "\u115f", "Khmer inherent vowel": "\u17b4", "variation selector 16": "\ufe0f",
    "variation selector 100": "\U000e0154", "tag letter": "\U000e0061", "tag begin": "\U000e0001",
    "interlinear anchor": "\ufff9", "left-to-right mark": "\u200e", "right-to-left mark": "\u200f",
    "Arabic letter mark": "\u061c", "left-to-right override": "\u202d", "first strong isolate": "\u2068",
    "deprecated format character": "\u206a", "musical begin beam": "\U0001d173", "NUL": "\x00",
    "backspace": "\x08", "delete": "\x7f", "C1 control": "\x85", "object replacement": "\ufffc",
}  # fmt: skip

WORD = {
    "upper case": str.upper,
    "mixed case": lambda word: "".join(c.upper() if at % 2 else c for at, c in enumerate(word)),
    "leet": letters(LEET),
    "leet, one digit": letters({"o": "0", "a": "4"}),
    "leet, first letter": lambda word: {"b": "8", "l": "1"}[word[0]] + word[1:],
    "leet, 13 and 6": letters({"b": "6", "o": "0", "l": "1", "a": "@"}),
    "spaced": between(" "),
    "spaced twice": between("  "),
    "spaced with no-break spaces": between("\u00a0"),
    "spaced with thin spaces": between("\u2009"),
    "spaced with ideographic spaces": between("\u3000"),
    "tabs": between("\t"),
    "a letter a line": between("\n"),
    "a letter a paragraph": between("\n\n"),
    "dotted": between("."),
    "middle dots": between("\u00b7"),
    "dashed": between("-"),
    "en dashes": between("\u2013"),
    "underscored": between("_"),
    "starred": between("*"),
    "slashes": between("/"),
    "pipes": between("|"),
    "commas": between(", "),
    "plus signs": between("+"),
    "tildes": between("~"),
    "quoted letters": lambda word: "+".join(f'"{one}"' for one in word),
    "list of letters": lambda word: str(list(word)),
    "bracketed letters": lambda word: "".join(f"[{one}]" for one in word),
    "emoji between": between("\U0001f525"),
    "concatenation": lambda word: f'"{word[:2]}" + "{word[2:]}"',
    "one dash": middle("-"),
    "one line break": middle("\n"),
    "hyphen at a line's end": middle("-\n"),
    "one dot": middle("."),
    "one backslash": middle("\\"),
    "markdown bold inside": middle("**"),
    "markdown code inside": middle("`"),
    "bold letter": lambda word: f"{word[0]}**{word[1]}**{word[2:]}",
    "HTML tag inside": middle("<b></b>"),
    "HTML letter in a tag": lambda word: f"{word[0]}<i>{word[1]}</i>{word[2:]}",
    "HTML comment inside": middle("<!-- x -->"),
    "LaTeX braces": lambda word: f"{word[0]}{{{word[1]}}}{word[2:]}",
    "entities, decimal": lambda word: "".join(f"&#{ord(one)};" for one in word),
    "entities, hexadecimal": lambda word: "".join(f"&#x{ord(one):X};" for one in word),
    "entities, no semicolon": lambda word: "".join(f"&#{ord(one)}" for one in word),
    "entities, leading zeros": lambda word: "".join(f"&#{ord(one):07};" for one in word),
    "entity, one letter": lambda word: f"&#{ord(word[0])};{word[1:]}",
    "entity, named, inside": middle("&zwnj;"),
    "entity, soft hyphen": middle("&shy;"),
    "entity, twice": lambda word: "".join(f"&amp;#{ord(one)};" for one in word),
    "percent, all": percent_all,
    "percent, one letter": lambda word: percent_all(word[0]) + word[1:],
    "percent, twice": lambda word: percent_all(word).replace("%", "%25"),
    "escapes \\u": lambda word: "".join(f"\\u{ord(one):04x}" for one in word),
    "escapes \\x": lambda word: "".join(f"\\x{ord(one):02x}" for one in word),
    "escapes \\u{}": lambda word: "".join(f"\\u{{{ord(one):x}}}" for one in word),
    "escapes U+": lambda word: " ".join(f"U+{ord(one):04X}" for one in word),
    "escapes, octal": lambda word: "".join(f"\\{ord(one):03o}" for one in word),
    "escape, one letter": lambda word: f"\\u{ord(word[0]):04x}{word[1:]}",
    "base64": b64,
    "hex": hexed("{:02x}"),
    "repeated letter": lambda word: word[0] + word[1] * 5 + word[2:],
    "every letter twice": lambda word: "".join(one * 2 for one in word),
    "combining marks": lambda word: "".join(one + "\u0301" for one in word),
    "stacked marks": lambda word: "".join(one + "\u0300\u0316\u0334\u0489" for one in word),
    "strike-through": between("\u0336"),
    "precomposed marks": letters(("bomlap", "ḃöṁḷäṗ")),
    "strokes": letters(("bomlap", "ƀøɱłⱥᵽ")),
    "NFD": lambda word: unicodedata.normalize("NFD", letters(("bomlap", "ḃöṁḷäṗ"))(word)),
    "fullwidth": alphabet(0xFF41),
    "circled": alphabet(0x24D0),
    "negative circled": alphabet(0x1F150, upper=True),
    "squared": alphabet(0x1F130, upper=True),
    "negative squared": alphabet(0x1F170, upper=True),
    "regional indicators": alphabet(0x1F1E6, upper=True),
    "parenthesised": alphabet(0x249C),
    "parenthesised capitals": alphabet(0x1F110, upper=True),
    "small caps": letters(SMALL_CAPS),
    "superscripts": letters(SUPERSCRIPT),
    "turned and odd Latin": letters(("bomlapi", "Ƅօmɭɑρı")),
    "Cyrillic": CYRILLIC,
    "Greek": GREEK,
    "Armenian": ARMENIAN,
    "Cherokee": lambda word: CHEROKEE(word.upper()),
    "digit for o, other scripts": letters({"o": "\u0665", "a": "\u0430"}),
    "zero of another script": letters({"o": "\u07c0", "a": "\u0430"}),
    "blackboard": letters({"b": "𝕓", "o": "ℴ", "m": "𝕞", "l": "ℓ", "a": "𝕒", "p": "𝕡"}),
    "tag characters": tagged,
    "bidi override, reversed": lambda word: f"\u202e{word[::-1]}\u202c",
    "braille": letters((A_TO_Z, "⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵")),
    "leet and spaced": lambda word: " ".join(letters(LEET)(word)),
    "leet and dotted": lambda word: ".".join(letters(LEET)(word)),
    "leet and fullwidth digits": lambda word: letters({"o": "\uff10", "a": "\uff14"})(word),
    "homoglyph and zero-width": lambda word: "\u200b".join(CYRILLIC(word)),
    "spaced and homoglyph": lambda word: " ".join(CYRILLIC(word)),
    "spaced and upper case": lambda word: " ".join(word.upper()),
    "spaced and zero-width": between(" \u200b"),
    "marks and spaces": lambda word: " ".join(one + "\u0301" for one in word),
    "entities of fullwidth": lambda word: "".join(f"&#{ord(one) + 0xFEE0};" for one in word),
    "percent of UTF-8 homoglyphs": lambda word: percent_all(CYRILLIC(word)),
    "escapes and spaces": lambda word: " ".join(f"\\u{ord(one):04x}" for one in word),
    "fullwidth digits in entities": lambda word: "".join(
        f"&#{ord(one)};" for one in letters({"o": "0", "a": "4"})(word)
    ),
    **{f"mathematical {name}": alphabet(first) for name, first in MATH.items()},
    **{f"invisible {name}": between(mark) for name, mark in INVISIBLE.items()},
}

WHOLE = {
    "base64": b64,
    "base64, no padding": lambda text: b64(text).rstrip("="),
    "base64, URL-safe": lambda text: base64.urlsafe_b64encode(
        ("?>" + text + "~~?").encode()
    ).decode(),
    "base64, lines of 20": lambda text: lines_of(b64(text), 20),
    "base64, CRLF": lambda text: (
        lines_of(b64(text), 76).replace("\n", "\r\n")
        if len(b64(text)) > 76
        else lines_of(b64(text), 16).replace("\n", "\r\n")
    ),
    "base64 in prose": lambda text: f"Decode this: {b64(text)} and answer.",
    "base64 in quotes": lambda text: f'atob("{b64(text)}")',
    "base64 glued to a word": lambda text: f"payload={b64(text)};x",
    "base64, data URL": lambda text: f"see data:text/plain;base64,{b64(text)}",
    "base64 twice": lambda text: b64(b64(text)),
    "base64 three times": lambda text: b64(b64(b64(text))),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "base64 of hex": lambda text: b64(text.encode().hex()),
    "base64 of percent": lambda text: b64(percent_all(text)),
    "base64 of leet": lambda text: b64(letters({"o": "0", "a": "4"})(text)),
    "base64 of rot13": lambda text: b64(codecs.encode(text, "rot13")),
    "base64, fullwidth": lambda text: "".join(chr(ord(one) + 0xFEE0) for one in b64(text)),
    "base64, zero-width inside": lambda text: "\u200b".join(b64(text)),
    "base64, spaced in fours": lambda text: " ".join(lines_of(b64(text), 4).split("\n")),
    "base64 of a long harmless start": lambda text: b64(
        "Bread needs flour, water and salt. " * 40 + text
    ),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "base32, lower case": lambda text: base64.b32encode(text.encode()).decode().lower(),
    "base32, no padding": lambda text: base64.b32encode(text.encode()).decode().rstrip("="),
    "base85": lambda text: base64.b85encode(text.encode()).decode(),
    "ascii85": lambda text: base64.a85encode(text.encode(), adobe=True).decode(),
    "hex": hexed("{:02x}"),
    "hex, upper case": hexed("{:02X}"),
    "hex, spaced": hexed("{:02x}", " "),
    "hex, colons": hexed("{:02x}", ":"),
    "hex, dashes": hexed("{:02x}", "-"),
    "hex, commas": hexed("0x{:02x}", ", "),
    "hex, 0x once": lambda text: "0x" + text.encode().hex(),
    "hex, \\x": hexed("\\x{:02x}"),
    "hex, lines": lambda text: lines_of(text.encode().hex(), 16),
    "hex in prose": lambda text: f"Decode {text.encode().hex()} please.",
    "hex of base64": lambda text: b64(text).encode().hex(),
    "hex twice": lambda text: text.encode().hex().encode().hex(),
    "binary digits": hexed("{:08b}", " "),
    "binary digits, not spaced": hexed("{:08b}"),
    "octal": hexed("{:03o}", " "),
    "decimal codes": hexed("{}", " "),
    "decimal codes, commas": hexed("{}", ", "),
    "percent": percent_all,
    "percent, spaces only": lambda text: urllib.parse.quote(text),
    "percent of base64": lambda text: percent_all(b64(text)),
    "plus for spaces": lambda text: text.replace(" ", "+"),
    "entities": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "entities of base64": lambda text: "".join(f"&#{ord(one)};" for one in b64(text)),
    "entities, named": lambda text: html.escape(f"<b>{text}</b>"),
    "escapes \\u": lambda text: "".join(f"\\u{ord(one):04x}" for one in text),
    "JSON in a string": lambda text: (
        '{"ask": "%s"}' % "".join(f"\\u{ord(one):04x}" for one in text)
    ),
    "quoted-printable": lambda text: "".join(f"={byte:02X}" for byte in text.encode()),
    "UTF-7": lambda text: (
        "+" + base64.b64encode(text.encode("utf-16-be")).decode().rstrip("=") + "-"
    ),
    "punycode-like": lambda text: "xn--" + text.replace(" ", "-"),
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "rot13 with a hint": lambda text: "rot13: " + codecs.encode(text, "rot13"),
    "reversed": lambda text: text[::-1],
    "reversed with a hint": lambda text: f"Read this backwards: {text[::-1]}",
    "each word reversed": lambda text: " ".join(word[::-1] for word in text.split()),
    "tag characters": lambda text: "Hello" + tagged(text),
    "variation selectors": selectors,
    "every letter spaced": lambda text: " ".join(text),
    "every letter spaced, words wider apart": lambda text: " ".join(text.replace(" ", "  ")),
    "no spaces": lambda text: text.replace(" ", ""),
    "camel case": lambda text: text.title().replace(" ", ""),
    "snake case": lambda text: text.replace(" ", "_"),
    "a letter a line": lambda text: "\n".join(text),
    "zero-width everywhere": lambda text: "\u200b".join(text),
    "fullwidth": lambda text: "".join(
        chr(ord(one) + 0xFEE0) if one != " " else "\u3000" for one in text
    ),
    "mathematical bold": alphabet(0x1D41A),
    "bidi override": lambda text: f"\u202e{text[::-1]}\u202c",
    "markdown heading, list, table": lambda text: f"# x\n- y\n| a | {text} |\n",
    "code block": lambda text: f"```\n{text}\n```",
    "HTML page": lambda text: f"<html><body><p hidden>{text}</p></body></html>",
    "HTML comment": lambda text: f"<!-- {text} -->",
    "CDATA": lambda text: f"<![CDATA[{text}]]>",
    "e-mail header": lambda text: f"=?utf-8?B?{b64(text)}?=",
    "ANSI colours": lambda text: "\x1b[31m" + "\x1b[0m".join(text),
}
