#!/bin/sh
# Submits one task per shard; tasks of a failed worker are requeued. Afterwards merge the results:
#   hq job wait last && dmos sweep merge results
# Resume with the missing shards: --array="$(dmos sweep status results --missing)"
exec hq submit --name=dmos --array=0-15 --cpus=1 --crash-limit=10 --stdout=none \
    -- dmos sweep run --manifest manifest.json --shard auto --out results --jobs 1
