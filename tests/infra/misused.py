"""Ways to misuse the types of infra/terraform/aws-ecs, each with a part of the sentence that must come of it, and uses that are fine."""

import copy


def _edit(name, before, after):
    def spoil(files, schema):
        if before not in files[name]:
            raise KeyError(f"{name} has no {before!r} to spoil")
        return {**files, name: files[name].replace(before, after, 1)}, schema
    return spoil


def _more(text):
    def spoil(files, schema):
        return {**files, "more.tf": text}, schema
    return spoil


def _schema(change):
    def spoil(files, schema):
        schema = copy.deepcopy(schema)
        change(schema)
        return files, schema
    return spoil


WAYS = [
    ("a wrong argument", _edit("balancer.tf", "idle_timeout ", "idle_timeouts "), "resource aws_lb asgard: no argument idle_timeouts"),
    ("a wrong argument of data",
     _edit("iam.tf", "data \"aws_iam_policy_document\" \"trust\" {", "data \"aws_iam_policy_document\" \"trust\" {\n  polcy_id = 1"),
     "no argument polcy_id"),
    ("a wrong argument of what is ephemeral", _edit("secrets.tf", "password_length", "length"),
     "random_password database: no argument length"),
    ("a wrong argument of a block", _edit("balancer.tf", "    matcher ", "    match "),
     "aws_lb_target_group asgard, health_check: no argument match"),
    ("a wrong argument of a block two deep", _edit("balancer.tf", "      status_code ", "      status "),
     "default_action, redirect: no argument status"),
    ("a wrong argument of a dynamic block", _edit("balancer.tf", "      prefix ", "      folder "),
     "aws_lb asgard, access_logs: no argument folder"),
    ("an argument the provider sets", _edit("main.tf", "  enable_key_rotation ", "  arn = \"x\"\n  enable_key_rotation "),
     "arn is the provider's to set"),
    ("a missing argument", _edit("service.tf", "  family                   = var.name\n", ""),
     "aws_ecs_task_definition asgard: family is required"),
    ("a missing argument of a block", _edit("balancer.tf", "      status_code = \"HTTP_301\"\n", ""), "redirect: status_code is required"),
    ("an unknown block", _edit("service.tf", "  runtime_platform {", "  runtime_platforms {"), "no block runtime_platforms"),
    ("an unknown dynamic block", _edit("balancer.tf", 'dynamic "access_logs"', 'dynamic "access_log"'), "no block access_log"),
    ("a dynamic block without content", _edit("balancer.tf", "    content {", "    contents {"),
     "takes for_each, iterator, labels and one content"),
    ("a block as an argument", _edit("service.tf", "  runtime_platform {", "  runtime_platform = {"), "runtime_platform is a block"),
    ("a missing block",
     _edit("balancer.tf", "  default_action {\n    type             = \"forward\"\n    target_group_arn = aws_lb_target_group.asgard.arn\n  }\n", ""),
     "aws_lb_listener https: a block default_action is required"),
    ("a block too many", _edit("service.tf", "  runtime_platform {", "  runtime_platform {}\n  runtime_platform {"),
     "more blocks runtime_platform than 1"),
    ("an unknown setting of a lifecycle", _edit("main.tf", "prevent_destroy", "prevent_destruction"), "no prevent_destruction"),
    ("an ignored attribute that does not exist", _edit("main.tf", "prevent_destroy = true", "ignore_changes = [tag]"), "no attribute tag"),
    ("a wrong attribute", _edit("alarms.tf", "aws_lb.asgard.arn_suffix", "aws_lb.asgard.suffix"),
     "aws_lb.asgard.suffix: no attribute suffix"),
    ("a wrong attribute in a template", _edit("iam.tf", "aws_cloudwatch_log_group.service.arn}", "aws_cloudwatch_log_group.service.urn}"),
     "no attribute urn"),
    ("a wrong attribute in a call", _edit("secrets.tf", "aws_db_instance.database.endpoint", "aws_db_instance.database.url"),
     "no attribute url"),
    ("a wrong attribute in an object",
     _edit("service.tf", "= aws_cloudwatch_log_group.service.name", "= aws_cloudwatch_log_group.service.title"),
     "no attribute title"),
    ("a wrong attribute of data", _edit("main.tf", "data.aws_region.here.name", "data.aws_region.here.title"), "no attribute title"),
    ("a wrong attribute of what is ephemeral", _edit("database.tf", "database.random_password", "database.password"),
     "no attribute password"),
    ("a wrong attribute in an output", _edit("outputs.tf", "aws_lb.asgard.zone_id", "aws_lb.asgard.zone"),
     "output load_balancer: aws_lb.asgard.zone: no attribute zone"),
    ("a wrong attribute below an index", _more("output \"x\" {\n  value = aws_db_instance.database.listener_endpoint[0].host\n}\n"),
     "object has no host"),
    ("a block without an index",
     _more("output \"x\" {\n  value = aws_ecs_service.asgard.load_balancer.container_port\n}\n"), "load_balancer needs an index"),
    ("an index without for_each", _edit("alarms.tf", "aws_lb.asgard.arn_suffix", "aws_lb.asgard[0].arn_suffix"), "takes no index"),
    ("for_each without an index", _more("output \"x\" {\n  value = aws_iam_role_policy_attachment.task.role\n}\n"), "needs an index"),
    ("a resource that is not there", _edit("service.tf", "aws_ecs_cluster.asgard.id", "aws_ecs_cluster.asgrd.id"),
     "nothing declares aws_ecs_cluster.asgrd.id"),
    ("a dependency that is not there", _edit("service.tf", "    aws_lb_listener.https,", "    aws_lb_listener.htps,"),
     "nothing declares aws_lb_listener.htps"),
    ("a variable that is not there", _edit("network.tf", "var.vpc_id", "var.vpc"), "nothing declares var.vpc"),
    ("a local that is not there", _edit("service.tf", "local.auth0", "local.auth"), "nothing declares local.auth"),
    ("a name that nothing gives", _edit("iam.tf", "[statement.value]", "[item.value]"), "nothing declares item.value"),
    ("a list for a string", _edit("balancer.tf", "matcher             = \"200\"", "matcher             = [\"200\"]"),
     "matcher takes string, not list"),
    ("a string for a list", _edit("balancer.tf", "= [aws_security_group.balancer.id]", '= "sg-1"'),
     "security_groups takes set, not string"),
    ("words for a number", _edit("balancer.tf", "    interval            = 10", "    interval            = \"often\""),
     "interval takes number, not string"),
    ("a number for a bool", _edit("balancer.tf", "drop_invalid_header_fields = true", "drop_invalid_header_fields = 1"),
     "drop_invalid_header_fields takes bool, not number"),
    ("a list in a list", _edit("service.tf", '["FARGATE"]', '[["FARGATE"]]'), "an element, takes string"),
    ("a heredoc", _edit("outputs.tf", 'value       = "https://${var.hostname}"', "value = <<EOT\n${aws_lb.no.arn}\nEOT"),
     "a heredoc hides"),
    ("a module", _more("module \"x\" {\n  source = \"./x\"\n}\n"), "does not know such blocks"),
    ("what is not HCL", _more("resource {{\n"), "more.tf: cannot be read"),
    ("a type that the schema lacks", _more("resource \"aws_sqs_queue\" \"x\" {}\n"), "schema.json lacks resource aws_sqs_queue"),
    ("a provider that the schema lacks", _more("provider \"aws\" {\n  region = \"eu-west-1\"\n}\n"), "schema.json lacks provider aws"),
    ("a wrong argument of a provider", lambda files, schema: (
        {**files, "more.tf": "provider \"aws\" {\n  regions = \"x\"\n}\n"},
        {**schema, "types": {**schema["types"], "provider aws": {"optional": {"region": "string"}}}}), "provider aws: no argument regions"),
    ("another provider", _more("resource \"random_password\" \"x\" {\n  length = 1\n}\n"), "provider random: schema.json does not name it"),
    ("a type that nothing uses", _schema(lambda schema: schema["types"].update({"resource aws_sqs_queue": {}})), "which nothing uses"),
    ("another version", _schema(lambda schema: schema["providers"]["aws"].update(version="6.0.0")), "which required_providers excludes"),
    ("an older version", _schema(lambda schema: schema["providers"]["aws"].update(version="5.99.0")), "which required_providers excludes"),
]

FINE = [
    ("an attribute of each", _more("output \"x\" {\n  value = [for one in aws_iam_role_policy_attachment.task : one.role]\n}\n")),
    ("an attribute below an index", _more("output \"x\" {\n  value = aws_db_instance.database.listener_endpoint[0].address\n}\n")),
    ("a splat over a block", _more("output \"x\" {\n  value = aws_ecs_service.asgard.load_balancer[*].container_port\n}\n")),
    ("a number as a string", _edit("balancer.tf", "    interval            = 10", "    interval            = \"10\"")),
    ("an iterator of another name", _edit("balancer.tf", "access_logs.value", "access_logs.key")),
]
