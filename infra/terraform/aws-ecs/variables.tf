variable "name" {
  description = "The name of everything that this makes."
  type        = string
  default     = "asgard"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,23}$", var.name))
    error_message = "name takes 2 to 24 of a-z, 0-9 and -, starting with a letter."
  }
}

variable "image" {
  description = "The image of the root Dockerfile, with a tag or a digest."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9._-]+)+(:[A-Za-z0-9_.-]+|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "image takes registry/repository with a tag or @sha256:digest, and not :latest, which says nothing about what runs."
  }
}

variable "image_repository_arn" {
  description = "The ECR repository of the image; null for a public registry."
  type        = string
  default     = null

  validation {
    condition     = var.image_repository_arn == null || can(regex("^arn:aws[a-z-]*:ecr:[a-z0-9-]+:[0-9]{12}:repository/", var.image_repository_arn))
    error_message = "image_repository_arn takes the ARN of an ECR repository."
  }
}

variable "architecture" {
  description = "Of the image."
  type        = string
  default     = "ARM64"

  validation {
    condition     = contains(["ARM64", "X86_64"], var.architecture)
    error_message = "architecture takes ARM64 or X86_64."
  }
}

variable "vpc_id" {
  description = "The network."
  type        = string

  validation {
    condition     = can(regex("^vpc-([0-9a-f]{8}|[0-9a-f]{17})$", var.vpc_id))
    error_message = "vpc_id takes an id such as vpc-0123456789abcdef0."
  }
}

variable "public_subnet_ids" {
  description = "Subnets of the load balancer, in two availability zones at least. With internal = true they may be private."
  type        = list(string)

  validation {
    condition     = length(distinct(var.public_subnet_ids)) >= 2
    error_message = "public_subnet_ids takes two subnets or more."
  }
}

variable "private_subnet_ids" {
  description = "Subnets of the service and the database, in two availability zones at least, with a way out through NAT or endpoints."
  type        = list(string)

  validation {
    condition     = length(distinct(var.private_subnet_ids)) >= 2
    error_message = "private_subnet_ids takes two subnets or more."
  }
}

variable "internal" {
  description = "Whether the load balancer has private addresses only."
  type        = bool
  default     = false
}

variable "allowed_cidrs" {
  description = "Who may reach the load balancer."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.allowed_cidrs) > 0 && alltrue([for cidr in var.allowed_cidrs : can(cidrhost(cidr, 0))])
    error_message = "allowed_cidrs takes networks such as 10.0.0.0/8."
  }
}

variable "hostname" {
  description = "The name that people and agents use. Its DNS record is yours to make; see the output load_balancer."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$", var.hostname))
    error_message = "hostname takes a name such as asgard.example.com, without a scheme."
  }
}

variable "certificate_arn" {
  description = "The certificate for it, in ACM of the same region."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/", var.certificate_arn))
    error_message = "certificate_arn takes the ARN of an ACM certificate."
  }
}

variable "idle_timeout" {
  description = "How long a silent connection stays open, in seconds. A tool call of an agent may take minutes."
  type        = number
  default     = 300

  validation {
    condition     = var.idle_timeout >= 60 && var.idle_timeout <= 4000
    error_message = "idle_timeout takes 60 to 4000 seconds."
  }
}

variable "access_log_bucket" {
  description = "A bucket for the load balancer's access logs; null for none."
  type        = string
  default     = null
}

variable "desired_count" {
  description = "How many replicas. They share the work by leases in the database."
  type        = number
  default     = 2

  validation {
    condition     = var.desired_count >= 1 && var.desired_count <= 20 && floor(var.desired_count) == var.desired_count
    error_message = "desired_count takes a whole number from 1 to 20."
  }
}

variable "cpu" {
  description = "CPU units of a replica."
  type        = number
  default     = 512

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096], var.cpu)
    error_message = "cpu takes 256, 512, 1024, 2048 or 4096."
  }
}

variable "memory" {
  description = "Memory of a replica, in MiB. Fargate allows each cpu only some sizes; armed, each run of Terraform takes up to a gigabyte."
  type        = number
  default     = 1024

  validation {
    condition     = var.memory >= 512 && var.memory <= 30720
    error_message = "memory takes 512 to 30720 MiB."
  }
}

variable "database_instance_class" {
  description = "The size of the database."
  type        = string
  default     = "db.t4g.small"

  validation {
    condition     = startswith(var.database_instance_class, "db.")
    error_message = "database_instance_class takes a class such as db.t4g.small."
  }
}

variable "database_storage_gib" {
  description = "Its disk at first, in GiB; it grows by itself to four times that."
  type        = number
  default     = 20

  validation {
    condition     = var.database_storage_gib >= 20 && var.database_storage_gib <= 16384
    error_message = "database_storage_gib takes 20 to 16384."
  }
}

variable "database_multi_az" {
  description = "Whether a second database stands by in another zone."
  type        = bool
  default     = true
}

variable "backup_retention_days" {
  description = "How far back the database can be restored."
  type        = number
  default     = 14

  validation {
    condition     = var.backup_retention_days >= 7 && var.backup_retention_days <= 35
    error_message = "backup_retention_days takes 7 to 35 days."
  }
}

variable "database_password_version" {
  description = "Raise it by one to give the database a new password. Replicas must be replaced after that; see the README."
  type        = number
  default     = 1

  validation {
    condition     = var.database_password_version >= 1 && floor(var.database_password_version) == var.database_password_version
    error_message = "database_password_version takes a whole number from 1."
  }
}

variable "deletion_protection" {
  description = "Protects the database and the load balancer. Turn it off in an apply of its own before a destroy."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days takes what CloudWatch knows: 7, 14, 30, 60, 90, 120, 150, 180, 365 and longer steps."
  }
}

variable "alarm_topic_arns" {
  description = "SNS topics for alarms."
  type        = list(string)
  default     = []
}

variable "terraform_targets" {
  description = "Arms provisioning: the targets that may be provisioned into, such as [\"aws:123456789012=arn:aws:iam::123456789012:role/provision\"]. Terraform has the role of its target, and without one no rights in AWS. Empty for dry runs only."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for target in var.terraform_targets : can(regex("^[a-z0-9-]+:[A-Za-z0-9._-]+(=arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=.@_/-]+)?$", target))])
    error_message = "terraform_targets takes cloud:account or cloud:account=role, for example auth0:your-tenant or aws:123456789012=arn:aws:iam::123456789012:role/provision."
  }
}

variable "assumable_role_arns" {
  description = "The roles that terraform_targets names. Asgard assumes them for Terraform."
  type        = list(string)
  default     = []
}

variable "task_policy_arns" {
  description = "Managed policies for the role of the service itself, which only Asgard has. Terraform has the role of its target."
  type        = set(string)
  default     = []
}

variable "permissions_boundary_arn" {
  description = "A permissions boundary for the roles, where your organisation asks for one."
  type        = string
  default     = null
}

variable "auth0_secret_arn" {
  description = "A JSON secret with AUTH0_DOMAIN, AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET, for the target auth0."
  type        = string
  default     = null
}

variable "environment" {
  description = "More variables of Asgard, such as ASGARD_OIDC_DOMAIN. No secrets: give those as X_SECRET_ARN, and the ARN in secret_arns too."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^ASGARD_[A-Z0-9_]+$", name))])
    error_message = "environment takes variables that start with ASGARD_."
  }
}

variable "secret_arns" {
  description = "More secrets that Asgard reads itself."
  type        = list(string)
  default     = []
}

variable "wait_for_service" {
  description = "Whether an apply waits until the new replicas are ready, and fails when they do not become so."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
