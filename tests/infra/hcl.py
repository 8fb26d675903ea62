"""Terraform files as blocks, literals and references."""

import os
from dataclasses import dataclass, field

import hcl2

FOLDER = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "infra", "terraform", "aws-ecs"))
# Stands in a reference for an index or a splat.
INDEX = "[]"


@dataclass
class Block:
    kind: str
    labels: list
    file: str
    line: int
    arguments: dict = field(default_factory=dict)  # name: tree of the expression
    blocks: list = field(default_factory=list)


def read(folder=FOLDER):
    """File name: text, for every .tf file in the folder."""
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".tf"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                found[name] = file.read()
    return found


def parse(name, text):
    return _body(_only(hcl2.parses_to_tree(text), "body"), name)[1]


def _is(node, kind):
    return getattr(node, "data", None) == kind


def _only(node, kind):
    return next(child for child in node.children if _is(child, kind))


def _name(node):
    return str(node.children[0])


def _body(tree, file):
    arguments, blocks = {}, []
    for item in tree.children:
        if _is(item, "attribute"):
            arguments[_name(item.children[0])] = item.children[-1]
        elif _is(item, "block"):
            head, labels = item.children[0], []
            for child in item.children[1:]:
                if _is(child, "string"):
                    labels.append(literal(child)[1])
                elif _is(child, "identifier"):
                    labels.append(_name(child))
            inner = [child for child in item.children if _is(child, "body")]
            block = Block(_name(head), labels, file, item.meta.line)
            if inner:
                block.arguments, block.blocks = _body(inner[0], file)
            blocks.append(block)
    return arguments, blocks


def literal(tree):
    """(kind, value) of an expression that says what it is; (None, None) of any other. A value that is not known is None."""
    if _is(tree, "expr_term") and len(tree.children) == 1:
        return literal(tree.children[0])
    if _is(tree, "string"):
        parts = tree.children[1:-1]
        if any(getattr(child, "data", None) for part in parts for child in part.children):
            # "${x}" alone is x, whatever that is.
            return (None, None) if len(parts) == 1 else ("string", None)
        return "string", "".join(str(child) for part in parts for child in part.children)
    if _is(tree, "literal_value"):
        return ("null", None) if _name(tree) == "null" else ("bool", _name(tree) == "true")
    if _is(tree, "int_lit") or _is(tree, "float_lit"):
        return "number", _name(tree)
    if _is(tree, "tuple") or _is(tree, "for_tuple_expr"):
        return "list", None
    if _is(tree, "object") or _is(tree, "for_object_expr"):
        return "map", None
    return None, None


def elements(tree):
    """The expressions between the brackets of a literal list."""
    while _is(tree, "expr_term") and len(tree.children) == 1:
        tree = tree.children[0]
    inside = tree.children if _is(tree, "tuple") else []
    return [child for child in inside if hasattr(child, "data") and child.data != "new_line_or_comment"]


def members(tree):
    """The expressions of a literal object, by key."""
    while _is(tree, "expr_term") and len(tree.children) == 1:
        tree = tree.children[0]
    pairs = [child for child in tree.children if _is(child, "object_elem")] if _is(tree, "object") else []
    found = {}
    for pair in pairs:
        key = pair.children[0].children[0]
        found[(steps(key) or [literal(key)[1]])[0]] = pair.children[-1]
    return found


def steps(tree):
    """`aws_lb.asgard[0].arn` as ["aws_lb", "asgard", INDEX, "arn"]; None of what is no such path."""
    if _is(tree, "identifier"):
        return [_name(tree)]
    if _is(tree, "expr_term") and len(tree.children) == 1:
        return steps(tree.children[0])
    for kind in ("get_attr_expr_term", "index_expr_term", "attr_splat_expr_term", "full_splat_expr_term"):
        if _is(tree, kind):
            before = steps(tree.children[0])
            return before and before + _more(tree.children[1])
    return None


def _more(tree):
    if _is(tree, "get_attr"):
        return [_name(tree.children[-1])]
    if _is(tree, "attr_splat") or _is(tree, "full_splat"):
        return [INDEX] + [step for child in tree.children if hasattr(child, "data") for step in _more(child)]
    return [INDEX]


def references(tree):
    """Every path in an expression, those within its indices, calls and templates too."""
    if not hasattr(tree, "data"):
        return
    if tree.data in ("heredoc_template", "heredoc_template_trim"):
        # The parser does not look inside, so neither could a check.
        raise ValueError("a heredoc hides what it refers to: write a string or jsonencode")
    path = steps(tree)
    if path:
        yield path
        yield from _within_indices(tree)
        return
    children = tree.children
    if tree.data == "function_call":
        children = [child for child in children if not _is(child, "identifier")]
    elif tree.data == "object_elem_key" and len(steps(children[0]) or []) == 1:
        children = []
    elif tree.data == "for_intro":
        children = [child for child in children if not _is(child, "identifier")]
    for child in children:
        yield from references(child)


def _within_indices(tree):
    if not hasattr(tree, "data"):
        return
    if tree.data == "braces_index":
        for child in tree.children:
            yield from references(child)
        return
    for child in tree.children:
        yield from _within_indices(child)


def loop_names(tree):
    """The names that `for` gives within an expression."""
    if not hasattr(tree, "data"):
        return set()
    own = {_name(child) for child in tree.children if _is(child, "identifier")} if tree.data == "for_intro" else set()
    return own.union(*(loop_names(child) for child in tree.children))
