"""What releases are made of, and how: man pages, completions, the single file, manifests of package managers."""
