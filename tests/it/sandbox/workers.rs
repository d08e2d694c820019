//! What a call costs when its worker fails, and what a worker leaves behind.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::thread;

use iofold::domain::{ErrorKind, Verdict};

use super::*;

/// More than the fuel of a call.
const LOOP: &str = "while True: pass";

/// The one worker that is busy with a call.
fn busy(den: &Den) -> i32 {
    wait_for("a busy worker", || {
        let before: Vec<_> = den
            .workers()
            .into_iter()
            .map(|id| (id, ticks(id)))
            .collect();
        thread::sleep(Duration::from_millis(60));
        let is_busy = |(id, then): &(i32, u64)| ticks(*id) >= then + 3;
        before.into_iter().find(is_busy).map(|(id, _)| id)
    })
}

/// Nothing is left of it, not even its exit code.
fn is_reaped(process: i32) -> bool {
    !Path::new(&format!("/proc/{process}")).exists()
}

#[test]
fn a_call_whose_worker_is_killed_runs_again_on_a_fresh_one() {
    let den = Den::new();
    let sandbox = den.sandbox(1);
    let before = den.workers();
    let outcome = thread::scope(|scope| {
        let call = scope.spawn(|| sandbox.evaluate(&eval(LOOP), &trace("t")));
        kill(busy(&den));
        call.join().expect("it does not panic")
    });
    assert_eq!(kind(&outcome), Some(ErrorKind::Fuel));
    assert_eq!(sandbox.counts(), counts(1, 1, 0, 0, 1));
    let after = den.workers();
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_ne!(before, after);
    assert!(is_reaped(before[0]), "a killed worker leaves no zombie");
}

#[test]
fn a_call_whose_worker_is_killed_twice_is_the_hosts_failure_and_the_next_call_is_fine() {
    let den = Den::new();
    let sandbox = den.sandbox(1);
    let outcome = thread::scope(|scope| {
        let call = scope.spawn(|| sandbox.evaluate(&eval(LOOP), &trace("t")));
        let first = busy(&den);
        kill(first);
        wait_for("the end of the first", || is_gone(first).then_some(()));
        kill(busy(&den));
        call.join().expect("it does not panic")
    });
    assert_eq!(kind(&outcome), Some(ErrorKind::Host));
    assert_eq!(sandbox.counts(), counts(1, 2, 0, 0, 1));
    let outcome = sandbox.evaluate(&eval("return True, trace['id']"), &trace("next"));
    assert_eq!(reason(&outcome), "next");
    assert_eq!(sandbox.counts(), counts(2, 2, 0, 0, 2));
}

#[test]
fn an_eval_over_the_deadline_is_stopped_twice_and_its_workers_are_gone() {
    let den = Den::new();
    let sandbox = den.sandbox(1);
    let before = den.workers();
    let hurried = sandbox.clone().with_limits(Limits {
        fuel: u64::MAX,
        deadline: Duration::from_millis(300),
        ..Limits::default()
    });
    let outcome = hurried.evaluate(&eval(LOOP), &trace("t"));
    assert_eq!(kind(&outcome), Some(ErrorKind::Deadline));
    assert_eq!(sandbox.counts(), counts(1, 0, 2, 0, 1));
    assert!(is_reaped(before[0]));
    let twin = hurried.with_limits(patient());
    let outcome = twin.evaluate(&eval("return True"), &trace("t"));
    assert_eq!(outcome.verdict(), Some(Verdict::Pass));
}

#[test]
fn two_hundred_callers_at_once_on_two_workers_each_get_their_own_answer() {
    let den = Den::new();
    let sandbox = den.sandbox(2);
    let source = eval("return None, trace['id'] * 3");
    thread::scope(|scope| {
        for caller in 0..200 {
            let (sandbox, source) = (&sandbox, &source);
            scope.spawn(move || {
                let id = format!("trace-{caller};");
                let outcome = sandbox.evaluate(source, &trace(&id));
                assert_eq!(reason(&outcome), id.repeat(3));
            });
        }
    });
    assert_eq!(sandbox.counts(), counts(200, 0, 0, 0, 0));
    assert_eq!(den.workers().len(), 2);
}

#[test]
fn a_caller_waits_for_no_other_ones_failing_worker() {
    let den = Den::new();
    let sandbox = den.sandbox(2);
    thread::scope(|scope| {
        let failing = scope.spawn(|| sandbox.evaluate(&eval(LOOP), &trace("loops")));
        let victim = busy(&den);
        for number in 0..20 {
            if number == 10 {
                kill(victim);
            }
            let outcome = sandbox.evaluate(&eval("return True, trace['id']"), &trace("other"));
            assert_eq!(reason(&outcome), "other");
        }
        let outcome = failing.join().expect("it does not panic");
        assert_eq!(kind(&outcome), Some(ErrorKind::Fuel));
    });
    assert_eq!(sandbox.counts(), counts(21, 1, 0, 0, 1));
}

#[test]
fn a_thousand_calls_leave_a_worker_no_larger() {
    let den = Den::new();
    let sandbox = den.sandbox(1);
    // Allocates, fails and prints now and then, as evals do.
    let source = eval(
        "n = int(trace['id'])\n\
         kept = [str(i) for i in range(2000)]\n\
         print('.' * 100)\n\
         if n % 10 == 0: raise ValueError(n)\n\
         if n % 100 == 1: return len(bytearray(20_000_000)) > 0\n\
         return len(kept) == 2000",
    );
    let call = |number: usize| sandbox.evaluate(&source, &trace(&number.to_string()));
    let resident = || {
        let size = status(den.workers()[0], "VmRSS").expect("it runs");
        let kilobytes = size.trim_end_matches(" kB").parse::<u64>();
        kilobytes.expect("a number")
    };
    (0..200).for_each(|number| drop(call(number)));
    let before = resident();
    let verdicts: HashSet<_> = (0..1000).map(|number| call(number).verdict()).collect();
    assert_eq!(verdicts, HashSet::from([None, Some(Verdict::Pass)]));
    let after = resident();
    assert!(
        after <= before + 256,
        "{before} kB before, {after} kB after"
    );
}

#[test]
fn many_traces_come_back_in_their_order_and_may_be_cut_short() {
    let den = Den::new();
    let sandbox = den.sandbox(2);
    let source = eval("return int(trace['id']) % 2 == 0, trace['id']");
    let traces = (0..300).map(|number| (number, trace(&number.to_string())));
    let mut had = 0;
    sandbox.evaluate_in_order(&source, traces.clone(), |number, _, outcome| {
        assert_eq!((number, reason(&outcome)), (had, had.to_string().as_str()));
        assert_eq!(outcome.verdict() == Some(Verdict::Pass), had % 2 == 0);
        had += 1;
        ControlFlow::Continue(())
    });
    assert_eq!(had, 300);
    sandbox.evaluate_in_order(&source, traces, |number, _, _| match number {
        9 => ControlFlow::Break(()),
        number => {
            had = number;
            ControlFlow::Continue(())
        }
    });
    assert_eq!(had, 8);
}

#[test]
fn an_outcome_is_the_same_on_every_worker() {
    let den = Den::new();
    let (one, other) = (den.sandbox(1), den.sandbox(1));
    let source = eval(
        "import random\n\
         print(random.random(), hash('a'))\n\
         return True, str(sorted({object.__name__, 'x', 'y'}))",
    );
    let same = |outcome: Outcome| (outcome.result, outcome.printed, outcome.fuel);
    let expected = same(one.evaluate(&source, &trace("t")));
    for sandbox in [&one, &other, &one] {
        assert_eq!(same(sandbox.evaluate(&source, &trace("t"))), expected);
    }
}

#[test]
fn too_large_a_source_or_trace_is_refused_before_a_worker_sees_it() {
    let den = Den::new();
    let sandbox = den.sandbox(1);
    let large = |bytes: usize| format!("# {}", "x".repeat(bytes - 2));
    let outcome = sandbox.evaluate(&large((256 << 10) + 1), &trace("t"));
    assert_eq!(kind(&outcome), Some(ErrorKind::Syntax));
    let outcome = sandbox.evaluate(&eval("return True"), &" ".repeat((8 << 20) + 1));
    assert_eq!(kind(&outcome), Some(ErrorKind::TraceTooLarge));
    assert_eq!(sandbox.counts(), counts(0, 0, 0, 0, 0));

    let source = format!(
        "{}\n{}",
        large(255 << 10),
        eval("return True, str(len(trace['x']))")
    );
    let largest = format!(
        "{{\"id\": \"t\", \"x\": \"{}\"}}",
        "x".repeat((8 << 20) - 100)
    );
    let outcome = sandbox.evaluate(&source, &largest);
    assert_eq!(reason(&outcome), ((8 << 20) - 100).to_string());
}

#[test]
fn a_limit_above_the_protocols_does_not_lift_it() {
    let den = Den::new();
    let sandbox = den.sandbox(1).with_limits(Limits {
        source_bytes: usize::MAX,
        trace_bytes: usize::MAX,
        ..patient()
    });
    let outcome = sandbox.evaluate(&eval("return True"), &" ".repeat((8 << 20) + 1));
    assert_eq!(kind(&outcome), Some(ErrorKind::TraceTooLarge));
}

#[test]
fn workers_are_started_also_after_the_cache_is_gone() {
    let den = Den::new();
    let sandbox = den.sandbox(1);
    fs::remove_dir_all(&den.files).expect("it is removed");
    kill(den.workers()[0]);
    let outcome = sandbox.evaluate(&eval("return True, trace['id']"), &trace("t"));
    assert_eq!(reason(&outcome), "t");
    assert_eq!(sandbox.counts(), counts(1, 1, 0, 0, 1));
}

#[test]
fn a_dropped_sandbox_leaves_no_worker() {
    let den = Den::new();
    let sandbox = den.sandbox(2);
    let workers = den.workers();
    assert_eq!(workers.len(), 2);
    drop(sandbox);
    assert!(workers.into_iter().all(is_reaped));
    assert!(den.workers().is_empty());
}
