//! Scripts for batch engines, to be read, adapted and submitted.

use std::num::NonZeroUsize;
use std::path::Path;

use crate::args::Engine;

/// Parameters of a task.
pub(crate) struct Task<'a> {
    /// Path of the manifest for the tasks.
    pub(crate) manifest: &'a Path,
    /// Directory of results for the tasks.
    pub(crate) out: &'a Path,
    /// Number of concurrent runs in a task.
    pub(crate) jobs: NonZeroUsize,
    /// Number of tasks.
    pub(crate) shards: NonZeroUsize,
}

/// Returns the script.
pub(crate) fn script(engine: Engine, task: &Task<'_>) -> String {
    let template = match engine {
        Engine::Slurm => SLURM,
        Engine::Hyperqueue => HYPERQUEUE,
        Engine::Kubernetes => KUBERNETES,
        Engine::Parallel => PARALLEL,
    };
    let shown = |path: &Path| match engine {
        // In double quotes of YAML.
        Engine::Kubernetes => path.display().to_string().replace('\\', "\\\\").replace('"', "\\\""),
        _ => quote(&path.display().to_string()),
    };
    template
        .replace("MANIFEST", &shown(task.manifest))
        .replace("RESULTS", &shown(task.out))
        .replace("JOBS", &task.jobs.to_string())
        .replace("LAST", &(task.shards.get() - 1).to_string())
        .replace("SHARDS", &task.shards.to_string())
}

/// Quotes a word for a shell.
fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

const SLURM: &str = r#"#!/bin/bash
# Submit:    array=$(sbatch --parsable THIS-FILE)
# Result:    sbatch --dependency="afterany:$array" --output=result.txt --wrap 'dmos sweep merge RESULTS'
#            (not afterok, which never starts after a failed shard; merge fails if a shard is incomplete)
# Resume:    sbatch --array="$(dmos sweep status RESULTS --missing)" THIS-FILE
#SBATCH --job-name=dmos
#SBATCH --array=0-LAST
#SBATCH --cpus-per-task=JOBS
#SBATCH --output=dmos-%a.log
#SBATCH --open-mode=append
# Tasks of a failed node are requeued; an interrupted task keeps its completed runs (exit code 75).
#SBATCH --requeue
#SBATCH --signal=B:TERM@60
exec dmos sweep run --manifest MANIFEST --shard auto --out RESULTS --jobs JOBS
"#;

const HYPERQUEUE: &str = r#"#!/bin/sh
# Submits one task per shard; tasks of a failed worker are requeued. Afterwards merge the results:
#   hq job wait last && dmos sweep merge RESULTS
# Resume with the missing shards: --array="$(dmos sweep status RESULTS --missing)"
exec hq submit --name=dmos --array=0-LAST --cpus=JOBS --crash-limit=10 --stdout=none \
    -- dmos sweep run --manifest MANIFEST --shard auto --out RESULTS --jobs JOBS
"#;

const PARALLEL: &str = r#"#!/bin/sh
# Runs the shards on this machine, or with --sshlogin on others that share its files.
# --resume-failed reruns failed and missing jobs.
seq 0 LAST | parallel --joblog dmos.log --resume-failed \
    dmos sweep run --manifest MANIFEST --shard {} --out RESULTS --jobs JOBS
dmos sweep merge RESULTS
"#;

const KUBERNETES: &str = r#"# An indexed job: one completion for each shard. It needs an image with `dmos`, and a volume that holds the manifest
# and receives the results; replace YOUR-IMAGE and YOUR-VOLUME. Afterwards, on a host with access to the volume:
#   dmos sweep merge RESULTS
apiVersion: batch/v1
kind: Job
metadata:
  name: dmos
spec:
  completionMode: Indexed
  completions: SHARDS
  parallelism: 4
  backoffLimitPerIndex: 10
  podFailurePolicy:
    rules:
      # Some runs failed, or the input is invalid: do not retry.
      - action: FailIndex
        onExitCodes: {containerName: dmos, operator: In, values: [1, 2]}
      # The node was drained or lost, which does not count as a failure.
      - action: Ignore
        onPodConditions: [{type: DisruptionTarget}]
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 60
      containers:
        - name: dmos
          image: YOUR-IMAGE
          workingDir: /work
          command: [dmos, sweep, run, --manifest, "MANIFEST", --shard, auto, --out, "RESULTS", --jobs, "JOBS"]
          resources: {requests: {cpu: "JOBS"}}
          volumeMounts: [{name: work, mountPath: /work}]
      volumes:
        - name: work
          persistentVolumeClaim: {claimName: YOUR-VOLUME}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_they_must_be() {
        assert_eq!(quote("a/b-1.json"), "a/b-1.json");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }
}
