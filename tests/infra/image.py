#!/usr/bin/env python3
"""Holds the Dockerfile, .dockerignore and docker-compose.yml to what the code and the SAM template expect of the image.

A linter sees neither that a file which the build embeds is kept out of the build context, nor that the template names a user, a
path or a program that the image does not have.
"""

import fnmatch
import json
import os
import re
import subprocess
import sys
import tomllib

import yaml

REPO = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def read(path):
    with open(os.path.join(REPO, path), encoding="utf-8") as file:
        return file.read()


def instructions():
    """The Dockerfile as (stage, instruction, argument); stages are numbered from 0."""
    text = re.sub(r"^\s*#.*\n", "", read("Dockerfile"), flags=re.M)
    text = re.sub(r"\\\n\s*", " ", text)
    stage, found = -1, []
    for line in filter(str.strip, text.splitlines()):
        name, _, argument = line.partition(" ")
        stage += name == "FROM"
        found.append((stage, name, argument.strip()))
    return found


def context():
    """The tracked files that .dockerignore lets through, by its own rule: the last pattern that matches decides."""
    patterns = [line for line in read(".dockerignore").splitlines() if line.strip() and not line.startswith("#")]
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=REPO, check=True, capture_output=True, text=True)
    kept = set()
    for path in listed.stdout.splitlines():
        ignored = False
        for pattern in patterns:
            wanted = pattern.lstrip("!").removeprefix("**/")
            parts = path.split("/")
            if pattern.lstrip("!").startswith("**/"):
                hit = any(fnmatch.fnmatch(part, wanted) for part in parts)
            else:
                hit = any(fnmatch.fnmatch("/".join(parts[:n]), wanted) for n in range(1, len(parts) + 1))
            if hit:
                ignored = not pattern.startswith("!")
        if not ignored:
            kept.add(path)
    return kept


def embedded():
    """What the crates of the image embed from outside of their own folders."""
    found = set()
    for crate in ("asgard-lib", "asgard-bin", "asgard-lambda"):
        for folder, _, files in os.walk(os.path.join(REPO, crate, "src")):
            for name in filter(lambda name: name.endswith(".rs"), files):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    source = file.read()
                # No image builds the tests.
                source = re.sub(r"^#\[cfg\(test\)\]\nmod \w+ \{\n(?:.*\n)*?\}$", "", source, flags=re.M)
                found |= set(re.findall(r'include_dir!\("\$CARGO_MANIFEST_DIR/\.\./([^"]+)"\)', source))
                for path in re.findall(r'include_(?:str|bytes)!\((?:concat!\()?"((?:\.\./)+[^"]*)"', source):
                    found.add(os.path.relpath(os.path.normpath(os.path.join(folder, path)), REPO))
    return {path for path in found if not path.startswith(("asgard-", ".."))}


def dockerfile(wrong):
    lines, kept = instructions(), context()
    last = max(stage for stage, _, _ in lines)
    final = [(name, argument) for stage, name, argument in lines if stage == last]
    values = {name: argument for name, argument in final}
    with open(os.path.join(REPO, "infra/contract.json"), encoding="utf-8") as file:
        task = json.load(file)["task"]

    def need(condition, sentence):
        if not condition:
            wrong.append(sentence)

    need(values.get("USER") == task["user"], f"the image's last USER is to be {task['user']}, as in the task definition")
    need(json.loads(values.get("ENTRYPOINT", "null")) == ["asgard"], 'ENTRYPOINT is to be ["asgard"]')
    need(json.loads(values.get("CMD", "null")) == ["serve"], 'CMD is to be ["serve"]')
    need('CMD ["asgard", "health"]' in values.get("HEALTHCHECK", ""), "HEALTHCHECK is to follow the configured address: asgard health")
    need(set(json.loads(values.get("VOLUME", "[]"))) == {"/data", "/tmp"}, "VOLUME is to hold /data and /tmp, which the task definition mounts")
    run = " ".join(argument for name, argument in final if name == "RUN")
    need("-o asgard -g asgard" in run and "/data" in run, "/data is to belong to the user")
    uid, gid = task["user"].split(":")
    need(f"--uid {uid}" in run and f"--gid {gid}" in run, f"the user is to have the ids {task['user']}")
    # What the image set could not be given as X_SECRET_ARN, which is refused beside it, or in a file.
    need(not any("ASGARD_" in argument for name, argument in final if name == "ENV"), "the image is to set no ASGARD_* variable")
    copied = " ".join(argument for name, argument in final if name == "COPY")
    for path in (os.path.basename(task["entry_point"][0]), "terraform", task["modules"], task["providers"]):
        need(path in copied, f"{path} is not copied into the image")
    need(f"ln -s {task['providers']} /usr/local/share/terraform/plugins" in run, "Terraform is to find the mirror when nothing names it")
    # Terraform is to be had only through the script that verifies it.
    need(not any(re.search(r"\b(curl|wget)\b", argument) and "apt-get" not in argument for _, name, argument in lines if name == "RUN"),
         "something is downloaded without being verified")
    need(not any(name == "ADD" for _, name, _ in lines), "ADD unpacks and downloads; use COPY")
    need(not any(re.search(r"(SECRET|PASSWORD|TOKEN)", argument) for _, name, argument in lines if name in ("ENV", "ARG")),
         "no secret belongs into an image")
    for _, name, argument in lines:
        if name == "FROM":
            base = argument.split()[0]
            need(":" in base and not base.endswith(":latest"), f"FROM {base} says no version")
        if name == "COPY" and "--from" not in argument:
            for source in argument.split()[:-1]:
                need(source == "." or any(path == source or path.startswith(f"{source}/") for path in kept),
                     f"COPY {source}: .dockerignore keeps it out, or it is not there")
    rust = re.search(r"^ARG RUST=([\d.]+)$", read("Dockerfile"), re.M)
    workspace = tomllib.loads(read("Cargo.toml"))["workspace"]
    need(rust and rust[1] == workspace["package"]["rust-version"], "ARG RUST is not the rust-version of Cargo.toml")
    for member in workspace["members"]:
        need(f"{member}/Cargo.toml" in kept, f"cargo needs {member}/Cargo.toml, which .dockerignore keeps out")
    for path in sorted(embedded()):
        need(any(file == path or file.startswith(f"{path}/") for file in kept),
             f"the code embeds {path}, which .dockerignore keeps out")
    for secret in ("some.db", "data/asgard.db.key", "tests/.peers/env", "target/debug/asgard", ".git/config", ".env"):
        need(secret not in kept, f"{secret} gets into the build context")
    need(not any(path.endswith((".db", ".key", ".env")) for path in kept), "a database, a key or an .env gets into the build context")


def compose(wrong):
    services = yaml.safe_load(read("docker-compose.yml"))
    asgard, database = services["services"]["asgard"], services["services"]["db"]
    known = read("docs/configuration.md") + "ASGARD_BIND"

    def need(condition, sentence):
        if not condition:
            wrong.append(f"docker-compose.yml: {sentence}")

    for name in asgard["environment"]:
        need(f"`{name}`" in known or name == "ASGARD_CONFIG", f"docs/configuration.md does not know {name}")
    need("${POSTGRES_PASSWORD:?" in asgard["environment"]["ASGARD_DATABASE_URL"], "the database's password is to come from outside")
    need(asgard["environment"]["ASGARD_SECRET_KEY"].startswith("${ASGARD_SECRET_KEY:?"), "the master key is to come from outside, and to be needed")
    need(database["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?"), "the database's password is to be needed")
    need(asgard["depends_on"]["db"]["condition"] == "service_healthy" and "healthcheck" in database, "asgard is to wait for a healthy database")
    need(asgard["read_only"] is True and asgard["cap_drop"] == ["ALL"], "asgard needs a read-only root and no capabilities")
    need("no-new-privileges:true" in asgard["security_opt"] and "privileged" not in asgard, "asgard needs no-new-privileges")
    need("ports" not in database, "the database is not to be reachable from outside")
    need(asgard["command"][:1] == ["serve"], "the command is to serve")
    need(asgard["stop_grace_period"] == "2m", "a stop is to give supervisors two minutes")
    mounted = {volume.split(":")[0] for service in services["services"].values() for volume in service["volumes"] if volume[0] not in "./$"}
    need(mounted == set(services["volumes"]), "the volumes and their uses differ")
    for volume in asgard["volumes"]:
        for path in re.findall(r":-(\./[^}]+)\}", volume):
            need(os.path.exists(os.path.join(REPO, path)), f"{path} is not there")


def main():
    wrong = []
    dockerfile(wrong)
    compose(wrong)
    for sentence in wrong:
        print(f"  {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
