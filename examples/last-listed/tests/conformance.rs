//! The strategy conforms.

use dmos_core::Registry;
use last_listed as _;

#[test]
fn it_conforms() {
    let registry = Registry::collect().expect("no two strategies of one name");
    let call = "last-listed".parse().expect("a call");
    let report = dmos_conformance::check_flow(&registry, &call).expect("it is registered");
    report.assert_passed();
}
