output "url" {
  description = "Where people and agents go, once its DNS record exists."
  value       = "https://${var.hostname}"
}

output "load_balancer" {
  description = "What that record points at: an alias, or a CNAME."
  value       = { dns_name = aws_lb.asgard.dns_name, zone_id = aws_lb.asgard.zone_id }
}

output "admin_password_secret" {
  description = "The secret with the first admin's password."
  value       = aws_secretsmanager_secret.admin_password.name
}

output "master_key_arn" {
  description = "The master key. Backups of the database are worth nothing without it."
  value       = aws_kms_key.master.arn
}

output "database" {
  description = "The database, for backups and restores."
  value       = aws_db_instance.database.identifier
}

output "log_group" {
  description = "Where the log is."
  value       = aws_cloudwatch_log_group.service.name
}

output "task_role_arn" {
  description = "What Terraform runs as; target accounts may trust it."
  value       = aws_iam_role.task.arn
}
