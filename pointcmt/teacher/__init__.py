"""What training has and deployment has not: the image teacher, its backbones, the generator."""
