#!/usr/bin/env bash
# Everything that needs a GPU, in one command of less than nine minutes:
#
#   bash benchmarks/gpu.sh data/me runs/gpu [runs/prior]
#
# data/me is an identity folder of 512 pixels, runs/gpu a new folder for the output, and
# runs/prior a run to adapt from. Each line of runs/gpu/results.jsonl is one measurement;
# a failed one is noted in runs/gpu/log.txt, and the others still run.
# WHEELS=folder installs missing packages from there. PRESET=draft_cpu SIZE=64 MINUTES=0.3
# POINTS=131072 PATIENCE=5 tries the script where there is no GPU.
set -u
data=${1:?an identity folder} out=${2:?a folder for results} prior=${3:-}
preset=${PRESET:-full_gpu} size=${SIZE:-512} minutes=${MINUTES:-1.5}
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
points=${POINTS:-1048576}
mkdir -p "$out"
results=$(realpath "$out")/results.jsonl log=$(realpath "$out")/log.txt
: >"$results"
: >"$log"

if [ -n "${WHEELS:-}" ]; then
  "$python" -m pip install --quiet --no-index --find-links="$WHEELS" "$WHEELS"/*.whl >>"$log" 2>&1
fi
{ nvidia-smi 2>/dev/null || echo "no GPU"
  "$python" -m pip list 2>/dev/null | grep -iE '^(jax|flax|optax|orbax|numpy)'; } | tee -a "$log"

# measure SECONDS MODULE FLAGS...: one benchmark, ended after so many seconds.
measure() {
  local limit=$(($1 * ${PATIENCE:-1}))
  shift
  echo "== $*" | tee -a "$log"
  timeout "$limit" "$python" -m "$@" 2>>"$log" | grep '^{' | tee -a "$results"
  [ "${PIPESTATUS[0]}" = 0 ] || echo "FAILED or stopped after $limit s: $*" | tee -a "$log"
}

measure 60 benchmarks.hashgrid_speed --points=65536
measure 60 benchmarks.hashgrid_speed --points="$points" --log2_entries=19 --rounds=5 \
  --forms=ours,unrolled,flat
measure 90 benchmarks.train_step_speed --data="$data" --preset="$preset" --size="$size" \
  --rays=$([ "$preset" = full_gpu ] && echo 16384 || echo 512)
measure 150 benchmarks.time_to_quality --data="$data" --preset="$preset" --size="$size" \
  --minutes="$minutes"
if [ -n "$prior" ]; then
  measure 150 benchmarks.time_to_quality --data="$data" --preset="$preset" --size="$size" \
    --minutes="$minutes" --prior="$prior" --max_seconds=5
fi
echo "$(wc -l <"$results") measurements are in $out/results.jsonl"
