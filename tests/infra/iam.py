"""What the template lets whom do. Returns sentences that say what is wrong."""

from cloudformation import items, texts

POLICY_TYPES = ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy")
# Places of policies that belong to a resource and not to a role.
RESOURCE_POLICIES = {"AWS::KMS::Key": "KeyPolicy", "AWS::SQS::QueuePolicy": "PolicyDocument", "AWS::SNS::TopicPolicy": "PolicyDocument",
                     "AWS::ECR::Repository": "RepositoryPolicyText", "AWS::SecretsManager::ResourcePolicy": "ResourcePolicy"}
SHORTEST_REASON = 30


def wrong(template, contract):
    found = []
    for name, resource in template["Resources"].items():
        found += unexplained(name, resource, template)
    found += beyond_need(template, contract)
    return found


def statements(resource):
    """Every statement of the resource's own policies, trust policies of roles aside."""
    properties, kind = resource.get("Properties", {}), resource["Type"]
    documents = []
    if kind == "AWS::IAM::Role":
        documents = [policy["PolicyDocument"] for policy in items(properties.get("Policies", []))]
    elif kind in POLICY_TYPES:
        documents = [properties["PolicyDocument"]]
    elif kind in RESOURCE_POLICIES and RESOURCE_POLICIES[kind] in properties:
        documents = [properties[RESOURCE_POLICIES[kind]]]
    elif kind == "AWS::Serverless::Function":
        documents = [policy for policy in items(properties.get("Policies", [])) if isinstance(policy, dict)]
    return [statement for document in documents for statement in items(document["Statement"])]


def unexplained(name, resource, template):
    """Wildcards without a reason, reasons without a wildcard, and what needs no wildcard to be too much."""
    found, used = [], set()
    reasons = resource.get("Metadata", {}).get("Asgard", {}).get("Wildcards", {})
    for statement in statements(resource):
        sid = statement.get("Sid")
        where = f"{name}, statement {sid or 'without Sid'}"
        if not sid:
            found.append(f"{where}: every statement needs a Sid")
        for inverted in ("NotAction", "NotResource", "NotPrincipal"):
            if inverted in statement:
                found.append(f"{where}: {inverted} allows what nobody listed")
        if statement.get("Effect") != "Allow":
            continue
        values = [text for key in ("Action", "Resource", "Principal") for text in _texts(statement.get(key, []), template)]
        if any("*" in value or "?" in value for value in values):
            used.add(sid)
            if len(reasons.get(sid, "")) < SHORTEST_REASON:
                found.append(f"{where}: has a wildcard and no reason in Metadata.Asgard.Wildcards.{sid}")
    if resource["Type"] == "AWS::Lambda::Permission":
        for key in ("Principal", "SourceArn"):
            if any("*" in text for text in texts(resource["Properties"].get(key, ""), template)):
                used.add(key)
                if len(reasons.get(key, "")) < SHORTEST_REASON:
                    found.append(f"{name}: {key} has a wildcard and no reason in Metadata.Asgard.Wildcards.{key}")
        if resource["Properties"]["Principal"] == "apigateway.amazonaws.com" and "SourceArn" not in resource["Properties"]:
            found.append(f"{name}: without SourceArn every API of everybody may call the function")
    for sid in sorted(set(reasons) - used):
        found.append(f"{name}: Metadata.Asgard.Wildcards.{sid} explains a wildcard that is not there")
    return found


def _texts(value, template):
    if isinstance(value, dict) and not any(key == "Ref" or key.startswith("Fn::") for key in value):
        return [text for inner in value.values() for text in texts(inner, template)]
    return texts(value, template)


def beyond_need(template, contract):
    """Roles that may do what contract.json does not list, and lists that no role uses up."""
    found, seen = [], {}
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            if "Role" not in resource["Properties"]:
                found.append(f"{name}: without a Role of its own SAM makes one, with wildcards")
            continue
        if resource["Type"] != "AWS::IAM::Role":
            continue
        own, boundary = list(statements(resource)), resource["Properties"].get("PermissionsBoundary")
        if not boundary:
            found.append(f"{name}: takes no PermissionsBoundary")
        for arn in items(resource["Properties"].get("ManagedPolicyArns", [])):
            for text in texts(arn, template):
                policy = template["Resources"].get(text.removeprefix("${").removesuffix("}"))
                if policy is not None:
                    own += statements(policy)
                elif text != "${RunnerPolicyArns}":
                    found.append(f"{name}: {text} is a policy that nobody here can read")
        seen[name] = {action for statement in own for action in _texts(statement["Action"], template)}
    for name, actions in seen.items():
        if name not in contract["actions"]:
            found.append(f"{name}: contract.json does not say what this role needs")
            continue
        listed = contract["actions"][name]
        allowed = set(listed["needs"]) | set(listed.get("secretsmanager", []))
        found += [f"{name}: may {action}, which contract.json does not list" for action in sorted(actions - allowed)]
        found += [f"{name}: may not {action}, which contract.json says it needs" for action in sorted(allowed - actions)]
    found += [f"contract.json lists {name}, and there is no such role" for name in sorted(set(contract["actions"]) - set(seen))]
    return found + outside_only(template, contract) + conditions(template)


def outside_only(template, contract):
    """What is needed only where secrets live in Secrets Manager must stand behind that condition."""
    found = []
    for name, resource in template["Resources"].items():
        if resource["Type"] not in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
            continue
        always = [statement for document in _documents(resource) for statement in _unconditional(document["Statement"])]
        for statement in always:
            for action in _texts(statement["Action"], template):
                store = {a for role in contract["actions"].values() for a in role.get("secretsmanager", [])}
                if action in store and action != "secretsmanager:GetSecretValue":
                    found.append(f"{name}, statement {statement.get('Sid')}: {action} without the condition KeepsSecretsOutside")
    return found


def _documents(resource):
    properties = resource["Properties"]
    if resource["Type"] == "AWS::IAM::Role":
        return [policy["PolicyDocument"] for policy in items(properties.get("Policies", []))]
    return [properties["PolicyDocument"]]


def _unconditional(statement_list):
    return [statement for statement in statement_list if "Fn::If" not in statement]


# Statements that would be too much without a condition, by the action that shows it: the keys of the condition.
TIED = {"ecs:RunTask": ["ecs:cluster"], "ecs:ListTasks": ["ecs:cluster"], "ecs:DescribeTasks": ["ecs:cluster"], "ecs:StopTask": ["ecs:cluster"],
        "iam:PassRole": ["iam:PassedToService"]}


def conditions(template):
    found = []
    for name, resource in template["Resources"].items():
        if resource["Type"] not in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
            continue
        for statement in statements(resource):
            keys = [key for operator in statement.get("Condition", {}).values() for key in operator]
            actions = _texts(statement["Action"], template)
            needed = {key for action in actions for key in TIED.get(action, [])}
            found += [f"{name}, statement {statement.get('Sid')}: needs a condition on {key}" for key in sorted(needed - set(keys))]
            found += [f"{name}, statement {statement.get('Sid')}: {what}" for what in keys_of(statement, actions, keys, template)]
            if "ecs:RunTask" in actions and len({text.endswith(":*") for text in texts(statement["Resource"], template)}) != 2:
                found.append(f"{name}, statement {statement.get('Sid')}: names the family with and without its revisions")
    return found + trust(template)


def keys_of(statement, actions, keys, template):
    """What is wrong with a statement about master keys."""
    if not any(action.startswith("kms:") for action in actions):
        return []
    found = []
    # A call that only looks at a key has no context.
    if not any("EncryptionContext" in key for key in keys) and (actions != ["kms:DescribeKey"] or "kms:ViaService" not in keys):
        found.append("a key is used for anything, not only for Asgard's data")
    if not any("${KmsKeyArnsPrevious}" in text for text in texts(statement["Resource"], template)):
        found.append("a change of the master key needs both keys, the one before and the one after")
    if "kms:EncryptionContext:SecretARN" in keys:
        allowed = statement["Condition"].get("StringLike", {}).get("kms:EncryptionContext:SecretARN", [])
        if "RequestToValidateKeyAccess" not in allowed:
            found.append("Secrets Manager tries a key before the secret has a name: StringLike, with RequestToValidateKeyAccess")
    return found


def trust(template):
    """Who may act as a role: one service, for this account; without the condition for a written reason only."""
    found = []
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        reason, needed = resource.get("Metadata", {}).get("Asgard", {}).get("Trust", ""), False
        for statement in items(resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]):
            service = statement["Principal"].get("Service") if isinstance(statement["Principal"], dict) else None
            if not isinstance(service, str):
                found.append(f"{name}: is to be trusted to one service, and not to {statement['Principal']}")
            elif service != "lambda.amazonaws.com" and "aws:SourceAccount" not in str(statement.get("Condition", {})):
                needed = True
                if len(reason) < SHORTEST_REASON:
                    found.append(f"{name}: lets {service} act for other accounts; tie it to aws:SourceAccount")
        if reason and not needed:
            found.append(f"{name}: Metadata.Asgard.Trust explains a condition that is not missing")
    return found

