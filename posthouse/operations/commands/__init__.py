"""The commands, one module per noun. Each calls the acts of one room and prints a table, or JSON with --json."""
