//! Figures as SVG.

use std::path::Path as File;

use anyhow::anyhow;
use plotters::coord::ranged1d::{Ranged, SegmentValue, ValueFormatter};
use plotters::prelude::*;

use crate::results::{Spread, number};

/// Points: width of a picture, and height of one bar and of what is around the bars.
const WIDTH: u32 = 960;
const BAR_HEIGHT: u32 = 26;
const AROUND_BARS: u32 = 110;
const CURVES_HEIGHT: u32 = 560;
const NAMES_WIDTH: u32 = 330;
const OURS: RGBColor = RGBColor(32, 96, 160);
const OTHERS: RGBColor = RGBColor(170, 170, 170);

/// A bar with its spread.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) spread: Spread,
    pub(crate) is_ours: bool,
}

/// A line over the number of leads.
pub(crate) struct Curve {
    pub(crate) name: String,
    /// Leads, and the value there.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Draws bars beside each other on a logarithmic scale; the thin line of each goes from the least round to the best one.
pub(crate) fn bars(file: &File, title: &str, unit: &str, bars: &[Bar]) -> anyhow::Result<()> {
    let positive = || bars.iter().filter(|bar| bar.spread.least > 0.0);
    let least = positive().map(|bar| bar.spread.least).fold(f64::INFINITY, f64::min);
    let most = positive().map(|bar| bar.spread.most).fold(0.0, f64::max);
    let count = positive().count();
    if count == 0 {
        return Ok(());
    }
    let height = u32::try_from(count)? * BAR_HEIGHT + AROUND_BARS;
    let area = SVGBackend::new(file, (WIDTH, height)).into_drawing_area();
    let across = (least / 2.0..most * 2.0).log_scale();
    let mut chart = begin(&area, title)?
        .set_label_area_size(LabelAreaPosition::Left, NAMES_WIDTH)
        .set_label_area_size(LabelAreaPosition::Bottom, 45)
        .build_cartesian_2d(across, (0..count).into_segmented())
        .map_err(failed)?;
    let names: Vec<&str> = positive().map(|bar| bar.name.as_str()).collect();
    // From the top down.
    let place = |row: usize| count - 1 - row;
    let name = |value: &SegmentValue<usize>| match value {
        SegmentValue::CenterOf(row) if *row < count => {
            names.get(place(*row)).map_or_else(String::new, ToString::to_string)
        }
        SegmentValue::CenterOf(_) | SegmentValue::Exact(_) | SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(count)
        .y_label_formatter(&name)
        .x_desc(unit)
        .x_label_formatter(&|value| number(*value))
        .draw()
        .map_err(failed)?;
    for (row, bar) in positive().enumerate() {
        let (bottom, top) = (SegmentValue::Exact(place(row)), SegmentValue::Exact(place(row) + 1));
        let color = if bar.is_ours { OURS } else { OTHERS };
        let mut shape = Rectangle::new([(least / 2.0, bottom), (bar.spread.median, top)], color.filled());
        shape.set_margin(4, 4, 0, 0);
        let centre = SegmentValue::CenterOf(place(row));
        let spread = PathElement::new([(bar.spread.least, centre.clone()), (bar.spread.most, centre)], BLACK);
        chart.draw_series([shape]).map_err(failed)?;
        chart.draw_series([spread]).map_err(failed)?;
    }
    area.present().map_err(failed)
}

/// Draws curves over the number of leads, both scales logarithmic.
pub(crate) fn curves(file: &File, title: &str, unit: &str, curves: &[Curve]) -> anyhow::Result<()> {
    let extent = |of: fn(&(f64, f64)) -> f64| {
        let values = || curves.iter().flat_map(|curve| &curve.points).map(of).filter(|value| *value > 0.0);
        (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max))
    };
    let ((left, right), (bottom, top)) = (extent(|point| point.0), extent(|point| point.1));
    if left >= right || bottom > top {
        return Ok(());
    }
    let area = SVGBackend::new(file, (WIDTH, CURVES_HEIGHT)).into_drawing_area();
    let mut chart = begin(&area, title)?
        .set_label_area_size(LabelAreaPosition::Left, 80)
        .set_label_area_size(LabelAreaPosition::Bottom, 45)
        .margin_right(20)
        .build_cartesian_2d((left..right).log_scale(), (bottom / 2.0..top * 2.0).log_scale())
        .map_err(failed)?;
    label(&mut chart, unit)?;
    for (place, curve) in curves.iter().enumerate() {
        let color = Palette99::pick(place).to_rgba();
        let line = LineSeries::new(curve.points.iter().copied(), color.stroke_width(2)).point_size(3);
        let drawn = chart.draw_series(line).map_err(failed)?;
        drawn.label(&curve.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    let legend = SeriesLabelPosition::LowerLeft;
    let mut labels = chart.configure_series_labels();
    labels.position(legend).background_style(WHITE.mix(0.85)).border_style(OTHERS).draw().map_err(failed)?;
    area.present().map_err(failed)
}

fn label<'a, X, Y>(chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>, unit: &str) -> anyhow::Result<()>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut mesh = chart.configure_mesh();
    mesh.x_desc("leads")
        .y_desc(unit)
        .x_label_formatter(&|value| number(*value))
        .y_label_formatter(&|value| number(*value));
    mesh.draw().map_err(failed)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// A white picture with a title.
fn begin<'a, 'b>(area: &'b Area<'a>, title: &str) -> anyhow::Result<ChartBuilder<'b, 'b, SVGBackend<'a>>> {
    area.fill(&WHITE).map_err(failed)?;
    let mut chart = ChartBuilder::on(area);
    chart.caption(title, ("sans-serif", 20)).margin(10);
    Ok(chart)
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}
