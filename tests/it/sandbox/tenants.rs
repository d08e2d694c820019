//! A worker sees the traces of one tenant.

use std::collections::HashMap;
use std::thread;

use super::fakes::Fake;
use super::*;

/// Writes down which process saw which trace, and passes each.
const WITNESS: &str = r#"
import re
log = os.open(sys.argv[0] + ".log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
host.sendall(READY)
while True:
    seen = re.search(rb"tenant-\w+", job()).group()
    os.write(log, b"%d %s\n" % (os.getpid(), seen))
    host.sendall(PASS)
"#;

/// Traces that each worker saw, by process id.
fn seen(fake: &Fake) -> HashMap<String, Vec<String>> {
    let log = fs::read_to_string(fake.beside(".log")).expect("it is written");
    let mut seen: HashMap<String, Vec<String>> = HashMap::new();
    for line in log.lines() {
        let (process, tenant) = line.split_once(' ').expect("two words");
        seen.entry(process.to_owned())
            .or_default()
            .push(tenant.to_owned());
    }
    seen
}

#[test]
fn two_tenants_never_share_a_worker() {
    let fake = Fake::new(WITNESS);
    let sandbox = fake.open().expect("it greets");
    thread::scope(|scope| {
        for caller in 0..6 {
            let tenant = ["tenant-a", "tenant-b", "tenant-c"][caller % 3];
            let sandbox = sandbox.for_tenant(tenant);
            scope.spawn(move || {
                for _ in 0..20 {
                    let outcome = sandbox.evaluate(&eval("return True"), &trace(tenant));
                    assert_eq!(reason(&outcome), "");
                }
            });
        }
    });
    let seen = seen(&fake);
    assert_eq!(seen.values().map(Vec::len).sum::<usize>(), 120);
    for (worker, tenants) in &seen {
        assert!(
            tenants.iter().all(|tenant| *tenant == tenants[0]),
            "{worker}: {tenants:?}"
        );
    }
    let replaced = seen.len() as u64 - 1;
    assert!(replaced >= 2, "three tenants had one worker each in turn");
    assert_eq!(sandbox.counts(), counts(120, 0, 0, 0, replaced));
}

#[test]
fn one_tenant_keeps_its_worker() {
    let fake = Fake::new(WITNESS);
    let sandbox = fake.open().expect("it greets").for_tenant("tenant-a");
    for _ in 0..10 {
        sandbox.evaluate(&eval("return True"), &trace("tenant-a"));
    }
    assert_eq!(seen(&fake).len(), 1);
    assert_eq!(sandbox.counts(), counts(10, 0, 0, 0, 0));
}
