"""Strip, convert, verify and benchmark point-only students."""
