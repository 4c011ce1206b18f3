"""The ``gen3r`` command: one file per subcommand, whose dataclass is its help text, options and documentation."""
