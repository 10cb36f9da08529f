"""Source files: found, read, and taken apart into a tree, comments and suppressions."""
