//! Tests of external programs that answer, end, hang or return invalid answers.
//!
//! This program is its own planner: called with the name of a behaviour, it answers on stdout accordingly.

use std::io::{BufRead, Write};

use dmos_core::strategy::{Change, FlowStrategy, Meter, PlanRequest, StrategyCall};
use dmos_core::{Flow, Network, NoFlow, NodeId, NodeSet, Share};
use dmos_exec as _;
use dmos_graph::NamedNetwork;

fn main() {
    let mut arguments = std::env::args().skip(1);
    if let (Some("run_fake_planner"), Some(behaviour)) = (arguments.next().as_deref(), arguments.next()) {
        return run_fake_planner(&behaviour);
    }
    answers_are_flows();
    failures_are_named();
    a_program_that_ended_is_started_again();
    the_process_is_reused();
    a_process_is_kept_for_the_next_run();
    long_answers_are_refused();
    #[cfg(target_os = "linux")]
    programs_of_a_program_end_with_it();
    a_failed_start_is_reported();
}

/// Answers each request. In the network wood (0), doors (1) and houses (2) have one producer each.
fn run_fake_planner(behaviour: &str) {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let message: serde_json::Value = serde_json::from_str(&line).expect("lines of JSON");
        let Some(number) = message["plan"].as_u64() else {
            assert_eq!(message["network"]["nodes"][1]["requires"], serde_json::json!([[0, 1]]));
            assert_eq!(message["reset"], true);
            continue;
        };
        let good = r#"{"plan": N, "edges": [[0, 1, 0], [1, 2, 1]], "steps": 7, "remark": "unchanged"}"#;
        let answer = match behaviour {
            "well" => good,
            "with-shares" => r#"{"plan": N, "edges": [[0, 1, 0, 1000000], [1, 2, 1]]}"#,
            "short-shares" => r#"{"plan": N, "edges": [[0, 1, 0, 999999], [1, 2, 1]]}"#,
            "idle" => r#"{"plan": N, "edges": []}"#,
            "minus" => r#"{"plan": N, "edges": [[-1, 1, 0]]}"#,
            "twice" => r#"{"plan": N, "edges": [[0, 1, 0], [0, 1, 0], [1, 2, 1]]}"#,
            "none" => r#"{"plan": N, "no_flow": "no reason"}"#,
            "half" => r#"{"plan": N, "edges": [[1, 2, 1]]}"#,
            "misfit" => r#"{"plan": N, "edges": [[0, 2, 0]]}"#,
            "beyond" => r#"{"plan": N, "edges": [[7, 1, 0]]}"#,
            "nonsense" => "what?",
            "both" => r#"{"plan": N, "edges": [], "no_flow": ""}"#,
            "other" => r#"{"plan": N, "flow": []}"#,
            "late" => r#"{"plan": 0, "edges": [[0, 1, 0], [1, 2, 1]]}"#,
            "ends" => std::process::exit(3),
            "ends-on-2" if number == 2 => std::process::exit(0),
            "ends-on-2" => good,
            "hangs" => loop {
                std::thread::park();
            },
            "counts" => {
                &format!(r#"{{"plan": N, "edges": [[0, 1, 0], [1, 2, 1]], "steps": {}}}"#, std::process::id())
            }
            "long" => {
                let part = "x".repeat(1 << 20);
                // The driver closes the pipe early.
                let mut stdout = std::io::stdout();
                let _ = (0..65).try_for_each(|_| stdout.write_all(part.as_bytes()));
                continue;
            }
            behaviour if behaviour.starts_with("has-child:") => {
                let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep runs");
                let path = behaviour.trim_start_matches("has-child:");
                std::fs::write(path, child.id().to_string()).expect("the file is written");
                let _ = child.wait();
                continue;
            }
            behaviour => panic!("no such behaviour: {behaviour}"),
        };
        let mut stdout = std::io::stdout();
        let answer = answer.replace('N', &number.to_string());
        writeln!(stdout, "{answer}").and_then(|()| stdout.flush()).expect("the driver reads");
    }
}

fn planner(behaviour: &str, limit: &str, network: &Network) -> Box<dyn FlowStrategy> {
    let registry = dmos_testkit::registry();
    let program = std::env::current_exe().expect("this program");
    let command = format!("{} run_fake_planner {behaviour}", program.display());
    let params = vec![("command".to_owned(), command), ("limit".to_owned(), limit.to_owned())];
    let call = StrategyCall { name: "exec".to_owned(), params };
    registry.flow(&call, network).expect("a registered strategy").build()
}

fn network() -> Network {
    NamedNetwork::ThreeNodes.description().build().expect("a valid network").0
}

fn ask(planner: &mut dyn FlowStrategy, failed: &[usize]) -> (Result<Flow, NoFlow>, Meter) {
    let network = network();
    let mut alive = NodeSet::all(3);
    failed.iter().for_each(|&node| assert!(alive.remove(NodeId::new(node))));
    let mut meter = Meter::new(1_000_000_000);
    let answer = planner.plan(&PlanRequest::first(&network, &alive), &mut meter);
    (answer, meter)
}

fn answers_are_flows() {
    let (flow, meter) = ask(&mut *planner("well", "20s", &network()), &[]);
    let flow = flow.expect("a flow");
    assert_eq!((flow.edges().len(), meter.steps(), meter.remarks()), (2, 7, &["unchanged".to_owned()][..]));
    let (flow, meter) = ask(&mut *planner("with-shares", "20s", &network()), &[]);
    assert!(flow.expect("a flow").supplies().all(|(_, share)| share == Share::WHOLE));
    assert_eq!(meter.steps(), 2, "as many as there are edges");
    let (none, meter) = ask(&mut *planner("none", "20s", &network()), &[]);
    assert!(matches!(none, Err(NoFlow::Infeasible(_))), "{none:?}");
    assert_eq!(meter.remarks(), ["no reason"]);
}

fn failures_are_named() {
    for (behaviour, failed, problem) in [
        ("short-shares", &[][..], "its flow is invalid: the shares of the suppliers of `wood` to `door`"),
        ("twice", &[], "it lists an edge twice: [0, 1, 0]"),
        ("idle", &[], "its flow makes no final item although `house` can be made"),
        ("minus", &[], "an edge is [producer, consumer, item]"),
        ("half", &[], "its flow is invalid: `door` is assigned, but has no supplier for `wood`"),
        (
            "misfit",
            &[],
            "its flow is invalid: `wood` is to supply `house` with `wood`, which does not match their recipes",
        ),
        ("beyond", &[], "[7, 1, 0] (producer, consumer, item) is not in the network"),
        ("well", &[0], "its flow is invalid: `wood` has failed, but is assigned"),
        ("nonsense", &[], "its answer violates the protocol: expected value at line 1 column 1 in `what?`"),
        ("both", &[], "an answer has either `edges` or `no_flow`"),
        ("other", &[], "unknown field `flow`"),
        ("late", &[], "it answers request 0 instead of 1"),
        ("ends", &[], "it exited without an answer, with exit status: 3"),
        ("hangs", &[], "it gave no answer within 300ms of wall-clock time"),
    ] {
        let (answer, _) = ask(
            &mut *planner(behaviour, if behaviour == "hangs" { "300ms" } else { "20s" }, &network()),
            failed,
        );
        let error = answer.expect_err(behaviour);
        assert!(error.is_inconclusive());
        assert!(error.to_string().contains(problem), "{behaviour}: {error}");
    }
}

fn a_program_that_ended_is_started_again() {
    let mut planner = planner("ends-on-2", "20s", &network());
    let answers = [(); 3].map(|()| ask(&mut *planner, &[]).0.is_ok());
    assert_eq!(answers, [true, false, true]);
}

fn the_process_is_reused() {
    let mut planner = planner("counts", "20s", &network());
    let first = ask(&mut *planner, &[]).1.steps();
    let network = network();
    let alive = NodeSet::all(3);
    let (flow, _) = ask(&mut *planner, &[]);
    let flow = flow.expect("a flow");
    let mut meter = Meter::new(1_000_000_000);
    let request = PlanRequest {
        active: Some(&flow),
        changes: &[Change::Rejoined(NodeId::new(0))],
        ..PlanRequest::first(&network, &alive)
    };
    let change = planner.replan(&request, &mut meter).expect("a flow");
    assert!(change.added.is_empty() && change.removed.is_empty());
    assert_eq!(meter.steps(), first, "the same process");
}

fn a_failed_start_is_reported() {
    let registry = dmos_testkit::registry();
    let call = dmos_testkit::call("exec:command=no-such-program-anywhere");
    let mut planner = registry.flow(&call, &network()).expect("a registered strategy").build();
    let error = ask(&mut *planner, &[]).0.expect_err("a failed start");
    assert!(error.to_string().starts_with("the planner `no-such-program-anywhere` failed: "), "{error}");
    let missing =
        registry.flow(&dmos_testkit::call("exec"), &network()).expect_err("an error for the missing command");
    assert!(missing.to_string().starts_with("strategy `exec` needs its parameter `command`: "), "{missing}");
}

fn a_process_is_kept_for_the_next_run() {
    let number = |planner: &mut Box<dyn FlowStrategy>| ask(&mut **planner, &[]).1.steps();
    dmos_exec::end_all();
    let mut both = [planner("counts", "20s", &network()), planner("counts", "20s", &network())];
    let numbers = both.each_mut().map(number);
    assert_ne!(numbers[0], numbers[1], "each planner of a run has a program of its own");
    drop(both);
    let mut next = planner("counts", "20s", &network());
    assert!(numbers.contains(&number(&mut next)));
    drop(next);
    dmos_exec::end_all();
    assert!(!numbers.contains(&number(&mut planner("counts", "20s", &network()))), "all have ended");
}

fn long_answers_are_refused() {
    let error = ask(&mut *planner("long", "20s", &network()), &[]).0.expect_err("a long answer");
    assert!(error.to_string().contains("its answer is longer than 64 MiB"), "{error}");
}

/// A program that starts another one and hangs leaves nothing behind.
#[cfg(target_os = "linux")]
fn programs_of_a_program_end_with_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("number");
    let behaviour = format!("has-child:{}", file.display());
    let error = ask(&mut *planner(&behaviour, "1s", &network()), &[]).0.expect_err("no answer");
    assert!(error.to_string().contains("no answer within 1s"), "{error}");
    let number = std::fs::read_to_string(&file).expect("the number of the process");
    // A process that ended may still be listed until it is waited for.
    let is_running =
        || std::fs::read_to_string(format!("/proc/{number}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    let ended = (0..200).any(|_| {
        std::thread::park_timeout(std::time::Duration::from_millis(10));
        !is_running()
    });
    assert!(ended, "process {number} is still running");
}
