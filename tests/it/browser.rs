//! The playground in a real browser; the steps are in `tests/web/`.

use std::path::Path;
use std::process::Command;

use crate::support::cache_folder;

/// Runs a script of `tests/web/`; what it says is shown where it fails.
fn succeeds(script: &str) {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web");
    assert!(
        web.join("node_modules/playwright-core").exists(),
        "the browser's driver is missing: `make test-deps` installs it"
    );
    let output = Command::new("node")
        .arg(web.join(script))
        .arg(env!("CARGO_BIN_EXE_iofold"))
        .env("XDG_CACHE_HOME", cache_folder())
        .output()
        .expect("node starts");
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&said)
    );
}

#[test]
fn a_person_gets_from_the_first_card_to_the_first_score_in_a_browser() {
    succeeds("playground.mjs");
}

#[test]
fn the_page_shows_every_block_and_hostile_text_as_text_by_keyboard_and_on_a_phone() {
    succeeds("blocks.mjs");
}
