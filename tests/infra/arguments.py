#!/usr/bin/env python3
"""Compares infra/terraform/aws-ecs with tests/infra/schema.json, in which tests/infra/schema keeps what the providers say.

It takes no provider, so it runs everywhere. It knows arguments, blocks, attributes and literals; `terraform validate` knows more.

    arguments.py          the folder
    arguments.py --self   whether a folder that is wrong would be found
"""

import json
import os
import re
import sys

import hcl
import misused

COMMITTED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schema.json")
TYPED = ("resource", "data", "ephemeral")
OTHERS = ("locals", "output", "terraform", "variable")
# What Terraform itself takes, in any block of a type.
META = {"count", "for_each", "depends_on", "provider"}
LIFECYCLE = {"create_before_destroy", "prevent_destroy", "ignore_changes", "replace_triggered_by"}
PROVIDER_META = {"alias", "version"}
ALWAYS_THERE = {"each", "count", "path", "self", "terraform"}


def used(blocks):
    """(section, type) of all that needs a schema."""
    return {(block.kind, block.labels[0]) for block in blocks if block.kind in (*TYPED, "provider")}


def provider_of(section, name):
    return name if section == "provider" else name.partition("_")[0]


class Folder:
    """A configuration, and what is wrong with it."""

    def __init__(self, blocks, schema):
        self.blocks, self.types, self.providers, self.wrong = blocks, schema["types"], schema["providers"], []
        self.made = {(block.kind, *block.labels): block for block in blocks if block.kind in TYPED}
        self.named = {
            "var": {block.labels[0] for block in blocks if block.kind == "variable"},
            "local": {name for block in blocks if block.kind == "locals" for name in block.arguments},
        }

    def check(self):
        for section, name in sorted(used(self.blocks)):
            if f"{section} {name}" not in self.types:
                self.wrong.append(f"schema.json lacks {section} {name}; run tests/infra/schema --update")
        for name in sorted(set(self.types) - {" ".join(pair) for pair in used(self.blocks)}):
            self.wrong.append(f"schema.json has {name}, which nothing uses; run tests/infra/schema --update")
        self.check_versions()
        for block in self.blocks:
            where = f"{block.file}:{block.line}: {' '.join([block.kind, *block.labels])}"
            schema = self.types.get(f"{block.kind} {block.labels[0]}") if block.labels else None
            if block.kind in (*TYPED, "provider"):
                if schema:
                    self.check_block(block, schema, where, PROVIDER_META if block.kind == "provider" else META)
            elif block.kind not in OTHERS:
                self.wrong.append(f"{where}: this check does not know such blocks")
            if block.kind != "terraform":
                self.check_references(block, where, set())
        return self.wrong

    # --- arguments and blocks

    def check_block(self, block, schema, where, meta=frozenset()):
        known = {**schema.get("required", {}), **schema.get("optional", {})}
        for name, value in block.arguments.items():
            if name in schema.get("computed", {}):
                self.wrong.append(f"{where}: {name} is the provider's to set")
            elif name in schema.get("blocks", {}):
                self.wrong.append(f"{where}: {name} is a block, not an argument")
            elif name in known:
                self.check_literal(value, known[name], f"{where}: {name}")
            elif name not in meta:
                self.wrong.append(f"{where}: no argument {name}")
        for name in sorted(set(schema.get("required", {})) - set(block.arguments)):
            self.wrong.append(f"{where}: {name} is required")
        counted, dynamic = {}, set()
        for inner in block.blocks:
            name = inner.kind
            if meta is META and name == "lifecycle":
                self.check_lifecycle(inner, schema, f"{where}, lifecycle")
                continue
            if name == "dynamic":
                name = inner.labels[0]
                dynamic.add(name)
                inner = self.content(inner, f"{where}, dynamic {name}")
            else:
                counted[name] = counted.get(name, 0) + 1
            below = schema.get("blocks", {}).get(name)
            if below is None:
                self.wrong.append(f"{where}: no block {name}")
            elif inner:
                self.check_block(inner, below, f"{where}, {name}")
        for name, below in schema.get("blocks", {}).items():
            if counted.get(name, 0) < below.get("min", 0) and name not in dynamic:
                self.wrong.append(f"{where}: a block {name} is required")
            most = 1 if below["nesting"] == "single" else below.get("max")
            if most and counted.get(name, 0) > most:
                self.wrong.append(f"{where}: more blocks {name} than {most}")

    def content(self, block, where):
        inner = [below for below in block.blocks if below.kind == "content"]
        alone = len(inner) == len(block.blocks) == 1
        if not alone or "for_each" not in block.arguments or set(block.arguments) - {"for_each", "iterator", "labels"}:
            self.wrong.append(f"{where}: takes for_each, iterator, labels and one content")
            return None
        return inner[0]

    def check_lifecycle(self, block, schema, where):
        known = LIFECYCLE | {"precondition", "postcondition"}
        for name in sorted(set(block.arguments) - known) + [inner.kind for inner in block.blocks if inner.kind not in known]:
            self.wrong.append(f"{where}: no {name}")
        for ignored in hcl.elements(block.arguments.get("ignore_changes")):
            self.check_path(schema, hcl.steps(ignored) or [""], where)

    def check_literal(self, value, type_, where):
        kind, said = hcl.literal(value)
        if kind in (None, "null") or type_ == "dynamic":
            return
        outer = type_ if isinstance(type_, str) else type_[0]
        fits = {
            "string": kind in ("string", "number", "bool"),
            "number": kind == "number" or kind == "string" and (said is None or re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", said)),
            "bool": kind == "bool" or kind == "string" and said in (None, "true", "false"),
            "list": kind == "list", "set": kind == "list", "tuple": kind == "list", "map": kind == "map", "object": kind == "map",
        }[outer]
        if not fits:
            self.wrong.append(f"{where} takes {outer}, not {kind}")
        elif kind == "list" and outer in ("list", "set"):
            for element in hcl.elements(value):
                self.check_literal(element, type_[1], f"{where}, an element,")

    # --- references

    def check_references(self, block, where, bound):
        if block.kind == "dynamic":
            iterator = block.arguments.get("iterator")
            bound = bound | {(hcl.steps(iterator) if iterator else block.labels)[0]}
        for name, value in block.arguments.items():
            # These take words of Terraform's own.
            if (block.kind, name) in (("variable", "type"), ("dynamic", "iterator"), ("lifecycle", "ignore_changes")) or name == "provider":
                continue
            loops = hcl.loop_names(value)
            for path in hcl.references(value):
                if path[0] not in bound | loops | ALWAYS_THERE:
                    self.check_reference(path, where)
        for inner in block.blocks:
            self.check_references(inner, where, bound)

    def check_reference(self, path, where):
        said = ".".join(path).replace(f".{hcl.INDEX}", hcl.INDEX)
        if path[0] in self.named:
            if path[1:2] == [] or path[1] not in self.named[path[0]]:
                self.wrong.append(f"{where}: nothing declares {said}")
            return
        section, rest = (path[0], path[1:]) if path[0] in ("data", "ephemeral") else ("resource", path)
        made = self.made.get((section, *rest[:2]))
        if made is None:
            self.wrong.append(f"{where}: nothing declares {said}")
            return
        schema, rest = self.types.get(f"{section} {rest[0]}"), rest[2:]
        many = {"count", "for_each"} & set(made.arguments)
        if rest and bool(many) != (rest[0] == hcl.INDEX):
            self.wrong.append(f"{where}: {said} {'needs an' if many else 'takes no'} index")
            return
        rest = rest[1:] if many else rest
        if schema and rest:
            self.check_path(schema, rest, f"{where}: {said}")

    def check_path(self, schema, rest, where):
        """Whether a block's schema has what a path goes on with."""
        types = {**schema.get("required", {}), **schema.get("optional", {}), **schema.get("computed", {})}
        name, rest = rest[0], rest[1:]
        if name in schema.get("blocks", {}):
            below = schema["blocks"][name]
            if rest and below["nesting"] in ("list", "set"):
                if rest[0] != hcl.INDEX:
                    self.wrong.append(f"{where}: {name} needs an index")
                    return
                rest = rest[1:]
            if rest:
                self.check_path(below, rest, where)
            return
        if name not in types:
            self.wrong.append(f"{where}: no attribute {name}")
            return
        type_ = types[name]
        for step in rest:
            outer = type_ if isinstance(type_, str) else type_[0]
            if outer == "dynamic":
                return
            if outer == "object" and step in type_[1]:
                type_ = type_[1][step]
            elif outer == "map" or outer in ("list", "set", "tuple") and step == hcl.INDEX:
                type_ = type_[1] if outer != "tuple" else "dynamic"
            else:
                self.wrong.append(f"{where}: {outer} has no {step}")
                return

    # --- versions

    def check_versions(self):
        """What schema.json knows must be a version that the folder accepts."""
        asked = {}
        for inner in (inner for block in self.blocks if block.kind == "terraform" for inner in block.blocks):
            if inner.kind == "required_providers":
                for name, value in inner.arguments.items():
                    asked[name] = {"source": "", "version": "", **{key: hcl.literal(said)[1] for key, said in hcl.members(value).items()}}
        for provider in sorted({provider_of(*pair) for pair in used(self.blocks)}):
            pinned, wanted = self.providers.get(provider), asked.get(provider)
            if not pinned or not wanted:
                self.wrong.append(f"provider {provider}: {'required_providers' if pinned else 'schema.json'} does not name it")
            elif f"registry.terraform.io/{wanted['source']}" != pinned["source"] or not accepts(wanted["version"], pinned["version"]):
                is_ = f"{pinned['source']} {pinned['version']}"
                self.wrong.append(f"provider {provider}: schema.json is of {is_}, which required_providers excludes")


def accepts(constraint, version):
    """Only `~>`, which is all that the folder uses."""
    if not re.fullmatch(r"~> [0-9]+(\.[0-9]+){1,2}", constraint):
        return False
    least, is_ = ([int(part) for part in text.split(".")] for text in (constraint.removeprefix("~> "), version))
    return is_ >= least and is_[:len(least) - 1] == least[:-1]


def wrong(files, schema, parsed):
    """`parsed` keeps what a text was parsed to: the parser is slow."""
    blocks = []
    for name, text in files.items():
        try:
            if (name, text) not in parsed:
                parsed[name, text] = hcl.parse(name, text)
            blocks += parsed[name, text]
        except Exception as error:  # the parser has many, and any of them means the same
            return [f"{name}: cannot be read: {str(error).splitlines()[0]}"]
    try:
        return Folder(blocks, schema).check()
    except ValueError as error:
        return [str(error)]


def main():
    files, parsed = hcl.read(), {}
    with open(COMMITTED, encoding="utf-8") as file:
        schema = json.load(file)
    found = wrong(files, schema, parsed)
    if not found and sys.argv[1:] == ["--self"]:
        for title, spoil, expected in misused.WAYS:
            said = wrong(*spoil(files, schema), parsed)
            if not any(expected in sentence for sentence in said):
                found.append(f"{title}: not found; instead {said}")
        for title, spoil in misused.FINE:
            found += [f"{title}: {sentence}" for sentence in wrong(*spoil(files, schema), parsed)]
    for sentence in found:
        print(f"  {sentence}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
