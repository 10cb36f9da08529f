"""The static checker: an abstract interpreter over `ast`."""
