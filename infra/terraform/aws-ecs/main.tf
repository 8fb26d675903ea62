data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

locals {
  account   = data.aws_caller_identity.here.account_id
  partition = data.aws_partition.here.partition
  region    = data.aws_region.here.name

  port  = 8080
  armed = length(var.terraform_targets) > 0
  tags  = merge({ app = "asgard" }, var.tags)
}

# The master key: it wraps the data keys that protect secrets and Terraform states. It also encrypts the database's disk and the
# generated secrets. Without it the database opens nothing.
resource "aws_kms_key" "master" {
  description             = "${var.name}: master key, database and secrets"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = local.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "master" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.master.key_id
}

resource "aws_cloudwatch_log_group" "service" {
  name              = "/aws/ecs/${var.name}"
  retention_in_days = var.log_retention_days
  tags              = local.tags
}
