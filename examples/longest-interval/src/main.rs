//! `dmos` with the strategy of this crate linked in.

use longest_interval as _;

fn main() -> std::process::ExitCode {
    dmos::main()
}
