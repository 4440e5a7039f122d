"""Torch-free classification of point clouds with an exported student."""
