"""The three training stages of PointCMT, their recipes and the run report."""
