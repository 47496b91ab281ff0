//! The graph that leads to a tensor, as Graphviz draws it.

use std::fmt::Write as _;

use super::{Flags, Tape, with};
use crate::element::Element;
use crate::ops::Op;
use crate::tensor::TensorBase;

/// The graph that leads to `output`, in the DOT language of Graphviz: `dot -Tsvg graph.dot -o graph.svg` draws it. Boxes are
/// leaves (filled, if they require a gradient), ellipses operations, the output has a double line; dashed ones take no part in
/// backward. Each shows its number, operands, shape, type and, where it is known, the line that recorded it.
///
/// ```
/// # use wengert::{tape, Tensor};
/// let x = Tensor::ones([2, 3]).requires_grad_(true);
/// let text = tape::to_dot((x * 2.0).sum());
/// assert!(text.contains("n0 -> n1;") && text.contains("n1 -> n2;"), "{text}");
/// ```
pub fn to_dot<E: Element>(output: TensorBase<E>) -> String {
    let text = with(|tape| {
        let top = tape.locate(output.handle())?;
        Ok(tape.to_dot(top))
    });
    text.unwrap_or_else(|error| {
        format!("digraph tape {{\n    error [label=\"{}\"];\n}}\n", escaped(&error.to_string()))
    })
}

impl Tape {
    fn to_dot(&self, top: u32) -> String {
        let mut text = "digraph tape {\n    node [fontname=\"monospace\"];\n".to_owned();
        let mut reached = vec![false; top as usize + 1];
        reached[top as usize] = true;
        for index in (0..=top).rev() {
            if !reached[index as usize] {
                continue;
            }
            for operand in self.operands(index) {
                reached[operand as usize] = true;
            }
        }
        let nodes = (0..=top).filter(|&index| reached[index as usize]);
        for index in nodes.clone() {
            let style = self.style(index, index == top);
            _ = writeln!(text, "    n{index} [label=\"{}\"{style}];", escaped(&self.label(index)));
        }
        for index in nodes {
            for operand in self.operands(index) {
                _ = writeln!(text, "    n{operand} -> n{index};");
            }
        }
        text + "}\n"
    }

    fn label(&self, index: u32) -> String {
        let entry = self.entry(index);
        let operands = self.operand_text(index);
        let call = match entry.op {
            Op::Leaf => self.name(entry).into(),
            _ => format!("{}({})", self.name(entry), operands.replace(' ', ", ")),
        };
        let mut text = format!("%{index} {call}\n{:?} {}", self.layout(index).shape(), entry.dtype());
        if let Some(line) = self.line(index) {
            _ = write!(text, "\n{line}");
        }
        text
    }

    fn style(&self, index: u32, is_output: bool) -> String {
        let entry = self.entry(index);
        let tracked = entry.flags.has(Flags::GRAD);
        let mut style = match entry.op {
            Op::Leaf => ", shape=box".to_owned(),
            _ => String::new(),
        };
        style += match (entry.op, tracked) {
            (Op::Leaf, true) => ", style=filled, fillcolor=\"lightblue\"",
            (_, true) => "",
            (_, false) => ", style=dashed",
        };
        if is_output {
            style += ", peripheries=2";
        }
        style
    }
}

/// Text inside of a quoted string.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
