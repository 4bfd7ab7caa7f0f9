#!/bin/sh
# Runs the shards on this machine, or with --sshlogin on others that share its files.
# --resume-failed reruns failed and missing jobs.
seq 0 15 | parallel --joblog dmos.log --resume-failed \
    dmos sweep run --manifest manifest.json --shard {} --out results --jobs 1
dmos sweep merge results
