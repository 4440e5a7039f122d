"""What is done with data sets: checking, caching, splitting, making pictures."""
