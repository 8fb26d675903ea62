#!/usr/bin/env python3
"""Holds infra/template.yaml to infra/contract.json, and to the rule that no policy has a `*` without a written reason.

    template.py            the check
    template.py --self     that each kind of mistake is found: the template, or samconfig.toml, is spoiled in one way after another
"""

import copy
import json
import os
import sys
import tomllib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cloudformation  # noqa: E402
import iam  # noqa: E402
import shape  # noqa: E402
import spoiled  # noqa: E402

REPO = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def wrong(template, contract, samconfig):
    return iam.wrong(template, contract) + shape.wrong(template, contract, REPO) + shape.built(samconfig)


def main(arguments):
    template = cloudformation.load(os.path.join(REPO, "infra", "template.yaml"))
    with open(os.path.join(REPO, "infra", "contract.json"), encoding="utf-8") as file:
        contract = json.load(file)
    with open(os.path.join(REPO, "samconfig.toml"), "rb") as file:
        samconfig = tomllib.load(file)
    failures = wrong(template, contract, samconfig)
    if arguments == ["--self"]:
        for part, ways in spoiled.WAYS.items():
            for what, spoil, expected in ways:
                bad, config = copy.deepcopy(template), copy.deepcopy(samconfig)
                spoil(config if part == "samconfig.toml" else bad[part])
                found = [sentence for sentence in wrong(bad, contract, config) if sentence not in failures]
                if not any(expected in sentence for sentence in found):
                    failures.append(f"not noticed: {what} (found: {found or 'nothing'})")
    for failure in failures:
        print(f"  {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
