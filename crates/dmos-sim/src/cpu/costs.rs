//! CPU costs of inputs and appends.

use dmos_core::Span;
use dmos_core::settings::Work;
use dmos_node::{Effect, Load, LogRecord, Message, Timer};

use crate::cpu::WorkItem;
use crate::event::Completion;
use crate::transport::MessageStore;

/// Returns the CPU time of handling `work_item`, whose message is in `message_store`, for a node with `load`
/// in a network of `nodes` nodes.
pub(crate) fn handling(
    work: &Work,
    nodes: usize,
    load: Load,
    work_item: WorkItem,
    messages: &MessageStore,
) -> Span {
    match work_item {
        WorkItem::Completion(Completion::Timer(Timer::ProductionCycle)) => {
            let entries = load.inbound_entries + load.outbound_entries;
            work.cycle + work.cycle_per_log_entry * entries + work.cycle_per_flow_edge * load.flow_edges
        }
        WorkItem::Completion(Completion::Timer(Timer::Heartbeat)) => {
            work.heartbeat + work.heartbeat_per_neighbour * load.neighbours
        }
        WorkItem::Completion(Completion::Timer(Timer::AwaitNeighbours)) => work.flow_poll,
        WorkItem::Message { message, .. } => match messages.get(message) {
            Message::Request { .. } => {
                let per_node = work.request_per_node * nodes as u64;
                work.request + per_node + work.request_per_flow_edge * load.flow_edges
            }
            _ => work.message,
        },
        WorkItem::Completion(_) => Span::ZERO,
        WorkItem::Outgoing { .. } | WorkItem::Plan { .. } => Span::ZERO,
    }
}

/// Returns the CPU time of the appends among `effects`, for a node with `load`.
pub(crate) fn appending(work: &Work, load: Load, effects: &[Effect]) -> Span {
    let appends = effects.iter().map(|effect| match effect {
        Effect::Append(record) => work.append_per_log_entry * entries(record, load),
        _ => Span::ZERO,
    });
    appends.sum()
}

/// Returns the number of batches in the log half to which a record belongs.
fn entries(record: &LogRecord, load: Load) -> u64 {
    match record {
        LogRecord::Made { .. }
        | LogRecord::Ran { .. }
        | LogRecord::Shipped { .. }
        | LogRecord::OrdersVoided { .. }
        | LogRecord::Acknowledged { .. }
        | LogRecord::Left(_)
        | LogRecord::Committed { .. }
        | LogRecord::InTransit(_)
        | LogRecord::Delivered(_) => load.outbound_entries,
        LogRecord::TransitStarted(_)
        | LogRecord::Accepted(_)
        | LogRecord::Arrived(_)
        | LogRecord::Received(_)
        | LogRecord::Consumed(_)
        | LogRecord::LocalBatchSent(_) => load.inbound_entries,
        LogRecord::Scrapped(_)
        | LogRecord::Restarted
        | LogRecord::FlowAccepted(_)
        | LogRecord::Commanded(_)
        | LogRecord::Election(_)
        | LogRecord::Compacted(_) => 1,
    }
}
