"""kubesec's format: one Secret per file, its envelope in comment lines (design FORMAT)."""
