#!/usr/bin/env python3
"""Transforms the template as CloudFormation will, and looks at what SAM made of it: nothing that nobody wrote."""

import json
import os
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

REPO = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
# What SAM adds to what is written.
MADE = {"AWS::Lambda::Function": {"Api", "Mcp", "Events"}, "AWS::Lambda::EventInvokeConfig": {"EventsEventInvokeConfig"}}


class NoPolicies:
    """SAM's managed policies by name; the template uses none."""

    def load(self):
        return {}


def main():
    with open(os.path.join(REPO, "infra", "template.yaml"), encoding="utf-8") as file:
        template = yaml_parse(file.read())
    with open(os.path.join(REPO, "infra", "contract.json"), encoding="utf-8") as file:
        contract = json.load(file)
    # `sam build` puts an address in S3 here.
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    written = {name: resource["Type"] for name, resource in template["Resources"].items()}
    resources = transform(template, {}, NoPolicies())["Resources"]

    wrong, schedules = [], {}
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Scheduler::Schedule":
            schedules[name] = resource["Properties"]
        elif name in MADE.get(resource["Type"], ()):
            continue
        elif written.get(name) != resource["Type"]:
            wrong.append(f"SAM made {name}, a {resource['Type']}, which nobody asked for")
    if len(schedules) != len(contract["ticks"]):
        wrong.append(f"{len(schedules)} schedules for {len(contract['ticks'])} ticks")
    for name, properties in schedules.items():
        target = properties["Target"]
        if "Name" in properties:
            wrong.append(f"{name}: has a fixed name, and two stacks in one account clash")
        if target["Arn"] != {"Fn::GetAtt": ["Events", "Arn"]} or target["RoleArn"] != {"Fn::GetAtt": ["TicksRole", "Arn"]}:
            wrong.append(f"{name}: calls something else, or as somebody else")
        if "DeadLetterConfig" not in target or properties["FlexibleTimeWindow"] != {"Mode": "OFF"}:
            wrong.append(f"{name}: loses ticks, or moves them")
    for name in MADE["AWS::Lambda::Function"]:
        properties = resources[name]["Properties"]
        if properties["Runtime"] != "provided.al2023" or properties["Handler"] != "bootstrap":
            wrong.append(f"{name}: is no program of ours")
        if "VpcConfig" in properties:
            wrong.append(f"{name}: in a VPC it reaches neither DynamoDB nor KMS without endpoints")
    for sentence in wrong:
        print(f"  {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
