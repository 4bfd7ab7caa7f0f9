//! The strategy conforms.

use last_appointed as _;
// Runs need a flow strategy as well: those included in DMOS.
use dmos as _;
use dmos_core::Registry;

#[test]
fn it_conforms() {
    let registry = Registry::collect().expect("unique names");
    let call = "last-appointed".parse().expect("a valid call");
    let report = dmos_conformance::check_leader(&registry, &call, 500).expect("a registered strategy");
    report.assert_passed();
}
