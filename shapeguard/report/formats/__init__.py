"""The output formats of findings, a file each: the file's name is the format's, and its `render` writes it."""
