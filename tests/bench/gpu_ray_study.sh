#!/usr/bin/env bash
# A whole study with Ray on a machine that lacks it: unpacks the archive of gpu_wheels.py and runs a study file.
#
#   tests/bench/gpu_ray_study.sh BUNDLE.tar.xz OUT SECONDS STUDY.toml [--set KEY=VALUE ...]
#
# OUT gets the run's log and summary.json; where time runs out, what the report could be made of until then.
# $LRSTUDY_SITE is the folder of the packages, kept for a second run on the same machine.
set -euo pipefail
cd "$(dirname "$0")/../.."
bundle=$1 out=$2 seconds=$3
shift 3
site=${LRSTUDY_SITE:-/tmp/lrstudy-site}
if [ ! -d "$site" ]; then
    python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2], filter="fully_trusted")' \
        "$bundle" "$site.new"
    mv "$site.new" "$site"
fi
# After the machine's own packages: only what they lack comes from the bundle.
own=$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
export PYTHONPATH="$PWD:$own:$site" PYTHONUNBUFFERED=1
run=$(mktemp -d)/run
mkdir -p "$out" "$run"
code=0
timeout --signal=INT --kill-after=20 "$seconds" python3 -m lrstudy run "$@" --out "$run" >"$out/run.log" 2>&1 || code=$?
for folder in $(find "$run" -mindepth 1 -maxdepth 1 -type d); do
    [ -e "$folder/report/summary.json" ] || python3 -m lrstudy report "$folder" >>"$out/run.log" 2>&1 || true
done
find "$run" \( -name summary.json -o -name report.md \) -exec cp {} "$out/" \;
tail -n 40 "$out/run.log"
exit "$code"
