//! `dmos` with the strategy of this crate linked in.

use last_listed as _;

fn main() -> std::process::ExitCode {
    dmos::main()
}
