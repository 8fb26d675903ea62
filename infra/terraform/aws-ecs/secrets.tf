# Passwords are generated where they are used and written only: no plan, state or log holds them.

ephemeral "aws_secretsmanager_random_password" "database" {
  password_length     = 40
  exclude_punctuation = true # it becomes part of a URL
}

ephemeral "aws_secretsmanager_random_password" "admin" {
  password_length     = 40
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret" "database_url" {
  name_prefix = "${var.name}-database-url-"
  description = "Where Asgard's database is, password included"
  kms_key_id  = aws_kms_key.master.arn
  tags        = local.tags
}

resource "aws_secretsmanager_secret_version" "database_url" {
  secret_id = aws_secretsmanager_secret.database_url.id
  secret_string_wo = format("postgres://%s:%s@%s/%s?sslmode=require",
    aws_db_instance.database.username,
    ephemeral.aws_secretsmanager_random_password.database.random_password,
    aws_db_instance.database.endpoint,
    aws_db_instance.database.db_name,
  )
  secret_string_wo_version = var.database_password_version
}

resource "aws_secretsmanager_secret" "admin_password" {
  name_prefix = "${var.name}-admin-password-"
  description = "The password of Asgard's first admin. Changing it resets that account's password when replicas start"
  kms_key_id  = aws_kms_key.master.arn
  tags        = local.tags
}

resource "aws_secretsmanager_secret_version" "admin_password" {
  secret_id                = aws_secretsmanager_secret.admin_password.id
  secret_string_wo         = ephemeral.aws_secretsmanager_random_password.admin.random_password
  secret_string_wo_version = 1
}
