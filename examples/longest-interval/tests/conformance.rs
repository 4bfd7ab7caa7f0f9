//! The failure detector conforms.

use longest_interval as _;
// Runs need a flow strategy and a leader strategy as well: those included in DMOS.
use dmos as _;
use dmos_core::Registry;

#[test]
fn it_conforms() {
    let registry = Registry::collect().expect("unique names");
    let call = "longest-interval".parse().expect("a valid call");
    let report = dmos_conformance::check_detector(&registry, &call).expect("a registered failure detector");
    report.assert_passed();
}
