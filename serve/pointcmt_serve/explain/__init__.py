"""Which points decided: the winners of a network's maxima, traced back to the cloud."""
