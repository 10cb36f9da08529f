"""Source files: found, read, taken apart, edited and written."""
