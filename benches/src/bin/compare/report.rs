//! What is printed, and the JSON.

use serde_json::{Value, json};
use wengert_benches::machine::Machine;
use wengert_benches::workloads::{Unit, Workload};
use wengert_kernels::simd;

use crate::PRODUCT;
use crate::fresh::Fresh;
use crate::options::Options;
use crate::turns::{Row, Timing};

/// The machine and its limits.
pub fn machine(machine: &Machine, options: &Options) {
    println!(
        "{} threads, {:?}: {:.0} GFLOP/s of f32 multiply-adds, {:.1} GB/s of memory traffic",
        options.threads,
        simd::isa(),
        machine.flops / 1e9,
        machine.bandwidth / 1e9
    );
}

/// One workload: a line for each participant.
pub fn row(workload: &Workload, row: &Row, machine: &Machine) {
    println!("\n{:<24} {:>22} {:>22} {:>9} {:>7}", workload.name, "min", "median", "ratio", "limit");
    for timing in &row.timings {
        let ratio = timing.min / row.timings[0].min;
        let share = share(workload, timing, machine).map_or(String::new(), |share| format!("{:.0} %", 100.0 * share));
        let [min, median] = [timing.min, timing.median].map(|seconds| in_units(workload.unit, seconds));
        println!("  {:<22} {min:>22} {median:>22} {ratio:>9.2} {share:>7}", timing.name);
    }
    for failure in &row.failures {
        println!("  {:<22} not timed: {}", failure.name, failure.why);
    }
}

/// All workloads in one table, in Markdown.
pub fn summary(rows: &[&(&Workload, Row)], machine: &Machine) {
    if rows.is_empty() {
        return;
    }
    let mut names: Vec<&str> = Vec::new();
    for timing in rows.iter().flat_map(|(_, row)| &row.timings[1..]) {
        if !names.contains(&timing.name.as_str()) {
            names.push(&timing.name);
        }
    }
    println!("\nLeast times, what peers take in multiples of ours, and our share of the machine's limit\n");
    print!("| workload | ours | limit |");
    names.iter().for_each(|name| print!(" {name} |"));
    println!("\n| --- | --- | --- |{}", " --- |".repeat(names.len()));
    for (workload, row) in rows {
        let ours = &row.timings[0];
        let share = share(workload, ours, machine).map_or(String::new(), |share| format!("{:.0} %", 100.0 * share));
        print!("| {} | {} | {share} |", workload.name, in_units(workload.unit, ours.min));
        for name in &names {
            match row.timings[1..].iter().find(|timing| timing.name == *name) {
                Some(timing) => {
                    print!(" {}, {:.2}x |", in_units(workload.unit, timing.min), timing.min / ours.min);
                }
                None => print!(" |"),
            }
        }
        println!();
    }
}

/// Gradients of matrix products against the products.
pub fn products(rows: &[&(&Workload, Row)]) {
    if rows.is_empty() {
        return;
    }
    println!("\nA matrix product with both gradients, and the product alone\n");
    println!("| workload | with gradients | product | ratio |\n| --- | --- | --- | --- |");
    for (workload, row) in rows {
        if let [all, product] = row.timings.as_slice() {
            let [with, alone] = [all.min, product.min].map(duration);
            println!("| {} | {with} | {alone} | {:.2} |", workload.name, all.min / product.min);
        }
    }
}

/// First steps.
pub fn fresh(fresh: &[Fresh]) {
    println!(
        "\nThe first step of a fresh process, and later ones\n\n| workload | first | steady | ratio |\n| --- | --- | --- | --- |"
    );
    for one in fresh {
        let [first, steady] = [one.first, one.steady].map(duration);
        println!("| {} | {first} | {steady} | {:.1} |", one.name, one.first / one.steady);
    }
}

/// The least possible time as a share of this one; of a workload, not of what it is compared with if that does less.
fn share(workload: &Workload, timing: &Timing, machine: &Machine) -> Option<f64> {
    if timing.name == PRODUCT {
        return None;
    }
    let least = machine.least_time(workload.cost.flops, workload.cost.bytes);
    (least > 0.0).then_some(least / timing.min)
}

fn in_units(unit: Unit, seconds: f64) -> String {
    match unit {
        Unit::Step => duration(seconds),
        Unit::Operations(count) => format!("{:.2} ns/op", 1e9 * seconds / count as f64),
        Unit::Elements(count) => format!("{:.3} ns/element", 1e9 * seconds / count as f64),
    }
}

fn duration(seconds: f64) -> String {
    let (scaled, unit) = match seconds {
        s if s < 1e-6 => (1e9 * s, "ns"),
        s if s < 1e-3 => (1e6 * s, "us"),
        s if s < 1.0 => (1e3 * s, "ms"),
        s => (s, "s"),
    };
    format!("{scaled:.*} {unit}", if scaled < 10.0 { 2 } else { 1 })
}

/// Everything, for programs. Times are in seconds per iteration.
pub fn json(rows: &[(&Workload, Row)], fresh: &[Fresh], machine: &Machine, options: &Options) -> String {
    let timing = |workload: &Workload, row: &Row, timing: &Timing| -> Value {
        json!({
            "name": timing.name,
            "min": timing.min,
            "median": timing.median,
            "iterations_per_turn": timing.iterations,
            "ratio": timing.min / row.timings[0].min,
            "share_of_limit": share(workload, timing, machine),
        })
    };
    let workload = |(workload, row): &(&Workload, Row)| -> Value {
        json!({
            "name": workload.name,
            "flops": workload.cost.flops,
            "bytes": workload.cost.bytes,
            "units_per_iteration": match workload.unit {
                Unit::Step => 1,
                Unit::Operations(count) | Unit::Elements(count) => count,
            },
            "timings": row.timings.iter().map(|one| timing(workload, row, one)).collect::<Vec<_>>(),
            "not_timed": row.failures.iter().map(|f| json!({ "name": f.name, "why": f.why })).collect::<Vec<_>>(),
        })
    };
    let first = |one: &Fresh| json!({ "name": one.name, "first": one.first, "steady": one.steady });
    let all = json!({
        "threads": options.threads,
        "rounds": options.rounds,
        "flops_per_second": machine.flops,
        "bytes_per_second": machine.bandwidth,
        "workloads": rows.iter().map(workload).collect::<Vec<_>>(),
        "first_steps": fresh.iter().map(first).collect::<Vec<_>>(),
    });
    format!("{all:#}\n")
}
