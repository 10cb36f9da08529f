"""What there is to train on: preference pairs, texts and prompts, and the part of them that is held out."""
