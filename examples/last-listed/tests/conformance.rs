//! The strategy conforms.

use dmos_core::Registry;
use last_listed as _;

#[test]
fn it_conforms() {
    let registry = Registry::collect().expect("unique names");
    let call = "last-listed".parse().expect("a valid call");
    let report = dmos_conformance::check_flow(&registry, &call).expect("a registered strategy");
    report.assert_passed();
}
