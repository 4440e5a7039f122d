"""The routes: the protocol's, and those for people."""
