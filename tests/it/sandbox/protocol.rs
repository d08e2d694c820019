//! The protocol, from both sides: whatever comes, neither a panic nor a hang nor more memory than allowed.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Child;

use iofold::domain::{RunError, Verdict};
use iofold::sandbox::protocol::{
    Frames, Greeting, JOB_BYTES, Job, ProtocolError, Question, REPLY_BYTES, Ready, Reply, VERSION,
};
use iofold::sandbox::walls::{Wall, WallState};
use proptest::prelude::*;

use super::*;

/// Bytes as they arrive: in pieces of at most `piece`, and counted.
struct Pieces<'a> {
    bytes: &'a [u8],
    piece: usize,
    taken: usize,
}

impl<'a> Pieces<'a> {
    fn new(bytes: &'a [u8], piece: usize) -> Self {
        let taken = 0;
        Self {
            bytes,
            piece,
            taken,
        }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.piece.min(into.len()).min(self.bytes.len());
        let (given, rest) = self.bytes.split_at(count);
        into[..count].copy_from_slice(given);
        (self.bytes, self.taken) = (rest, self.taken + count);
        Ok(count)
    }
}

fn run_error() -> impl Strategy<Value = RunError> {
    let kinds = [
        ErrorKind::Syntax,
        ErrorKind::Exception,
        ErrorKind::Memory,
        ErrorKind::Host,
    ];
    (proptest::sample::select(kinds.to_vec()), any::<String>())
        .prop_map(|(kind, message)| RunError { kind, message })
}

fn result() -> impl Strategy<Value = Result<(Verdict, String), RunError>> {
    let verdicts = [Verdict::Pass, Verdict::Fail, Verdict::Abstain];
    let verdict = (proptest::sample::select(verdicts.to_vec()), any::<String>());
    prop_oneof![verdict.prop_map(Ok), run_error().prop_map(Err)]
}

fn reply() -> impl Strategy<Value = Reply> {
    let done = (result(), any::<String>(), any::<u64>(), any::<u64>());
    prop_oneof![
        done.prop_map(|(result, printed, fuel, duration_us)| Reply::Done(Outcome {
            result,
            printed,
            fuel,
            duration_us,
        })),
        any::<(String, String)>()
            .prop_map(|(question, text)| Reply::Asks(Question { question, text })),
    ]
}

fn greeting() -> impl Strategy<Value = Greeting> {
    let wall = (
        proptest::sample::select(&Wall::ALL[..]),
        any::<Option<String>>(),
    );
    let state = wall.prop_map(|(wall, why)| WallState {
        wall,
        stands: why.is_none(),
        why,
    });
    let walls = proptest::collection::vec(state, 0..12);
    prop_oneof![
        walls.prop_map(|walls| Ok(Ready { walls })),
        any::<String>().prop_map(Err),
    ]
}

fn written(frames: &mut Frames, message: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.write(&mut bytes, message).expect("it is short");
    bytes
}

/// A frame that says it is that long.
fn frame(body: &[u8]) -> Vec<u8> {
    let length = body.len() as u32 + 1;
    let mut frame = length.to_le_bytes().to_vec();
    frame.push(VERSION);
    frame.extend(body);
    frame
}

proptest! {
    #[test]
    fn every_message_comes_out_as_it_went_in(
        texts in any::<[String; 3]>(),
        fuel: u64,
        memory_bytes: u64,
        reply in reply(),
        greeting in greeting(),
        piece in 1_usize..50,
    ) {
        let [source, trace, answers] = &texts;
        let job = Job { source, trace, answers, fuel, memory_bytes };
        let (mut host, mut worker) = (Frames::of_host(), Frames::of_worker());
        let bytes = written(&mut host, &job);
        prop_assert_eq!(worker.read::<Job<'_>>(&mut Pieces::new(&bytes, piece)).ok(), Some(job));
        let bytes = written(&mut worker, &reply);
        prop_assert_eq!(host.read::<Reply>(&mut Pieces::new(&bytes, piece)).ok(), Some(reply));
        let bytes = written(&mut worker, &greeting);
        prop_assert_eq!(host.read::<Greeting>(&mut Pieces::new(&bytes, piece)).ok(), Some(greeting));
    }

    #[test]
    fn arbitrary_bytes_are_an_error_or_a_message(bytes: Vec<u8>, as_body: bool, piece in 1_usize..50) {
        let bytes = if as_body { frame(&bytes) } else { bytes };
        let _ = Frames::of_worker().read::<Job<'_>>(&mut Pieces::new(&bytes, piece)).map(drop);
        let _ = Frames::of_host().read::<Greeting>(&mut Pieces::new(&bytes, piece)).map(drop);
        if let Ok(reply) = Frames::of_host().read::<Reply>(&mut Pieces::new(&bytes, piece)) {
            let _ = reply.check(1000, PATIENCE);
        }
    }

    #[test]
    fn a_truncated_frame_is_an_error(reply in reply(), cut: prop::sample::Index, piece in 1_usize..50) {
        let bytes = written(&mut Frames::of_worker(), &reply);
        let bytes = &bytes[..cut.index(bytes.len())];
        let read = Frames::of_host().read::<Reply>(&mut Pieces::new(bytes, piece));
        prop_assert!(matches!(read, Err(ProtocolError::Closed)), "{:?}", read);
    }

    #[test]
    fn a_flipped_bit_is_an_error_or_another_message(reply in reply(), at: prop::sample::Index, bit in 0_u8..8) {
        let mut bytes = written(&mut Frames::of_worker(), &reply);
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let read = Frames::of_host().read::<Reply>(&mut Pieces::new(&bytes, 4096));
        if let Ok(other) = read {
            prop_assert_ne!(other, reply);
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_before_it_is_read(over in 1_u32..1 << 24) {
        for (mut frames, limit) in [(Frames::of_host(), REPLY_BYTES), (Frames::of_worker(), JOB_BYTES)] {
            let length = limit as u32 + over;
            let endless = [&length.to_le_bytes()[..], &[VERSION; 10_000]].concat();
            let mut pieces = Pieces::new(&endless, usize::MAX);
            let read = frames.read::<Greeting>(&mut pieces);
            prop_assert!(matches!(read, Err(ProtocolError::TooLong(_))), "{:?}", read);
            prop_assert!(pieces.taken <= 4096, "{} bytes were taken", pieces.taken);
        }
    }
}

#[test]
fn no_side_sends_what_the_other_would_refuse() {
    let reply = Reply::Asks(Question {
        question: String::new(),
        text: "x".repeat(REPLY_BYTES),
    });
    let sent = Frames::of_worker().write(&mut io::sink(), &reply);
    assert!(matches!(sent, Err(ProtocolError::TooLong(_))), "{sent:?}");
}

#[test]
fn the_longest_texts_of_a_job_and_of_a_reply_fit() {
    let (source, trace) = ("x".repeat(256 << 10), "x".repeat(8 << 20));
    let answers = "x".repeat(64 << 10);
    let job = Job {
        source: &source,
        trace: &trace,
        answers: &answers,
        fuel: u64::MAX,
        memory_bytes: u64::MAX,
    };
    let bytes = written(&mut Frames::of_host(), &job);
    let mut worker = Frames::of_worker();
    assert_eq!(worker.read::<Job<'_>>(&mut &bytes[..]).ok(), Some(job));

    let reply = Reply::Asks(Question {
        question: "🦀".repeat(2_000),
        text: "🦀".repeat(100_000),
    });
    let bytes = written(&mut Frames::of_worker(), &reply);
    let read: Reply = Frames::of_host().read(&mut &bytes[..]).expect("it fits");
    read.check(0, PATIENCE).expect("a worker may say that");
    let Reply::Asks(mut asks) = read else {
        panic!("it asks")
    };
    asks.text.push('x');
    assert!(
        Reply::Asks(asks).check(0, PATIENCE).is_err(),
        "one character more is nonsense"
    );
}

/// A real worker without a pool.
struct Worker {
    child: Child,
    socket: UnixStream,
    frames: Frames,
}

impl Worker {
    fn start(den: &Den) -> Self {
        let (socket, theirs) = UnixStream::pair().expect("a pair");
        let files = den.artefacts();
        let child = Command::new(program())
            .arg("sandbox-worker")
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(files.code)
            .stderr(files.image)
            .spawn()
            .expect("it starts");
        socket.set_read_timeout(Some(PATIENCE)).expect("it is set");
        let mut frames = Frames::of_host();
        let greeting: Greeting = frames.read(&mut &socket).expect("it greets");
        assert!(!greeting.expect("it is ready").walls.is_empty());
        Self {
            child,
            socket,
            frames,
        }
    }

    /// Its exit code after `bytes` and nothing more, and whether it answered first.
    fn end_after(mut self, bytes: &[u8]) -> (Option<i32>, bool) {
        // It may end before it has read everything.
        let _ = self.socket.write_all(bytes);
        let _ = self.socket.shutdown(Shutdown::Write);
        let answered = self.frames.read::<Reply>(&mut &self.socket).is_ok();
        (self.child.wait().expect("it ends").code(), answered)
    }
}

#[test]
fn a_worker_ends_by_itself_after_its_service_has() {
    let den = Den::new();
    assert_eq!(Worker::start(&den).end_after(b""), (Some(0), false));
}

#[test]
fn a_worker_ends_at_what_is_no_job() {
    let den = Den::new();
    let job = written(&mut Frames::of_host(), &job());
    assert_eq!(
        Worker::start(&den).end_after(&job),
        (Some(0), true),
        "the twin"
    );
    let two = [&job[..], &job].concat();
    let mut version = job.clone();
    version[4] ^= 1;
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 4],
        &[0xff; 4],
        &[0xff; 1000],
        &frame(&[0xff; 1000]),
        &two,
        &version,
    ] {
        assert_eq!(
            Worker::start(&den).end_after(bytes),
            (Some(2), false),
            "{bytes:?}"
        );
    }
}

fn job() -> Job<'static> {
    Job {
        source: "def evaluate(trace):\n    return True\n",
        trace: r#"{"id": "t"}"#,
        answers: "{}",
        fuel: 1_000_000_000,
        memory_bytes: 64 << 20,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn a_worker_that_is_sent_a_damaged_job_answers_or_ends(
        at: prop::sample::Index,
        to: u8,
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = written(&mut Frames::of_host(), &job());
        let at = at.index(bytes.len());
        bytes[at] = to;
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        let (code, _) = Worker::start(&Den::new()).end_after(&bytes);
        // It ended itself: no signal, and no panic. With less memory than the guest has at rest, its code is 3.
        prop_assert!(matches!(code, Some(0 | 2 | 3)), "{:?}", code);
    }
}
