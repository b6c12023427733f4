"""From YAML and overrides to checked settings. What an experiment is, this room does not know."""
