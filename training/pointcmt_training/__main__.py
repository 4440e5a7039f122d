"""`torchrun --nproc-per-node=N -m pointcmt_training RECIPE [key=value ...]`."""

from pointcmt.commands import train

if __name__ == "__main__":
    train()
