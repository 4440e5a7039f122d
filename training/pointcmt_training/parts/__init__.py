"""Part segmentation (Section B.5 of the paper), a run of its own."""
