#!/bin/bash
# One search on several machines of Slurm: sbatch docs/cluster/slurm.sh spaces/darec.yaml   (see docs/cluster.md)
#
# Run from a folder that all machines share. The same command again goes on where the search was; so does Slurm itself
# when the time is up.
#SBATCH --job-name=searchplat
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=2
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
set -euo pipefail

source "$SLURM_SUBMIT_DIR/.venv/bin/activate"
export SEARCHPLAT_RUNS="$SLURM_SUBMIT_DIR/runs"               # the same on every machine
export SEARCHPLAT_CACHE="${TMPDIR:-/tmp}/searchplat-cache-$USER" # each machine's own

# Others who are on these machines must not use the cluster: a token of this job, in a file that is yours alone.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$SLURM_SUBMIT_DIR/.ray-token-$SLURM_JOB_ID"
(umask 077 && python -c 'import secrets; print(secrets.token_hex(32), end="")' > "$RAY_AUTH_TOKEN_PATH")
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT

# This script runs on the first machine, which is the head.
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
head_ip=$(hostname --ip-address | cut -d ' ' -f 1)
address="$head_ip:$((20000 + SLURM_JOB_ID % 10000))"
srun --nodes=1 --ntasks=1 --nodelist="$head" \
  ray start --head --block --include-dashboard=false --num-cpus="$SLURM_CPUS_PER_TASK" \
  --node-ip-address="$head_ip" --port="${address##*:}" &
until ray status --address "$address" > /dev/null 2>&1; do sleep 2; done
if ((SLURM_JOB_NUM_NODES > 1)); then
  srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="$head" \
    ray start --address="$address" --block --num-cpus="$SLURM_CPUS_PER_TASK" &
fi

searchplat search "$@" --address "$address" &
driver=$!
trap 'kill -TERM "$driver"' TERM # two minutes before the time is up: epochs under way end and are reported
status=0
wait "$driver" || status=$?
if ((status == 143)) && kill -0 "$driver" 2> /dev/null; then # the wait was interrupted, not the search
  status=0
  wait "$driver" || status=$?
fi
if ((status == 143)); then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$status"
