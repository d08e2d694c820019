//! The system calls that a worker needs; at any other the kernel ends it.

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Compare,
    SeccompCondition as Condition, SeccompFilter, SeccompRule as Rule, TargetArch,
};

/// Memory is managed, but never made executable; see [`rules`].
const MEMORY: [i64; 3] = [libc::SYS_munmap, libc::SYS_mremap, libc::SYS_brk];
/// Mappings that the limit for data does not count.
const UNCOUNTED: i32 = libc::MAP_SHARED | libc::MAP_GROWSDOWN;
/// Pages are given back: those of a call, and those of an image that is forgotten.
const ADVICE: [i32; 2] = [libc::MADV_DONTNEED, libc::MADV_REMOVE];
/// A guest's trap is a signal; its handler returns by the first.
const SIGNALS: [i64; 3] = [
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_sigaltstack,
];
/// Locks without rivals, the clock where the kernel does not lend it as memory, the seeds of hash tables.
const REST: [i64; 5] = [
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// See [`super::allow_only_needed_calls`].
pub fn allow_only_needed_calls() -> Result<(), String> {
    let program = program().map_err(|error| error.to_string())?;
    seccompiler::apply_filter_all_threads(&program).map_err(|error| error.to_string())
}

fn program() -> Result<BpfProgram, BackendError> {
    SeccompFilter::new(
        rules()?.into_iter().collect(),
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        TargetArch::try_from(std::env::consts::ARCH)?,
    )?
    .try_into()
}

fn rules() -> Result<Vec<(i64, Vec<Rule>)>, BackendError> {
    let socket = || argument(0, Compare::Eq, 0);
    let not_executable = || argument(2, Compare::MaskedEq(libc::PROT_EXEC as u64), 0);
    let counted = argument(3, Compare::MaskedEq(UNCOUNTED as u64), 0)?;
    let advice = ADVICE.map(|advice| Rule::new(vec![argument(2, Compare::Eq, advice as u64)?]));
    let mut rules = vec![
        (
            libc::SYS_madvise,
            advice.into_iter().collect::<Result<_, _>>()?,
        ),
        (libc::SYS_read, vec![Rule::new(vec![socket()?])?]),
        (libc::SYS_write, vec![Rule::new(vec![socket()?])?]),
        (
            libc::SYS_mmap,
            vec![Rule::new(vec![not_executable()?, counted])?],
        ),
        (
            libc::SYS_mprotect,
            vec![Rule::new(vec![not_executable()?])?],
        ),
    ];
    let always = MEMORY.into_iter().chain(SIGNALS).chain(REST);
    rules.extend(always.map(|call| (call, Vec::new())));
    Ok(rules)
}

/// The kernel looks at the lower 32 bits of all of these.
fn argument(index: u8, compare: Compare, value: u64) -> Result<Condition, BackendError> {
    Condition::new(index, Length::Dword, compare, value)
}
