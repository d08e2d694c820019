//! The `iofold` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    iofold::cli::main()
}
