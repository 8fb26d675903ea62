#!/usr/bin/env python3
"""Holds .github/workflows/release.yml to what a release has to be: nobody runs it before a version is tagged, and then it has to work.

    tests/infra/release.py           the workflow
    tests/infra/release.py --self    that each check finds what it is for
"""

import copy
import os
import re
import subprocess
import sys

import yaml

REPO = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
TAGS = {"$IMAGE:$GITHUB_REF_NAME", "$IMAGE:latest", "$IMAGE:sha-$SHORT"}
PLATFORMS = {"amd64", "arm64"}


def load():
    with open(os.path.join(REPO, ".github/workflows/release.yml"), encoding="utf-8") as file:
        return yaml.load(file, yaml.BaseLoader)  # `on` stays a word


def scripts(workflow):
    return [(name, step["run"]) for name, job in workflow["jobs"].items() for step in job["steps"] if "run" in step]


def problems(workflow):
    """What is wrong with a workflow, as sentences."""
    found = []
    jobs = workflow["jobs"]
    steps = [(name, step) for name, job in jobs.items() for step in job["steps"]]
    if workflow["on"] != {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}:
        found.append("it is started by something else than the tag of a version")
    if workflow.get("permissions") != {}:
        found.append("rights are given to all jobs")
    for name, job in jobs.items():
        if "timeout-minutes" not in job or "permissions" not in job:
            found.append(f"{name} has no time limit or no rights of its own")
        for needed in [job.get("needs", [])] if isinstance(job.get("needs"), str) else job.get("needs", []):
            if needed not in jobs:
                found.append(f"{name} waits for {needed}, which is not there")
        if "contents: write" in str(job.get("permissions")).replace("'", "") and name != "publish":
            found.append(f"{name} may write to the repository")
    for name, step in steps:
        uses = step.get("uses", "")
        if uses and not re.fullmatch(r"[\w-]+/[\w-]+@v\d+", uses):
            found.append(f"{name}: {uses} names no version")
        if ("uses" in step) == ("run" in step):
            found.append(f"{name}: a step runs something, or uses something")
        # What somebody else chose, such as the name of a tag, would be read as a script.
        if "${{" in step.get("run", ""):
            found.append(f"{name}: an expression stands in a script; give it as a variable")
        for expression in re.findall(r"\$\{\{\s*(.*?)\s*\}\}", str(step)):
            if not re.fullmatch(r"(env|matrix|github|steps|needs)\.[\w.]+", expression):
                found.append(f"{name}: `{expression}` is not understood")
        for earlier in re.findall(r"steps\.(\w+)\.", str(step)):
            if not any(other.get("id") == earlier for other in jobs[name]["steps"]):
                found.append(f"{name}: there is no step {earlier}")
        for output in re.findall(r"needs\.(\w+)\.outputs\.(\w+)", str(step)):
            if output[0] not in str(jobs[name].get("needs")) or output[1] not in jobs[output[0]].get("outputs", {}):
                found.append(f"{name}: {'.'.join(output)} is not there")
    for name, script in scripts(workflow):
        checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
        if checked.returncode:
            found.append(f"{name}: {checked.stderr.strip()}")
        known = {"IMAGE", "GITHUB_REF_NAME", "GITHUB_OUTPUT", "GITHUB_REPOSITORY", "container", "digests"}
        step = next(step for job in jobs.values() for step in job["steps"] if step.get("run") == script)
        for variable in re.findall(r"\$\{?([A-Za-z_]\w*)", script):
            if variable not in known | set(step.get("env", {})):
                found.append(f"{name}: ${variable} is not set")
    architectures = {entry["arch"] for entry in jobs["build"]["strategy"]["matrix"]["include"]}
    if architectures != PLATFORMS:
        found.append(f"it is built for {sorted(architectures)}")
    for entry in jobs["build"]["strategy"]["matrix"]["include"]:
        arm = entry["arch"] == "arm64"
        if entry["runner"].endswith("-arm") != arm or entry["target"].startswith("aarch64") != arm:
            found.append(f"{entry['arch']} is built on another machine, or named after one")
    tags = set(re.findall(r'--tag "([^"]+)"', "\n".join(script for _, script in scripts(workflow))))
    if tags != TAGS:
        found.append(f"the image is tagged {sorted(tags)}")
    if "push-by-digest=true" not in str(jobs["build"]):
        found.append("an image of one architecture is pushed under a tag")
    everything = "\n".join(script for _, script in scripts(workflow))
    for needed, what in [
        ("sha256sum asgard-*.tar.gz >SHA256SUMS", "the binaries have no checksums"),
        ("asgard-*.tar.gz SHA256SUMS", "the binaries or their checksums are not published"),
        ("version = \\\"${GITHUB_REF_NAME#v}\\\"", "the tag is not compared with the version"),
        ("gh release create", "there is no release"),
    ]:
        if needed not in everything:
            found.append(what)
    return found


def spoiled():
    """Workflows that are wrong, and a word of what has to be said about each."""
    def change(word, edit):
        workflow = copy.deepcopy(load())
        edit(workflow)
        return word, workflow

    def script(workflow, old, new):
        for job in workflow["jobs"].values():
            for step in job["steps"]:
                if "run" in step:
                    step["run"] = step["run"].replace(old, new)

    matrix = lambda workflow: workflow["jobs"]["build"]["strategy"]["matrix"]["include"]
    return [
        change("started by", lambda w: w["on"]["push"].update(tags=["*"])),
        change("given to all", lambda w: w.update(permissions={"contents": "write"})),
        change("no time limit", lambda w: w["jobs"]["build"].pop("timeout-minutes")),
        change("may write to the repository", lambda w: w["jobs"]["build"]["permissions"].update(contents="write")),
        change("not there", lambda w: w["jobs"]["publish"].update(needs=["build"])),
        change("names no version", lambda w: w["jobs"]["version"]["steps"][0].update(uses="actions/checkout@main")),
        change("stands in a script", lambda w: script(w, "mkdir digests", "mkdir ${{ github.ref_name }}")),
        change("there is no step", lambda w: w["jobs"]["build"]["steps"][3].pop("id")),
        change("is not set", lambda w: script(w, "$SHORT", "$SHRT")),
        change("is built for", lambda w: matrix(w).pop()),
        change("another machine", lambda w: matrix(w)[1].update(runner="ubuntu-24.04")),
        change("is tagged", lambda w: script(w, ' --tag "$IMAGE:latest"', "")),
        change("no checksums", lambda w: script(w, "sha256sum asgard-*.tar.gz >SHA256SUMS", "touch SHA256SUMS")),
        change("not compared", lambda w: script(w, "grep -qxF", "true #") or w["jobs"]["version"]["steps"].pop(1)),
        change("syntax error", lambda w: script(w, "cd binaries", "if cd binaries")),
    ]


if sys.argv[1:] == ["--self"]:
    for word, workflow in spoiled():
        said = problems(workflow)
        if not any(word in sentence for sentence in said):
            sys.exit(f"nothing says `{word}`: {said}")
else:
    said = problems(load())
    if said:
        sys.exit("\n".join(said))
