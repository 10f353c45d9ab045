//! The comparisons that count, their goals, and what a run says about them.

use serde::Serialize;

use super::Spread;
use crate::peers::Footprint;
use crate::rounds::Sample;
use crate::system::System;
use Goal::{AtLeast, AtMost};

type Metric = fn(&Sample) -> f64;

/// `left` over `right`, round by round.
struct Comparison {
    name: &'static str,
    left: System,
    right: System,
    metric: Metric,
    targets: &'static [Target],
}

/// What a ratio should come to, and what it had better come to.
struct Target {
    /// `None` is every connection count.
    connections: Option<usize>,
    goal: Goal,
    aim: Option<Goal>,
}

const fn target(connections: usize, goal: Goal) -> Target {
    Target {
        connections: Some(connections),
        goal,
        aim: None,
    }
}

/// What a figure should come to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

const COMPARISONS: [Comparison; 6] = [
    Comparison {
        name: "updates/s against slapd",
        left: System::PatchbayUpdate,
        right: System::SlapdModify,
        metric: |sample| sample.per_second,
        targets: &[
            target(16, AtLeast(3.5)),
            Target {
                aim: Some(AtLeast(8.0)),
                ..target(64, AtLeast(5.0))
            },
        ],
    },
    Comparison {
        name: "updates/s against the echo ceiling",
        left: System::PatchbayUpdate,
        right: System::PatchbayEcho,
        metric: |sample| sample.per_second,
        targets: &[
            target(16, AtLeast(0.22)),
            Target {
                aim: Some(AtLeast(0.5)),
                ..target(64, AtLeast(0.30))
            },
        ],
    },
    Comparison {
        name: "update p99 against slapd",
        left: System::PatchbayUpdate,
        right: System::SlapdModify,
        metric: |sample| sample.p99_ms,
        targets: &[target(64, AtMost(0.25))],
    },
    Comparison {
        name: "updates/s against PocketBase",
        left: System::PatchbayUpdate,
        right: System::PocketbaseUpdate,
        metric: |sample| sample.per_second,
        targets: &[],
    },
    Comparison {
        name: "update p99 against PocketBase",
        left: System::PatchbayUpdate,
        right: System::PocketbaseUpdate,
        metric: |sample| sample.p99_ms,
        targets: &[],
    },
    Comparison {
        name: "GET by id against a static GET",
        left: System::PatchbayGet,
        right: System::PatchbayStatic,
        metric: |sample| sample.per_second,
        targets: &[Target {
            connections: None,
            goal: AtLeast(0.75),
            aim: None,
        }],
    },
];

/// One figure held against its goal.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// What was compared or measured.
    pub name: String,
    /// At how many connections, for a ratio.
    pub connections: Option<usize>,
    /// The figure: for a ratio, of the ratios of each round.
    pub value: Spread,
    /// What it should come to.
    pub goal: Option<Goal>,
    /// What it had better come to.
    pub aim: Option<Goal>,
    /// Whether the median comes to the goal.
    pub reached: Option<bool>,
}

impl Goal {
    /// Whether the median of `value` comes to it.
    pub fn met(self, value: Spread) -> bool {
        match self {
            AtLeast(least) => value.median >= least,
            AtMost(most) => value.median <= most,
        }
    }
}

impl Finding {
    fn figure(name: &str, value: Spread, goal: Goal) -> Self {
        let reached = Some(goal.met(value));
        Self {
            name: name.to_owned(),
            connections: None,
            value,
            goal: Some(goal),
            aim: None,
            reached,
        }
    }

    fn ratio(comparison: &Comparison, connections: usize, value: Spread) -> Self {
        let target = comparison.target(connections);
        Self {
            name: comparison.name.to_owned(),
            connections: Some(connections),
            value,
            goal: target.map(|target| target.goal),
            aim: target.and_then(|target| target.aim),
            reached: target.map(|target| target.goal.met(value)),
        }
    }
}

/// Every ratio for which both sides were measured, then Patchbay's footprint.
pub fn findings(samples: &[Sample], footprint: Option<&Footprint>) -> Vec<Finding> {
    let mut counts: Vec<_> = samples.iter().map(|sample| sample.connections).collect();
    counts.sort_unstable();
    counts.dedup();
    let mut findings = Vec::new();
    for comparison in &COMPARISONS {
        for &connections in &counts {
            let ratios = comparison.ratios(samples, connections);
            if !ratios.is_empty() {
                findings.push(Finding::ratio(comparison, connections, Spread::of(ratios)));
            }
        }
    }
    findings.extend(footprint.into_iter().flat_map(footprint_findings));
    findings
}

impl Comparison {
    fn ratios(&self, samples: &[Sample], connections: usize) -> Vec<f64> {
        let of = |system| {
            samples
                .iter()
                .filter(move |s| s.system == system && s.connections == connections)
        };
        of(self.left)
            .filter_map(|left| {
                let right = of(self.right).find(|right| right.round == left.round)?;
                Some((self.metric)(left) / (self.metric)(right))
            })
            .collect()
    }

    fn target(&self, connections: usize) -> Option<&Target> {
        self.targets
            .iter()
            .find(|target| target.connections.is_none_or(|at| at == connections))
    }
}

fn footprint_findings(footprint: &Footprint) -> [Finding; 3] {
    let start_ms = Spread::of(footprint.start_ms.iter().copied());
    [
        Finding::figure("start to first reply, ms", start_ms, AtMost(25.0)),
        Finding::figure("idle RSS, MB", Spread::of([footprint.idle_rss_mb]), AtMost(15.0)),
        Finding::figure("binary, MB", Spread::of([footprint.binary_mb]), AtMost(20.0)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(system: System, round: usize, per_second: f64, p99_ms: f64) -> Sample {
        Sample {
            system,
            connections: 64,
            round,
            per_second,
            p50_ms: 1.0,
            p99_ms,
            server_cores: 1.0,
            client_cores: 0.2,
            other_cores: 0.1,
            rss_mb: 10.0,
            refused: 0,
        }
    }

    #[test]
    fn ratios_are_taken_in_a_round_before_the_median() {
        let samples = [
            sample(System::PatchbayUpdate, 0, 600.0, 2.0),
            sample(System::SlapdModify, 0, 100.0, 10.0),
            sample(System::PatchbayUpdate, 1, 2000.0, 3.0),
            sample(System::SlapdModify, 1, 500.0, 10.0),
            sample(System::PatchbayUpdate, 2, 900.0, 4.0),
            sample(System::SlapdModify, 2, 100.0, 10.0),
        ];
        let findings = findings(&samples, None);
        let names: Vec<_> = findings.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["updates/s against slapd", "update p99 against slapd"]);
        assert_eq!(
            findings[0].value,
            Spread {
                median: 6.0,
                min: 4.0,
                max: 9.0
            }
        );
        assert_eq!((findings[0].reached, findings[1].reached), (Some(true), Some(false)));
    }

    #[test]
    fn the_footprint_is_held_against_its_goals() {
        let footprint = Footprint {
            start_ms: vec![9.0, 30.0, 10.0],
            idle_rss_mb: 15.5,
            binary_mb: 20.0,
        };
        let reached: Vec<_> = findings(&[], Some(&footprint)).iter().map(|f| f.reached).collect();
        assert_eq!(reached, [Some(true), Some(false), Some(true)]);
    }
}
