//! Fuzz targets: input from outside is never trusted, so any bytes yield a value or an error, never a panic.
//!
//! Each function takes bytes and panics if the project mishandles them. `cargo test -p dmos-fuzz` runs them
//! on the corpus and on mutations of it; `cargo fuzz run TARGET --features libfuzzer` searches guided by
//! coverage (with `RUSTC_BOOTSTRAP=1` on a stable compiler).
//!
//! | target | input |
//! |---|---|
//! | [`scenario`] | a scenario file |
//! | [`log`] | a node's log on disk, and a node that starts from it |
//! | [`messages`] | messages from other nodes to a working node |

use std::sync::Arc;

use dmos_core::settings::{Production, Protocol};
use dmos_core::{NodeId, Span, Time};
use dmos_graph::NamedNetwork;
use dmos_node::codec::{check_log, read_message};
use dmos_node::log_file::{read_log, write_frame};
use dmos_node::{Effect, Input, LogRecord, LogState, Node, NodeSettings, Scrapped, Timer};

/// A scenario file: it is rejected with a message, or is valid and round-trips.
///
/// # Panics
/// If it is mishandled.
pub fn scenario(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let registry = dmos_testkit::registry();
    match dmos_scenario::parse("fuzz", "fuzz", text.to_owned(), &[], &registry) {
        Ok(_) => {
            let file = dmos_scenario::read("fuzz", text, &[]).expect("it has just been read");
            let again = dmos_scenario::read("again", &file.to_yaml(), &[]);
            assert_eq!(again.as_ref().ok(), Some(&file), "{}", file.to_yaml());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A log file, or the encoded records of one: the file is rejected, or read up to a torn frame; the records
/// round-trip, and a node starts from those that match its network.
///
/// # Panics
/// If they are mishandled.
pub fn log(bytes: &[u8]) {
    // Mutations seldom have a valid checksum, so the bytes are also read as records without frames.
    let records = read_log(bytes).map_or_else(|_| records(bytes), |log| log.records);
    let mut written = Vec::new();
    write_frame(0, &records, &mut written);
    assert_eq!(read_log(&written).map(|log| log.records), Ok(records.clone()));
    let me = NodeId::new(1);
    for settings in [Production::Server, Production::Polled].map(settings) {
        if check_log(&records, &settings.network, me).is_err() {
            continue;
        }
        // The polled loop stores batches one by one, so a forged range of billions only takes time and memory.
        let is_polled = settings.protocol.production == Production::Polled;
        if is_polled && LogState::of(&records).received.len() > 10_000 {
            continue;
        }
        let mut node = Node::new(me, settings);
        let (phase, scrapped) = (Span::ZERO, Scrapped::default());
        let start = Input::Start { records: &records, recovering: true, phase, scrapped };
        let mut effects = Vec::new();
        node.handle(Time::ZERO, start, &mut effects);
        let _ = node.holdings();
    }
}

/// Returns the records at the start of `bytes`.
fn records(mut bytes: &[u8]) -> Vec<LogRecord> {
    let mut records = Vec::new();
    while let Ok((record, rest)) = postcard::take_from_bytes(bytes) {
        records.push(record);
        bytes = rest;
    }
    records
}

/// Messages to a working node: each consists of a sender, a length, and the bytes of a message. Between
/// messages the node's timers expire.
///
/// # Panics
/// If they are mishandled.
pub fn messages(bytes: &[u8]) {
    for production in [Production::Server, Production::Polled] {
        converse(settings(production), bytes);
    }
}

fn converse(settings: Arc<NodeSettings>, mut bytes: &[u8]) {
    let mut node = Node::new(NodeId::new(1), Arc::clone(&settings));
    let (phase, scrapped) = (Span::ZERO, Scrapped::default());
    let mut effects = Vec::new();
    let start = Input::Start { records: &[], recovering: false, phase, scrapped };
    node.handle(Time::ZERO, start, &mut effects);
    let timers = [
        Timer::ProductionCycle,
        Timer::Heartbeat,
        Timer::RetransmitBatches,
        Timer::RetransmitOrders,
        Timer::RetransmitAssignments,
        Timer::AnnounceRejoin,
        Timer::SendNodeConfig,
    ];
    let mut turn = 0;
    while let Some((&[from, length], rest)) = bytes.split_first_chunk::<2>() {
        let (body, rest) = rest.split_at(rest.len().min(usize::from(length)));
        bytes = rest;
        turn += 1;
        let now = Time::ZERO + Span::from_secs(turn);
        let from = NodeId::new(usize::from(from) % settings.network.node_count());
        if let Ok(message) = read_message(body, &settings.network) {
            node.handle(now, Input::Message { from, message: &message }, &mut effects);
        }
        node.handle(now, Input::Timer(timers[turn as usize % timers.len()]), &mut effects);
        for effect in std::mem::take(&mut effects) {
            match effect {
                Effect::Transport { batch, .. } => node.handle(now, Input::Arrived(batch), &mut effects),
                Effect::Plan { plan_id, .. } => node.handle(now, Input::Planned(plan_id), &mut effects),
                Effect::StartRun { .. } => node.handle(now, Input::Timer(Timer::RunEnd), &mut effects),
                Effect::SetTimer { timer: Timer::Election(timer), .. } => {
                    node.handle(now, Input::Timer(Timer::Election(timer)), &mut effects);
                }
                _ => {}
            }
        }
    }
    let _ = node.holdings();
}

/// Returns the settings shared by the nodes of a small network.
fn settings(production: Production) -> Arc<NodeSettings> {
    let compact_after = std::num::NonZeroU32::new(5);
    let protocol = Protocol { production, compact_after, ..Protocol::default() };
    let network = dmos_testkit::network(NamedNetwork::SixNodes);
    Arc::new(dmos_testkit::node_settings(network, "memoized:substitute_ends=false", "bully", protocol))
}
