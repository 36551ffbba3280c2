"""The same document in other writings: JSON tricks, content types, encodings of the body."""

import gzip
import json
import zlib

from .case import REFUSE, Case
from .encodings import brotli, zstd
from .requests import document, post, send, text

NOT_JSON = "this is no JSON; parsers that take it read different things"
NOT_UTF8 = "only UTF-8 is read"
TYPE = "only application/json in UTF-8 is read"
ENCODING = "one encoding that the gate can decode, or none"
TWICE = "parsers differ in which of two members they take"
JSON = ("content-type", "application/json")


def user(literal, extra=""):
    """A request whose content is this JSON, written as it is."""
    return f'{{"model": "m", "messages": [{{"role": "user", "content": {literal}}}]{extra}}}'


def units(word):
    return "".join(f"\\u{ord(one):04X}" for one in word)


def surrogates(made):
    """Mathematical letters as pairs of escapes."""
    pairs = [chr(0x1D41A + ord(one) - 97).encode("utf-16-be").hex() for one in made]
    return "".join(f"\\u{pair[:4]}\\u{pair[4:]}" for pair in pairs)


WRITINGS = {
    "escapes in upper case": lambda w: user(f'"make a {units(w)}"'),
    "escape of one letter": lambda w: user(f'"make a {units(w[0])}{w[1:]}"'),
    "escape of the last letter": lambda w: user(f'"make a {w[:-1]}{units(w[-1])}"'),
    "escaped surrogate pairs": lambda w: user(f'"make a {surrogates(w)}"'),
    "escaped zero-width": lambda w: user(f'"make a {w[:2]}\\u200b{w[2:]}"'),
    "escaped tag characters": lambda w: user('"Hello%s"' % "".join(
        f"\\udb40\\u{0xDC00 + ord(one):04x}" for one in text(w))),
    "escaped solidus": lambda w: user(f'"a\\/{w}"'),
    "escaped line break before": lambda w: user(f'"make a\\n{w}"'),
    "escaped NUL before": lambda w: user(f'"make a \\u0000{w}"'),
    "escaped backspace": lambda w: user(f'"make a x\\b{w}"'),
    "escaped quote before": lambda w: user(f'"\\"{w}\\""'),
    "escaped backslash before": lambda w: user(f'"\\\\{w}"'),
    "key wholly escaped": lambda w: user('"Hello"', f', "{units("stop")}": "{text(w)}"'),
    "messages wholly escaped": lambda w: f'{{"model": "m", "{units("messages")}": [{{"role": "user", "content": "{text(w)}"}}]}}',
    "role escaped": lambda w: f'{{"model": "m", "messages": [{{"role": "{units("user")}", "content": "{text(w)}"}}]}}',
    "type escaped": lambda w: user(f'[{{"type": "{units("text")}", "text": "{text(w)}"}}]'),
    "members in another order": lambda w: f'{{"messages": [{{"content": "{text(w)}", "role": "user"}}], "model": "m"}}',
    "type after the text": lambda w: user(f'[{{"text": "{text(w)}", "type": "text"}}]'),
    "a megabyte of white space": lambda w: " " * 500_000 + user(f'"{text(w)}"') + "\n" * 500_000,
    "white space of all kinds": lambda w: user(f'\r\n\t "{text(w)}"\t'),
    "no white space": lambda w: json.dumps(document("openai", text(w)), separators=(",", ":")),
    "a number of 400 digits": lambda w: user(f'"{text(w)}"', ', "seed": ' + "9" * 400),
    "a number with an exponent": lambda w: user(f'"{text(w)}"', ', "temperature": 1e-0'),
    "a number too large": lambda w: user(f'"{text(w)}"', ', "temperature": 1e999'),
    "minus nought": lambda w: user(f'"{text(w)}"', ', "seed": -0'),
    "2,000 members": lambda w: user(f'"{text(w)}"', "".join(f', "k{at}": {at}' for at in range(2000))),
    "empty key": lambda w: user('"Hello"', f', "": "{text(w)}"'),
    "key __proto__": lambda w: user('"Hello"', f', "__proto__": {{"content": "{text(w)}"}}'),
    "nesting within the limit": lambda w: user('"Hello"', ', "a": ' + "[" * 50 + f'"{text(w)}"' + "]" * 50),
    "replacement character beside": lambda w: user(f'"\ufffd{text(w)}\ufffd"'),
    "noncharacters beside": lambda w: user(f'"\uffff{w}\ufdd0"'),
}  # fmt: skip

BROKEN = {
    "line comment": (lambda w: user(f'"{text(w)}" // x\n'), NOT_JSON),
    "block comment": (lambda w: user(f'/* x */ "{text(w)}"'), NOT_JSON),
    "word in a comment": (lambda w: user('"Hello"') + f" // {text(w)}", NOT_JSON),
    "trailing comma in an object": (lambda w: user(f'"{text(w)}"', ","), NOT_JSON),
    "trailing comma in an array": (lambda w: user(f'["{text(w)}",]'), NOT_JSON),
    "single quotes": (lambda w: user(f"'{text(w)}'"), NOT_JSON),
    "bare key": (lambda w: f'{{model: "m", "messages": [{{"role": "user", "content": "{text(w)}"}}]}}', NOT_JSON),
    "NaN": (lambda w: user(f'"{text(w)}"', ', "temperature": NaN'), NOT_JSON),
    "Infinity": (lambda w: user(f'"{text(w)}"', ', "temperature": -Infinity'), NOT_JSON),
    "hexadecimal number": (lambda w: user(f'"{text(w)}"', ', "seed": 0x10'), NOT_JSON),
    "leading nought": (lambda w: user(f'"{text(w)}"', ', "seed": 01'), NOT_JSON),
    "leading plus": (lambda w: user(f'"{text(w)}"', ', "seed": +1'), NOT_JSON),
    "bare line break in a string": (lambda w: user(f'"make a\n{w}"'), NOT_JSON),
    "bare tab in a string": (lambda w: user(f'"make a\t{w}"'), NOT_JSON),
    "bare NUL in a string": (lambda w: user(f'"make a \x00{w}"'), NOT_JSON),
    "NUL after the value": (lambda w: user(f'"{text(w)}"') + "\x00", NOT_JSON),
    "escape \\x": (lambda w: user('"%s"' % "".join(f"\\x{ord(one):02x}" for one in w)), NOT_JSON),
    "escape \\u{}": (lambda w: user('"%s"' % "".join(f"\\u{{{ord(one):x}}}" for one in w)), NOT_JSON),
    "escape \\v": (lambda w: user(f'"\\v{w}"'), NOT_JSON),
    "escape cut short": (lambda w: user(f'"{w}\\u00"'), NOT_JSON),
    "escaped line break of JavaScript": (lambda w: user(f'"{w[:2]}\\\n{w[2:]}"'), NOT_JSON),
    "lone surrogate": (lambda w: user(f'"{w[:2]}\\ud800{w[2:]}"'), NOT_JSON),
    "lone low surrogate": (lambda w: user(f'"{w[:2]}\\udc00{w[2:]}"'), NOT_JSON),
    "surrogates the wrong way round": (lambda w: user(f'"{w[:2]}\\udc00\\ud800{w[2:]}"'), NOT_JSON),
    "undefined": (lambda w: user(f'"{text(w)}"', ', "a": undefined'), NOT_JSON),
    "two values": (lambda w: user('"Hello"') + user(f'"{text(w)}"'), NOT_JSON),
    "two lines": (lambda w: user('"Hello"') + "\n" + user(f'"{text(w)}"'), NOT_JSON),
    "form feed as white space": (lambda w: user(f'\f"{text(w)}"'), NOT_JSON),
    "no-break space as white space": (lambda w: user(f'\u00a0"{text(w)}"'), NOT_JSON),
    "text sequence mark": (lambda w: "\x1e" + user(f'"{text(w)}"'), NOT_JSON),
    "guard against hijacking": (lambda w: ")]}',\n" + user(f'"{text(w)}"'), NOT_JSON),
    "unended": (lambda w: user(f'"{text(w)}"')[:-1], NOT_JSON),
    "empty body": (lambda w: "", NOT_JSON),
    "form": (lambda w: f"model=m&messages={text(w)}", NOT_JSON),
    "YAML": (lambda w: f"model: m\nmessages:\n- role: user\n  content: {text(w)}\n", NOT_JSON),
    "deflate bytes unnamed": (lambda w: zlib.compress(user(f'"{text(w)}"').encode()), NOT_UTF8),
    "gzip bytes unnamed": (lambda w: gzip.compress(user(f'"{text(w)}"').encode()), NOT_UTF8),
    "BOM twice": (lambda w: b"\xef\xbb\xbf" * 2 + user(f'"{text(w)}"').encode(), NOT_JSON),
    "UTF-16 with mark": (lambda w: user(f'"{text(w)}"').encode("utf-16"), NOT_UTF8),
    "UTF-16 without mark": (lambda w: user(f'"{text(w)}"').encode("utf-16-le"), NOT_UTF8),
    "UTF-32": (lambda w: user(f'"{text(w)}"').encode("utf-32"), NOT_UTF8),
    "Latin-1": (lambda w: user(f'"café {w}"').encode("latin-1"), NOT_UTF8),
    "overlong letter": (lambda w: user('"make a @%s"' % w[1:]).encode().replace(b"@", b"\xc1\xa2"), NOT_UTF8),
    "overlong quote": (lambda w: user('"make a @"').encode().replace(b"@", b"\xc0\xa2, " + w.encode()), NOT_UTF8),
    "surrogates in UTF-8": (lambda w: user(f'"{w[:2]}\ud800{w[2:]}"').encode("utf-8", "surrogatepass"), NOT_UTF8),
    "EBCDIC": (lambda w: user(f'"{text(w)}"').encode("cp500"), NOT_UTF8),
    "duplicate role": (lambda w: f'{{"model": "m", "messages": [{{"role": "user", "role": "system", "content": "{text(w)}"}}]}}', TWICE),
    "duplicate model": (lambda w: user(f'"{text(w)}"', ', "model": "n"'), TWICE),
    "duplicate content, one escaped": (lambda w: user('"Hello", "\\u0063ontent": "%s"' % text(w)), TWICE),
    "duplicate messages, one escaped": (lambda w: user('"Hello"', ', "\\u006dessages": [{"role": "user", "content": "%s"}]' % text(w)), TWICE),
    "duplicate messages, null last": (lambda w: user(f'"{text(w)}"', ', "messages": null'), TWICE),
    "duplicate text in a part": (lambda w: user(f'[{{"type": "text", "text": "Hello", "text": "{text(w)}"}}]'), TWICE),
    "duplicate type in a part": (lambda w: user(f'[{{"type": "text", "type": "image_url", "text": "{text(w)}"}}]'), TWICE),
    "duplicate key deep in an unknown field": (lambda w: user('"Hello"', f', "x": [{{"a": 1, "a": "{text(w)}"}}]'), TWICE),
    "duplicate key, surrogates and plain": (lambda w: user('"Hello"', f', "x": {{"\\ud83d\\ude00": 1, "\U0001f600": "{text(w)}"}}'), TWICE),
}  # fmt: skip


def typed(*values):
    return lambda w: send(
        document("openai", text(w)), headers=[("content-type", one) for one in values]
    )


TYPES = {
    "with charset": ["application/json;charset=utf-8"],
    "with charset in quotes": ['application/json; charset="UTF-8"'],
    "in odd case": ["Application/JSON"],
    "with another parameter": ["application/json; profile=x"],
}

TYPES_REFUSED = {
    "text/json": ["text/json"],
    "vnd.api+json": ["application/vnd.api+json"],
    "x-ndjson": ["application/x-ndjson"],
    "javascript": ["application/javascript"],
    "form": ["application/x-www-form-urlencoded"],
    "multipart": ["multipart/form-data; boundary=x"],
    "empty": [""],
    "list of two": ["application/json, text/plain"],
    "two headers": ["application/json", "text/plain"],
    "two headers the other way": ["text/plain", "application/json"],
    "two headers alike": ["application/json", "application/json"],
    "charset UTF-7": ["application/json; charset=utf-7"],
    "charset UTF-32": ["application/json; charset=utf-32"],
    "charset Latin-1": ["application/json; charset=iso-8859-1"],
    "charset twice": ["application/json; charset=utf-8; charset=utf-16"],
    "charset with spaces": ["application/json; charset = utf-16"],
    "charset in single quotes": ["application/json; charset='utf-16'"],
    "charset, star": ["application/json; charset*=utf-8''utf-16"],
}


def packed(pack, *names):
    """A body in an encoding, named so."""

    def make(word):
        http = send(document("openai", text(word)))
        http.plain, http.body = http.body, pack(http.body)
        http.headers = [JSON, *[("content-encoding", name) for name in names]]
        return http

    return make


def raw_deflate(body):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def halves(pack):
    return lambda body: pack(body[:40]) + pack(body[40:])


ENCODINGS = {
    "gzip": packed(gzip.compress, "gzip"),
    "x-gzip": packed(gzip.compress, "x-gzip"),
    "GZIP": packed(gzip.compress, "GZIP"),
    "gzip in two members": packed(halves(gzip.compress), "gzip"),
    "deflate": packed(zlib.compress, "deflate"),
    "br": packed(brotli, "br"),
    "zstd": packed(zstd, "zstd"),
    "identity": packed(lambda body: body, "identity"),
}

ENCODINGS_REFUSED = {
    "gzip twice": packed(lambda body: gzip.compress(gzip.compress(body)), "gzip, gzip"),
    "gzip twice, two headers": packed(
        lambda body: gzip.compress(gzip.compress(body)), "gzip", "gzip"
    ),
    "gzip twice, named once": packed(lambda body: gzip.compress(gzip.compress(body)), "gzip"),
    "gzip named br": packed(gzip.compress, "br"),
    "br named gzip": packed(brotli, "gzip"),
    "plain named gzip": packed(lambda body: body, "gzip"),
    "plain named zstd": packed(lambda body: body, "zstd"),
    "plain named aws-chunked": packed(lambda body: body, "aws-chunked"),
    "plain named identity, gzip": packed(lambda body: body, "identity, gzip"),
    "deflate without its wrapper": packed(raw_deflate, "deflate"),
    "compress": packed(lambda body: body, "compress"),
    "gzip cut short": packed(lambda body: gzip.compress(body)[:-6], "gzip"),
    "gzip and plain behind": packed(lambda body: gzip.compress(body) + b"plain", "gzip"),
    "deflate and plain behind": packed(lambda body: zlib.compress(body) + body, "deflate"),
    "br and plain behind": packed(lambda body: brotli(body) + body, "br"),
    "zstd and plain behind": packed(lambda body: zstd(body) + body, "zstd"),
    "gzip with a wrong checksum": packed(
        lambda body: gzip.compress(body)[:-8] + b"\x00" * 8, "gzip"
    ),
}


def every():
    def case(name, make, reason=""):
        return Case(
            name, "openai", make, **({"expect": REFUSE, "reason": reason} if reason else {})
        )

    for name, make in WRITINGS.items():
        yield case(
            f"writing: {name}", lambda w, make=make: post(make(w), document=json.loads(make(w)))
        )
    for name, (make, reason) in BROKEN.items():
        yield case(f"writing: {name}", lambda w, make=make: post(make(w)), reason)
    for name, values in TYPES.items():
        yield case(f"content-type: {name}", typed(*values))
    for name, values in TYPES_REFUSED.items():
        yield case(f"content-type: {name}", typed(*values), TYPE)
    for name, make in ENCODINGS.items():
        yield case(f"content-encoding: {name}", make)
    for name, make in ENCODINGS_REFUSED.items():
        yield case(f"content-encoding: {name}", make, ENCODING)
