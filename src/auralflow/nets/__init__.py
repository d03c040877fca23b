"""The door to every net: audio in, estimate out, and one room for each family of nets."""
