//! The second wall without the first: a worker that is locked in tries by itself what an eval that broke out would.

use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Stdio};

use iofold::sandbox::attempts::{Act, AttemptOutcome, attempt};
use iofold::sandbox::walls::{Shut, Wall};

use super::*;

/// Bad system call.
const SIGSYS: i32 = 31;
const EACCES: i32 = 13;
const EBADF: i32 = 9;
const EPERM: i32 = 1;

fn try_it(den: &Den, act: Act, shut: Shut) -> AttemptOutcome {
    let tried = attempt(program(), &den.artefacts(), shut, &act);
    tried.expect("the worker starts and ends")
}

/// What happens to `act` with all walls, with all but seccomp, and with none.
fn outcomes(den: &Den, act: &Act) -> [AttemptOutcome; 3] {
    [Shut::All, Shut::ButSeccomp, Shut::Nothing].map(|shut| try_it(den, act.clone(), shut))
}

fn refused_with(outcome: &AttemptOutcome, numbers: &[i32]) -> bool {
    matches!(outcome, AttemptOutcome::Refused(Some(number), _) if numbers.contains(number))
}

/// The version of the kernel's Landlock; less than 1 if it has none.
#[expect(unsafe_code, reason = "nothing wraps this call")]
fn landlock() -> i64 {
    // LANDLOCK_CREATE_RULESET_VERSION.
    const VERSION: u32 = 1;
    let nothing = std::ptr::null::<u8>();
    // SAFETY: asked for the version, the kernel takes no pointer.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0_usize, VERSION) }
}

/// Whether the kernel under these tests has the wall, which must stand then; without it the other walls are asked
/// alone.
fn stands(den: &Den, wall: Wall) -> bool {
    let since = match wall {
        Wall::LandlockFiles => 3,
        Wall::LandlockNetwork => 4,
        Wall::LandlockScopes => 6,
        wall => panic!("{wall} is everywhere"),
    };
    let walls = den.sandbox(1).walls().expect("a worker starts");
    let stands = walls.iter().any(|state| state.wall == wall && state.stands);
    assert_eq!(stands, landlock() >= since, "{walls:?}");
    stands
}

/// A process to be attacked; it ends with the test.
struct Victim(Child);

impl Victim {
    fn start() -> Self {
        let sleep = Command::new("sleep")
            .arg("1000")
            .stdin(Stdio::null())
            .spawn();
        Self(sleep.expect("it starts"))
    }

    fn id(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn files_can_not_be_read_made_or_removed() {
    let den = Den::new();
    let canary = den.cache_home().join("canary");
    fs::write(&canary, "alive").expect("written");
    let made = den.cache_home().join("made");

    let [all, but_seccomp, nothing] = outcomes(&den, &Act::Open(canary.clone()));
    assert_eq!(all, AttemptOutcome::Killed(SIGSYS));
    assert!(
        matches!(but_seccomp, AttemptOutcome::Refused(..)),
        "{but_seccomp:?}"
    );
    assert_eq!(nothing, AttemptOutcome::Succeeded);

    let act = Act::Create(made.clone());
    assert_eq!(
        try_it(&den, act.clone(), Shut::All),
        AttemptOutcome::Killed(SIGSYS)
    );
    assert!(matches!(
        try_it(&den, act.clone(), Shut::ButSeccomp),
        AttemptOutcome::Refused(..)
    ));
    assert!(!made.exists());
    assert_eq!(try_it(&den, act, Shut::Nothing), AttemptOutcome::Succeeded);
    assert!(made.exists());

    let act = Act::Remove(canary.clone());
    assert_eq!(
        try_it(&den, act.clone(), Shut::All),
        AttemptOutcome::Killed(SIGSYS)
    );
    if stands(&den, Wall::LandlockFiles) {
        let outcome = try_it(&den, act.clone(), Shut::ButSeccomp);
        assert!(refused_with(&outcome, &[EACCES]), "{outcome:?}");
    }
    assert!(canary.exists());
    assert_eq!(try_it(&den, act, Shut::Nothing), AttemptOutcome::Succeeded);
    assert!(!canary.exists());
}

#[test]
fn landlock_keeps_files_and_tcp_by_itself() {
    if landlock() < 4 {
        return;
    }
    let den = Den::new();
    let canary = den.cache_home().join("canary");
    fs::write(&canary, "a secret").expect("it is written");
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.set_nonblocking(true).expect("it is set");
    let acts = [
        Act::Open(canary.clone()),
        Act::Create(den.cache_home().join("made")),
        Act::Connect(listener.local_addr().expect("it is bound")),
    ];
    for act in acts {
        let outcome = try_it(&den, act.clone(), Shut::LandlockAlone);
        assert!(refused_with(&outcome, &[EACCES]), "{act:?}: {outcome:?}");
        assert_eq!(try_it(&den, act, Shut::Nothing), AttemptOutcome::Succeeded);
    }
}

#[test]
fn the_network_can_not_be_reached() {
    let den = Den::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.set_nonblocking(true).expect("it is set");
    let datagrams = UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
    datagrams.set_nonblocking(true).expect("it is set");
    let connect = Act::Connect(listener.local_addr().expect("it is bound"));
    let send = Act::Send(datagrams.local_addr().expect("it is bound"));
    for act in [&connect, &send, &Act::Listen] {
        assert_eq!(
            try_it(&den, act.clone(), Shut::All),
            AttemptOutcome::Killed(SIGSYS)
        );
        let outcome = try_it(&den, act.clone(), Shut::ButSeccomp);
        assert!(
            matches!(outcome, AttemptOutcome::Refused(..)),
            "{act:?}: {outcome:?}"
        );
    }
    assert!(
        listener.accept().is_err() && datagrams.recv(&mut [0]).is_err(),
        "nobody came"
    );
    for act in [&connect, &send, &Act::Listen] {
        assert_eq!(
            try_it(&den, act.clone(), Shut::Nothing),
            AttemptOutcome::Succeeded
        );
    }
    assert!(listener.accept().is_ok() && datagrams.recv(&mut [0]).is_ok());
}

#[test]
fn no_program_process_or_thread_can_be_started() {
    let den = Den::new();
    let program = Act::Exec("/bin/true".into());
    let [all, but_seccomp, nothing] = outcomes(&den, &program);
    assert_eq!(all, AttemptOutcome::Killed(SIGSYS));
    assert_eq!(nothing, AttemptOutcome::Ended(Some(0)));
    if stands(&den, Wall::LandlockFiles) {
        assert!(refused_with(&but_seccomp, &[EACCES]), "{but_seccomp:?}");
    }
    for act in [Act::Fork, Act::Thread] {
        assert_eq!(
            try_it(&den, act.clone(), Shut::All),
            AttemptOutcome::Killed(SIGSYS)
        );
        assert_eq!(try_it(&den, act, Shut::Nothing), AttemptOutcome::Succeeded);
    }
}

#[test]
fn other_processes_can_not_be_killed_or_traced() {
    let den = Den::new();
    let victim = Victim::start();
    for act in [Act::Trace(victim.id()), Act::Kill(victim.id())] {
        assert_eq!(
            try_it(&den, act.clone(), Shut::All),
            AttemptOutcome::Killed(SIGSYS)
        );
        if stands(&den, Wall::LandlockScopes) {
            let outcome = try_it(&den, act, Shut::ButSeccomp);
            assert!(refused_with(&outcome, &[EPERM]), "{outcome:?}");
        }
    }
    assert!(!is_gone(victim.id()));
    let act = Act::Kill(victim.id());
    assert_eq!(try_it(&den, act, Shut::Nothing), AttemptOutcome::Succeeded);
    wait_for("the victim's end", || is_gone(victim.id()).then_some(()));
}

#[test]
fn memory_can_not_be_made_executable_and_there_is_an_end_of_it() {
    let den = Den::new();
    // What the limit does not count is refused, and what is counted has its end.
    for act in [
        Act::MapExecutable,
        Act::MakeExecutable,
        Act::MapShared,
        Act::MapGrowing,
    ] {
        assert_eq!(
            try_it(&den, act.clone(), Shut::All),
            AttemptOutcome::Killed(SIGSYS)
        );
        assert_eq!(try_it(&den, act, Shut::Nothing), AttemptOutcome::Succeeded);
    }
    let act = Act::Allocate(3 << 29);
    let outcome = try_it(&den, act.clone(), Shut::All);
    assert!(
        matches!(outcome, AttemptOutcome::Refused(..)),
        "{outcome:?}"
    );
    assert_eq!(try_it(&den, act, Shut::Nothing), AttemptOutcome::Succeeded);
    let twin = try_it(&den, Act::Allocate(64 << 20), Shut::All);
    assert_eq!(twin, AttemptOutcome::Succeeded);
}

#[test]
fn only_the_socket_can_be_written_to() {
    let den = Den::new();
    for descriptor in 1..8 {
        let outcome = try_it(&den, Act::Write(descriptor), Shut::All);
        assert_eq!(outcome, AttemptOutcome::Killed(SIGSYS), "{descriptor}");
    }
    // The guest's files, which are open for reading alone.
    for descriptor in [1, 2] {
        let outcome = try_it(&den, Act::Write(descriptor), Shut::Nothing);
        assert!(refused_with(&outcome, &[EBADF]), "{outcome:?}");
    }
    // The images' file.
    let unguarded = |descriptor| try_it(&den, Act::Write(descriptor), Shut::Nothing);
    assert!((3..8).any(|descriptor| unguarded(descriptor) == AttemptOutcome::Succeeded));
}

#[test]
fn only_advice_that_gives_memory_back_is_taken() {
    let den = Den::new();
    let give_back = Act::Advise(libc::MADV_DONTNEED);
    assert_eq!(
        try_it(&den, give_back, Shut::All),
        AttemptOutcome::Succeeded
    );
    for advice in [
        libc::MADV_WILLNEED,
        libc::MADV_DOFORK,
        libc::MADV_HUGEPAGE,
        libc::MADV_HWPOISON,
    ] {
        let outcome = try_it(&den, Act::Advise(advice), Shut::All);
        assert_eq!(outcome, AttemptOutcome::Killed(SIGSYS), "{advice}");
    }
    let twin = try_it(&den, Act::Advise(libc::MADV_WILLNEED), Shut::Nothing);
    assert_eq!(twin, AttemptOutcome::Succeeded);
}

#[test]
fn a_worker_has_no_capabilities_also_where_its_service_has_all() {
    const NONE: &str = "0000000000000000";
    const SETPCAP: u64 = 1 << 8;
    let den = Den::new();
    let _sandbox = den.sandbox(1);
    let worker = den.workers()[0];
    for name in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        let capabilities = status(worker, name);
        assert_eq!(capabilities.as_deref(), Some(NONE), "{name}");
    }
    // Those that a program could have again go only where the service may have them go.
    let may = status(std::process::id() as i32, "CapEff").expect("it runs");
    if u64::from_str_radix(&may, 16).expect("a number") & SETPCAP != 0 {
        assert_eq!(status(worker, "CapBnd").as_deref(), Some(NONE));
    }
}

/// Calls that broke out of other sandboxes, give something new to hold, or weaken what is there.
#[rustfmt::skip]
const CALLS: [i64; 48] = [
    libc::SYS_bpf, libc::SYS_chroot, libc::SYS_clone, libc::SYS_clone3, libc::SYS_close,
    libc::SYS_dup, libc::SYS_epoll_create1, libc::SYS_eventfd2, libc::SYS_execveat,
    libc::SYS_fcntl, libc::SYS_finit_module, libc::SYS_getpid, libc::SYS_init_module,
    libc::SYS_io_uring_setup, libc::SYS_ioctl, libc::SYS_kexec_load, libc::SYS_keyctl,
    libc::SYS_kill, libc::SYS_landlock_create_ruleset, libc::SYS_memfd_create, libc::SYS_mount,
    libc::SYS_msgget, libc::SYS_name_to_handle_at, libc::SYS_nanosleep,
    libc::SYS_open_by_handle_at, libc::SYS_openat, libc::SYS_openat2,
    libc::SYS_perf_event_open, libc::SYS_personality, libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_open, libc::SYS_pipe2, libc::SYS_pkey_mprotect, libc::SYS_prctl,
    libc::SYS_prlimit64, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev,
    libc::SYS_ptrace, libc::SYS_rt_sigaction, libc::SYS_seccomp, libc::SYS_sendmsg,
    libc::SYS_setns, libc::SYS_setuid, libc::SYS_shmget, libc::SYS_socket, libc::SYS_tgkill,
    libc::SYS_unshare, libc::SYS_userfaultfd,
];

#[test]
fn other_system_calls_end_the_worker() {
    let den = Den::new();
    for number in CALLS {
        let outcome = try_it(&den, Act::Call(number), Shut::All);
        assert_eq!(outcome, AttemptOutcome::Killed(SIGSYS), "call {number}");
    }
    let allowed = try_it(&den, Act::Call(libc::SYS_brk), Shut::All);
    assert_eq!(allowed, AttemptOutcome::Succeeded);
}

#[test]
fn a_worker_that_is_killed_by_the_kernel_harms_no_neighbour() {
    let den = Den::new();
    let sandbox = den.sandbox(1);
    let before = den.workers();
    assert_eq!(
        try_it(&den, Act::Fork, Shut::All),
        AttemptOutcome::Killed(SIGSYS)
    );
    let outcome = sandbox.evaluate(&eval("return True, trace['id']"), &trace("neighbour"));
    assert_eq!(reason(&outcome), "neighbour");
    assert_eq!(den.workers(), before);
}
