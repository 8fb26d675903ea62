# Given to every module by Asgard.

variable "project_id" {
  description = "The project that the demo belongs to."
  type        = string
}

variable "name" {
  description = "The name of the resource, unique in its project and service."
  type        = string
}

variable "rotation" {
  description = "How often the token was rotated. A new number makes a new token and changes nothing else."
  type        = number
  default     = 0
  nullable    = false
}

# The inputs of service.yaml.

variable "seconds" {
  description = "How long creating the demo takes. Changed later, it is only recorded."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.seconds >= 0 && var.seconds <= 3600
    error_message = "seconds is a number from 0 to 3600."
  }
}

variable "fail_at" {
  description = "The phase that really fails: plan, apply or destroy. Null means that nothing fails."
  type        = string
  default     = null

  validation {
    condition     = var.fail_at == null ? true : contains(["plan", "apply", "destroy"], var.fail_at)
    error_message = "fail_at is plan, apply or destroy, or is left out."
  }
}

variable "approval" {
  description = "Whether a human had to approve the request: auto or human. Asgard acts on it; here it is only recorded."
  type        = string
  default     = "auto"
  nullable    = false

  validation {
    condition     = contains(["auto", "human"], var.approval)
    error_message = "approval is auto or human."
  }
}

variable "monthly_usd" {
  description = "What the demo pretends to cost each month, in US dollars. Asgard acts on it; here it is only recorded."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.monthly_usd >= 0
    error_message = "monthly_usd is 0 or more."
  }
}
