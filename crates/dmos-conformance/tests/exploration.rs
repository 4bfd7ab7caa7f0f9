//! Exploration of the elections included in DMOS.

use dmos_conformance::exploration::{Bounds, Properties, explore};
use dmos_core::strategy::Guarantee;
use dmos_testkit::{call, registry};

#[test]
#[ignore = "the conformance of every strategy explores as well; run by `.ci/run` for the numbers of states"]
#[expect(clippy::print_stdout, reason = "the numbers of states are the result of the check")]
fn elections_keep_their_guarantees_in_all_explored_states() {
    let network = dmos_testkit::network(dmos_graph::NamedNetwork::DoorFactory);
    for leader in registry().leaders() {
        let choice = registry().leader(&call(leader.name), &network).expect("a registered strategy");
        let properties = Properties {
            term_of_its_own: choice.guarantees(Guarantee::OneLeaderPerTerm),
            majority: choice.guarantees(Guarantee::LeaderByMajority),
        };
        let (mut states, mut all_complete) = (0, true);
        for bounds in Bounds::ALL {
            let exploration = explore(&*choice.build(), bounds, properties);
            let extent = if exploration.is_complete { "all within the bounds" } else { "up to the limit" };
            println!(
                "{}: {} states, {extent}, {} transitions, a leader in {} states",
                leader.name, exploration.states, exploration.transitions, exploration.states_with_leader
            );
            assert_eq!(exploration.counterexample, None, "{} within {bounds:?}", leader.name);
            states += exploration.states;
            all_complete &= exploration.is_complete;
        }
        assert!(states >= 100_000 || all_complete, "{}: {states} states", leader.name);
    }
}
