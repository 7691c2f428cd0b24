"""Files: finding them, reading them, and writing them all or not at all."""
