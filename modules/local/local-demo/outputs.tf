output "id" {
  description = "Names this demo; the same for as long as it lives, and never used again."
  value       = "${var.project_id}-${var.name}-${substr(terraform_data.demo.id, 0, 8)}"
}

output "token" {
  description = "A random secret of 64 hex digits, made when the demo is created and kept until it is rotated."
  value       = terraform_data.token.triggers_replace.value
  sensitive   = true
}
