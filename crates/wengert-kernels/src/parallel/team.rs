//! The threads that help a loop.
//!
//! A loop is cut into pieces. The thread that it belongs to begins one after the other, and helpers begin those that nobody has begun
//! yet, so that a helper which comes late finds less to do, or nothing, and is not waited for. To wake a sleeping thread takes
//! 10 µs, and 50 to 150 on a virtual machine, which is as long as most loops; so helpers that have finished look out for the next
//! loop for [`AWAKE`], and then sleep.
//!
//! One loop at a time has helpers; others, also those inside of its pieces, are run by their own threads. Helpers are started when
//! they are first wanted, and stay; a process that was forked from this one never has any. Nothing here allocates but the start of a
//! helper.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// The most pieces of a loop, and the most threads.
pub const MOST: usize = 64;

/// How long a helper that has nothing to do looks out for the next loop: the time between two loops of one step.
const AWAKE: Duration = Duration::from_micros(200);
/// From when on they let other threads run meanwhile, of which there may be more than processors.
const POLITE: Duration = Duration::from_micros(20);
/// How long the loop's thread looks out for the end of the last pieces before it sleeps.
const PATIENCE: Duration = Duration::from_micros(200);

/// Drops what a panic carries if it is a text, as of `panic!`. Anything else may panic when it is dropped, and is leaked.
pub fn lose(panic: Box<dyn Any + Send>) {
    if !panic.is::<&'static str>() && !panic.is::<String>() {
        std::mem::forget(panic);
    }
}

/// Runs `f` with every number below `pieces`, by up to `threads` threads, of which this is one.
///
/// # Panics
/// As a piece does: when all others have ended or, without helpers, at once.
pub fn run(pieces: usize, threads: usize, f: &(dyn Fn(usize) + Sync)) {
    assert!(pieces <= MOST && threads <= MOST, "{pieces} pieces for {threads} threads are too many");
    let threads = threads.min(pieces);
    if threads <= 1 || TEAM.taken.swap(true, SeqCst) {
        return (0..pieces).for_each(f);
    }
    let guard = AbortOnUnwind;
    let panic = TEAM.share(pieces, threads, &Loop(f));
    TEAM.taken.store(false, SeqCst);
    std::mem::forget(guard);
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

/// Whether there is a loop with helpers, so that no other can have any.
pub fn is_taken() -> bool {
    TEAM.taken.load(Relaxed)
}

/// How many of the helpers for `threads` threads look out for a loop, and would begin at once.
pub fn awake(threads: usize) -> usize {
    let is_awake = |helper: &&Helper| !helper.sleeps.load(Relaxed) && matches!(helper.thread.get(), Some(Some(_)));
    HELPERS[..threads - 1].iter().filter(is_awake).count()
}

/// Ends the process if a panic unwinds past it: others would use a loop that is gone, or wait for ever. Nothing here panics but pieces,
/// and those are caught.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        std::process::abort();
    }
}

/// What is run for each piece.
struct Loop<'a>(&'a (dyn Fn(usize) + Sync));

/// The loop that is shared.
struct Team {
    /// Whether there is one. Who sets it begins the loop and clears it when the loop has ended.
    taken: AtomicBool,
    /// The pieces that wait for a thread: a [`Waiting`].
    waiting: AtomicU32,
    /// The pieces that have not ended. While there are some, `work` is the loop that they belong to.
    left: AtomicUsize,
    /// A `Loop` on the stack of its thread.
    work: AtomicPtr<()>,
    /// What the first piece that panicked did so with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// The loop's thread, while it sleeps until `left` is 0.
    sleeper: Mutex<Option<Thread>>,
    /// Whether there is a sleeper: who ends a last piece need not lock to see that there is none.
    has_sleeper: AtomicBool,
}

static TEAM: Team = Team::new();

/// A thread that helps; of a loop for `n` threads the first `n - 1` do.
struct Helper {
    /// `None` if the system would not start it.
    thread: OnceLock<Option<Thread>>,
    sleeps: AtomicBool,
}

static HELPERS: [Helper; MOST - 1] =
    [const { Helper { thread: OnceLock::new(), sleeps: AtomicBool::new(false) } }; MOST - 1];

/// Pieces `next..pieces` wait, for the loop's own thread, number 0, and the helpers with numbers below `threads`.
#[derive(Clone, Copy)]
struct Waiting {
    threads: u8,
    next: u8,
    pieces: u8,
}

impl Waiting {
    fn word(self) -> u32 {
        u32::from_le_bytes([self.threads, self.next, self.pieces, 0])
    }

    fn of(word: u32) -> Self {
        let [threads, next, pieces, _] = word.to_le_bytes();
        Self { threads, next, pieces }
    }

    /// The next piece and what is left, if there is one for this thread.
    fn begin(self, thread: usize) -> Option<(usize, Self)> {
        let begins = self.next < self.pieces && thread < usize::from(self.threads);
        begins.then(|| (usize::from(self.next), Self { next: self.next + 1, ..self }))
    }
}

impl Team {
    const fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            waiting: AtomicU32::new(0),
            left: AtomicUsize::new(0),
            work: AtomicPtr::new(std::ptr::null_mut()),
            panic: Mutex::new(None),
            sleeper: Mutex::new(None),
            has_sleeper: AtomicBool::new(false),
        }
    }

    /// Runs the pieces of a loop with the help of others. What a piece panics with is given back.
    fn share(&'static self, pieces: usize, threads: usize, work: &Loop<'_>) -> Option<Box<dyn Any + Send>> {
        self.work.store((&raw const *work).cast_mut().cast(), SeqCst);
        self.left.store(pieces, SeqCst);
        let waiting = Waiting { threads: threads as u8, next: 0, pieces: pieces as u8 };
        self.waiting.store(waiting.word(), SeqCst);
        for (helper, number) in HELPERS.iter().zip(1..threads) {
            helper.call(number);
        }
        self.work_as(0);
        self.wait();
        locked(&self.panic).take()
    }

    /// Runs pieces until none waits for this thread.
    fn work_as(&'static self, thread: usize) {
        while let Some(piece) = self.begin(thread) {
            // SAFETY: `share` stored the pointer before this piece began to wait. It neither returns nor unwinds (`AbortOnUnwind`),
            // nor is there another loop, before `left` is 0, for which this piece must end. So what it points to lives. It is read
            // here by several threads, and what it refers to is `Sync`.
            let work = unsafe { &*self.work.load(SeqCst).cast::<Loop<'_>>().cast_const() };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work.0(piece))) {
                self.keep(panic);
            }
            if self.left.fetch_sub(1, SeqCst) == 1 {
                self.wake_sleeper();
            }
        }
    }

    /// Keeps what the first piece panicked with, and loses the others'.
    fn keep(&self, panic: Box<dyn Any + Send>) {
        let mut first = locked(&self.panic);
        match *first {
            None => *first = Some(panic),
            Some(_) => lose(panic),
        }
    }

    /// Wakes the loop's thread. It may be that of a later loop, which looks for its own pieces and sleeps on: so it stays known for the
    /// thread that ends the last of those.
    fn wake_sleeper(&self) {
        if self.has_sleeper.load(SeqCst)
            && let Some(thread) = &*locked(&self.sleeper)
        {
            thread.unpark();
        }
    }

    fn begin(&self, thread: usize) -> Option<usize> {
        let rest = |word| Some(Waiting::of(word).begin(thread)?.1.word());
        let word = self.waiting.fetch_update(SeqCst, SeqCst, rest).ok()?;
        Some(Waiting::of(word).next.into())
    }

    /// Waits for the last pieces, which others have begun.
    fn wait(&self) {
        let has_ended = || self.left.load(SeqCst) == 0;
        if look_out(PATIENCE, has_ended) {
            return;
        }
        *locked(&self.sleeper) = Some(thread::current());
        // Who ends the last piece after the loop's first look sees this, and wakes the thread.
        self.has_sleeper.store(true, SeqCst);
        while !has_ended() {
            thread::park();
        }
        self.has_sleeper.store(false, SeqCst);
        *locked(&self.sleeper) = None;
    }
}

impl Helper {
    /// Wakes the helper if it sleeps, and starts it if it was never wanted before. If the system has no thread, there is one helper
    /// less from then on.
    fn call(&'static self, number: usize) {
        match self.thread.get() {
            Some(Some(thread)) if self.sleeps.load(SeqCst) => thread.unpark(),
            Some(_) => {}
            None => {
                let started = thread::Builder::new().name(format!("wengert-{number}")).spawn(move || self.help(number));
                // One thread at a time calls helpers: the one that shares its loop.
                let _ = self.thread.set(started.ok().map(|handle| handle.thread().clone()));
            }
        }
    }

    fn help(&'static self, number: usize) {
        let _guard = AbortOnUnwind;
        let is_wanted = || Waiting::of(TEAM.waiting.load(SeqCst)).begin(number).is_some();
        loop {
            TEAM.work_as(number);
            if look_out(AWAKE, is_wanted) {
                continue;
            }
            // Who shares a loop after the look below sees this, and wakes the thread. Woken too late, it looks out for the next one.
            self.sleeps.store(true, SeqCst);
            if !is_wanted() {
                thread::park();
            }
            self.sleeps.store(false, SeqCst);
        }
    }
}

/// Waits actively for what is looked out for, but no longer than `time`.
fn look_out(time: Duration, mut is_there: impl FnMut() -> bool) -> bool {
    if is_there() {
        return true;
    }
    let start = Instant::now();
    loop {
        for _ in 0..32 {
            if is_there() {
                return true;
            }
            std::hint::spin_loop();
        }
        match start.elapsed() {
            waited if waited > time => return false,
            waited if waited > POLITE => thread::yield_now(),
            _ => {}
        }
    }
}

/// The contents, also if a thread panicked with them: they are whole at any time.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn every_piece_is_run_once() {
        for (pieces, threads) in [(0, 2), (1, 2), (2, 2), (7, 3), (MOST, 2), (MOST, MOST), (3, 64)] {
            for _ in 0..200 {
                let counts: Vec<AtomicUsize> = (0..pieces).map(|_| AtomicUsize::new(0)).collect();
                run(pieces, threads, &|piece| _ = counts[piece].fetch_add(1, SeqCst));
                assert!(counts.iter().all(|count| count.load(SeqCst) == 1), "{pieces} pieces, {threads} threads");
            }
        }
    }

    #[test]
    fn helpers_that_sleep_are_woken_and_loops_of_many_threads_do_not_mix() {
        thread::scope(|scope| {
            for seed in 0..4usize {
                scope.spawn(move || {
                    for round in 0..300usize {
                        let sums: Vec<AtomicUsize> = (0..5).map(|_| AtomicUsize::new(0)).collect();
                        run(5, 2 + seed % 2, &|piece| {
                            // A loop inside of a piece.
                            run(3, 2, &|inner| _ = sums[piece].fetch_add(seed + round + inner, SeqCst));
                        });
                        assert!(sums.iter().all(|sum| sum.load(SeqCst) == 3 * (seed + round) + 3));
                        if (round + seed).is_multiple_of(50) {
                            thread::sleep(2 * AWAKE);
                        }
                    }
                });
            }
        });
    }

    #[test]
    fn a_piece_that_takes_long_is_waited_for() {
        let ended = AtomicUsize::new(0);
        for _ in 0..3 {
            run(2, 2, &|_| {
                thread::sleep(5 * PATIENCE);
                ended.fetch_add(1, SeqCst);
            });
        }
        assert_eq!(ended.load(SeqCst), 6);
    }

    #[test]
    fn a_thread_that_is_woken_for_an_earlier_loop_is_woken_again_for_its_own() {
        let team = Team::new();
        team.left.store(1, SeqCst);
        thread::scope(|scope| {
            scope.spawn(|| team.wait());
            while !team.has_sleeper.load(SeqCst) {
                thread::yield_now();
            }
            team.wake_sleeper();
            assert!(locked(&team.sleeper).is_some(), "the second wake finds the sleeper");
            team.left.store(0, SeqCst);
            team.wake_sleeper();
        });
    }

    #[test]
    fn helpers_help() {
        // Two pieces that wait for each other. Now and then another test has the helpers.
        let meet = |_| {
            let met = AtomicUsize::new(0);
            let both = AtomicUsize::new(0);
            run(2, 2, &|_| {
                met.fetch_add(1, SeqCst);
                if look_out(Duration::from_millis(300), || met.load(SeqCst) == 2) {
                    both.fetch_add(1, SeqCst);
                }
            });
            both.load(SeqCst) == 2
        };
        assert!((0..50).any(meet));
    }

    #[test]
    fn panics_of_several_pieces_with_payloads_that_panic_when_dropped_end_as_the_first() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                assert!(thread::panicking(), "a bomb was dropped");
            }
        }
        for _ in 0..50 {
            let ended = AtomicUsize::new(0);
            let shared = catch_unwind(AssertUnwindSafe(|| {
                run(6, 3, &|piece| {
                    if piece % 2 == 0 {
                        std::panic::panic_any(Bomb);
                    }
                    ended.fetch_add(1, SeqCst);
                });
            }));
            std::mem::forget(shared.unwrap_err().downcast::<Bomb>().unwrap());
            assert!([0, 3].contains(&ended.load(SeqCst)));
        }
    }

    #[test]
    fn a_panic_goes_on_when_all_pieces_have_ended() {
        for _ in 0..50 {
            let ended = AtomicUsize::new(0);
            let shared = catch_unwind(AssertUnwindSafe(|| {
                run(8, 3, &|piece| {
                    assert_ne!(piece, 3, "the third piece");
                    ended.fetch_add(1, SeqCst);
                });
            }));
            let text = shared.unwrap_err().downcast::<String>().unwrap();
            assert!(text.contains("the third piece"), "{text}");
            // A loop without helpers ends with its first panic.
            assert!([3, 7].contains(&ended.load(SeqCst)));
        }
        run(2, 2, &|_| ());
    }
}
