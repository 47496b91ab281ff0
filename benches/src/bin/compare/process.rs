//! A peer in a process of its own, which answers lines; `peers/protocol.py` says which.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use wengert_benches::arrays::{self, Array};
use wengert_benches::workloads::Workload;

use crate::options::Options;
use crate::participant::Participant;

/// A running peer.
pub struct Process {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    version: String,
    /// Where inputs and results go.
    file: PathBuf,
}

impl Process {
    /// Starts the peer, if it is one that runs in a process.
    pub fn start(peer: &str, options: &Options) -> Option<Result<Self, String>> {
        let script = match peer {
            "torch" => "torch_peer.py",
            "jax" => "jax_peer.py",
            _ => return None,
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script);
        Some(Self::run(peer, &script, options))
    }

    fn run(peer: &str, script: &Path, options: &Options) -> Result<Self, String> {
        let threads = options.threads.to_string();
        let mut child = Command::new(&options.python)
            .arg(script)
            .arg(&threads)
            .env("OMP_NUM_THREADS", &threads)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} does not start: {error}; see --python", options.python.display()))?;
        let (Some(commands), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both are piped")
        };
        let file = std::env::temp_dir().join(format!("wengert-compare-{}-{peer}", std::process::id()));
        let mut process = Self { child, commands, answers: BufReader::new(answers), version: String::new(), file };
        let greeting = process.answer().map_err(|_| "its script stopped; its own message is above".to_string())?;
        let version = greeting.strip_prefix("ready ").ok_or_else(|| format!("it says {greeting:?}"))?;
        process.version = version.into();
        Ok(process)
    }

    /// The next line.
    fn answer(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(0) => Err("the process ended".into()),
            Ok(_) => Ok(line.trim_end().into()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Sends a command, and gives what follows `ok` in the answer.
    fn ask(&mut self, command: &str) -> Result<String, String> {
        writeln!(self.commands, "{command}").map_err(|error| error.to_string())?;
        let answer = self.answer()?;
        match answer.strip_prefix("ok") {
            Some(rest) => Ok(rest.trim().into()),
            None => Err(answer),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing is to be done about a process that does not end or a file that was never written.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.file);
    }
}

impl Participant for &mut Process {
    fn name(&self) -> String {
        self.version.clone()
    }

    fn prepare(&mut self, workload: &Workload, inputs: &[Array]) -> Result<(), String> {
        arrays::write(&self.file, inputs).map_err(|error| error.to_string())?;
        let command = format!("prepare {} {}", workload.kind, self.file.display());
        self.ask(&command).map(|_| ())
    }

    fn check(&mut self) -> Result<Vec<Array>, String> {
        let command = format!("check {}", self.file.display());
        self.ask(&command)?;
        arrays::read(&self.file).map_err(|error| error.to_string())
    }

    fn time(&mut self, warmup: usize, count: usize) -> Result<f64, String> {
        let answer = self.ask(&format!("time {warmup} {count}"))?;
        answer.parse().map_err(|_| format!("no time: {answer:?}"))
    }
}
