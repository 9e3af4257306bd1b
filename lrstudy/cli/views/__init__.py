"""What the commands show, each in the module of its name; what a view needs is computed below the CLI."""
