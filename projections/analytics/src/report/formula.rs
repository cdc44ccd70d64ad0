//! Calculated measures: arithmetic over other measures, read with a list of what is allowed, and worked out per row.

use crate::report::fault::shown;

/// A formula over measures by their places.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Formula {
    Number(f64),
    /// The value of the measure in that place.
    Measure(usize),
    Negated(Box<Self>),
    Of(Operator, Box<Self>, Box<Self>),
    Call(Function, Vec<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Abs,
    Round,
    Floor,
    Ceil,
    Least,
    Greatest,
    /// The first that has a value.
    Coalesce,
}

impl Function {
    const ALL: [(&'static str, Self); 7] = [
        ("abs", Self::Abs),
        ("round", Self::Round),
        ("floor", Self::Floor),
        ("ceil", Self::Ceil),
        ("least", Self::Least),
        ("greatest", Self::Greatest),
        ("coalesce", Self::Coalesce),
    ];

    /// How many things it may be given.
    const fn takes(self) -> (usize, usize) {
        match self {
            Self::Abs | Self::Floor | Self::Ceil => (1, 1),
            Self::Round => (1, 2),
            Self::Least | Self::Greatest | Self::Coalesce => (1, 8),
        }
    }
}

/// Why a row has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoValue {
    /// A measure in it has none.
    Missing,
    DividedByZero,
    /// It is beyond what numbers can hold.
    TooLarge,
}

/// A longer formula is nobody's.
const TEXT_MAX: usize = 1_000;
/// Parentheses within parentheses.
const DEPTH_MAX: usize = 32;

/// Reads a formula. `measure` knows the places of the measures that it may name.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn read(text: &str, measure: &dyn Fn(&str) -> Option<usize>) -> Result<Formula, String> {
    if text.len() > TEXT_MAX {
        return Err(format!("A formula may have {TEXT_MAX} characters."));
    }
    let mut reader = Reader { rest: text.trim_start(), measure };
    let formula = reader.sum(0)?;
    if reader.rest.is_empty() {
        return Ok(formula);
    }
    Err(format!("After a value comes + - * / or the end, not \"{}\".", shown(reader.rest)))
}

struct Reader<'a> {
    rest: &'a str,
    measure: &'a dyn Fn(&str) -> Option<usize>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, symbol: char) -> bool {
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn word(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|character| !is_part(character)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word
    }

    fn sum(&mut self, depth: usize) -> Result<Formula, String> {
        let mut formula = self.product(depth)?;
        loop {
            let operator = if self.take('+') {
                Operator::Add
            } else if self.take('-') {
                Operator::Subtract
            } else {
                return Ok(formula);
            };
            formula = Formula::Of(operator, Box::new(formula), Box::new(self.product(depth)?));
        }
    }

    fn product(&mut self, depth: usize) -> Result<Formula, String> {
        let mut formula = self.factor(depth)?;
        loop {
            let operator = if self.take('*') {
                Operator::Multiply
            } else if self.take('/') {
                Operator::Divide
            } else {
                return Ok(formula);
            };
            formula = Formula::Of(operator, Box::new(formula), Box::new(self.factor(depth)?));
        }
    }

    fn factor(&mut self, depth: usize) -> Result<Formula, String> {
        if depth > DEPTH_MAX {
            return Err("It is nested too deeply.".to_owned());
        }
        if self.take('-') {
            return Ok(Formula::Negated(Box::new(self.factor(depth + 1)?)));
        }
        if self.take('(') {
            let inner = self.sum(depth + 1)?;
            return if self.take(')') { Ok(inner) } else { Err("A parenthesis isn't closed.".to_owned()) };
        }
        match self.rest.chars().next() {
            Some(first) if first.is_ascii_digit() || first == '.' => {
                let word = self.word(|it| it.is_ascii_digit() || it == '.');
                word.parse().map(Formula::Number).map_err(|_| format!("\"{}\" is no number.", shown(word)))
            }
            Some(first) if first.is_alphabetic() || first == '_' => {
                let word = self.word(|it| it.is_alphanumeric() || it == '_' || it == '.');
                if self.take('(') { self.call(word, depth) } else { self.measure(word) }
            }
            Some(first) => Err(format!("\"{}\" can't stand where a value is needed.", shown(&first.to_string()))),
            None => Err("It ends where a value is needed.".to_owned()),
        }
    }

    fn measure(&self, word: &str) -> Result<Formula, String> {
        let place = (self.measure)(word);
        place.map(Formula::Measure).ok_or_else(|| {
            format!("There is no measure \"{}\" before this one; a formula names measures above it.", shown(word))
        })
    }

    fn call(&mut self, word: &str, depth: usize) -> Result<Formula, String> {
        let Some((_, function)) = Function::ALL.iter().find(|(name, _)| *name == word) else {
            let names: Vec<&str> = Function::ALL.iter().map(|(name, _)| *name).collect();
            return Err(format!("There is no function \"{}\"; there are: {}.", shown(word), names.join(", ")));
        };
        let mut given = vec![self.sum(depth + 1)?];
        while self.take(',') {
            given.push(self.sum(depth + 1)?);
        }
        if !self.take(')') {
            return Err("A parenthesis isn't closed.".to_owned());
        }
        let (least, most) = function.takes();
        if !(least..=most).contains(&given.len()) {
            return Err(format!("{word} takes {least} to {most} values."));
        }
        Ok(Formula::Call(*function, given))
    }
}

impl Formula {
    /// Its value where measures have these.
    pub(crate) fn value(&self, of: &dyn Fn(usize) -> Option<f64>) -> Result<f64, NoValue> {
        let value = match self {
            Self::Number(number) => *number,
            Self::Measure(place) => of(*place).ok_or(NoValue::Missing)?,
            Self::Negated(inner) => -inner.value(of)?,
            Self::Of(operator, left, right) => {
                let (left, right) = (left.value(of)?, right.value(of)?);
                match operator {
                    Operator::Add => left + right,
                    Operator::Subtract => left - right,
                    Operator::Multiply => left * right,
                    Operator::Divide if right == 0.0 => return Err(NoValue::DividedByZero),
                    Operator::Divide => left / right,
                }
            }
            Self::Call(function, given) => function.value(given, of)?,
        };
        if value.is_finite() { Ok(value) } else { Err(NoValue::TooLarge) }
    }
}

impl Function {
    fn value(self, given: &[Formula], of: &dyn Fn(usize) -> Option<f64>) -> Result<f64, NoValue> {
        let first = || given.first().ok_or(NoValue::Missing)?.value(of);
        let all = || given.iter().map(|it| it.value(of));
        match self {
            Self::Abs => Ok(first()?.abs()),
            Self::Floor => Ok(first()?.floor()),
            Self::Ceil => Ok(first()?.ceil()),
            Self::Round => {
                let digits = given.get(1).map_or(Ok(0.0), |digits| digits.value(of))?.clamp(0.0, 12.0).trunc();
                let scale = 10_f64.powf(digits);
                Ok((first()? * scale).round() / scale)
            }
            Self::Least => all().try_fold(f64::INFINITY, |least, it| Ok(least.min(it?))),
            Self::Greatest => all().try_fold(f64::NEG_INFINITY, |most, it| Ok(most.max(it?))),
            Self::Coalesce => {
                let mut last = Err(NoValue::Missing);
                for value in all() {
                    last = value;
                    if last.is_ok() {
                        break;
                    }
                }
                last
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NoValue, read};

    fn worked_out(text: &str) -> Result<Result<f64, NoValue>, String> {
        let places = |name: &str| ["a", "b", "none"].iter().position(|known| *known == name);
        let formula = read(text, &places)?;
        Ok(formula.value(&|place| [Some(6.0), Some(0.0), None][place]))
    }

    #[test]
    fn arithmetic_has_the_usual_order() {
        for (text, value) in [
            ("a", 6.0),
            ("1 + 2 * 3", 7.0),
            ("(1 + 2) * 3", 9.0),
            ("8 - 4 - 2", 2.0),
            ("8 / 4 / 2", 1.0),
            ("-a * -2", 12.0),
            ("round(a / 7 * 100, 1)", 85.7),
            ("coalesce(none, a / b, 5)", 5.0),
            ("least(3, a, 4) + greatest(1, 2)", 5.0),
        ] {
            assert_eq!(worked_out(text), Ok(Ok(value)), "{text}");
        }
        assert_eq!(worked_out("a / b"), Ok(Err(NoValue::DividedByZero)));
        assert_eq!(worked_out("0 / 0"), Ok(Err(NoValue::DividedByZero)));
        assert_eq!(worked_out("none + 1"), Ok(Err(NoValue::Missing)));
        let nines = "9".repeat(200);
        assert_eq!(worked_out(&format!("{nines} * {nines}")), Ok(Err(NoValue::TooLarge)));
    }

    #[test]
    fn nothing_but_arithmetic_is_read() {
        for (text, says) in [
            ("", "ends where a value"),
            ("a +", "ends where a value"),
            ("a b", "After a value"),
            ("missing", "no measure \"missing\""),
            ("sqrt(a)", "no function \"sqrt\""),
            ("abs(a, b)", "abs takes 1 to 1"),
            ("(a", "isn't closed"),
            ("a; drop table leads", "After a value"),
            ("'x'", "can't stand"),
            ("1.2.3", "no number"),
            ("a ** 2", "can't stand"),
        ] {
            let error = worked_out(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!(worked_out(&"(".repeat(900)).unwrap_err().contains("nested"));
        assert!(worked_out(&"-".repeat(900)).unwrap_err().contains("nested"));
        assert!(worked_out(&"1+".repeat(900)).unwrap_err().contains("1000"));
    }
}
