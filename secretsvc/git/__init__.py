"""Git: what `ksecret git setup` tells it of sealed files, and what `check` reads of its index and history."""
