"""The output of the commands, each in the module of its name; the work behind it is done below the CLI."""
