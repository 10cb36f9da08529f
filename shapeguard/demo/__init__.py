"""`shapeguard demo`: three broken training scripts, what is found in them, and what they learn once they are mended."""
