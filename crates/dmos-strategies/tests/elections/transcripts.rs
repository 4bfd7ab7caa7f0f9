//! Transcripts of elections: what the candidates send, log and name, while crashes and partitions disturb them.
//!
//! A change of behaviour shows as a difference, which is to be understood before it is accepted.

use dmos_core::Span;

use crate::cluster::Cluster;

/// Disturbs four candidates, and returns the transcript. Under `ballot` all messages differ, because they are numbered, so
/// that only the first are included.
fn transcript(strategy: &str, seed: u64) -> String {
    let mut cluster = Cluster::started(strategy, 4, seed);
    let run = |cluster: &mut Cluster, seconds, what: &str| {
        cluster.run(Span::from_secs(seconds));
        cluster.transcript.push_str(&format!("*** {what}\n"));
    };
    run(&mut cluster, 20, "the leader crashes");
    let leader = cluster.agreed(&[0, 1, 2, 3]).expect("a leader").0;
    cluster.crash(leader);
    run(&mut cluster, 20, "it returns");
    cluster.start(leader);
    run(&mut cluster, 20, "0 and 1 are cut off from 2 and 3");
    cluster.partition(&[&[0, 1], &[2, 3]]);
    run(&mut cluster, 30, "all links work again");
    cluster.heal();
    run(&mut cluster, 20, "0 does not hear 3, nor 2 hear 1");
    cluster.cut_link(3, 0);
    cluster.cut_link(1, 2);
    run(&mut cluster, 30, "all links work again, and 3 learns that its term is old");
    cluster.heal();
    cluster.learn_own_term(3, 200);
    run(&mut cluster, 20, "3 of 4 crash");
    [0, 1, 2].into_iter().for_each(|node| cluster.crash(node));
    run(&mut cluster, 20, "two return, one without its disk");
    cluster.wipe_disk(0);
    [0, 1].into_iter().for_each(|node| cluster.start(node));
    run(&mut cluster, 20, "end");
    cluster.transcript.push_str(&format!("{} messages\n", cluster.messages));
    let is_shown = |line: &&str| strategy != "ballot" || line.starts_with("  0") || !line.contains("->");
    cluster.transcript.lines().filter(is_shown).map(|line| format!("{line}\n")).collect()
}

#[test]
fn elections_take_the_course_that_was_found_right() {
    for strategy in ["bully", "ring", "lowest-id", "raft", "ballot"] {
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(strategy, transcript(strategy, 1));
        });
    }
}
