"""Every string that the providers' SDKs can write or read, as a list of leaves.

The types of the pinned packages `openai` and `anthropic` are walked; each place that can hold a
string becomes a leaf of one of these kinds:

- `text`: any string;
- `word`: one of the API's own words, which are listed;
- `free`: arbitrary JSON;
- `key`: the key of a map;
- `numbers`: an array of numbers, which may stand for text (token ids, bytes).

A path is made of fields, `[]` for the items of an array, `{}` for the values of a map, `{key}` for
its keys, and `[type=text]` where an object says what it is. A type within itself is not entered again.

The lists lie in `proxy/protocol/tests/it/fields/`, beside the tables that say what becomes of each
leaf; a test of portcullis-protocol holds the reader to the tables.

    python3 e2e/fields.py --check    fails and names the leaves that are new or gone
    python3 e2e/fields.py --write    writes the lists anew
"""

import argparse
import collections.abc
import datetime
import importlib
import json
import os
import pathlib
import sys
import types
import typing

import pydantic
import typing_extensions

FOLDER = pathlib.Path(__file__).parent.parent / "proxy" / "protocol" / "tests" / "it" / "fields"

ROOTS = {
    "openai_request": [
        ("openai.types.chat.completion_create_params", "CompletionCreateParamsNonStreaming"),
        ("openai.types.chat.completion_create_params", "CompletionCreateParamsStreaming"),
    ],
    "openai_response": [("openai.types.chat", "ChatCompletion")],
    "openai_stream": [("openai.types.chat", "ChatCompletionChunk")],
    "anthropic_request": [
        ("anthropic.types.message_create_params", "MessageCreateParamsNonStreaming"),
        ("anthropic.types.message_create_params", "MessageCreateParamsStreaming"),
    ],
    "anthropic_response": [("anthropic.types", "Message")],
    "anthropic_stream": [("anthropic.types", "RawMessageStreamEvent")],
}

# What an object is called by, in this order.
SELECTORS = ("role", "type")

WRAPPERS = (typing.Annotated, typing.Required, typing.NotRequired)
LISTS = (list, tuple, set, collections.abc.Iterable, collections.abc.Sequence)
NO_STRING = (int, float, bool, type(None))
# Files and bytes, which the SDKs send as base64, among them.
STRINGS = (str, bytes, datetime.datetime, datetime.date)


def bare(kind):
    """The type without what is written around it."""
    while True:
        if isinstance(kind, typing_extensions.TypeAliasType):
            kind = kind.__value__
        elif typing_extensions.get_origin(kind) in WRAPPERS:
            kind = typing_extensions.get_args(kind)[0]
        else:
            return kind


def members(kind):
    """The alternatives of a type, unions within unions undone."""
    kind = bare(kind)
    if typing_extensions.get_origin(kind) in (typing.Union, types.UnionType):
        return [member for part in typing_extensions.get_args(kind) for member in members(part)]
    return [kind]


def words(kind):
    """The words of a type of nothing else but `None`; `None` where it holds anything else."""
    found = []
    for member in members(kind):
        if typing_extensions.get_origin(member) is typing.Literal:
            found += [word for word in typing_extensions.get_args(member) if isinstance(word, str)]
        elif member is not type(None):
            return None
    return found or None


def is_object(kind):
    return isinstance(kind, type) and (
        typing_extensions.is_typeddict(kind) or issubclass(kind, pydantic.BaseModel))


def alias(hint):
    """Another name for the wire, as the SDKs' typed dictionaries note it."""
    notes = getattr(hint, "__metadata__", ())
    return next((note.alias for note in notes if getattr(note, "alias", None)), None)


def fields(kind):
    """Names on the wire and types of an object's fields."""
    if not typing_extensions.is_typeddict(kind):
        return {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
    hints = typing_extensions.get_type_hints(kind, include_extras=True)
    named = {}
    for name, hint in hints.items():
        inner = hint
        while typing_extensions.get_origin(inner) in WRAPPERS[1:]:
            inner = typing_extensions.get_args(inner)[0]
        named[alias(inner) or name] = hint
    return named


class Leaves:
    """The leaves found so far."""

    def __init__(self):
        self.kinds = {}
        self.words = {}
        self.within = []

    def note(self, path, kind, found=()):
        # Where one alternative takes any string, the words of another say nothing.
        strength = ["key", "numbers", "word", "text", "free"]
        known = self.kinds.get(path)
        if known is None or strength.index(known) < strength.index(kind):
            self.kinds[path] = kind
        self.words.setdefault(path, set()).update(found)

    def walk(self, path, kind):
        for member in members(kind):
            self.one(path, member)

    def one(self, path, kind):
        origin = typing_extensions.get_origin(kind)
        arguments = typing_extensions.get_args(kind)
        if kind in NO_STRING:
            return
        if origin is typing.Literal:
            found = [word for word in arguments if isinstance(word, str)]
            if found:
                self.note(path, "word", found)
        elif kind in STRINGS or typing.IO in (kind, origin) or os.PathLike in (kind, origin):
            self.note(path, "text")
        elif is_object(kind):
            self.object(path, kind)
        elif origin in (dict, collections.abc.Mapping):
            self.map(path, arguments[1])
        elif origin in LISTS or getattr(origin, "__name__", "") == "SequenceNotStr":
            inner = members(arguments[0])
            if inner and all(member in (int, float) for member in inner):
                self.note(path + "[]", "numbers")
            self.walk(path + "[]", arguments[0])
        elif kind is object or kind is typing.Any:
            self.note(path, "free")
        elif kind in (dict, list):
            self.note(path, "free")
        else:
            raise TypeError(f"{path}: do not know how to walk {kind!r}; teach e2e/fields.py")

    def map(self, path, values):
        if all(value in (object, typing.Any) for value in members(values)):
            return self.note(path, "free")
        self.note(path + "{key}", "key")
        return self.walk(path + "{}", values)

    def object(self, path, kind):
        if kind in self.within:
            return
        self.within.append(kind)
        known = fields(kind)
        places = [path]
        for name in SELECTORS:
            for_name = words(known[name]) if name in known else None
            if for_name:
                places = [f"{place}[{name}={word}]" for place in places for word in for_name]
        for place in places:
            for name, hint in known.items():
                self.walk(f"{place}.{name}" if place else name, hint)
        self.within.pop()

    def listed(self):
        for path in sorted(self.kinds):
            leaf = {"path": path, "kind": self.kinds[path]}
            if leaf["kind"] == "word":
                leaf["words"] = sorted(self.words[path])
            yield leaf


def leaves(name):
    found = Leaves()
    for module, kind in ROOTS[name]:
        found.walk("", getattr(importlib.import_module(module), kind))
    return list(found.listed())


def written(found):
    """One leaf a line, so that a difference reads well."""
    lines = ",\n".join(json.dumps(leaf) for leaf in found)
    return f"[\n{lines}\n]\n"


def check(name, found):
    """What differs from the list in the repository, a line each."""
    path = FOLDER / f"{name}.json"
    known = json.loads(path.read_text()) if path.exists() else []
    old = {leaf["path"]: leaf for leaf in known}
    new = {leaf["path"]: leaf for leaf in found}
    lines = [f"{name}: new leaf {path} ({new[path]['kind']})" for path in new if path not in old]
    lines += [f"{name}: vanished leaf {path}" for path in old if path not in new]
    lines += [f"{name}: changed leaf {path}: {old[path]} is now {new[path]}"
              for path in new if path in old and new[path] != old[path]]
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true")
    mode.add_argument("--write", action="store_true")
    wanted = parser.parse_args()
    lines = []
    for name in ROOTS:
        found = leaves(name)
        if wanted.write:
            FOLDER.mkdir(parents=True, exist_ok=True)
            (FOLDER / f"{name}.json").write_text(written(found))
        else:
            lines += check(name, found)
        print(f"{name}: {len(found)} leaves")
    if not lines:
        return 0
    print("\n".join(lines), file=sys.stderr)
    print("The SDK's types and the lists differ. Run `python3 e2e/fields.py --write`, then give each new leaf a row "
          "in the table beside its list and take the rows of vanished leaves out; "
          "`cargo test -p portcullis-protocol fields` says what the reader does with each.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
