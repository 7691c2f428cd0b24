#!/bin/sh
# What whoever runs Vault does once, with a token that may (of OpenBao's the program is `bao`): a key, who may use it for what, and
# how GitLab's jobs and a cluster's pods log in. Nobody holds a token for longer than a job, and none is stored.
set -eu
cd "$(dirname "$0")"

vault secrets enable transit
vault write -f transit/keys/prod
vault policy write ksecret-seal seal.hcl # for people
vault policy write ksecret-open open.hcl # for what deploys

# A job of GitLab's, by its id_tokens: of one project, on protected branches. project_id, for a path can be another's tomorrow.
vault auth enable jwt
vault write auth/jwt/config oidc_discovery_url=https://gitlab.example bound_issuer=https://gitlab.example
vault write auth/jwt/role/deploy - <<'JSON'
{
  "role_type": "jwt",
  "user_claim": "project_id",
  "bound_audiences": ["https://vault.example:8200"],
  "bound_claims": {"project_id": "1234", "ref_type": "branch", "ref_protected": "true"},
  "token_policies": ["ksecret-open"],
  "token_ttl": "10m",
  "token_max_ttl": "1h"
}
JSON

# A pod, by its service account: the service's, with the chart's vault.role=ksecret.
# Vault runs in that cluster here; elsewhere its API server's address, kubernetes_ca_cert=@FILE and a token_reviewer_jwt.
vault auth enable kubernetes
vault write auth/kubernetes/config kubernetes_host=https://kubernetes.default.svc
vault write auth/kubernetes/role/ksecret - <<'JSON'
{
  "bound_service_account_names": ["ksecret"],
  "bound_service_account_namespaces": ["ksecret"],
  "audience": "vault",
  "token_policies": ["ksecret-seal", "ksecret-open"],
  "token_ttl": "10m",
  "token_max_ttl": "1h"
}
JSON
