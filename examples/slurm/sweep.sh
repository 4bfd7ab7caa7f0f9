#!/bin/bash
# Submit:    array=$(sbatch --parsable THIS-FILE)
# Result:    sbatch --dependency="afterany:$array" --output=result.txt --wrap 'dmos sweep merge results'
#            (not afterok, which never starts after a failed shard; merge fails if a shard is incomplete)
# Resume:    sbatch --array="$(dmos sweep status results --missing)" THIS-FILE
#SBATCH --job-name=dmos
#SBATCH --array=0-15
#SBATCH --cpus-per-task=1
#SBATCH --output=dmos-%a.log
#SBATCH --open-mode=append
# Tasks of a failed node are requeued; an interrupted task keeps its completed runs (exit code 75).
#SBATCH --requeue
#SBATCH --signal=B:TERM@60
exec dmos sweep run --manifest manifest.json --shard auto --out results --jobs 1
