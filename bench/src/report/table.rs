//! The figures as text.

use super::ratio::{Finding, Goal};
use super::{Report, Row, Spread};

/// Cores used by others above which figures say more about the others.
const NOISY: f64 = 0.3;

/// Everything a reader needs, in fixed-width columns.
pub fn text(report: &Report) -> String {
    let mut lines = vec![report.machine.summary()];
    lines.extend(report.notes.iter().cloned());
    lines.push(format!(
        "{} rounds of {} s after {} s of warm-up; median [least .. greatest]; one request in flight per connection",
        report.rounds, report.seconds, report.warm_up
    ));
    lines.push(format!(
        "everything else on the machine used {} cores meanwhile{}",
        spread(report.other_cores, 2),
        if report.other_cores.median > NOISY {
            ": NOT A QUIET MACHINE, measure again"
        } else {
            ""
        }
    ));
    lines.push(String::new());
    lines.push(format!(
        "{:<19} {:>5} {:>24} {:>8} {:>28} {:>9} {:>9} {:>9} {:>7} {:>7}",
        "system", "conns", "requests/s", "p50 ms", "p99 ms", "srv cores", "cli cores", "us CPU/rq", "RSS MB", "refused"
    ));
    lines.extend(report.rows.iter().map(row));
    lines.push(String::new());
    lines.push(format!(
        "{:<36} {:>5} {:>22} {:>9}  reached",
        "ratio or figure", "conns", "median", "goal"
    ));
    lines.extend(report.findings.iter().map(finding));
    lines.push(String::new());
    lines.join("\n")
}

fn row(row: &Row) -> String {
    format!(
        "{:<19} {:>5} {:>24} {:>8.2} {:>28} {:>9.2} {:>9.2} {:>9.0} {:>7.0} {:>7}",
        row.system.name(),
        row.connections,
        spread(row.per_second, 0),
        row.p50_ms.median,
        spread(row.p99_ms, 2),
        row.server_cores.median,
        row.client_cores.median,
        row.server_cores.median / row.per_second.median * 1e6,
        row.rss_mb.median,
        row.refused,
    )
}

fn finding(finding: &Finding) -> String {
    let reached = match finding.reached {
        Some(true) if finding.aim.is_some_and(|aim| aim.met(finding.value)) => "yes, the aim too",
        Some(true) => "yes",
        Some(false) => "NO",
        None => "-",
    };
    let connections = finding.connections.map_or_else(String::new, |count| count.to_string());
    let (name, value) = (&finding.name, spread(finding.value, 2));
    let (goal, aim) = (bound(finding.goal), bound(finding.aim));
    format!("{name:<34} {connections:>5} {value:>26} {goal:>8} {aim:>8}  {reached}")
}

fn bound(goal: Option<Goal>) -> String {
    match goal {
        Some(Goal::AtLeast(least)) => format!(">= {least}"),
        Some(Goal::AtMost(most)) => format!("<= {most}"),
        None => "-".to_owned(),
    }
}

fn spread(spread: Spread, decimals: usize) -> String {
    let Spread { median, min, max } = spread;
    if min == max {
        return format!("{median:.decimals$}");
    }
    format!("{median:.decimals$} [{min:.decimals$} .. {max:.decimals$}]")
}
