#!/bin/bash
# Run several of PointCMT's commands at once with SLURM:
#
#     sbatch --array=1-$(wc -l < commands.txt) examples/slurm/run_commands.sh commands.txt
#
# commands.txt has a command a line, as it would be typed. A command that was preempted is started
# again, and goes on with what is there. On GPUs add --gres=gpu:1; "--array=1-8%2" runs two at once.
#SBATCH --job-name=pointcmt
#SBATCH --cpus-per-task=1
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
line=$(sed -n "${SLURM_ARRAY_TASK_ID}p" "$1")
exec srun bash -c "exec $line"
