//! Tidemill's commands: `cargo xtask NAME`.

fn main() {
    eprintln!("usage: cargo xtask COMMAND");
    std::process::exit(2);
}
