# The execution role starts the task; the task role is what Asgard may do. Terraform gets the role of its target.

# ECS documents aws:SourceAccount for task roles and not for execution roles, and a task whose role cannot be assumed never starts. A
# role can be handed to ECS by its own account only, so nobody else is let in.
data "aws_iam_policy_document" "execution_trust" {
  statement {
    sid     = "Tasks"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "trust" {
  statement {
    sid     = "Tasks"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "execution" {
  name_prefix          = "${var.name}-execution-"
  assume_role_policy   = data.aws_iam_policy_document.execution_trust.json
  permissions_boundary = var.permissions_boundary_arn
  tags                 = local.tags
}

data "aws_iam_policy_document" "execution" {
  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.service.arn}:*"] # ECS names the streams within this group
  }

  dynamic "statement" {
    for_each = var.image_repository_arn == null ? [] : [var.image_repository_arn]

    content {
      sid       = "Pull"
      actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = var.image_repository_arn == null ? [] : [true]

    content {
      sid       = "SignInToEcr"
      actions   = ["ecr:GetAuthorizationToken"]
      resources = ["*"] # the call has no resource; it grants nothing without the statement above
    }
  }

  dynamic "statement" {
    for_each = var.auth0_secret_arn == null ? [] : [var.auth0_secret_arn]

    content {
      sid       = "Auth0"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role_policy" "execution" {
  name   = "start"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}

resource "aws_iam_role" "task" {
  name_prefix          = "${var.name}-task-"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = var.permissions_boundary_arn
  tags                 = local.tags
}

data "aws_iam_policy_document" "task" {
  statement {
    sid     = "Settings"
    actions = ["secretsmanager:GetSecretValue"]
    resources = concat(
      [aws_secretsmanager_secret.database_url.arn, aws_secretsmanager_secret.admin_password.arn],
      var.secret_arns,
    )
  }

  statement {
    sid       = "OpenSettings"
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.master.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["secretsmanager.${local.region}.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "kms:EncryptionContext:SecretARN"
      values   = [aws_secretsmanager_secret.database_url.arn, aws_secretsmanager_secret.admin_password.arn]
    }
  }

  statement {
    sid       = "DataKeys"
    actions   = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.master.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:EncryptionContext:asgard:org"
      values   = ["default"]
    }

    condition {
      test     = "Null"
      variable = "kms:EncryptionContext:asgard:data-key"
      values   = ["false"]
    }
  }

  dynamic "statement" {
    for_each = length(var.assumable_role_arns) == 0 ? [] : [true]

    content {
      sid       = "Targets"
      actions   = ["sts:AssumeRole", "sts:TagSession"]
      resources = var.assumable_role_arns
    }
  }
}

resource "aws_iam_role_policy" "task" {
  name   = "asgard"
  role   = aws_iam_role.task.id
  policy = data.aws_iam_policy_document.task.json
}

resource "aws_iam_role_policy_attachment" "task" {
  for_each   = var.task_policy_arns
  role       = aws_iam_role.task.name
  policy_arn = each.value
}
