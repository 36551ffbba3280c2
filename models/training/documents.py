"""Cuts passages of free documentation in many languages, as harmless texts to learn from.

    python documents.py --out build/documents.jsonl.gz

People paste manuals, handbooks and stories into a chat, in any language, and in some languages the
corpus has few harmless texts but harmful ones. The passages come from packages of Debian
(`apt-get download`, which needs no rights); nothing of them is part of the guard or of this
repository. Packages of `DEV` are for the dev rows alone.
"""

import argparse
import gettext
import gzip
import html
import random
import re
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

from compose import harmless
from devset import write

#: Packages of one language have it after a hyphen; others have a folder for each of theirs.
LANGUAGES = "cs da de el es fi fr hu id it ja mk nb nl pl pt-br ro ru sr sv tr uk vi zh".split()
TRAIN = [
    *(f"manpages-{lang}" for lang in LANGUAGES),
    *(f"debian-reference-{lang}" for lang in "en es fr it ja pt zh-cn".split()),
    "manpages-dev", "python3.11-doc", "linux-doc-6.1", "git-doc", "postgresql-doc-15", "apache2-doc",
    "gnome-user-docs", "installation-guide-amd64", "debian-handbook", "wesnoth-1.16-data", "anarchism",
]
DEV = [
    "harden-doc", "debian-faq", *(f"debian-faq-{lang}" for lang in "de fr it ja ko nl pt ru zh-cn".split()),
    *(f"aptitude-doc-{lang}" for lang in "es fi fr it ja nl ru".split()), "fortunes", "erlang-doc",
]
#: Passages of one package in one language; English has that many times `ENGLISH`.
MOST = 150
ENGLISH = 4
#: Characters of a passage.
LENGTHS = [250, 500, 1000, 1600]
#: Of what is cut, so much are letters.
LETTERS = 0.55
#: A folder that says the language of what is in it.
FOLDER = re.compile(
    r"/(?:debian-handbook/html|harden-doc/html|manual|help|man|locale|installation-guide-amd64)"
    r"/([a-z]{2})(?:[-_@][A-Za-z]+)?/"
)
#: A package's name that does.
SUFFIX = re.compile(r"-([a-z]{2})(?:-[a-z]{2})?$")
#: The same in the name of a page.
PAGE = re.compile(r"\.([a-z]{2})(?:[-_][a-z]+)?\.html$")


def of_html(page: str) -> str:
    page = re.sub(r"(?is)<(script|style|nav|head)\b.*?</\1>", "", page)
    page = re.sub(r"(?i)</?(p|div|li|h\d|tr|dt|dd|pre|br|section|title|table|ul|ol)\b[^>]*>", "\n", page)
    return html.unescape(re.sub(r"<[^>]+>", "", page)).replace("¶", "")


def of_man(page: str) -> str:
    """A manual page without its typesetting."""
    lines = []
    for line in page.splitlines():
        if line.startswith((".\\\"", "'\\\"")):
            continue
        if re.match(r"\.(PP|P|LP|TP|IP|sp|SH|SS)\b", line):
            lines.append("")
        line = re.sub(r"^['.][A-Za-z]+\s*", "", line)
        line = line.replace("\\-", "-").replace("\\(aq", "'").replace("\\(dq", '"').replace("\\e", "\\\\")
        lines.append(re.sub(r"\\f\(..|\\f\[\w*\]|\\f.|\\\(..|\\\[\w*\]|\\s[-+]?\d|\\[&c:|/,^ ]", "", line).replace('"', ""))
    return "\n".join(lines)


def of_catalogue(path: Path, draw: random.Random) -> str:
    """The translated texts of a program, in no order."""
    with path.open("rb") as file:
        texts = [text for text in gettext.GNUTranslations(file)._catalog.values() if 60 < len(text)]
    draw.shuffle(texts)
    return "\n\n".join(re.sub(r"<[^>]+>", "", text) for text in texts)


def text_of(path: Path, draw: random.Random) -> str:
    if path.suffix == ".mo":
        text = of_catalogue(path, draw)
    else:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as file:
            text = file.read()
        inner = path.name.removesuffix(".gz")
        if inner.endswith((".html", ".page")):
            text = of_html(text)
        elif re.search(r"/man\d/", str(path)):
            text = of_man(text)
        elif not inner.endswith((".txt", ".rst")) and "/fortunes/" not in str(path):
            return ""
    return re.sub(r"\s*\n\s*\n\s*", "\n\n", re.sub(r"[ \t]+", " ", text)).strip()


def language(package: str, path: Path) -> str:
    found = SUFFIX.search(package) or PAGE.search(path.name) or FOLDER.search(f"{path.parent}/")
    return found[1] if found else "en"


def passages(package: str, folder: Path, draw: random.Random) -> list[tuple[str, str]]:
    """Passages and their languages, of no language more than its share."""
    found: dict[str, list[str]] = defaultdict(list)
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    draw.shuffle(paths)
    for path in paths:
        lang = language(package, path)
        if MOST * (ENGLISH if lang == "en" else 1) <= len(found[lang]):
            continue
        try:
            text = text_of(path, draw)
        except (ValueError, OSError):
            continue
        for _ in range(min(MOST // 4 if path.suffix == ".mo" else 4, len(text) // 2000 + 1)):
            length = draw.choice(LENGTHS)
            start = text.rfind("\n", 0, draw.randrange(max(1, len(text) - length))) + 1
            cut = text[start : start + length].strip()
            if LENGTHS[0] // 2 <= len(cut) and LETTERS * len(cut) < sum(map(str.isalpha, cut)):
                found[lang].append(cut)
    return [(text, lang) for lang, own in sorted(found.items()) for text in own]


def unpacked(package: str, folder: Path) -> None:
    subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, check=True)
    (deb,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
    deb.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows = []
    for package in TRAIN + DEV:
        draw = random.Random(f"{options.seed} {package}")
        with tempfile.TemporaryDirectory() as name:
            unpacked(package, Path(name))
            own = passages(package, Path(name), draw)
        print(f"{package}: {len(own)} passages", flush=True)
        for number, (text, lang) in enumerate(own):
            rows.append({
                "id": f"documents-{package}-{number}", "text": text, "lang": lang, "source": "documents",
                "role": draw.choice(["prompt", "prompt", "response"]),
                "split": "dev" if package in DEV else "train",
                "labels": harmless(),
            })
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write(options.out, rows)
    print(f"{len(rows)} passages in {options.out}")


if __name__ == "__main__":
    main()
