//! Textbook cases of elections, for every strategy that guarantees a leader.

mod cluster;
mod transcripts;
mod transitions;

use cluster::Cluster;
use dmos_core::Span;

/// All strategies with repeated elections, and whether they need a majority.
const ALL: [(&str, bool); 5] =
    [("bully", false), ("ring", false), ("lowest-id", false), ("raft", true), ("ballot", true)];

/// Time within which all candidates should agree, whatever happened before.
const SETTLED: Span = Span::from_secs(40);

fn seeds() -> std::ops::Range<u64> {
    0..20
}

fn all_candidates(candidates: usize) -> Vec<usize> {
    (0..candidates).collect()
}

#[test]
fn simultaneous_starts_agree_on_one_leader() {
    for (strategy, _) in ALL {
        for (candidates, seed) in
            [1, 2, 3, 5, 8].into_iter().flat_map(|count| seeds().map(move |seed| (count, seed)))
        {
            let mut cluster = Cluster::started(strategy, candidates, seed);
            cluster.run(SETTLED);
            let agreed = cluster.agreed(&all_candidates(candidates));
            assert!(agreed.is_some() && !cluster.two_in_one_term(), "{strategy}, {candidates}, {seed}");
            let leadership_changes = cluster.leadership_changes.len();
            cluster.run(SETTLED);
            assert_eq!(cluster.leadership_changes.len(), leadership_changes, "{strategy} keeps its leader");
        }
    }
}

#[test]
fn the_preferred_candidate_leads() {
    for (strategy, leader) in [("bully", 4), ("ring", 4), ("lowest-id", 0), ("ballot", 4)] {
        let mut cluster = Cluster::started(strategy, 5, 1);
        cluster.run(SETTLED);
        assert_eq!(cluster.agreed(&all_candidates(5)).map(|agreed| agreed.0), Some(leader), "{strategy}");
    }
}

#[test]
fn a_leader_that_crashes_is_replaced_under_a_later_term() {
    for (strategy, _) in ALL {
        for seed in seeds() {
            let mut cluster = Cluster::started(strategy, 5, seed);
            cluster.run(SETTLED);
            let (leader, before) = cluster.agreed(&all_candidates(5)).expect("a leader");
            cluster.crash(leader);
            cluster.run(SETTLED);
            let (next, term) =
                cluster.agreed(&all_candidates(5)).unwrap_or_else(|| panic!("{strategy}, {seed}"));
            assert!(next != leader && term > before, "{strategy}, {seed}");
            // It recovers with its durable state, and there is one leader again.
            cluster.start(leader);
            cluster.run(SETTLED);
            let (_, later) =
                cluster.agreed(&all_candidates(5)).unwrap_or_else(|| panic!("{strategy}, {seed}"));
            assert!(later >= term && !cluster.two_in_one_term(), "{strategy}, {seed}");
        }
    }
}

#[test]
fn a_candidate_without_its_terms_still_reaches_a_later_one() {
    // Not for Raft, whose correctness depends on durable state.
    for (strategy, _) in ALL.into_iter().filter(|(strategy, _)| *strategy != "raft") {
        let mut cluster = Cluster::started(strategy, 3, 1);
        cluster.run(SETTLED);
        let (leader, _) = cluster.agreed(&all_candidates(3)).expect("a leader");
        cluster.crash(leader);
        cluster.wipe_disk(leader);
        cluster.run(SETTLED);
        let (_, before) = cluster.agreed(&all_candidates(3)).expect("a leader");
        cluster.start(leader);
        cluster.run(SETTLED);
        let (_, after) = cluster.agreed(&all_candidates(3)).unwrap_or_else(|| panic!("{strategy}"));
        assert!(after >= before, "{strategy}");
    }
}

#[test]
fn a_leader_in_an_outdated_term_reaches_a_later_one() {
    // Under the other strategies a majority knows every term, so no leader has an outdated one.
    for strategy in ["bully", "ring", "lowest-id"] {
        let mut cluster = Cluster::started(strategy, 3, 1);
        cluster.run(SETTLED);
        let (leader, term) = cluster.agreed(&all_candidates(3)).expect("a leader");
        cluster.learn_own_term(leader, term + 100);
        cluster.run(SETTLED);
        let (_, later) = cluster.agreed(&all_candidates(3)).unwrap_or_else(|| panic!("{strategy}"));
        assert!(later > term + 100, "{strategy}: {later}");
    }
}

#[test]
fn consecutive_crashes() {
    for (strategy, needs_majority) in ALL {
        let mut cluster = Cluster::started(strategy, 5, 3);
        cluster.run(SETTLED);
        for left in (1..5).rev() {
            let (leader, _) =
                cluster.agreed(&all_candidates(5)).unwrap_or_else(|| panic!("{strategy}, {left}"));
            cluster.crash(leader);
            cluster.run(SETTLED);
            if needs_majority && left < 3 {
                assert_eq!(cluster.agreed(&all_candidates(5)), None, "{strategy} leads without a majority");
                break;
            }
        }
    }
}

#[test]
fn a_partitioned_leader_is_replaced_and_yields_when_it_returns() {
    for (strategy, needs_majority) in ALL {
        for seed in seeds() {
            let mut cluster = Cluster::started(strategy, 5, seed);
            cluster.run(SETTLED);
            let (leader, before) = cluster.agreed(&all_candidates(5)).expect("a leader");
            let others: Vec<_> = all_candidates(5).into_iter().filter(|&node| node != leader).collect();
            // Together with one of the others: fewer than half.
            cluster.partition(&[&[leader, others[0]], &others[1..]]);
            cluster.run(SETTLED);
            let (_, term) = cluster.agreed(&others[1..]).unwrap_or_else(|| panic!("{strategy}, {seed}"));
            assert!(term > before, "{strategy}, {seed}");
            if needs_majority {
                let minority = cluster
                    .leadership_changes
                    .iter()
                    .filter(|(term, node)| *term > before && [leader, others[0]].contains(node));
                assert_eq!(minority.count(), 0, "{strategy} elects without a majority");
            }
            cluster.heal();
            cluster.run(SETTLED);
            let (_, healed) =
                cluster.agreed(&all_candidates(5)).unwrap_or_else(|| panic!("{strategy}, {seed}"));
            assert!(healed >= term && !cluster.two_in_one_term(), "{strategy}, {seed}");
        }
    }
}

/// Returns candidates that all reach the hub, but not each other.
fn around_a_hub(strategy: &str, seed: u64) -> (Cluster, usize) {
    let mut cluster = Cluster::started(strategy, 5, seed);
    cluster.run(SETTLED);
    let (leader, _) = cluster.agreed(&all_candidates(5)).expect("a leader");
    let hub = (leader + 1) % 5;
    let spokes: Vec<[usize; 2]> =
        all_candidates(5).into_iter().filter(|&node| node != hub).map(|node| [hub, node]).collect();
    let spokes: Vec<&[usize]> = spokes.iter().map(|pair| &pair[..]).collect();
    cluster.partition(&spokes);
    cluster.run(SETTLED * 3);
    (cluster, hub)
}

#[test]
fn a_hub_is_elected_by_ballots_and_by_votes() {
    for (strategy, seed) in
        ["ballot", "raft"].into_iter().flat_map(|strategy| seeds().map(move |seed| (strategy, seed)))
    {
        let (cluster, hub) = around_a_hub(strategy, seed);
        let agreed = cluster.agreed(&all_candidates(5)).map(|agreed| agreed.0);
        assert_eq!(agreed, Some(hub), "{strategy}, {seed}");
    }
}

#[test]
fn a_raft_leader_that_hears_no_majority_steps_down() {
    for candidates in [3, 4, 5] {
        let mut cluster = Cluster::started("raft", candidates, 1);
        cluster.run(SETTLED);
        let (leader, _) = cluster.agreed(&all_candidates(candidates)).expect("a leader");
        let mut others = all_candidates(candidates).into_iter().filter(|&node| node != leader);
        // As many as may be silent: the rest and the leader are a majority.
        let most = candidates - (candidates / 2 + 1);
        others.by_ref().take(most).for_each(|node| cluster.cut_link(node, leader));
        cluster.run(SETTLED);
        assert!(cluster.leads(leader), "{candidates}");
        others.take(1).for_each(|node| cluster.cut_link(node, leader));
        cluster.run(Span::from_secs(8));
        assert!(!cluster.leads(leader), "{candidates}");
    }
}

#[test]
fn after_partial_connectivity_all_agree_again() {
    for (strategy, _) in ALL {
        for seed in seeds() {
            let (mut cluster, _) = around_a_hub(strategy, seed);
            cluster.heal();
            cluster.run(SETTLED);
            assert!(
                cluster.agreed(&all_candidates(5)).is_some() && !cluster.two_in_one_term(),
                "{strategy}, {seed}"
            );
        }
    }
}

#[test]
fn a_link_that_failed_in_one_direction_is_used_again() {
    for (strategy, _) in ALL {
        for (from, to) in
            (0..4).flat_map(|from| (0..4).map(move |to| (from, to))).filter(|(from, to)| from != to)
        {
            let mut cluster = Cluster::new(strategy, 4, 1);
            cluster.cut_link(from, to);
            (0..4).for_each(|node| cluster.start(node));
            cluster.run(SETTLED);
            cluster.heal();
            cluster.run(SETTLED);
            assert!(cluster.agreed(&all_candidates(4)).is_some(), "{strategy}, {from} to {to}");
            let leadership_changes = cluster.leadership_changes.len();
            cluster.run(SETTLED);
            assert_eq!(
                cluster.leadership_changes.len(),
                leadership_changes,
                "{strategy}, {from} to {to}: it keeps its leader"
            );
        }
    }
}

#[test]
fn simultaneous_candidates_do_not_both_win() {
    // Raft: enough seeds for two candidacies in the same term, and for split votes.
    let mut split_votes = 0;
    for seed in 0..400 {
        let mut cluster = Cluster::started("raft:timeout=100ms,heartbeat=30ms", 2, seed);
        cluster.run(SETTLED);
        assert!(cluster.agreed(&all_candidates(2)).is_some() && !cluster.two_in_one_term(), "{seed}");
        split_votes += u64::from(cluster.leadership_changes.first().is_some_and(|change| change.0 > 1));
    }
    assert!(split_votes > 10, "split votes in only {split_votes} runs");
    // Two partitions elect a leader each; after the partition heals, one remains.
    for (strategy, _) in ALL.into_iter().filter(|(_, needs_majority)| !needs_majority) {
        let mut cluster = Cluster::new(strategy, 4, 1);
        cluster.partition(&[&[0, 1], &[2, 3]]);
        (0..4).for_each(|node| cluster.start(node));
        cluster.run(SETTLED);
        assert!(cluster.agreed(&[0, 1]).is_some() && cluster.agreed(&[2, 3]).is_some(), "{strategy}");
        cluster.heal();
        cluster.run(SETTLED);
        assert!(cluster.agreed(&all_candidates(4)).is_some() && !cluster.two_in_one_term(), "{strategy}");
    }
}

#[test]
fn a_vote_survives_a_restart_only_with_a_disk() {
    // Candidate 0 requests votes that only 1 receives, and 1 restarts before 2 requests votes in the same
    // term.
    let run = |forgets: bool, seed: u64| {
        let mut cluster = Cluster::new("raft:timeout=100ms,heartbeat=30ms", 3, seed);
        cluster.partition(&[&[0, 1]]);
        cluster.start(0);
        cluster.start(1);
        cluster.run(Span::from_millis(400));
        let first = cluster.leadership_changes.clone();
        cluster.crash(1);
        cluster.crash(0);
        if forgets {
            cluster.wipe_disk(1);
        }
        cluster.partition(&[&[1, 2]]);
        cluster.start(1);
        cluster.start(2);
        cluster.run(Span::from_millis(400));
        (first.len(), cluster.two_in_one_term())
    };
    assert!((0..50).all(|seed| !run(false, seed).1), "with durable votes no candidate votes twice in a term");
    assert!((0..50).any(|seed| run(true, seed).1), "without them a candidate does");
}

#[test]
fn keeping_a_leader_takes_few_messages() {
    let per_minute = |strategy: &str| {
        let mut cluster = Cluster::started(strategy, 10, 1);
        cluster.run(SETTLED);
        let before = cluster.messages;
        cluster.run(Span::from_secs(60));
        cluster.messages - before
    };
    // Bully and ring are silent in normal operation; heartbeats go to nine others, and under raft back; ballots go from
    // all to all and back.
    assert_eq!(ALL.map(|(strategy, _)| per_minute(strategy)), [0, 0, 540, 1_080, 5_400]);
}
