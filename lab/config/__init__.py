"""From YAML and overrides to checked settings. This room does not know what an experiment is."""
