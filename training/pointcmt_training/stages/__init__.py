"""The three stages: teacher, generator, student (Sections 3.2 to 3.4)."""
