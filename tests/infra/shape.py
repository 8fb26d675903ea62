"""Whether the template is what contract.json says: table, schedules, routes, variables, task, and what must not be lost."""

import json
import os
import re

from cloudformation import function, items, texts


def wrong(template, contract, repo):
    resources = template["Resources"]
    checks = [table, kept, ticks, functions, environment, front, task, queues, logs, alarms]
    return [sentence for check in checks for sentence in check(resources, contract, template)] + code(contract, repo) + documented(template, repo)


def same(what, is_, expected):
    return [] if is_ == expected else [f"{what} is {is_}, contract.json says {expected}"]


def table(resources, contract, _template):
    properties, found = resources["Table"]["Properties"], []
    types = {a["AttributeName"]: a["AttributeType"] for a in properties["AttributeDefinitions"]}

    def keys(schema):
        return {key["KeyType"].lower(): [key["AttributeName"], types.get(key["AttributeName"])] for key in schema}

    found += same("the table's key", keys(properties["KeySchema"]), contract["table"]["key"])
    indices = {index["IndexName"]: keys(index["KeySchema"]) for index in properties["GlobalSecondaryIndexes"]}
    found += same("the indices", indices, contract["table"]["indices"])
    for index in properties["GlobalSecondaryIndexes"]:
        found += same(f"the projection of {index['IndexName']}", index["Projection"], {"ProjectionType": "KEYS_ONLY"})
    # What DynamoDB itself demands of a name, and emulators forget.
    found += [f"DynamoDB refuses the index name {name}: it takes 3 to 255 characters" for name in indices if not 3 <= len(name) <= 255]
    found += same("the TTL", properties.get("TimeToLiveSpecification"), {"AttributeName": contract["table"]["ttl"], "Enabled": True})
    policy = resources["DataPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    readable = {arn.rsplit("/", 1)[1] for s in policy if s.get("Sid") == "Indices" for arn in texts(s["Resource"], {"Resources": resources})}
    return found + same("what may be queried", readable, set(contract["table"]["indices"]))


def kept(resources, _contract, _template):
    found, properties = [], resources["Table"]["Properties"]
    # A key that nothing was kept under may go with a creation that is rolled back; a protected table cannot.
    for name, policy, expected in (("Table", "DeletionPolicy", "Retain"), ("Table", "UpdateReplacePolicy", "Retain"),
                                   ("Key", "DeletionPolicy", "RetainExceptOnCreate"), ("Key", "UpdateReplacePolicy", "Retain")):
        if resources[name].get(policy) != expected:
            found.append(f"{name}: {policy} must be {expected}")
    if properties.get("DeletionProtectionEnabled") is not True:
        found.append("Table: DeletionProtectionEnabled must be true")
    if properties.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled") is not True:
        found.append("Table: point-in-time recovery must be on")
    if properties.get("SSESpecification", {}).get("SSEType") != "KMS":
        found.append("Table: must be encrypted with the master key")
    if properties.get("BillingMode") != "PAY_PER_REQUEST":
        found.append("Table: BillingMode must be PAY_PER_REQUEST")
    if resources["Key"]["Properties"].get("EnableKeyRotation") is not True:
        found.append("Key: must rotate")
    return found


def ticks(resources, contract, _template):
    found, seen = [], {}
    for name, event in resources["Events"]["Properties"]["Events"].items():
        properties = event["Properties"]
        payload = json.loads(properties["Input"])
        if payload.pop("scheduled_at", None) != "<aws.scheduler.scheduled-time>":
            found.append(f"{name}: the payload needs scheduled_at, which tells one delivery from the next")
        seen[payload.get("name", payload["work"])] = {"payload": payload, "every": properties["ScheduleExpression"]}
        retries = properties.get("RetryPolicy", {})
        if retries.get("MaximumRetryAttempts", 185) > 2 or retries.get("MaximumEventAgeInSeconds", 86400) > 60:
            found.append(f"{name}: is tried again at most twice and within 60 s; the next tick does the rest")
        if "DeadLetterConfig" not in properties or "RoleArn" not in properties or "GroupName" not in properties:
            found.append(f"{name}: needs DeadLetterConfig, RoleArn and GroupName")
        if properties.get("OmitName") is not True:
            found.append(f"{name}: needs OmitName, or two stacks in one account clash")
    return found + same("the ticks", seen, contract["ticks"])


def functions(resources, contract, template):
    found = []
    for name, binary in contract["binaries"].items():
        found += same(f"how {name} is built", resources[name].get("Metadata"),
                      {"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": binary}})
    if "ReservedConcurrentExecutions" not in resources["Events"]["Properties"]:
        found.append("Events: needs ReservedConcurrentExecutions")
    for name in ("EventsConcurrency", "McpConcurrency"):
        if template["Parameters"][name]["Default"] != 0:
            found.append(f"{name}: the default must be 0; a new account cannot reserve anything")
    names = {n for n, r in resources.items() if r["Type"] == "AWS::Serverless::Function"}
    return found + same("the functions", names, set(contract["binaries"]))


def environment(resources, contract, template):
    found, listed = [], contract["environment"]
    shared = template["Globals"]["Function"]["Environment"]["Variables"]
    units = {name: shared | resources[name]["Properties"].get("Environment", {}).get("Variables", {}) for name in contract["binaries"]}
    container = resources["RunnerTask"]["Properties"]["ContainerDefinitions"][0]
    units["runner"] = {entry["Name"]: entry["Value"] for entry in items(container["Environment"])}
    optional = {entry["Name"] for entry in items(container["Environment"]) if entry not in container["Environment"]}
    for name, variables in units.items():
        always = {key for key, value in variables.items() if not _may_be_absent(value) and key not in optional} - {"ASGARD_LOG"}
        expected = set(listed["always"]) | set(listed[name])
        found += same(f"what {name} always gets", sorted(always), sorted(expected))
        strange = set(variables) - expected - set(listed["sometimes"])
        found += [f"{name}: contract.json does not know {variable}" for variable in sorted(strange)]
    secrets = {entry["Name"] for entry in items(container.get("Secrets", []))}
    found += same("the providers' variables", sorted(secrets), sorted(listed["providers"]))
    for name, surface in contract["surfaces"].items():
        found += same(f"ASGARD_LAMBDA_SURFACE of {name}", units[name].get("ASGARD_LAMBDA_SURFACE"), surface)
    known = set(listed["always"]) | set(listed["sometimes"]) | {v for name in units for v in listed[name]}
    used = {variable for variables in units.values() for variable in variables}
    return found + [f"contract.json names {variable}, and nothing gets it" for variable in sorted(known - used)]


def _may_be_absent(value):
    name, argument = function(value)
    if value == {"Ref": "AWS::NoValue"}:
        return True
    return name == "Fn::If" and (_may_be_absent(argument[1]) or _may_be_absent(argument[2]))


def front(resources, contract, _template):
    routes, found = {}, []
    for resource in resources.values():
        if resource["Type"] == "AWS::ApiGatewayV2::Route":
            target = resource["Properties"]["Target"]["Fn::Sub"]
            integration = target.removeprefix("integrations/${").removesuffix("}")
            routes[resource["Properties"]["RouteKey"]] = resources[integration]["Properties"]["IntegrationUri"]["Fn::GetAtt"][0]
        if resource["Type"] == "AWS::Lambda::Url":
            found += same("a function URL", (resource["Properties"]["AuthType"], resource["Properties"]["InvokeMode"]), ("NONE", "BUFFERED"))
    stage = resources["HttpStage"]["Properties"]
    for setting in ("ThrottlingRateLimit", "ThrottlingBurstLimit"):
        if setting not in stage["DefaultRouteSettings"]:
            found.append(f"HttpStage: needs {setting}")
    if "AccessLogSettings" not in stage:
        found.append("HttpStage: needs access logs")
    else:
        try:
            json.loads(stage["AccessLogSettings"]["Format"])
        except ValueError as error:
            found.append(f"HttpStage: the format of the access log is no JSON: {error}")
        if "queryString" in stage["AccessLogSettings"]["Format"] or "header" in stage["AccessLogSettings"]["Format"]:
            found.append("HttpStage: query strings and headers may hold credentials and do not belong into a log")
    for integration in ("ApiIntegration", "McpIntegration"):
        seconds = resources[integration]["Properties"]["TimeoutInMillis"] / 1000
        function_ = resources[integration]["Properties"]["IntegrationUri"]["Fn::GetAtt"][0]
        if resources[function_]["Properties"]["Timeout"] > seconds:
            found.append(f"{function_}: lives longer than its front door waits ({seconds} s)")
    return found + same("the routes", routes, contract["routes"])


def task(resources, contract, template):
    properties, wanted, found = resources["RunnerTask"]["Properties"], contract["task"], []
    container = properties["ContainerDefinitions"][0]
    found += same("the container", container["Name"], wanted["container"])
    found += same("its entry point", container["EntryPoint"], wanted["entry_point"])
    found += same("its user", container["User"], wanted["user"])
    found += same("its stop timeout", container["StopTimeout"], wanted["stop_timeout"])
    found += same("its read-only root", container.get("ReadonlyRootFilesystem"), True)
    found += same("its capabilities", container["LinuxParameters"]["Capabilities"], {"Drop": ["ALL"]})
    found += same("its log driver", container["LogConfiguration"]["LogDriver"], "awslogs")
    mounts = [mount["ContainerPath"] for mount in container["MountPoints"]]
    found += same("what it can write", sorted(mounts), ["/data", "/tmp"])
    values = {entry["Name"]: entry["Value"] for entry in items(container["Environment"])}
    found += same("its work directory", values["ASGARD_TF_WORK_DIR"], wanted["work_dir"])
    for parameter, expected in (("TerraformModulesDir", wanted["modules"]), ("TerraformProviderMirror", wanted["providers"])):
        found += same(f"the default of {parameter}", template["Parameters"][parameter]["Default"], expected)
    for name, resource in resources.items():
        if resource["Type"].startswith("AWS::ECS::") and resource.get("Condition") != "Armed":
            found.append(f"{name}: must not exist without an image (Condition: Armed)")
    if "CapacityProviders" in resources["Cluster"]["Properties"]:
        found.append("Cluster: with CapacityProviders it cannot be made in an account that never used ECS")
    if "SecurityGroupIngress" in resources["RunnerSecurityGroup"]["Properties"]:
        found.append("RunnerSecurityGroup: nothing may come in")
    return found


def queues(resources, _contract, _template):
    found = []
    for name, resource in resources.items():
        if resource["Type"] == "AWS::SQS::Queue":
            if resource["Properties"].get("MessageRetentionPeriod") != 14 * 86400:
                found.append(f"{name}: keeps messages for 14 days")
            if resource["Properties"].get("SqsManagedSseEnabled") is not True:
                found.append(f"{name}: must be encrypted")
    failed = resources["Events"]["Properties"]["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]
    return found + same("where failed events go", failed, {"Type": "SQS", "Destination": {"Fn::GetAtt": ["FailedEvents", "Arn"]}})


def logs(resources, contract, _template):
    found = []
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Logs::LogGroup" and "RetentionInDays" not in resource["Properties"]:
            found.append(f"{name}: would be kept for ever")
        if resource["Type"] == "AWS::Serverless::Function" and "LoggingConfig" not in resource["Properties"]:
            found.append(f"{name}: logs into a group that is kept for ever")
        elif resource["Type"] == "AWS::Serverless::Function" and resource["Properties"]["LoggingConfig"].get("ApplicationLogLevel") != "TRACE":
            found.append(f"{name}: Lambda drops lines below INFO, whatever LogFilter says; ApplicationLogLevel must be TRACE")
    return found


def alarms(resources, contract, _template):
    found = []
    metrics = {}
    for name, resource in resources.items():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            properties = resource["Properties"]
            metrics.setdefault(properties["MetricName"], []).append(str(properties.get("Dimensions", "")))
            if properties.get("AlarmActions") != [{"Ref": "Alarms"}]:
                found.append(f"{name}: tells nobody")
    for function_ in contract["binaries"]:
        for metric in ("Errors", "Throttles"):
            if not any(f"'{function_}'" in dimensions for dimensions in metrics.get(metric, [])):
                found.append(f"{function_}: has no alarm on {metric}")
    for function_, binary in contract["binaries"].items():
        if binary == "http" and not any(f"'{function_}'" in dimensions for dimensions in metrics.get("Url5xxCount", [])):
            found.append(f"{function_}: has no alarm on Url5xxCount, which nothing else counts with FrontDoor=FunctionUrl")
    wanted = {"ReadThrottleEvents": "the table", "WriteThrottleEvents": "the table", "ClaimedAccountConcurrency": "the account's concurrency"}
    for metric, what in wanted.items():
        if metric not in metrics:
            found.append(f"{what}: has no alarm on {metric}")
    for name, resource in resources.items():
        if resource["Type"] == "AWS::SQS::Queue":
            for metric in ("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"):
                if not any(f"'{name}'" in dimensions for dimensions in metrics.get(metric, [])):
                    found.append(f"{name}: has no alarm on {metric}")
    filters = {r["Properties"]["FilterPattern"]: r["Properties"]["MetricTransformations"][0]["MetricName"]
               for r in resources.values() if r["Type"] == "AWS::Logs::MetricFilter"}
    patterns = {f'{{ $.message = "{line}" }}' for line in contract["log_lines"]}
    found += same("the lines that make metrics", set(filters), patterns)
    return found + [f"the metric {m} has no alarm" for m in filters.values() if m not in metrics]


def built(samconfig):
    """How `sam build` decides that there is nothing to do."""
    if samconfig["default"]["build"]["parameters"].get("cached") is not False:
        return ["samconfig.toml: cached must be false; SAM looks at asgard-lambda alone and would deploy old programs after a change elsewhere"]
    return []


def code(contract, repo):
    """The code must still write the lines that alarms wait for. That the ticks are its loops is a test of asgard-lambda."""
    found = []
    for line, path in contract["log_lines"].items():
        with open(os.path.join(repo, path), encoding="utf-8") as file:
            if f'"{line}"' not in file.read():
                found.append(f"{path} does not log: {line}")
    return found


def documented(template, repo):
    with open(os.path.join(repo, "docs", "deploy-serverless.md"), encoding="utf-8") as file:
        text = file.read()
    rows = re.findall(r"^\| (`.*?) \|", text.partition("## Parameters")[2].partition("\n## ")[0], re.M)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    found = same("the parameters that docs/deploy-serverless.md explains", sorted(named), sorted(template["Parameters"]))
    alarms_ = sum(resource["Type"] == "AWS::CloudWatch::Alarm" for resource in template["Resources"].values())
    if f"| {alarms_} × 0.10 |" not in text:
        found.append(f"docs/deploy-serverless.md reckons with another number of alarms than {alarms_}")
    return found
