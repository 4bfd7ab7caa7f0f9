//! The strategy conforms.

use last_appointed as _;
// Runs need a flow strategy as well: those included in DMOS.
use dmos as _;
use dmos_core::Registry;

#[test]
fn it_conforms() {
    let registry = Registry::collect().expect("no two strategies of one name");
    let call = "last-appointed".parse().expect("a call");
    let report = dmos_conformance::check_leader(&registry, &call, 500).expect("it is registered");
    report.assert_passed();
}
