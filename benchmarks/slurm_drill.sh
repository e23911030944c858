#!/usr/bin/env bash
# A real SLURM of virtual nodes on this machine, and drills of interrupted runs on it:
#
#   benchmarks/slurm_drill.sh                      # all drills, about twenty minutes
#   benchmarks/slurm_drill.sh --only=preemption    # see benchmarks/slurm_drill.py
#   benchmarks/slurm_drill.sh --shell              # the cluster, for drills by hand
#
# Needs Debian's packages, and no root:
#   apt-get install --no-install-recommends slurmctld slurmd slurm-client munge
#
# Everything of the cluster is in one temporary folder, and goes when the script ends.
set -euo pipefail

NODES=${NODES:-4}
PYTHON=${PYTHON:-.venv/bin/python}
cd "$(dirname "$0")/.."

folder=$(mktemp -d /tmp/slurm_drill.XXXXXX)
host=$(hostname -s)
user=$(id -un)
last=$((10 + NODES))
base=$((20000 + RANDOM % 20000)) # ports
export SLURM_CONF=$folder/slurm.conf
pids=()

down() {
  scancel --user="$user" 2>/dev/null || true
  for _ in $(seq 20); do
    [ -n "$(squeue --noheader 2>/dev/null)" ] || break
    sleep 0.5
  done
  # The last first; what still runs after two seconds is killed.
  kill "${pids[@]:1}" 2>/dev/null || true
  sleep 2
  for process in /proc/[0-9]*; do # steps and jobs
    grep -qs "SLURM_CONF=$folder/" "$process/environ" && pids+=("${process#/proc/}")
  done
  kill -KILL "${pids[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$folder"
}

up() {
  (umask 077; head -c 1024 /dev/urandom >"$folder/munge.key")
  munged --foreground --force --key-file="$folder/munge.key" \
    --socket="$folder/munge" --pid-file="$folder/munge.pid" \
    --log-file="$folder/munge.log" --seed-file="$folder/munge.seed" 2>"$folder/munge.out" &
  pids+=($!)

  mkdir "$folder/state"
  touch "$folder/gpu0" "$folder/gpu1"
  # A device file for each of the GPUs, which are none; the CPU computes.
  echo "Name=gpu File=$folder/gpu[0-1]" >"$folder/gres.conf"
  # Version 22.05 loads a cgroup plugin whatever tracks the processes.
  echo "CgroupPlugin=cgroup/v1" >"$folder/cgroup.conf"
  cat >"$SLURM_CONF" <<EOF
ClusterName=drill
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
# Credentials expire soon, since a requeued job waits for that.
AuthInfo=socket=$folder/munge,cred_expire=5
StateSaveLocation=$folder/state
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmdSpoolDir=$folder/spool-%n
SlurmctldPort=$base
# JAX takes the coordinator's port from the number of the job, and another drill may run.
FirstJobId=$base
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
KillWait=30
MinJobAge=7200
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=127.0.0.[11-$last] NodeHostname=$host NodeAddr=127.0.0.1 \\
  Port=[$((base + 11))-$((base + last))] CPUs=2 Gres=gpu:2 State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=30
PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF
EOF
  slurmctld -D >"$folder/slurmctld.out" 2>&1 &
  pids+=($!)
  for i in $(seq 11 "$last"); do
    mkdir "$folder/spool-127.0.0.$i"
    # Names are addresses: JAX makes the coordinator's of the first one.
    slurmd -D -N "127.0.0.$i" >"$folder/slurmd-$i.out" 2>&1 &
    pids+=($!)
  done
  for _ in $(seq 60); do
    [ "$(sinfo --noheader --states=idle --format=%D 2>/dev/null)" = "$NODES" ] && return
    sleep 0.5
  done
  echo "the cluster did not start:" >&2
  tail -n 5 "$folder"/*.out "$folder"/*.log >&2
  exit 1
}

trap down EXIT
trap 'exit 130' INT TERM
PATH=$PATH:/usr/sbin
for program in slurmctld slurmd sbatch munged; do
  command -v "$program" >/dev/null || { echo "$program is missing: apt-get install \
--no-install-recommends slurmctld slurmd slurm-client munge" >&2; exit 2; }
done
up
echo "$NODES nodes are up after $SECONDS s" >&2
if [ "${1:-}" = --shell ]; then
  bash
else
  "$PYTHON" -m benchmarks.slurm_drill "$@"
fi
