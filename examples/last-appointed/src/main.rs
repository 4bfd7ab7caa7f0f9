//! `dmos` with the strategy of this crate linked in.

use last_appointed as _;

fn main() -> std::process::ExitCode {
    dmos::main()
}
