//! `dmos` with the strategy of this crate linked in.

use appointed as _;

fn main() -> std::process::ExitCode {
    dmos::main()
}
