"""The meshes and the scanner of the embedded data set `shapes`: objects made from a seed."""
