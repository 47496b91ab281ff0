//! The tape as text, for people.

use std::fmt::Write as _;
use std::ops::Range;

use super::{Filling, Flags, Frame, Tape, with};
use crate::anomaly::number_text;
use crate::ops::Op;

/// What this thread's tape holds, as a table: of each entry its number, operation, operands (entries by number, and plain
/// numbers), shape, element type, the bytes of its value (0 where it shares another entry's), what else holds of it, and the
/// line that recorded it (in debug builds, and in [anomaly mode](crate::detect_anomaly)).
///
/// ```
/// # use wengert::{tape, Tensor};
/// let x = Tensor::ones([2, 3]).requires_grad_(true);
/// let y = (x * 2.0).sum();
/// let text = tape::dump();
/// assert!(text.contains("%1     mul   %0 2      [2, 3]  f32       24  grad"), "{text}");
/// ```
pub fn dump() -> String {
    with(|tape| Ok(tape.dump(0..tape.len()))).unwrap_or_else(|error| format!("<{error}>\n"))
}

const TITLES: [&str; 8] = ["entry", "op", "operands", "shape", "dtype", "bytes", "flags", "recorded at"];
/// The column that is aligned to the right.
const BYTES: usize = 5;

impl Tape {
    /// The entries of `range` as a table.
    pub(crate) fn dump(&self, range: Range<u32>) -> String {
        let rows: Vec<[String; 8]> = range.clone().map(|index| self.row(index)).collect();
        let mut widths = TITLES.map(str::len);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut text = format!("tape: {} entries, {} scopes\n", range.len(), self.frames.len());
        write_row(&mut text, &widths, &TITLES.map(String::from));
        // The scope that the range begins in, and those inside of it; of the whole tape all, also empty ones.
        let first = if range.start == 0 { 0 } else { self.level_of(range.start) };
        let mut frames = self.frames.iter().enumerate().skip(first).peekable();
        for (index, row) in range.clone().zip(&rows) {
            while let Some((depth, frame)) = frames.next_if(|(_, frame)| frame.entries <= index) {
                self.write_scope(&mut text, depth, frame);
            }
            write_row(&mut text, &widths, row);
        }
        for (depth, frame) in frames.filter(|_| range.end == self.len()) {
            self.write_scope(&mut text, depth, frame);
        }
        text
    }

    fn write_scope(&self, text: &mut String, depth: usize, frame: &Frame) {
        let inner = self.frames.get(depth + 1);
        let grad_enabled = inner.map_or(self.grad_enabled, |inner| inner.grad_enabled);
        let mode = if grad_enabled { "" } else { ", no derivatives" };
        let empty = if frame.entries == inner.map_or(self.len(), |inner| inner.entries) { ", empty" } else { "" };
        _ = writeln!(text, "scope {depth}{mode}{empty}");
    }

    fn row(&self, index: u32) -> [String; 8] {
        let entry = self.entry(index);
        let layout = self.layout(index);
        let shares = self.shares(index);
        [
            format!("%{index}"),
            self.name(entry).into(),
            self.operand_text(index),
            format!("{:?}", layout.shape()),
            entry.dtype().to_string(),
            if shares.is_some() || entry.is_deferred() { 0 } else { self.bytes(index) }.to_string(),
            self.flag_text(index, shares),
            self.line(index).map(|line| line.to_string()).unwrap_or_default(),
        ]
    }

    /// The entry that entry `index` shares its block with, if that is an earlier one.
    fn shares(&self, index: u32) -> Option<u32> {
        Some(self.base(index)).filter(|&base| base < index)
    }

    /// The operands in order: entries by number, and plain numbers.
    pub(super) fn operand_text(&self, index: u32) -> String {
        let entry = self.entry(index);
        let mut words: Vec<String> = self.operands(index).iter().map(|operand| format!("%{operand}")).collect();
        words.extend(self.numbers_of(entry).iter().map(number_text));
        if entry.flags.has(Flags::CONST_A) {
            words.reverse();
        }
        words.join(" ")
    }

    fn flag_text(&self, index: u32, shares: Option<u32>) -> String {
        let entry = self.entry(index);
        let mut words: Vec<String> = Vec::new();
        if entry.flags.has(Flags::GRAD) {
            words.push("grad".into());
        }
        if entry.is_deferred() {
            words.push("deferred".into());
        }
        if let Some(base) = shares {
            let what = match entry.op {
                op if op.is_version() => "version",
                Op::Leaf => "alias",
                _ => "view",
            };
            words.push(format!("{what} of %{base}"));
        }
        if entry.flags.has(Flags::REPLACED) {
            words.push("replaced".into());
        }
        match self.slot_of(index).map(|slot| self.slot(slot).state) {
            Some(Filling::Full) => words.push("has gradient".into()),
            Some(_) if entry.op != Op::Leaf => words.push("retains gradient".into()),
            _ => {}
        }
        match self.hook_count(index) {
            0 => {}
            1 => words.push("hook".into()),
            count => words.push(format!("{count} hooks")),
        }
        words.join(", ")
    }
}

fn write_row(text: &mut String, widths: &[usize; 8], row: &[String; 8]) {
    let start = text.len();
    for (column, (cell, &width)) in row.iter().zip(widths).enumerate() {
        let gap = if column == 0 { "  " } else { "" };
        _ = match column {
            BYTES => write!(text, "{gap}{cell:>width$}  "),
            _ => write!(text, "{gap}{cell:width$}  "),
        };
    }
    text.truncate(start + text[start..].trim_end().len());
    text.push('\n');
}
