# Given to every module by Asgard.

variable "project_id" {
  description = "The project that the secret belongs to. The value does not depend on it."
  type        = string
}

variable "name" {
  description = "The name of the resource, unique in its project and service. The value does not depend on it."
  type        = string
}

variable "rotation" {
  description = "How often the value was rotated. A new number makes a new value."
  type        = number
  default     = 0
  nullable    = false
}

# The inputs of service.yaml.

variable "length" {
  description = "How many characters the value has. Changing it makes a new value."
  type        = number
  default     = 32
  nullable    = false

  validation {
    condition     = var.length >= 16 && var.length <= 128 && floor(var.length) == var.length
    error_message = "length is a whole number from 16 to 128."
  }
}

variable "charset" {
  description = "The characters of the value: hex (0-9 and a-f) or alnum (letters and digits). Changing it makes a new value."
  type        = string
  default     = "hex"
  nullable    = false

  validation {
    condition     = contains(["hex", "alnum"], var.charset)
    error_message = "charset is hex or alnum."
  }
}
