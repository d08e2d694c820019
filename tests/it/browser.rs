//! The playground in a real browser; the steps are in `tests/web/playground.mjs`.

use std::path::Path;
use std::process::Command;

use crate::support::cache_folder;

#[test]
fn a_person_gets_from_the_first_card_to_the_first_score_in_a_browser() {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web");
    assert!(
        web.join("node_modules/playwright-core").exists(),
        "the browser's driver is missing: `make test-deps` installs it"
    );
    let output = Command::new("node")
        .arg(web.join("playground.mjs"))
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
