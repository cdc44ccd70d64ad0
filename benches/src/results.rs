//! What was measured: figures by round, and from them medians, spreads and ratios within a round.

use std::fmt::Write as _;

use serde::Serialize;

/// What one measurement of one round came to.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figure {
    /// Interactions, records or events a second, or milliseconds.
    pub(crate) value: f64,
    /// Of the process that is measured, where that is one of its own.
    pub(crate) cpu_seconds: Option<f64>,
    pub(crate) peak_mib: Option<f64>,
    /// Bytes on disk for each interaction.
    pub(crate) bytes_each: Option<f64>,
}

impl Figure {
    /// A figure of something that shares its process with the bench.
    pub(crate) fn of(value: f64) -> Self {
        Self { value, ..Self::default() }
    }
}

/// What the numbers of a path count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    #[serde(rename = "per second")]
    PerSecond,
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "s")]
    Seconds,
}

impl Unit {
    /// The sign in a table.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::PerSecond => "/s",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
        }
    }

    /// Whether more of it is better.
    pub(crate) const fn more_is_better(self) -> bool {
        matches!(self, Self::PerSecond)
    }
}

/// All rounds of one path.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Path {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    /// In the order of the rounds.
    pub(crate) rounds: Vec<Figure>,
}

/// The median, and how far the rounds lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let upper = *sorted.get(half)?;
        let lower = if sorted.len().is_multiple_of(2) { *sorted.get(half.checked_sub(1)?)? } else { upper };
        Some(Self { least, median: f64::midpoint(lower, upper), most })
    }
}

impl Path {
    pub(crate) fn spread(&self) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(|figure| figure.value))
    }

    fn median_of(&self, of: impl Fn(&Figure) -> Option<f64>) -> Option<f64> {
        Some(Spread::of(self.rounds.iter().filter_map(of))?.median)
    }
}

/// A path beside what it is compared with, and what is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside {
    pub(crate) path: &'static str,
    pub(crate) other: &'static str,
    /// The least ratio that is wanted, where one is.
    pub(crate) goal: Option<f64>,
}

/// Ratios of the same rounds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ratio {
    pub(crate) path: String,
    pub(crate) beside: String,
    pub(crate) goal: Option<f64>,
    pub(crate) ratio: Spread,
}

/// The figures of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Results {
    pub(crate) paths: Vec<Path>,
}

impl Results {
    /// Notes what a path came to in this round, and says it.
    pub(crate) fn add(&mut self, name: &str, unit: Unit, figure: Figure) {
        eprintln!("  {name}: {} {}", number(figure.value), unit.sign());
        match self.paths.iter_mut().find(|path| path.name == name) {
            Some(path) => path.rounds.push(figure),
            None => self.paths.push(Path { name: name.to_owned(), unit, rounds: vec![figure] }),
        }
    }

    pub(crate) fn path(&self, name: &str) -> Option<&Path> {
        self.paths.iter().find(|path| path.name == name)
    }

    /// The ratios whose both sides were measured, each of the figures of one round; above 1 the path is the better one.
    pub(crate) fn ratios(&self, wanted: &[Beside]) -> Vec<Ratio> {
        let ratio = |beside: &Beside| {
            let (path, other) = (self.path(beside.path)?, self.path(beside.other)?);
            let rounds = path.rounds.iter().zip(&other.rounds).map(|(path_round, other_round)| {
                let ratio = path_round.value / other_round.value;
                if path.unit.more_is_better() { ratio } else { 1.0 / ratio }
            });
            let ratio = Spread::of(rounds)?;
            let (path, beside, goal) = (beside.path.to_owned(), beside.other.to_owned(), beside.goal);
            Some(Ratio { path, beside, goal, ratio })
        };
        wanted.iter().filter_map(ratio).collect()
    }

    /// The table of all paths, in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut text = "| path | median | least to most | unit | CPU s | peak MiB | bytes each |\n\
                        |---|---:|---:|---|---:|---:|---:|\n"
            .to_owned();
        for path in &self.paths {
            let Some(spread) = path.spread() else { continue };
            let cell = |of: fn(&Figure) -> Option<f64>| path.median_of(of).map_or_else(|| "–".to_owned(), number);
            let _ = writeln!(
                text,
                "| {} | {} | {} to {} | {} | {} | {} | {} |",
                path.name,
                number(spread.median),
                number(spread.least),
                number(spread.most),
                path.unit.sign(),
                cell(|figure| figure.cpu_seconds),
                cell(|figure| figure.peak_mib),
                cell(|figure| figure.bytes_each),
            );
        }
        text
    }
}

/// The table of ratios, in Markdown.
pub(crate) fn ratio_table(ratios: &[Ratio]) -> String {
    let mut text = "| path | beside | ratio | least to most | wanted |\n|---|---|---:|---:|---|\n".to_owned();
    for ratio in ratios {
        let wanted = ratio.goal.map_or_else(String::new, |goal| {
            let word = if ratio.ratio.median >= goal { "reached" } else { "missed" };
            format!("≥ {} {word}", number(goal))
        });
        let Spread { least, median, most } = ratio.ratio;
        let (path, beside) = (&ratio.path, &ratio.beside);
        let (least, median, most) = (number(least), number(median), number(most));
        let _ = writeln!(text, "| {path} | {beside} | {median} | {least} to {most} | {wanted} |");
    }
    text
}

/// Three digits that matter, thousands apart.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    rest.map_or_else(|| format!("{sign}{grouped}"), |rest| format!("{sign}{grouped}.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_short_and_readable() {
        for (value, shown) in [
            (0.0, "0.000"),
            (0.012_34, "0.012"),
            (0.567, "0.57"),
            (12.34, "12.3"),
            (999.6, "1,000"),
            (-1_234_567.0, "-1,234,567"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(number(value), shown);
        }
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let mut results = Results::default();
        for (ours, theirs) in [(10.0, 1.0), (40.0, 10.0), (18.0, 9.0)] {
            results.add("import", Unit::PerSecond, Figure::of(ours));
            results.add("peer", Unit::PerSecond, Figure::of(theirs));
        }
        let wanted = [
            Beside { path: "import", other: "peer", goal: Some(5.0) },
            Beside { path: "import", other: "what was not measured", goal: None },
        ];
        let ratios = results.ratios(&wanted);
        assert_eq!(ratios.len(), 1);
        assert_eq!(ratios[0].ratio, Spread { least: 2.0, median: 4.0, most: 10.0 });
        assert!(ratio_table(&ratios).contains("| import | peer | 4.00 | 2.00 to 10.0 | ≥ 5.00 missed |"));
        assert!(results.table().contains("| import | 18.0 | 10.0 to 40.0 | /s | – | – | – |"));
    }

    #[test]
    fn the_median_of_two_lies_between_them() {
        assert_eq!(Spread::of([3.0, 1.0]), Some(Spread { least: 1.0, median: 2.0, most: 3.0 }));
        assert_eq!(Spread::of([]), None);
    }
}
