"""One file a data set: the class that reads it and its record in the catalogue."""
