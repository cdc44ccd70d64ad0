//! The grid of fit and engagement, A1 to C3: what a score says in two characters. A function of a score, never stored in
//! the log.

use crate::score::Score;

/// From how many points on the steps of the grid are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The letters: who they are.
    pub fit: Steps,
    /// The digits: what they do.
    pub engagement: Steps,
}

/// The two thresholds between three steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// The best step (A, 1) from here on.
    pub best: i32,
    /// The second one (B, 2) from here on; more than 0 and less than `best`.
    pub second: i32,
}

/// A place in the grid. The best one, A1, comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// Fits best, does most.
    A1,
    /// Fits best, does something.
    A2,
    /// Fits best, does little.
    A3,
    /// Fits, does most.
    B1,
    /// Fits, does something.
    B2,
    /// Fits, does little.
    B3,
    /// Fits little, does most.
    C1,
    /// Fits little, does something.
    C2,
    /// Fits little, does little.
    C3,
}

/// How far a part of a score has come.
#[derive(Clone, Copy)]
enum Step {
    Best,
    Second,
    Third,
}

impl Steps {
    const fn step(self, points: i32) -> Step {
        if points >= self.best {
            Step::Best
        } else if points >= self.second {
            Step::Second
        } else {
            Step::Third
        }
    }
}

impl Grid {
    /// The place of a score.
    #[must_use]
    pub const fn grade(self, score: &Score) -> Grade {
        match (self.fit.step(score.fit), self.engagement.step(score.engagement)) {
            (Step::Best, Step::Best) => Grade::A1,
            (Step::Best, Step::Second) => Grade::A2,
            (Step::Best, Step::Third) => Grade::A3,
            (Step::Second, Step::Best) => Grade::B1,
            (Step::Second, Step::Second) => Grade::B2,
            (Step::Second, Step::Third) => Grade::B3,
            (Step::Third, Step::Best) => Grade::C1,
            (Step::Third, Step::Second) => Grade::C2,
            (Step::Third, Step::Third) => Grade::C3,
        }
    }
}

impl Grade {
    /// All places, the best one first.
    pub const ALL: [Self; 9] =
        [Self::A1, Self::A2, Self::A3, Self::B1, Self::B2, Self::B3, Self::C1, Self::C2, Self::C3];

    /// The word in APIs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::A1 => "A1",
            Self::A2 => "A2",
            Self::A3 => "A3",
            Self::B1 => "B1",
            Self::B2 => "B2",
            Self::B3 => "B3",
            Self::C1 => "C1",
            Self::C2 => "C2",
            Self::C3 => "C3",
        }
    }

    /// The place of that word.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grade| grade.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grade_says_fit_by_letter_and_engagement_by_digit() {
        let grid = Grid { fit: Steps { best: 20, second: 10 }, engagement: Steps { best: 50, second: 20 } };
        let cases = [
            (20, 50, "A1"),
            (19, 50, "B1"),
            (9, 50, "C1"),
            (20, 49, "A2"),
            (10, 20, "B2"),
            (0, 20, "C2"),
            (100, 19, "A3"),
            (10, 0, "B3"),
            (-5, -5, "C3"),
        ];
        for (fit, engagement, expected) in cases {
            let score = Score { total: fit + engagement, fit, engagement, by_category: Vec::new() };
            assert_eq!(grid.grade(&score).code(), expected);
            assert_eq!(Grade::of_code(expected), Some(grid.grade(&score)));
        }
        assert_eq!(Grade::of_code("D1"), None);
    }
}
