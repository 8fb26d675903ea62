"""Ways to spoil the template, or samconfig.toml, each with a part of the sentence that must come of it."""


def _statement(resource, sid):
    properties = resource["Properties"]
    documents = [properties["PolicyDocument"]] if "PolicyDocument" in properties else [p["PolicyDocument"] for p in properties["Policies"]]
    for document in documents:
        for statement in document["Statement"]:
            candidates = statement["Fn::If"][1:] if "Fn::If" in statement else [statement]
            for candidate in candidates:
                if candidate.get("Sid") == sid:
                    return candidate
    raise KeyError(sid)


def _set(path, value):
    """Spoils one property: `_set("Table/Properties/BillingMode", "PROVISIONED")`; None removes it."""
    def spoil(resources):
        *way, last = path.split("/")
        place = resources
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place[step]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return spoil


def _in_statement(resource, sid, key, value):
    def spoil(resources):
        statement = _statement(resources[resource], sid)
        if value is None:
            del statement[key]
        else:
            statement[key] = value
    return spoil


def _more(resource, **statement):
    def spoil(resources):
        resources[resource]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"].append({"Effect": "Allow", **statement})
    return spoil


def _unconditional_store(resources):
    statements = resources["DataPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    for place, statement in enumerate(statements):
        if "Fn::If" in statement and statement["Fn::If"][0] == "KeepsSecretsOutside":
            statements[place] = statement["Fn::If"][1]


def _scheduled_by_hand(resources):
    resources["Events"]["Properties"]["Events"]["Jobs"]["Properties"]["Input"] = '{"work":"jobs"}'


RESOURCES = [
    ("an action that is a wildcard", _in_statement("ApiRole", "WakeEvents", "Action", "lambda:*"), "ApiRole, statement WakeEvents: has a wildcard"),
    ("a resource that is a wildcard", _in_statement("ApiRole", "AdminPassword", "Resource", "*"), "AdminPassword: has a wildcard"),
    ("a wildcard inside of a function", _in_statement("McpRole", "WakeEvents", "Resource", {"Fn::Sub": "arn:${AWS::Partition}:lambda:x:y:function:*"}),
     "McpRole, statement WakeEvents: has a wildcard"),
    ("a wildcard behind a condition", _in_statement("DataPolicy", "Records", "Resource", {"Fn::If": ["Armed", "*", {"Ref": "Table"}]}), "Records: has a wildcard"),
    ("a lost reason", _set("EventsRole/Metadata/Asgard/Wildcards/FindRunners", None), "FindRunners: has a wildcard"),
    ("a reason that says nothing", _set("EventsRole/Metadata/Asgard/Wildcards/FindRunners", "needed"), "FindRunners: has a wildcard"),
    ("a reason for nothing", _set("TicksRole/Metadata", {"Asgard": {"Wildcards": {"Tick": "x" * 40}}}), "explains a wildcard that is not there"),
    ("an action that nothing needs", _more("McpRole", Sid="Scan", Action="dynamodb:Scan", Resource="arn:x"), "McpRole: may dynamodb:Scan"),
    ("another role's action", _more("ApiRole", Sid="Run", Action="ecs:RunTask", Resource="arn:x", Condition={"ArnEquals": {"ecs:cluster": "c"}}),
     "ApiRole: may ecs:RunTask"),
    ("a missing action", _in_statement("DataPolicy", "Records", "Action", ["dynamodb:GetItem"]), "may not dynamodb:PutItem"),
    ("a statement without Sid", _more("TicksRole", Action="sqs:SendMessage", Resource="arn:x"), "every statement needs a Sid"),
    ("NotAction", _more("TicksRole", Sid="Not", Action="sqs:SendMessage", NotResource="arn:x"), "NotResource allows what nobody listed"),
    ("RunTask on every cluster", _in_statement("EventsRole", "StartRunner", "Condition", None), "needs a condition on ecs:cluster"),
    ("roles lent to every service", _in_statement("EventsRole", "LendRunnerItsRoles", "Condition", None), "needs a condition on iam:PassedToService"),
    ("a key for everything", _in_statement("DataPolicy", "DataKeys", "Condition", None), "a key is used for anything"),
    ("secrets in Secrets Manager, always", _unconditional_store, "without the condition KeepsSecretsOutside"),
    ("a policy from elsewhere", _set("ApiRole/Properties/ManagedPolicyArns", ["arn:aws:iam::aws:policy/AdministratorAccess"]), "a policy that nobody here can read"),
    ("no boundary", _set("McpRole/Properties/PermissionsBoundary", None), "takes no PermissionsBoundary"),
    ("a role that SAM makes", _set("Api/Properties/Role", None), "without a Role of its own"),
    ("a key's look at anything", _in_statement("DataPolicy", "LookAtTableKey", "Condition", None), "LookAtTableKey: a key is used for anything"),
    ("more than a look without a context", _in_statement("DataPolicy", "LookAtTableKey", "Action", ["kms:DescribeKey", "kms:Decrypt"]),
     "LookAtTableKey: a key is used for anything"),
    ("one master key at a time", _in_statement("DataPolicy", "TableKey", "Resource", {"Ref": "KmsKeyArn"}), "TableKey: a change of the master key needs both"),
    ("secrets that cannot be made", _in_statement("DataPolicy", "SecretStoreKey", "Condition", {"ArnLike": {"kms:EncryptionContext:SecretARN": "arn:x"}}),
     "SecretStoreKey: Secrets Manager tries a key"),
    ("a family without its revisions", _in_statement("EventsRole", "StartRunner", "Resource", "arn:x:task-definition/runner"),
     "StartRunner: names the family"),
    ("a role for everybody", _set("RunnerTaskRole/Properties/AssumeRolePolicyDocument/Statement/0/Principal", "*"), "is to be trusted to one service"),
    ("a confused deputy", _set("RunnerTaskRole/Properties/AssumeRolePolicyDocument/Statement/0/Condition", None), "tie it to aws:SourceAccount"),
    ("a deputy without a reason", _set("RunnerExecutionRole/Metadata/Asgard/Trust", None), "RunnerExecutionRole: lets ecs-tasks.amazonaws.com act"),
    ("a reason for a condition that is there", _set("RunnerTaskRole/Metadata", {"Asgard": {"Trust": "x" * 40}}), "explains a condition that is not missing"),
    ("every API may call", _set("ApiFromHttp/Properties/SourceArn", None), "without SourceArn"),
    ("a table that goes with the stack", _set("Table/DeletionPolicy", "Delete"), "Table: DeletionPolicy must be Retain"),
    ("a key that goes with the stack", _set("Key/DeletionPolicy", None), "Key: DeletionPolicy must be RetainExceptOnCreate"),
    ("no point-in-time recovery", _set("Table/Properties/PointInTimeRecoverySpecification", None), "point-in-time recovery must be on"),
    ("no deletion protection", _set("Table/Properties/DeletionProtectionEnabled", False), "DeletionProtectionEnabled must be true"),
    ("another TTL", _set("Table/Properties/TimeToLiveSpecification/AttributeName", "expires"), "the TTL is"),
    ("an index less", lambda resources: resources["Table"]["Properties"]["GlobalSecondaryIndexes"].pop(), "the indices is"),
    ("a projection of everything", _set("Table/Properties/GlobalSecondaryIndexes/0/Projection", {"ProjectionType": "ALL"}), "the projection of"),
    ("a loop less", lambda resources: resources["Events"]["Properties"]["Events"].pop("Expire"), "the ticks is"),
    ("a tick that does not say when", _scheduled_by_hand, "the payload needs scheduled_at"),
    ("endless retries", _set("Events/Properties/Events/Jobs/Properties/RetryPolicy", {"MaximumRetryAttempts": 185}), "is tried again at most twice"),
    ("a named schedule", _set("Events/Properties/Events/Jobs/Properties/OmitName", None), "needs OmitName"),
    ("the wrong binary", _set("Events/Metadata/BuildProperties/Binary", "http"), "how Events is built"),
    ("the wrong surface", _set("Mcp/Properties/Environment/Variables/ASGARD_LAMBDA_SURFACE", "api"), "ASGARD_LAMBDA_SURFACE of Mcp"),
    ("a variable nobody knows", _set("Mcp/Properties/Environment/Variables/ASGARD_NEW", "1"), "contract.json does not know ASGARD_NEW"),
    ("a swapped route", _set("DiscoveryRoute/Properties/Target", {"Fn::Sub": "integrations/${ApiIntegration}"}), "the routes is"),
    ("no throttle", _set("HttpStage/Properties/DefaultRouteSettings/ThrottlingRateLimit", None), "needs ThrottlingRateLimit"),
    ("query strings in the log", _set("HttpStage/Properties/AccessLogSettings/Format", '{"q":"$context.queryString"}'), "may hold credentials"),
    ("a writable root", _set("RunnerTask/Properties/ContainerDefinitions/0/ReadonlyRootFilesystem", False), "its read-only root"),
    ("a root user", _set("RunnerTask/Properties/ContainerDefinitions/0/User", "0:0"), "its user"),
    ("a short stop", _set("RunnerTask/Properties/ContainerDefinitions/0/StopTimeout", 30), "its stop timeout"),
    ("a cluster without an image", _set("Cluster/Condition", None), "must not exist without an image"),
    ("a cluster that needs ECS's own role", _set("Cluster/Properties/CapacityProviders", ["FARGATE"]), "never used ECS"),
    ("an open port", _set("RunnerSecurityGroup/Properties/SecurityGroupIngress", []), "nothing may come in"),
    ("logs for ever", _set("RunnerLogs/Properties/RetentionInDays", None), "would be kept for ever"),
    ("a level of Lambda's", _set("Mcp/Properties/LoggingConfig/ApplicationLogLevel", None), "Mcp: Lambda drops lines below INFO"),
    ("a silent alarm", _set("RunsStuck/Properties/AlarmActions", []), "RunsStuck: tells nobody"),
    ("no alarm on a function URL", lambda resources: resources.pop("McpUrlErrors"), "Mcp: has no alarm on Url5xxCount"),
    ("no alarm on the table", lambda resources: resources.pop("TableReadThrottles"), "the table: has no alarm on ReadThrottleEvents"),
    ("no alarm on the account", lambda resources: resources.pop("AccountFull"), "the account's concurrency: has no alarm"),
    ("no alarm on errors", lambda resources: resources.pop("McpErrors"), "Mcp: has no alarm on Errors"),
    ("no alarm on a queue's age", lambda resources: resources.pop("LostTicksAge"), "LostTicks: has no alarm on ApproximateAgeOfOldestMessage"),
    ("a metric of a line that is not written", _set("DeadJobsLines/Properties/FilterPattern", '{ $.message = "x" }'), "the lines that make metrics"),
    ("failures that nobody keeps", _set("Events/Properties/EventInvokeConfig/DestinationConfig/OnFailure/Destination", "x"), "where failed events go"),
]

PARAMETERS = [
    ("a reservation that a new account refuses", _set("EventsConcurrency/Default", 5), "EventsConcurrency: the default must be 0"),
    ("the same for agents", _set("McpConcurrency/Default", 5), "McpConcurrency: the default must be 0"),
    ("a parameter that nobody explains", lambda parameters: parameters.update(Secret={"Type": "String"}), "the parameters that docs/deploy-serverless.md explains"),
]

SAMCONFIG = [
    ("a build that is not done", _set("default/build/parameters/cached", True), "cached must be false"),
    ("a build that SAM decides about", _set("default/build/parameters/cached", None), "cached must be false"),
]

# By the part that is spoiled.
WAYS = {"Resources": RESOURCES, "Parameters": PARAMETERS, "samconfig.toml": SAMCONFIG}
