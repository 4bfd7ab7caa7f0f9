//! Tables of transitions: what the middle one of three candidates does with each input in each state.
//!
//! A change of behaviour shows as a difference, which is to be understood before it is accepted.

use std::fmt::Write as _;
use std::sync::Arc;

use dmos_core::strategy::{Election, ElectionConfig, ElectionEffects, ElectionInput};
use dmos_core::{NodeId, Span, Term, Time};
use dmos_graph::NamedNetwork;

use crate::cluster::numbers;

const ME: NodeId = NodeId::new(1);

/// A candidate with its clock and the timers that it has set.
#[derive(Clone)]
struct Candidate {
    machine: Box<dyn Election>,
    now: Time,
    timers: Vec<u32>,
}

impl Candidate {
    fn new(strategy: &str) -> Self {
        let network = dmos_testkit::network(NamedNetwork::DoorFactory);
        let candidates: Arc<[NodeId]> = (0..3).map(NodeId::new).collect();
        let config = ElectionConfig { me: ME, candidates, seed: 1 };
        let machine = dmos_testkit::leader_strategy(strategy, &network).election(config);
        Self { machine, now: Time::ZERO + Span::from_secs(100), timers: Vec::new() }
    }

    /// Returns the candidate after a sequence of inputs, separated by semicolons.
    fn after(mut self, inputs: &str) -> Self {
        inputs.split("; ").for_each(|input| drop(self.handle(input)));
        self
    }

    /// Handles an input: `start`, `start KIND NUMBERS` with a durable state, `FROM: KIND NUMBERS` with a message, `timer`
    /// with the latest timer, `old timer` with the one before, `suspects N`, `trusts N`, `learns N TERM`, or `wait SECONDS`.
    fn handle(&mut self, input: &str) -> ElectionEffects {
        let words: Vec<&str> = input.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().expect("a number");
        let node = |at: usize| NodeId::new(number(at) as usize);
        match words[0] {
            "start" => {
                let durable = (words.len() > 1).then(|| bytes(&words[1..]));
                self.input(ElectionInput::Start { durable: durable.as_deref() })
            }
            "timer" => self.input(ElectionInput::Timer(self.timers.last().copied().unwrap_or_default())),
            "old" => {
                let before = self.timers.iter().rev().nth(1);
                self.input(ElectionInput::Timer(before.copied().unwrap_or_default()))
            }
            "suspects" => self.input(ElectionInput::Suspected(node(1))),
            "trusts" => self.input(ElectionInput::Trusted(node(1))),
            "learns" => self.input(ElectionInput::LeaderLearned(node(1), Term(number(2)))),
            "wait" => {
                self.now = self.now + Span::from_secs(number(1));
                ElectionEffects::default()
            }
            from => {
                let from = from.strip_suffix(':').and_then(|from| from.parse().ok()).expect("a sender");
                self.input(ElectionInput::Message { from: NodeId::new(from), bytes: &bytes(&words[1..]) })
            }
        }
    }

    fn input(&mut self, input: ElectionInput<'_>) -> ElectionEffects {
        let mut effects = ElectionEffects::default();
        self.machine.handle(self.now, input, &mut effects);
        self.timers.extend(effects.timers.iter().map(|(_, timer)| *timer));
        effects
    }

    /// Returns the lines of the state.
    fn state(&self) -> Vec<String> {
        let text = format!("{:#?}", self.machine);
        // One line for each field.
        let text = text.replace("\n        ", " ").replace("\n    }", " }").replace("\n    ]", " ]");
        let text = text.replace("\n    )", " )");
        let field = |line: &str| line.split_whitespace().collect::<Vec<&str>>().join(" ");
        text.lines()
            .map(|line| field(line).replace(", )", ")").replace("( ", "(").replace(", }", " }"))
            .collect()
    }
}

/// Returns an encoded message or state from its kind and its numbers.
fn bytes(words: &[&str]) -> Box<[u8]> {
    let kind: u8 = words[0].parse().expect("a kind");
    let numbers = words[1..].iter().flat_map(|word| word.parse::<u64>().expect("a number").to_le_bytes());
    std::iter::once(kind).chain(numbers).collect()
}

/// Returns what effects are, and which fields of the state have changed.
fn shown(effects: &ElectionEffects, before: &[String], after: &[String]) -> String {
    let mut text = String::new();
    if let Some(durable) = &effects.durable {
        write!(text, " logs {};", numbers(durable)).expect("memory");
    }
    for (to, bytes) in &effects.sends {
        write!(text, " -> {} {};", to.index(), numbers(bytes)).expect("memory");
    }
    for (after, _) in &effects.timers {
        write!(text, " timer in {};", after.as_secs_f64()).expect("memory");
    }
    if let Some((leader, term)) = effects.leader {
        write!(text, " names leader {} of term {};", leader.index(), term.0).expect("memory");
    }
    if effects.steps_down {
        text.push_str(" steps down;");
    }
    let is_timer = |line: &str| line.starts_with("timer:") || line.starts_with("drawn:");
    for line in after.iter().filter(|line| !before.contains(line) && !is_timer(line)) {
        write!(text, " {};", line.trim_end_matches(',')).expect("memory");
    }
    if text.is_empty() {
        return " nothing".to_owned();
    }
    text.trim_end_matches(';').to_owned()
}

/// Compares the table of a strategy: by state, which a sequence of inputs reaches, the effects of each input.
fn check(strategy: &str, states: &[(&str, &str)], inputs: &[String]) {
    let mut table = String::new();
    for (name, sequence) in states {
        writeln!(table, "{name}: {sequence}").expect("memory");
        let candidate = Candidate::new(strategy).after(sequence);
        // Inputs of the same effects are in one line.
        let mut rows: Vec<(String, Vec<&str>)> = Vec::new();
        for input in inputs {
            let mut next = candidate.clone();
            let effects = next.handle(input);
            let shown = shown(&effects, &candidate.state(), &next.state());
            match rows.iter_mut().find(|(known, _)| *known == shown) {
                Some((_, inputs)) => inputs.push(input),
                None => rows.push((shown, vec![input])),
            }
        }
        for (effects, inputs) in rows {
            writeln!(table, "  {} =>{effects}", inputs.join(", ")).expect("memory");
        }
    }
    let name = format!("transitions-{strategy}");
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, table);
    });
}

/// Returns inputs that all strategies handle, followed by messages from both others, of which `{}` is each number.
fn inputs(messages: &[&str], terms: &[u64]) -> Vec<String> {
    let mut inputs: Vec<String> = ["timer", "old timer"].map(str::to_owned).into();
    for node in [0, 2] {
        inputs.extend([format!("suspects {node}"), format!("trusts {node}")]);
    }
    for (node, term) in (0..3).flat_map(|node| terms.iter().map(move |term| (node, term))) {
        inputs.push(format!("learns {node} {term}"));
    }
    for (message, from) in messages.iter().flat_map(|message| [0, 2].map(|from| (message, from))) {
        match message.contains("{}") {
            true => inputs.extend(
                terms.iter().map(|term| format!("{from}: {}", message.replace("{}", &term.to_string()))),
            ),
            false => inputs.push(format!("{from}: {message}")),
        }
    }
    inputs
}

#[test]
fn bully() {
    check(
        "bully",
        &[
            ("awaits an answer", "start 2 7"),
            ("awaits the coordinator", "start 2 7; 2: 1 7"),
            ("follows a higher candidate", "start 2 7; 2: 2 8"),
            ("leads", "start; timer; learns 1 5; timer"),
        ],
        &inputs(&["0 {}", "1 {}", "2 {}", "3 9"], &[5, 7, 8, 30]),
    );
}

#[test]
fn ring() {
    check(
        "ring",
        &[
            ("takes part", "start"),
            ("does not know the leader", "start 1 7"),
            ("has forwarded a number", "start; 0: 0 7 2 50 1"),
            ("has sent a number again to its owner", "start 1 7; 0: 0 7 2 50 1; timer"),
            ("follows", "start 1 7; 0: 1 8 2 50 1"),
            ("leads", "start 1 7; timer; 0: 0 7 1 50 3"),
            ("has skipped a silent candidate", "start 1 7; timer; timer; timer; timer"),
        ],
        &inputs(
            &[
                "0 {} 0 51 1",
                "0 7 1 51 2",
                "0 {} 2 51 1",
                "0 7 2 50 1",
                "0 7 2 51 3",
                "0 7 2 51 4",
                "0 7 9 51 1",
                "1 {} 0 51 1",
                "1 8 1 51 2",
                "1 {} 2 51 1",
                "2 0 0 0 0",
                "2 0 0 100000000 0",
                "3 7 2 51 1",
            ],
            &[5, 7, 8, 10, 30],
        ),
    );
}

#[test]
fn lowest_id() {
    let lead = "start 1 7 0; timer; timer";
    check(
        "lowest-id",
        &[
            ("waits", "start 1 7 0"),
            ("asks", "start 1 7 0; timer"),
            ("leads", lead),
            ("follows a lower candidate", "start 1 7 0; 0: 0 9 0; wait 2"),
            ("follows a higher candidate", "start 1 7 0; 2: 0 8 0"),
            ("follows a lower candidate of an unknown term", "start 1 7 0; 0: 0 9 0; 2: 1 12 3; wait 2"),
            ("has stepped back", &format!("{lead}; 0: 0 12 0; wait 1")),
        ],
        &inputs(
            &[
                "0 {} 0",
                "2 {} 0",
                "1 {} 0",
                "1 {} 1",
                "1 {} 2",
                "1 {} 3",
                "1 {} 4",
                "3 {} 1 1000000000",
                "3 9 1 4300000000",
                "3 9 1 4299999999",
                "3 9 1 4200000000",
                "3 9 0 5",
                "3 9 2 5",
                "3 9 3 5",
            ],
            &[5, 7, 9, 10, 30],
        ),
    );
}

#[test]
fn raft() {
    let lead = "start; timer; 0: 1 1; 0: 3 1";
    check(
        "raft",
        &[
            ("knows no leader", "start 2 7 0"),
            ("has voted", "start 2 7 0; 2: 2 8"),
            ("has voted before a crash", "start 2 7 3"),
            ("has heard a leader", "start 2 7 0; 0: 4 7; wait 2"),
            ("has heard a leader as long ago as the timeout", "start 2 7 0; 0: 4 7; wait 3"),
            ("asks for votes in advance", "start 2 7 0; timer"),
            ("asks for votes", "start 2 7 0; timer; 0: 1 8"),
            ("leads", lead),
            ("leads, and has not checked its majority for the timeout", &format!("{lead}; wait 3")),
            ("leads, and has been heard", &format!("{lead}; 0: 6 1; wait 3")),
        ],
        &inputs(&["0 {}", "1 {}", "2 {}", "3 {}", "4 {}", "5 {}", "6 {}", "7 {}"], &[1, 2, 7, 8, 9]),
    );
}

#[test]
fn ballot() {
    check(
        "ballot",
        &[
            ("has a ballot", "start"),
            ("knows a leader", "start 1 7 8 2"),
            ("knew itself as leader", "start 1 7 7 1"),
            ("had a ballot", "start 1 7 0 0"),
            ("has an answer", "start; 0: 1 3 100001 1"),
            ("has the answer of a higher ballot", "start; 2: 1 8 100001 1"),
            ("has the answer of a higher ballot that reaches no majority", "start; 2: 1 8 100001 0"),
            ("leads", "start; 0: 1 3 100001 1; timer"),
            ("leads, and has an answer", "start; 0: 1 3 100001 1; timer; 0: 1 3 100002 1"),
            ("reaches no majority", "start; timer"),
            ("reaches a majority again", "start; timer; 0: 1 3 100002 1"),
            ("misses its leader", "start 1 7 8 2; 0: 1 3 100001 1"),
        ],
        &inputs(
            &["0 0 77 0", "1 8 100001 1", "1 8 100002 0", "1 8 100003 1", "2 8 100001 1"],
            &[3, 4, 8, 30],
        ),
    );
}
