//! Turns: A B C, A B C, ..

use crate::agree::Failure;
use crate::participant::Participant;

/// How long a turn takes at least, in seconds.
const TURN: f64 = 0.02;

/// The seconds per iteration of one participant.
pub struct Timing {
    /// Name and version.
    pub name: String,
    /// The least.
    pub min: f64,
    /// The one in the middle.
    pub median: f64,
    /// Iterations in a turn.
    pub iterations: usize,
}

/// One workload: ourselves first, then peers.
pub struct Row {
    /// Those that agree.
    pub timings: Vec<Timing>,
    /// Those that could not take part.
    pub failures: Vec<Failure>,
}

/// Times all participants in `rounds` rounds.
pub fn time(participants: &mut [Box<dyn Participant + '_>], mut failures: Vec<Failure>, rounds: usize) -> Row {
    let mut counts = vec![0; participants.len()];
    let mut times = vec![Vec::with_capacity(rounds); participants.len()];
    let mut broken: Vec<Option<String>> = vec![None; participants.len()];
    for round in 0..=rounds {
        for (i, participant) in participants.iter_mut().enumerate() {
            if broken[i].is_some() {
                continue;
            }
            let result = match round {
                0 => iterations(participant.as_mut()).map(|count| counts[i] = count),
                // Caches and threads belong to another one at the begin of a turn.
                _ => participant
                    .time(1 + counts[i] / 8, counts[i])
                    .map(|seconds| times[i].push(seconds / counts[i] as f64)),
            };
            broken[i] = result.err();
        }
    }
    let mut timings = Vec::new();
    for (i, participant) in participants.iter().enumerate() {
        let name = participant.name();
        match broken[i].take() {
            Some(why) => failures.push(Failure { name, why }),
            None => timings.push(timing(name, &mut times[i], counts[i])),
        }
    }
    Row { timings, failures }
}

/// As many iterations as make a turn.
fn iterations(participant: &mut dyn Participant) -> Result<usize, String> {
    let mut count = 1;
    loop {
        let seconds = participant.time(1, count)?;
        if seconds >= TURN / 4.0 || count >= 1 << 24 {
            let wanted = TURN * count as f64 / seconds.max(1e-9);
            return Ok(wanted.ceil() as usize);
        }
        count *= 4;
    }
}

fn timing(name: String, times: &mut [f64], iterations: usize) -> Timing {
    times.sort_by(f64::total_cmp);
    Timing { name, min: times[0], median: times[times.len() / 2], iterations }
}
