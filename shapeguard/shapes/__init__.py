"""The mathematics of shapes; standard library only."""
