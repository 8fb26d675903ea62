resource "aws_db_subnet_group" "database" {
  name_prefix = "${var.name}-"
  subnet_ids  = var.private_subnet_ids
  tags        = local.tags
}

resource "aws_db_parameter_group" "database" {
  name_prefix = "${var.name}-"
  family      = "postgres16"
  tags        = local.tags

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_instance" "database" {
  identifier     = var.name
  engine         = "postgres"
  engine_version = "16"
  instance_class = var.database_instance_class
  db_name        = "asgard"
  username       = "asgard"

  # Neither in the plan nor in the state; secrets.tf puts the same into Secrets Manager in the same apply.
  password_wo         = ephemeral.aws_secretsmanager_random_password.database.random_password
  password_wo_version = var.database_password_version

  allocated_storage     = var.database_storage_gib
  max_allocated_storage = var.database_storage_gib * 4
  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = aws_kms_key.master.arn

  db_subnet_group_name   = aws_db_subnet_group.database.name
  parameter_group_name   = aws_db_parameter_group.database.name
  vpc_security_group_ids = [aws_security_group.database.id]
  publicly_accessible    = false
  multi_az               = var.database_multi_az

  backup_retention_period  = var.backup_retention_days
  backup_window            = "02:00-03:00"
  maintenance_window       = "sun:03:30-sun:04:30"
  copy_tags_to_snapshot    = true
  delete_automated_backups = false
  deletion_protection      = var.deletion_protection
  skip_final_snapshot      = false
  # With what makes the subnet group's name unique: the snapshot of a former database may still be there, and a destroy would fail.
  final_snapshot_identifier = "${aws_db_subnet_group.database.name}-final"

  auto_minor_version_upgrade      = true
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]
  performance_insights_enabled    = true
  performance_insights_kms_key_id = aws_kms_key.master.arn
  tags                            = local.tags
}
