//! Updates per second and p99 over connections, as SVG.

use std::path::Path;

use anyhow::{Context, Result};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::{Report, Row};
use crate::system::System;

const SIZE: (u32, u32) = (1100, 460);
const FONT: &str = "sans-serif";
const UPDATES: [(System, RGBColor); 4] = [
    (System::PatchbayUpdate, RGBColor(0x0b, 0x6e, 0x4f)),
    (System::PatchbayEcho, RGBColor(0x8a, 0x8d, 0x91)),
    (System::SlapdModify, RGBColor(0xc4, 0x4e, 0x1c)),
    (System::PocketbaseUpdate, RGBColor(0x4a, 0x6f, 0xb5)),
];

type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// One panel's vertical axis.
struct Axis {
    title: &'static str,
    value: fn(&Row) -> super::Spread,
    /// Where the upper left corner stays empty.
    legend: bool,
}

/// Draws the systems that update; does nothing if none of them was measured.
pub fn draw(report: &Report, path: &Path) -> Result<()> {
    let shown = |row: &&Row| UPDATES.iter().any(|(system, _)| *system == row.system);
    let rows: Vec<_> = report.rows.iter().filter(shown).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(SIZE.0 / 2);
    panel(
        &left,
        &rows,
        &Axis {
            title: "updates per second (higher is better)",
            value: |row| row.per_second,
            legend: false,
        },
    )?;
    panel(
        &right,
        &rows,
        &Axis {
            title: "p99 latency, ms (lower is better)",
            value: |row| row.p99_ms,
            legend: true,
        },
    )?;
    root.present().context("writing the plot")
}

fn panel(area: &Panel, rows: &[&Row], axis: &Axis) -> Result<()> {
    let spreads = || rows.iter().map(|row| (axis.value)(row));
    let least = spreads().map(|spread| spread.min).fold(f64::INFINITY, f64::min);
    let greatest = spreads().map(|spread| spread.max).fold(0.0, f64::max);
    let mut counts: Vec<_> = rows.iter().map(|row| row.connections as f64).collect();
    counts.dedup();
    let widest = counts.iter().copied().fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(axis.title, (FONT, 16))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(
            (0.8..widest * 1.3).log_scale().with_key_points(counts),
            (least * 0.6..greatest * 1.6).log_scale(),
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("connections (log scale)")
        .x_label_formatter(&|count| format!("{count:.0}"))
        .y_label_formatter(&|value| format!("{value}"))
        .label_style((FONT, 13))
        .draw()?;
    for (system, colour) in UPDATES {
        let points: Vec<_> = rows
            .iter()
            .filter(|row| row.system == system)
            .map(|row| (row.connections as f64, (axis.value)(row)))
            .collect();
        if points.is_empty() {
            continue;
        }
        let line = points.iter().map(|(count, spread)| (*count, spread.median));
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
            .label(system.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
        chart.draw_series(
            points
                .iter()
                .map(|(count, s)| PathElement::new([(*count, s.min), (*count, s.max)], colour)),
        )?;
        chart.draw_series(
            points
                .iter()
                .map(|(count, s)| Circle::new((*count, s.median), 3, colour.filled())),
        )?;
    }
    if !axis.legend {
        return Ok(());
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .label_font((FONT, 13))
        .draw()?;
    Ok(())
}
