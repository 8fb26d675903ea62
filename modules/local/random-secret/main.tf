terraform {
  required_version = ">= 1.5.0"
}

# Terraform's own uuid() is the only source of randomness that needs no provider. Three version 4 UUIDs carry 366 random
# bits, more than the 256 that a hash of them can hold.
locals {
  # 2 x 64 hex digits: as many as the longest value asks for.
  hex = join("", [for _ in range(2) : sha256("${uuid()}${uuid()}${uuid()}")])

  # A hash in base64 has 42 characters of six full bits; the two that are neither letter nor digit are left out, which
  # keeps every other one equally likely. Of 5 x 42 characters about 203 remain: never fewer than 128 in practice.
  alnum = join("", [
    for _ in range(5) : replace(substr(base64sha256("${uuid()}${uuid()}${uuid()}"), 0, 42), "/[^0-9A-Za-z]/", "")
  ])
}

# uuid() differs at every run, so the value is ignored once it is stored; a new rotation number, length or charset replaces
# it. It sits in triggers_replace because that attribute stays marked as sensitive in plans and state, which the computed
# `output` of terraform_data does not.
resource "terraform_data" "secret" {
  triggers_replace = {
    rotation = var.rotation
    length   = var.length
    charset  = var.charset
    value    = sensitive(substr(var.charset == "hex" ? local.hex : local.alnum, 0, var.length))
  }

  lifecycle {
    ignore_changes = [triggers_replace.value]
  }
}
