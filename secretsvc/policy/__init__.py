"""The policy of a repository, `.ksecret.yaml` (docs/policy.md): who may open which manifest."""
