#!/usr/bin/env python3
"""Looks at what was deployed onto the emulator.

    deployed.py STACK HttpApi|FunctionUrl armed|unarmed
    deployed.py ecs STATE
"""

import json
import os
import sys

import boto3

REPO = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
WRONG = []


def same(what, is_, expected):
    if is_ != expected:
        WRONG.append(f"{what} is {is_!r}, expected {expected!r}")


def stack(name, front, armed):
    with open(os.path.join(REPO, "infra", "contract.json"), encoding="utf-8") as file:
        contract = json.load(file)
    cloudformation = boto3.client("cloudformation")
    found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}
    made = {resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for resource in cloudformation.describe_stack_resources(StackName=name)["StackResources"]}
    table(outputs["Table"], contract)
    # `$url/readyz` must be one slash.
    same("the end of the address", outputs["Url"][-1] == "/", False)
    same("the end of /mcp", outputs["McpAddress"].rpartition("/")[0][-1] == "/", False)
    schedules(name, made, contract)
    password(outputs["AdminPasswordSecret"])
    functions = {function["FunctionName"]: function for function in boto3.client("lambda").list_functions()["Functions"]}
    environments = {unit: functions[made[unit]]["Environment"]["Variables"] for unit in contract["binaries"]}
    for unit, variables in environments.items():
        needed = set(contract["environment"]["always"]) | set(contract["environment"][unit])
        same(f"what {unit} misses", needed - set(variables), set())
        same(f"{unit}'s table", variables["ASGARD_DATABASE_URL"], f"dynamodb://{name}?region=eu-west-1")
        same(f"{unit}'s key", variables["ASGARD_KMS_KEY_ID"], outputs["MasterKey"])
        same(f"whether {unit} is armed", any(key.startswith("ASGARD_FARGATE_") for key in variables), armed)
        public = "https://asgard.example.com" if armed else outputs["Url"] if front == "HttpApi" else None
        same(f"{unit}'s public URL", variables.get("ASGARD_PUBLIC_URL"), public)
    same("whom Api wakes", environments["Api"]["ASGARD_EVENTS_FUNCTION"].rsplit(":", 1)[-1], made["Events"])
    same("the front door", ("Http" in made, "ApiUrl" in made), (front == "HttpApi", front == "FunctionUrl"))
    runner(name, environments["Events"], contract) if armed else same("a cluster", outputs.get("RunnerCluster"), None)


def table(name, contract):
    client = boto3.client("dynamodb")
    found = client.describe_table(TableName=name)["Table"]
    types = {a["AttributeName"]: a["AttributeType"] for a in found["AttributeDefinitions"]}

    def keys(schema):
        return {key["KeyType"].lower(): [key["AttributeName"], types[key["AttributeName"]]] for key in schema}

    same("the table's key", keys(found["KeySchema"]), contract["table"]["key"])
    same("the indices", {i["IndexName"]: keys(i["KeySchema"]) for i in found["GlobalSecondaryIndexes"]}, contract["table"]["indices"])
    same("the projections", {i["Projection"]["ProjectionType"] for i in found["GlobalSecondaryIndexes"]}, {"KEYS_ONLY"})
    same("deletion protection", found.get("DeletionProtectionEnabled"), True)
    same("billing", found["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST")
    # The emulator's CloudFormation passes over encryption, time to live and recovery; template.py looks at those.


def schedules(name, made, contract):
    client = boto3.client("scheduler")
    found = {}
    for summary in client.list_schedules(GroupName=name)["Schedules"]:
        schedule = client.get_schedule(GroupName=name, Name=summary["Name"])
        payload = json.loads(schedule["Target"]["Input"])
        same("the time in a tick", payload.pop("scheduled_at"), "<aws.scheduler.scheduled-time>")
        found[payload.get("name", payload["work"])] = {"payload": payload, "every": schedule["ScheduleExpression"]}
        same("whom a tick calls", schedule["Target"]["Arn"].rsplit(":", 1)[-1], made["Events"])
    same("the ticks", found, contract["ticks"])


def password(secret):
    value = boto3.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    # How it is to be made, the emulator passes over.
    if len(value) < 32:
        WRONG.append("the admin's password is short")


def runner(name, variables, contract):
    ecs, task = boto3.client("ecs"), contract["task"]
    found = ecs.describe_task_definition(taskDefinition=variables["ASGARD_FARGATE_TASK_DEFINITION"])["taskDefinition"]
    container = found["containerDefinitions"][0]
    same("the container", (container["name"], container["entryPoint"], container["user"]), (task["container"], task["entry_point"], task["user"]))
    same("its root", container["readonlyRootFilesystem"], True)
    same("its stop timeout", container["stopTimeout"], task["stop_timeout"])
    own = {entry["name"]: entry["value"] for entry in container["environment"]}
    needed = set(contract["environment"]["always"]) | set(contract["environment"]["runner"])
    same("what the runner misses", needed - set(own), set())
    same("the runner's table", own["ASGARD_DATABASE_URL"], variables["ASGARD_DATABASE_URL"])
    # What Asgard itself does: names from the environment, and nothing but the run in the command.
    started = ecs.run_task(
        cluster=variables["ASGARD_FARGATE_CLUSTER"], taskDefinition=variables["ASGARD_FARGATE_TASK_DEFINITION"], launchType="FARGATE",
        startedBy="run-1", clientToken="run-1-1",
        overrides={"containerOverrides": [{"name": variables["ASGARD_FARGATE_CONTAINER"], "command": ["run-1"]}]},
        networkConfiguration={"awsvpcConfiguration": {
            "subnets": variables["ASGARD_FARGATE_SUBNETS"].split(","),
            "securityGroups": variables["ASGARD_FARGATE_SECURITY_GROUPS"].split(","),
            "assignPublicIp": "ENABLED" if variables["ASGARD_FARGATE_ASSIGN_PUBLIC_IP"] == "true" else "DISABLED"}})
    same("what RunTask refuses", started["failures"], [])
    same("how many tasks RunTask starts", len(started["tasks"]), 1)
    same("targets", variables["ASGARD_TF_ALLOWED"], "aws:123456789012")


def service(state):
    with open(state, encoding="utf-8") as file:
        text = file.read()
    resources = json.loads(text)["resources"]
    url = next(r for r in resources if (r["type"], r["name"]) == ("aws_secretsmanager_secret", "database_url"))["instances"][0]["attributes"]
    value = boto3.client("secretsmanager").get_secret_value(SecretId=url["arn"])["SecretString"]
    user, _, rest = value.removeprefix("postgres://asgard:").partition("@")
    same("the shape of the database's URL", (value.startswith("postgres://asgard:"), len(user), rest.endswith("/asgard?sslmode=require")), (True, 40, True))
    if user in text:
        WRONG.append("the database's password is in Terraform's state")
    database = boto3.client("rds").describe_db_instances(DBInstanceIdentifier="asgard")["DBInstances"][0]
    same("the database", (database["StorageEncrypted"], database["PubliclyAccessible"], database["DeletionProtection"]), (True, False, True))
    found = boto3.client("ecs").describe_services(cluster="asgard", services=["asgard"])["services"][0]
    same("the service", (found["desiredCount"], found["launchType"], found["enableExecuteCommand"]), (2, "FARGATE", False))
    definition = boto3.client("ecs").describe_task_definition(taskDefinition=found["taskDefinition"])["taskDefinition"]
    container = definition["containerDefinitions"][0]
    variables = {entry["name"]: entry["value"] for entry in container["environment"]}
    same("where the URL is", variables["ASGARD_DATABASE_URL_SECRET_ARN"], url["arn"])
    same("what arms it", (variables["ASGARD_TF_MODULES_DIR"], variables["ASGARD_TF_ALLOWED"]), ("/modules", "aws:123456789012"))
    balancer = boto3.client("elbv2").describe_load_balancers(Names=["asgard"])["LoadBalancers"][0]["LoadBalancerArn"]
    attributes = boto3.client("elbv2").describe_load_balancer_attributes(LoadBalancerArn=balancer)["Attributes"]
    same("the idle timeout", {a["Key"]: a["Value"] for a in attributes}["idle_timeout.timeout_seconds"], "300")


if __name__ == "__main__":
    if sys.argv[1] == "ecs":
        service(sys.argv[2])
    else:
        stack(sys.argv[1], sys.argv[2], sys.argv[3] == "armed")
    for sentence in WRONG:
        print(f"  {sentence}", file=sys.stderr)
    sys.exit(1 if WRONG else 0)
