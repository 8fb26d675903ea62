"""Reads a SAM template as far as the checks need: tags become plain functions, and of every !If both branches count."""

import re

import yaml

ABSENT = {"Ref": "AWS::NoValue"}


class Loader(yaml.SafeLoader):
    pass


def _tag(loader, suffix, node):
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name: value}


Loader.add_multi_constructor("!", _tag)


def load(path):
    with open(path, encoding="utf-8") as file:
        return yaml.load(file, Loader)


def function(value):
    """The name and argument of an intrinsic function, or two Nones."""
    if isinstance(value, dict) and len(value) == 1:
        (name, argument), = value.items()
        if name == "Ref" or name.startswith("Fn::"):
            return name, argument
    return None, None


def branches(value):
    """What a value can be, whichever conditions hold. Absent values are left out."""
    name, argument = function(value)
    if value == ABSENT:
        return []
    if name == "Fn::If":
        return branches(argument[1]) + branches(argument[2])
    return [value]


def items(value):
    """The elements that a list can have; a single value is a list of one."""
    found = []
    for branch in branches(value):
        for element in branch if isinstance(branch, list) else [branch]:
            found.extend(branches(element))
    return found


def texts(value, template):
    """Every text that a value can become. What is known only when it is deployed stands as ${...}."""
    found = []
    for branch in branches(value):
        name, argument = function(branch)
        if name is None and isinstance(branch, list):
            found += [text for element in branch for text in texts(element, template)]
        elif name is None:
            found.append(str(branch))
        elif name == "Ref":
            found.append("${" + argument + "}")
        elif name == "Fn::GetAtt":
            found.append(_attribute(*argument, template))
        elif name == "Fn::Sub" and isinstance(argument, str):
            found.append(re.sub(r"\$\{(\w+)\.(\w+)\}", lambda m: _attribute(m[1], m[2], template), argument))
        elif name == "Fn::Join":
            found += [argument[0].join(t for part in items(argument[1]) for t in texts(part, template))]
        elif name == "Fn::Split":
            found += [part for text in texts(argument[1], template) for part in text.split(argument[0])]
        else:
            raise ValueError(f"{name} is not understood here; teach tests/infra/cloudformation.py")
    return found


def _attribute(resource, attribute, template):
    kind = template["Resources"].get(resource, {}).get("Type")
    # The ARN of a log group ends with every stream in it.
    suffix = ":*" if (kind, attribute) == ("AWS::Logs::LogGroup", "Arn") else ""
    return "${" + f"{resource}.{attribute}" + "}" + suffix
