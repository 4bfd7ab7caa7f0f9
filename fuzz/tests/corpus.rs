//! Generates the corpus: `DMOS_UPDATE_CORPUS=1 cargo test -p dmos-fuzz --test corpus`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use dmos_core::{
    Assignment, BatchId, FlowVersion, ItemId, NodeId, RequestId, Requirement, SerialSet, Share, Supply, Term,
};
use dmos_node::codec::write_message;
use dmos_node::log::Commitment;
use dmos_node::log_file::write_frame;
use dmos_node::{Command, LogRecord, LogState, Message, NodeConfig, OrderStatus};

fn batch(producer: usize, serial: u32) -> BatchId {
    BatchId { producer: NodeId::new(producer), serial }
}

fn request(number: u32) -> RequestId {
    RequestId { incarnation: 0, number }
}

fn version(version: u32) -> FlowVersion {
    FlowVersion { term: Term(11), number: version }
}

/// Node 1 of the six makes wood from the start item of node 0, for nodes 2 and 3.
fn logs() -> Vec<(&'static str, Vec<u8>)> {
    let committed = LogRecord::Committed { batch: batch(1, 0), to: NodeId::new(3), request: request(4) };
    let uncompacted = vec![
        LogRecord::FlowAccepted(version(1)),
        LogRecord::TransitStarted(batch(0, 0)),
        LogRecord::Received(batch(0, 0)),
        LogRecord::Consumed(batch(0, 0)),
        LogRecord::Made { first: batch(1, 0), count: 1, inputs: 1 },
        committed,
        LogRecord::Delivered(batch(1, 0)),
        LogRecord::Election(Box::new([9, 0, 0, 0, 0, 0, 0, 0])),
        LogRecord::Received(batch(0, 1)),
        LogRecord::Scrapped(batch(0, 1)),
        LogRecord::Restarted,
    ];
    let state = LogState {
        made: 40,
        consumed: 40,
        stock: SerialSet::from(vec![(30, 32), (35, 40)]),
        committed: [(batch(1, 29), Commitment { to: NodeId::new(2), request: request(7) })].into(),
        received: [batch(0, 40), batch(0, 41)].into_iter().collect(),
        accepted_flow: version(3),
        ..LogState::default()
    };
    let requires = Requirement { item: ItemId::new(0), quantity: 2 };
    let compacted = vec![
        LogRecord::Compacted(Box::new(state)),
        LogRecord::Commanded(Command::Recipe(Box::new([requires]))),
        LogRecord::Commanded(Command::Retire),
        LogRecord::InTransit(batch(1, 29)),
        LogRecord::LocalBatchSent(batch(1, 30)),
    ];
    let encoded = |records: &[LogRecord]| {
        let encode =
            |record: &LogRecord| postcard::to_stdvec(record).expect("a record can be written to memory");
        records.iter().flat_map(encode).collect::<Vec<u8>>()
    };
    let mut file = Vec::new();
    for (number, commit) in (0..).zip(uncompacted.chunks(3)) {
        write_frame(number, commit, &mut file);
    }
    let torn = file[..file.len() - 3].to_vec();
    vec![
        ("incarnation", encoded(&uncompacted)),
        ("compacted", encoded(&compacted)),
        ("file", file),
        ("torn", torn),
    ]
}

fn conversations() -> Vec<(&'static str, Vec<u8>)> {
    let assignment = Assignment {
        suppliers: Box::new([Supply { item: ItemId::new(0), producer: NodeId::new(0), share: Share::WHOLE }]),
        consumers: Box::new([NodeId::new(2), NodeId::new(3)]),
        ..Assignment::default()
    };
    let (assignment, idle) = (Arc::new(assignment), Arc::new(Assignment::default()));
    let request = |number| Message::Request { request: request(number), item: ItemId::new(1) };
    let sent = |serial, settled| Message::Announcement { request: None, batch: batch(0, serial), settled };
    let config = NodeConfig { commands: 1, requires: None, retired: true };
    let work = [
        (5, Message::Assignment(version(1), assignment)),
        (0, sent(0, 0)),
        (0, sent(1, 1)),
        (0, sent(0, 0)),
        (2, request(0)),
        (3, request(1)),
        (2, request(0)),
        (2, Message::TransitStarted(batch(1, 0))),
        (2, Message::Delivered(batch(1, 0))),
        (0, Message::Unavailable { request: RequestId { incarnation: 0, number: 1 } }),
        (0, Message::HeartbeatRequest),
        (0, Message::HeartbeatResponse { incarnation: 0, order: OrderStatus::default() }),
        (5, Message::Assignment(FlowVersion::default(), idle)),
    ];
    let leadership = [
        (5, Message::Leader(NodeId::new(5), Term(17))),
        (4, Message::Leader(NodeId::new(1), Term(19))),
        (2, Message::Suspicion(NodeId::new(3))),
        (3, Message::Rejoin),
        (3, Message::AssignmentAck(version(2))),
        (3, Message::NodeConfig(Arc::new(config))),
        (3, Message::NodeConfigAck(Term(19), 1)),
        (5, Message::Election(Box::new([2, 23, 0, 0, 0, 0, 0, 0, 0]))),
        (0, Message::Election(Box::new([0, 1, 0, 0, 0, 0, 0, 0, 0]))),
    ];
    let bytes = |messages: &[(u8, Message)]| {
        let mut bytes = Vec::new();
        for (from, message) in messages {
            let body = write_message(message);
            bytes.extend([*from, u8::try_from(body.len()).expect("a short message")]);
            bytes.extend(body);
        }
        bytes
    };
    vec![("work", bytes(&work)), ("leadership", bytes(&leadership))]
}

const SCENARIO: &str = "\
name: everything
about: every field that has a form of its own
network:
  nodes:
    - {makes: wood}
    - {name: joiner, makes: {door: 2}, needs: {wood: 2}, count: 2}
  final: [door]
duration: 1.5min
flow: {name: memoized, substitute_ends: false}
leader: bully:timeout=1s
protocol: {retry_after: null, stock_limit: 3, receiving: blocking}
delays: {message: {uniform: [1ms, 5ms]}, transit: {log_normal: {mean: 1s, sigma: 0.5}}}
work: {planning_step: 16.5ns, shared_cpu: {cores: 2}}
faults:
  op_generator: {failures: 1/min}
  random_failures: [{nodes: all, time_to_failure: {exponential: 10min}, time_to_repair: 3s, mode: freeze}]
  script:
    - {at: 1s, crash: joiner-1, for: 2s}
    - {when: leader_elected, nth: 2, wait: 1s, crash_midway: {role: leader}}
    - {at: 3s, partition: [[wood], [joiner-1, joiner-2]], for: 2s}
    - {at: 4s, recipe: {node: joiner-2, needs: {wood: 3}}}
  messages: {loss: 0.1, delay: {choice: [1s, 2s]}}
  heal_at: 60s
same_time_order: shuffled
";

fn scenarios() -> Vec<(&'static str, Vec<u8>)> {
    let generated =
        "network: {generate: {types: 5, nodes_per_type: 2, complexity: high, seed: 0}}\nduration: 9s\n";
    let wrong = "network: {named: six-nodes}\nduration: 9\nfaults: {script: [{at: 1s, crash: wod}]}\n";
    let files = [("everything", SCENARIO), ("generated", generated), ("wrong", wrong)];
    files.map(|(name, text)| (name, text.as_bytes().to_vec())).into()
}

#[test]
fn the_corpus_is_of_this_version() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, inputs) in [("scenario", scenarios()), ("log", logs()), ("messages", conversations())] {
        for (name, bytes) in inputs {
            let path = directory.join(target).join(name);
            if std::env::var_os("DMOS_UPDATE_CORPUS").is_some() {
                fs::create_dir_all(directory.join(target)).expect("a directory");
                fs::write(&path, &bytes).expect("the file is written");
            }
            let is_same = fs::read(&path).is_ok_and(|read| read == bytes);
            assert!(is_same, "{target}/{name} is of another version: see the head of this test");
        }
    }
}
