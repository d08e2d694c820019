//! Workers looked at from outside, through what the kernel says of them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Stdio};
use std::thread;

use iofold::sandbox::walls::Wall;

use super::*;

const SECRET: &str = "xoxb-a-secret-of-the-service";

/// `iofold eval run`, which has secrets and waits for traces.
struct Service {
    child: Child,
    den: Den,
}

impl Service {
    /// Secrets are in its environment and in a file that is open where a careless parent leaves one.
    fn start() -> Self {
        let den = Den::new();
        let home = den.cache_home();
        fs::write(home.join("secret"), SECRET).expect("written");
        fs::write(home.join("eval.py"), eval("return True")).expect("written");
        let run = format!(
            "exec {} eval run eval.py - 7<secret",
            den.program().display()
        );
        let child = Command::new("/bin/sh")
            .args(["-c", &run])
            .current_dir(home)
            .env_clear()
            .env("XDG_CACHE_HOME", home)
            .env("SLACK_BOT_TOKEN", SECRET)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        Self { child, den }
    }

    /// Its workers, once all are locked in.
    fn workers(&self) -> Vec<i32> {
        let wanted = thread::available_parallelism()
            .map_or(1, usize::from)
            .min(16);
        wait_for("workers", || {
            let mut workers = self.den.workers();
            workers.retain(|id| status(*id, "Seccomp").as_deref() == Some("2"));
            (workers.len() == wanted).then_some(workers)
        })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `/proc` shows of a process; `None` where only root may look, as the worker itself asked for.
fn shown<T>(looked: std::io::Result<T>) -> Option<T> {
    match looked {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => None,
        looked => Some(looked.expect("it runs")),
    }
}

/// Whose a process' secrets are: root's where it can't be dumped.
fn owner(process: i32) -> u32 {
    let environment = fs::metadata(format!("/proc/{process}/environ"));
    environment.expect("it runs").uid()
}

fn descriptors(process: i32) -> Option<Vec<String>> {
    let entries = shown(fs::read_dir(format!("/proc/{process}/fd")))?;
    let links = entries.map(|entry| fs::read_link(entry.expect("it runs").path()));
    Some(
        links
            .map(|link| link.expect("a link").display().to_string())
            .collect(),
    )
}

#[test]
fn a_worker_has_no_secret_of_the_service() {
    let service = Service::start();
    let workers = service.workers();
    let host = service.child.id() as i32;
    let environment = fs::read_to_string(format!("/proc/{host}/environ")).expect("it runs");
    assert!(environment.contains(SECRET), "the service has it");
    let open = descriptors(host).expect("it is this user's");
    assert!(
        open.iter().any(|path| path.ends_with("/secret")),
        "{open:?}"
    );

    for worker in workers {
        let arguments = fs::read_to_string(format!("/proc/{worker}/cmdline"));
        assert!(!arguments.expect("it runs").contains(SECRET));
        let environment = shown(fs::read(format!("/proc/{worker}/environ")));
        let (Some(environment), Some(open)) = (environment, descriptors(worker)) else {
            assert_ne!(
                owner(worker),
                owner(host),
                "the worker itself refuses a look"
            );
            eprintln!("not looked at: /proc shows what a worker has to root alone");
            continue;
        };
        assert_eq!(environment, b"");
        let known = ["socket:", ".cwasm", ".img", "/memfd:images (deleted)"];
        let is_known = |path: &String| known.iter().any(|known| path.contains(known));
        assert!(open.iter().all(is_known), "{open:?}");
        assert!(!open.is_empty() && open.len() <= known.len(), "{open:?}");
    }
}

#[test]
fn the_kernel_says_that_a_worker_is_locked_in() {
    let den = Den::new();
    let sandbox = den.sandbox(1);
    let worker = den.workers()[0];
    assert_eq!(status(worker, "Seccomp").as_deref(), Some("2"));
    assert_eq!(status(worker, "Seccomp_filters").as_deref(), Some("1"));
    assert_eq!(status(worker, "NoNewPrivs").as_deref(), Some("1"));
    assert_eq!(status(worker, "Threads").as_deref(), Some("1"));
    let limits = fs::read_to_string(format!("/proc/{worker}/limits")).expect("it runs");
    for name in [
        "Max open files",
        "Max processes",
        "Max file size",
        "Max core file size",
    ] {
        let line = limits.lines().find(|line| line.starts_with(name));
        let values = line.expect(name)[name.len()..].split_whitespace();
        assert_eq!(values.take(2).collect::<Vec<_>>(), ["0", "0"], "{name}");
    }
    // The sixth field: the session is its own.
    let stat = fs::read_to_string(format!("/proc/{worker}/stat")).expect("it runs");
    assert_eq!(
        stat.rsplit_once(") ").expect("a name").1.split(' ').nth(3),
        Some(&*worker.to_string())
    );

    let walls = sandbox.walls().expect("a worker starts");
    let named: Vec<_> = walls.iter().map(|state| state.wall).collect();
    assert_eq!(named, Wall::ALL, "each is reported");
    for seen in [
        Wall::NoNewPrivileges,
        Wall::OwnSession,
        Wall::ResourceLimits,
        Wall::Seccomp,
    ] {
        let reported = walls.iter().find(|state| state.wall == seen);
        assert!(reported.expect("it is reported").stands, "{seen:?}");
    }
}

#[test]
fn workers_end_with_a_service_that_is_killed() {
    let mut service = Service::start();
    let workers = service.workers();
    service.child.kill().expect("it runs");
    service.child.wait().expect("it ended");
    wait_for("their end", || {
        workers.iter().all(|id| is_gone(*id)).then_some(())
    });
}
