resource "aws_ecs_cluster" "asgard" {
  name = var.name
  tags = local.tags
}

locals {
  environment = merge(
    {
      ASGARD_BIND                      = "0.0.0.0:${local.port}"
      ASGARD_DATABASE_URL_SECRET_ARN   = aws_secretsmanager_secret.database_url.arn
      ASGARD_ADMIN_PASSWORD_SECRET_ARN = aws_secretsmanager_secret.admin_password.arn
      ASGARD_KMS_KEY_ID                = aws_kms_key.master.arn
      ASGARD_PUBLIC_URL                = "https://${var.hostname}"
      ASGARD_FORCE_HTTPS               = "true"
      ASGARD_LOG_FORMAT                = "json"
    },
    local.armed ? {
      ASGARD_TF_MODULES_DIR = "/modules"
      ASGARD_TF_WORK_DIR    = "/data/asgard-tf"
      ASGARD_TF_ALLOWED     = join(",", var.terraform_targets)
    } : {},
    var.environment,
  )

  auth0 = var.auth0_secret_arn == null ? [] : [
    for name in ["AUTH0_DOMAIN", "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET"] :
    { name = name, valueFrom = "${var.auth0_secret_arn}:${name}::" }
  ]
}

resource "aws_ecs_task_definition" "asgard" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  tags                     = local.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  # Both are scratch and go with the task; what matters is in the database.
  volume {
    name = "data"
  }

  volume {
    name = "tmp"
  }

  container_definitions = jsonencode([{
    name                   = "asgard"
    image                  = var.image
    essential              = true
    user                   = "10001:10001"
    readonlyRootFilesystem = true
    command                = ["serve"]
    # What Fargate allows at most: requests drain, and supervisors store what Terraform did.
    stopTimeout  = 120
    portMappings = [{ containerPort = local.port, protocol = "tcp" }]
    environment  = [for name, value in local.environment : { name = name, value = value }]
    secrets      = local.auth0
    mountPoints = [
      { sourceVolume = "data", containerPath = "/data", readOnly = false },
      { sourceVolume = "tmp", containerPath = "/tmp", readOnly = false },
    ]
    linuxParameters = {
      # Terraform could read the environment of the platform's init; asgard is its own.
      initProcessEnabled = false
      capabilities       = { drop = ["ALL"] }
    }
    # Liveness only: a replica that waits for its database is not to be replaced for it.
    healthCheck = {
      command     = ["CMD", "asgard", "health", "--live"]
      interval    = 30
      timeout     = 5
      retries     = 3
      startPeriod = 30
    }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.service.name
        awslogs-region        = local.region
        awslogs-stream-prefix = "asgard"
        mode                  = "non-blocking"
        max-buffer-size       = "4m"
      }
    }
  }])
}

resource "aws_ecs_service" "asgard" {
  name            = var.name
  cluster         = aws_ecs_cluster.asgard.id
  task_definition = aws_ecs_task_definition.asgard.arn
  desired_count   = var.desired_count
  # Not Spot: an apply must not be interrupted for the price's sake.
  launch_type                        = "FARGATE"
  enable_execute_command             = false
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 120
  propagate_tags                     = "SERVICE"
  wait_for_steady_state              = var.wait_for_service
  tags                               = local.tags

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.private_subnet_ids
    security_groups  = [aws_security_group.service.id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.asgard.arn
    container_name   = "asgard"
    container_port   = local.port
  }

  depends_on = [
    aws_lb_listener.https,
    aws_iam_role_policy.execution,
    aws_iam_role_policy.task,
    aws_secretsmanager_secret_version.database_url,
    aws_secretsmanager_secret_version.admin_password,
  ]
}
