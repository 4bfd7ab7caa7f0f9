//! Former names of fields, values and metrics, for suggestions.
//!
//! A former name is an error like any unknown name; only its suggestion is exact.

use dmos_util::suggestion::nearest;

/// Former names, and common names of other tools, with the present ones. A former name can have several present
/// ones, in different places of a file.
pub const RENAMED: &[(&str, &str)] = &[
    // Protocol.
    ("startup", "start_delay"),
    ("warm_up", "production_delay"),
    ("retry_at_most", "retry_max"),
    ("promise_limit", "commitment_limit"),
    ("knowledge", "dissemination"),
    ("board", "blackboard"),
    ("dock", "receiving"),
    ("deaths", "failure_reports"),
    ("once_per_death", "once_per_failure"),
    ("beside_messages", "concurrent"),
    ("holds_messages", "blocking"),
    ("readmission", "rejoin"),
    // Work and top level.
    ("host", "shared_cpu"),
    ("look_for_flow", "flow_poll"),
    ("ties", "same_time_order"),
    ("plant", "named"),
    // Faults.
    ("operator", "op_generator"),
    ("turn", "cycle"),
    ("wear", "random_failures"),
    ("fails_after", "time_to_failure"),
    ("mtbf", "time_to_failure"),
    ("mttf", "time_to_failure"),
    ("back_after", "time_to_repair"),
    ("mttr", "time_to_repair"),
    ("how", "mode"),
    ("goods", "material"),
    ("stock", "outbound"),
    ("dock", "inbound"),
    ("cut", "one_way_partition"),
    ("split", "partition"),
    ("cuts", "links"),
    ("held_for", "delay"),
    ("append_fails", "append_failure"),
    ("repaired_after", "repair_time"),
    ("anyone", "any"),
    ("final_made", "finished_good_made"),
    // Metrics.
    ("final_batches", "finished_goods"),
    ("messages_per_final", "messages_per_finished"),
    ("planning_steps_per_final", "planning_steps_per_finished"),
    ("terms", "leadership_changes"),
    ("nodes_below", "nodes_degraded"),
    ("lost", "batches_lost"),
    ("used_twice", "batches_consumed_twice"),
    ("stranded", "batches_stranded"),
    ("in_doubt", "batches_in_doubt"),
    ("findings", "violations"),
    ("final_batches_made", "finished_goods_made"),
    ("promises_refused", "requests_over_limit"),
    ("parts_refused", "assignments_refused"),
    ("requests_repeated", "requests_retransmitted"),
    ("batches_resent", "batches_retransmitted"),
    ("FlowPart_sent", "Assignment_sent"),
    ("FlowPart_received", "Assignment_received"),
    ("FlowPartAck_sent", "AssignmentAck_sent"),
    ("FlowPartAck_received", "AssignmentAck_received"),
    ("ReturnNotice_sent", "RejoinNotice_sent"),
    ("ReturnNotice_received", "RejoinNotice_received"),
    ("Standing_sent", "NodeConfig_sent"),
    ("Standing_received", "NodeConfig_received"),
    ("StandingAck_sent", "NodeConfigAck_sent"),
    ("StandingAck_received", "NodeConfigAck_received"),
];

/// Returns the known name that replaces `name`, or else the known name with the most similar spelling.
///
/// ```
/// use dmos_scenario::renamed::suggestion;
/// assert_eq!(suggestion("dock", ["receiving", "cycle"].into_iter()), Some("receiving"));
/// assert_eq!(suggestion("mtbf", ["nodes", "time_to_failure"].into_iter()), Some("time_to_failure"));
/// assert_eq!(suggestion("cicle", ["receiving", "cycle"].into_iter()), Some("cycle"));
/// ```
pub fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.collect();
    let mut successors = RENAMED.iter().filter(|(former, _)| *former == name).map(|(_, present)| *present);
    let renamed = successors.find_map(|present| known.iter().copied().find(|known| *known == present));
    renamed.or_else(|| nearest(name, known.iter().copied()))
}
