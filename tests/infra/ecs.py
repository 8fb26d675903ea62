#!/usr/bin/env python3
"""Rules of infra/terraform/aws-ecs that a schema does not know. Reads the files as text: they are formatted, so a line says one thing.

A wildcard needs its reason behind it, on the same line.
"""

import os
import re
import sys

FOLDER = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "infra", "terraform", "aws-ecs"))

# File, a line that must be there (blanks count as one), and why.
KEPT = [
    ("database.tf", "storage_encrypted = true", "the database is encrypted"),
    ("database.tf", "publicly_accessible = false", "the database is private"),
    ("database.tf", "deletion_protection = var.deletion_protection", "the database is protected"),
    ("database.tf", "backup_retention_period = var.backup_retention_days", "there are backups"),
    ("database.tf", "skip_final_snapshot = false", "the last state stays"),
    ("database.tf", 'final_snapshot_identifier = "${aws_db_subnet_group.database.name}-final"', "a second destroy does not find the first one's snapshot"),
    ("database.tf", "password_wo = ephemeral.aws_secretsmanager_random_password.database.random_password", "no state holds the password"),
    ("iam.tf", "assume_role_policy = data.aws_iam_policy_document.execution_trust.json", "ECS can assume it, whatever it says about itself"),
    ("service.tf", "enable_execute_command = false", "nobody gets a shell"),
    ("service.tf", "readonlyRootFilesystem = true", "the root is read-only"),
    ("service.tf", "assign_public_ip = false", "replicas are private"),
    ("service.tf", "stopTimeout = 120", "supervisors have time"),
    ("service.tf", "rollback = true", "a bad deployment is taken back"),
    ("service.tf", "ASGARD_DATABASE_URL_SECRET_ARN = aws_secretsmanager_secret.database_url.arn", "the URL is a secret"),
    ("balancer.tf", "idle_timeout = var.idle_timeout", "tool calls last"),
    ("balancer.tf", "drop_invalid_header_fields = true", "requests are what they seem"),
    ("main.tf", "enable_key_rotation = true", "the master key rotates"),
    ("main.tf", "prevent_destroy = true", "the master key stays"),
]


def outputs(everything):
    """What the README asks `terraform output` for must be put out by its example, from an output of the module."""
    with open(os.path.join(FOLDER, "README.md"), encoding="utf-8") as file:
        readme = file.read()
    asked = set(re.findall(r"terraform output (?:-\w+ )*(\w+)", readme))
    given = dict(re.findall(r'^output "(\w+)" \{ value = module\.asgard\.(\w+) \}$', readme, re.M))
    wrong = [f"README.md: the example puts out no {name}, which the commands below it ask for" for name in sorted(asked - set(given))]
    made = set(re.findall(r'^output "(\w+)"', everything, re.M))
    return wrong + [f"README.md: the module has no output {name}" for name in sorted(set(given.values()) - made)]


def main():
    wrong, text = [], {}
    for name in sorted(os.listdir(FOLDER)):
        if name.endswith(".tf"):
            with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
                text[name] = file.read()
    for name, source in text.items():
        for number, line in enumerate(source.splitlines(), 1):
            values, _, reason = line.partition(" # ")
            if re.search(r'(actions|resources|identifiers)\s*=.*"[^"]*\*[^"]*"', values) and len(reason) < 20:
                wrong.append(f"{name}:{number}: a wildcard without its reason")
            if re.search(r'"[a-z0-9-]+:[A-Za-z]*\*"', values):
                wrong.append(f"{name}:{number}: an action is to be named in full")
        if "not_actions" in source or "not_resources" in source:
            wrong.append(f"{name}: not_actions and not_resources allow what nobody listed")
    for name, needed, why in KEPT:
        lines = [re.sub(r"\s+", " ", line.strip()) for line in text[name].splitlines()]
        if needed not in lines:
            wrong.append(f"{name}: `{needed}` is gone ({why})")
    everything = "\n".join(text.values())
    variables = set(re.findall(r'^variable "(\w+)"', everything, re.M))
    used = set(re.findall(r"\bvar\.(\w+)", re.sub(r'^variable "(?:.|\n)*?^}', "", everything, flags=re.M)))
    wrong += [f"variables.tf: nothing uses {name}" for name in sorted(variables - used)]
    with open(os.path.join(FOLDER, "..", "..", "..", "docs", "configuration.md"), encoding="utf-8") as file:
        known = file.read()
    for name in sorted(set(re.findall(r"^\s+(ASGARD_\w+)\s+=", text["service.tf"], re.M))):
        if name.removesuffix("_SECRET_ARN") not in known:
            wrong.append(f"service.tf: docs/configuration.md does not know {name}")
    wrong += outputs(everything)
    for sentence in wrong:
        print(f"  {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
