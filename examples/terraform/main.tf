terraform {
  required_version = ">= 1.5"
  required_providers {
    external = {
      source  = "hashicorp/external"
      version = "~> 2.3"
    }
  }
}

# Asked anew by each plan. What it returns stands in Terraform's state and plan files, in the clear:
# docs/terraform.md says how to keep a value out of them.
data "external" "db" {
  program     = ["python3", "-I", "ksecret-external"]
  working_dir = path.module
  query = {
    file = "secrets/db.yaml"
    only = "username,password"
  }
}

output "username" {
  value     = data.external.db.result.username
  sensitive = true
}

output "password" {
  value     = data.external.db.result.password
  sensitive = true
}
