"""All stages of a preset by one command, in sittings of minutes, on machines that may vanish."""
