#!/bin/bash
# A Ray cluster inside a Slurm allocation, and a study on it.
#
#   sbatch studies/cluster/slurm.sh studies/digits.toml /shared/runs
#
# Submit it again when its time was too short: the study goes on where it was. The second argument must be a
# folder that all nodes share, or a URI. Change: the #SBATCH lines, and how lrstudy's environment is entered.
#SBATCH --job-name=lrstudy
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=4
#SBATCH --exclusive
#SBATCH --time=08:00:00
#SBATCH --signal=B:INT@300

set -euo pipefail
study=${1:?"which study? sbatch slurm.sh STUDY OUT"}
out=${2:?"where to? sbatch slurm.sh STUDY OUT"}
source "${LRSTUDY_ENV:-$HOME/lrstudy}/bin/activate"

# Users share the machines: only who has the token may use this cluster.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
port=$((20000 + SLURM_JOB_ID % 20000))
each=(--num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="${SLURM_GPUS_ON_NODE:-0}" --disable-usage-stats --block)

srun --nodes=1 --ntasks=1 --nodelist="$head" \
    ray start --head --port="$port" --include-dashboard=false "${each[@]}" &
for _ in {1..60}; do
    if (: > "/dev/tcp/$head/$port") 2> /dev/null; then break; fi
    sleep 1
done
for node in "${nodes[@]:1}"; do
    srun --nodes=1 --ntasks=1 --nodelist="$node" ray start --address="$head:$port" "${each[@]}" &
    sleep 2 # nodes that join at the same moment may hinder each other
done

# Five minutes before the time is up Slurm sends SIGINT, as Ctrl-C does: running epochs end, nothing is lost.
lrstudy run "$study" --address "$head:$port" --out "$out" ${REPORTS:+--reports "$REPORTS"} &
driver=$!
trap 'kill -INT "$driver"' INT
code=0
wait "$driver" || code=$?
if kill -0 "$driver" 2> /dev/null; then
    code=0
    wait "$driver" || code=$?
fi
exit "$code"
