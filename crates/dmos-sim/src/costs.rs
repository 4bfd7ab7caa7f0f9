//! How much CPU time an input takes.

use dmos_core::Span;
use dmos_core::settings::Work;
use dmos_node::{Effect, Load, LogRecord, Message, Timer};

use crate::lanes::{Due, Letter};
use crate::mail::Mail;

/// The work of handling `letter`, whose message is in `mail`, for a node with `load` in a network of `nodes`.
pub(crate) fn handling(work: &Work, nodes: usize, load: Load, letter: Letter, mail: &Mail) -> Span {
    match letter {
        Letter::Due(Due::Timer(Timer::Stage)) => {
            let entries = load.inbound_entries + load.outbound_entries;
            work.cycle + work.cycle_per_log_entry * entries + work.cycle_per_flow_edge * load.flow_edges
        }
        Letter::Due(Due::Timer(Timer::Heartbeat)) => {
            work.heartbeat + work.heartbeat_per_neighbour * load.neighbours
        }
        Letter::Due(Due::Timer(Timer::AwaitNeighbours)) => work.flow_poll,
        Letter::Message { message, .. } => match mail.get(message) {
            Message::Request { .. } => {
                let per_node = work.request_per_node * nodes as u64;
                work.request + per_node + work.request_per_flow_edge * load.flow_edges
            }
            _ => work.message,
        },
        Letter::Due(_) => Span::ZERO,
        Letter::Outgoing { .. } | Letter::Think { .. } => Span::ZERO,
    }
}

/// The work of the appends among `effects`, for a node with `load`.
pub(crate) fn appending(work: &Work, load: Load, effects: &[Effect]) -> Span {
    let appends = effects.iter().map(|effect| match effect {
        Effect::Append(record) => work.append_per_log_entry * entries(record, load),
        _ => Span::ZERO,
    });
    appends.sum()
}

/// How many batches are in the log that a record goes to.
fn entries(record: &LogRecord, load: Load) -> u64 {
    match record {
        LogRecord::Made { .. }
        | LogRecord::Promised { .. }
        | LogRecord::OnItsWay(_)
        | LogRecord::Delivered(_) => load.outbound_entries,
        LogRecord::Coming(_) | LogRecord::Received(_) | LogRecord::Consumed(_) | LogRecord::SentOff(_) => {
            load.inbound_entries
        }
        LogRecord::Scrapped(_)
        | LogRecord::Returned
        | LogRecord::Obeyed(_)
        | LogRecord::Ordered(_)
        | LogRecord::Election(_)
        | LogRecord::Compacted(_) => 1,
    }
}
