terraform {
  required_version = ">= 1.5.0"
}

# The token. Terraform's own uuid() is the only source of randomness that needs no provider: two version 4 UUIDs carry 244
# random bits, and the hash spreads them over 64 hex digits. uuid() differs at every run, so the value is ignored once it
# is stored; only a new rotation number replaces it. It sits in triggers_replace because that attribute stays marked as
# sensitive in plans and state, which the computed `output` of terraform_data does not.
resource "terraform_data" "token" {
  triggers_replace = {
    rotation = var.rotation
    value    = sensitive(sha256("${uuid()}${uuid()}"))
  }

  lifecycle {
    ignore_changes = [triggers_replace.value]
  }
}

# The time that creating the demo takes, in four steps one after the other, so that the state grows while it runs and an
# interrupted run leaves a part behind. `exec` makes the shell become the sleep: an interrupt ends it, no orphan stays.
locals {
  step_seconds = var.seconds / 4
}

resource "terraform_data" "step_1" {
  depends_on = [terraform_data.token]

  provisioner "local-exec" {
    command = "exec sleep ${local.step_seconds}"
  }
}

resource "terraform_data" "step_2" {
  depends_on = [terraform_data.step_1]

  provisioner "local-exec" {
    command = "exec sleep ${local.step_seconds}"
  }
}

# fail_at = apply: half of the demo exists by then. Once the request no longer asks for it, the next apply removes this.
resource "terraform_data" "failure" {
  count      = var.fail_at == "apply" ? 1 : 0
  depends_on = [terraform_data.step_2]

  provisioner "local-exec" {
    command = "echo 'local-demo fails at apply, as its input fail_at asks' >&2; exit 1"
  }
}

resource "terraform_data" "step_3" {
  depends_on = [terraform_data.step_2, terraform_data.failure]

  provisioner "local-exec" {
    command = "exec sleep ${local.step_seconds}"
  }
}

resource "terraform_data" "step_4" {
  depends_on = [terraform_data.step_3]

  provisioner "local-exec" {
    command = "exec sleep ${local.step_seconds}"
  }
}

# The demo itself: made last and removed first, so a removal that fails here leaves everything else in place.
resource "terraform_data" "demo" {
  input = {
    project_id  = var.project_id
    name        = var.name
    seconds     = var.seconds
    approval    = var.approval
    monthly_usd = var.monthly_usd
    fail_at     = var.fail_at == null ? "never" : var.fail_at
  }
  depends_on = [terraform_data.step_4]

  lifecycle {
    precondition {
      condition     = var.fail_at == null ? true : var.fail_at != "plan"
      error_message = "local-demo fails at plan, as its input fail_at asks"
    }
  }

  # fail_at = destroy. A removal knows only what the last apply recorded, so to let it pass, apply without fail_at first.
  provisioner "local-exec" {
    when    = destroy
    command = self.input.fail_at == "destroy" ? "echo 'local-demo fails at destroy, as its input fail_at asks' >&2; exit 1" : "exit 0"
  }
}
