//! What of the ports is on AWS: keys in KMS, secret values and settings in Secrets Manager, supervisors on Fargate, roles
//! for Terraform.

pub mod fargate;
pub mod kms;
pub mod roles;
pub mod secret_arns;
pub mod secrets_manager;
