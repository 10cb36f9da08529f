"""What each torch operation does to shapes."""
