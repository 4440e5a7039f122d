"""Fetching files that nobody vouches for: transferred, compared with a digest, unpacked."""
