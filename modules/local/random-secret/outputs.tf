output "value" {
  description = "The random value."
  value       = terraform_data.secret.triggers_replace.value
  sensitive   = true
}
