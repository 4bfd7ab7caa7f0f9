//! Transcripts: what the nodes of a small factory send, log, plan and report while a script disturbs them.
//!
//! Each test has a script and, in `snapshots`, the transcript that a reader has found right. A change of behaviour
//! shows as a difference, which is to be understood before it is accepted.

mod world;

use world::{Topic, World};

/// Two producers of wood and of doors, and one of houses.
const FACTORY: &str = "network: {nodes: [{makes: {wood: 2}, count: 2, process_time: 2s}, \
     {makes: door, needs: {wood: 3}, count: 2, process_time: 5s}, \
     {makes: house, needs: {door: 2}, process_time: 4s}]}\nduration: 1h\n";

/// A supplier, a consumer, and its consumer.
const CHAIN: &str = "network: {nodes: [{makes: {wood: 2}, process_time: 2s}, \
     {makes: door, needs: {wood: 3}, process_time: 5s}, {makes: house, needs: {door: 1}, process_time: 4s}]}\n\
     duration: 1h\n";

/// The same without process times.
const POLLED_CHAIN: &str = "network: {nodes: [{makes: {wood: 2}}, {makes: door, needs: {wood: 3}}, \
     {makes: house, needs: {door: 1}}]}\nduration: 1h\n";

/// Compares the transcript of a script with the one that is right.
#[track_caller]
fn check(name: &str, topic: Topic, network: &str, settings: &str, script: &str) {
    let scenario = dmos_testkit::scenario(&format!("{network}{settings}\n"));
    let transcript = World::new(scenario, topic).run(script);
    insta::with_settings!({ description => format!("{settings}\n{script}"), omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, transcript);
    });
}

#[test]
fn a_supplier_crashes_and_returns() {
    let script = "20 crash wood-1\n50 start wood-1\n70 end";
    check("supplier-crash", Topic::Control, FACTORY, "leader: bully", script);
}

#[test]
fn the_leader_crashes_and_returns() {
    for leader in ["lowest-id", "bully", "raft"] {
        let script = "20 crash wood-1\n70 start wood-1\n100 end";
        let leads = match leader {
            "bully" => script.replace("wood-1", "house"),
            _ => script.to_owned(),
        };
        check(
            &format!("leader-crash-{leader}"),
            Topic::Control,
            FACTORY,
            &format!("leader: {leader}"),
            &leads,
        );
    }
}

#[test]
fn a_link_of_the_flow_breaks_and_works_again() {
    let script = "20 cut wood-1 -> door-1\n20 cut door-1 -> wood-1\n70 mend all\n100 end";
    check("broken-supply-link", Topic::Control, FACTORY, "leader: bully", script);
}

#[test]
fn a_node_does_not_hear_its_suppliers_nor_the_leader_its_own() {
    let script = "20 cut wood-1 -> door-1\n20 cut wood-2 -> door-1\n60 cut door-2 -> house\n60 cut house -> door-2\n\
                  110 mend all\n130 end";
    check("unheard-suppliers", Topic::Control, FACTORY, "leader: bully", script);
}

#[test]
fn the_leader_does_not_hear_a_node() {
    let script = "20 cut door-2 -> house\n70 mend all\n100 end";
    check("leader-hears-not", Topic::Control, FACTORY, "leader: bully", script);
}

#[test]
fn a_node_is_isolated_for_a_while() {
    let script = "20 isolate door-1\n60 mend all\n90 end";
    check("isolated", Topic::Control, FACTORY, "leader: bully", script);
}

#[test]
fn only_the_links_of_one_node_work() {
    let script = "20 keep only links of door-2\n45 mend all\n60 end";
    check("hub", Topic::Control, FACTORY, "leader: bully", script);
}

#[test]
fn nodes_are_commanded_while_the_leader_is_down() {
    let script = "10 require door-1 1\n25 crash house\n26 retire door-2\n50 start house\n70 crash door-2\n75 start door-2\n\
                  90 end";
    check("commands", Topic::Control, FACTORY, "leader: bully", script);
}

#[test]
fn messages_about_the_membership_are_lost_and_arrive_twice() {
    let script = "0 lose 4\n0 duplicate 7\n20 crash door-2\n30 start door-2\n45 end";
    check("control-losses", Topic::Control, FACTORY, "leader: bully", script);
}

#[test]
fn the_blackboard_names_leader_flow_and_removed_nodes() {
    let settings = "leader: bully\nprotocol: {dissemination: blackboard, planning: blocking}";
    check(
        "blackboard",
        Topic::Control,
        FACTORY,
        settings,
        "20 crash wood-1\n50 start wood-1\n60 crash wood-1\n90 end",
    );
}

#[test]
fn batches_are_ordered_and_shipped() {
    check(
        "material",
        Topic::Material,
        CHAIN,
        "leader: last-writer\nprotocol: {compact_after: 30}",
        "5 show\n17 show\n25 crash wood\n26 start wood\n30 crash door\n31 start door\n40 end",
    );
}

#[test]
fn orders_and_shipments_are_lost_and_arrive_twice() {
    let script = "2 lose 3\n2 duplicate 5\n14 show\n40 end";
    check("material-losses", Topic::Material, CHAIN, "leader: last-writer", script);
}

#[test]
fn a_supplier_and_its_consumer_crash() {
    let script = "14 crash wood\n17 start wood\n20 crash door\n22 start door without buffers\n40 end";
    check("material-crashes", Topic::Material, CHAIN, "leader: last-writer", script);
}

#[test]
fn batches_of_a_final_item_leave_unless_they_are_ordered() {
    let network = CHAIN.replace("4s}]}", "4s}], final: [wood, house]}");
    let script = "9 crash wood\n10 start wood without buffers\n25 end";
    check("final-and-consumed", Topic::Material, &network, "leader: last-writer", script);
}

#[test]
fn suppliers_serve_their_consumers_in_proportion() {
    let settings = "leader: last-writer\nflow: max-throughput\nprotocol: {stock_limit: 6}";
    let script = "12 crash wood-2\n13 start wood-2 without buffers\n16 crash door-1\n18 start door-1\n30 end";
    check("proportions", Topic::Material, FACTORY, settings, script);
}

#[test]
fn orders_to_a_lost_supplier_are_redirected() {
    let settings = "leader: last-writer\nflow: max-throughput\nprotocol: {suspect_after: 8s}";
    check("lost-supplier", Topic::Material, FACTORY, settings, "7 crash wood-2\n14 show\n26 end");
}

#[test]
fn a_compacted_log_keeps_what_is_committed() {
    let settings = "leader: last-writer\nprotocol: {production: polled, compact_after: 8}";
    let script = "9 crash wood\n10 start wood\n13 crash door\n14 start door\n20 end";
    check("polled-compacted", Topic::Material, POLLED_CHAIN, settings, script);
}

#[test]
fn batches_are_polled_for() {
    let settings = "leader: last-writer\nprotocol: {production: polled}";
    let script = "8 lose 5\n8 duplicate 7\n14 crash door\n16 start door without buffers\n30 end";
    check("polled", Topic::Material, POLLED_CHAIN, settings, script);
}

#[test]
fn the_prototype_keeps_one_log_and_replays_it() {
    let settings = "leader: last-writer\nprotocol: {production: polled, dissemination: blackboard, log: mixed_up, \
         recovery: replay, receiving: blocking, requests: every_cycle}";
    let script =
        "8 lose 5\n14 crash door\n16 start door\n20 crash wood\n22 start wood without buffers\n30 end";
    check("prototype", Topic::Material, POLLED_CHAIN, settings, script);
}
