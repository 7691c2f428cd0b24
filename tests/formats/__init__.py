"""A format that is none of ours, and what every format must do."""
