"""What rules are made of: how a file is read, what they find, and how it is changed."""
