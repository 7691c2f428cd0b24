"""Text → documents → Secrets → scalars with their exact place, and changed text back. Knows nothing of crypto."""
