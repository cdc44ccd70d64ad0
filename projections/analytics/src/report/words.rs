//! A function of SQL that numbers words, so that rows are grouped by small numbers and not by texts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Int32Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ScalarUDF;
use foldhash::fast::RandomState;

use crate::report::cell::Cell;
use crate::report::function::function;

/// Dictionaries whose numbers are remembered: each thread reads batches of one file after the other.
const REMEMBERED: usize = 8;

/// The words that were seen, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct WordNumbers(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    words: Vec<String>,
    numbers: HashMap<String, i32, RandomState>,
    /// Dictionaries of late, and the numbers of their words.
    dictionaries: Vec<(StringArray, Arc<[i32]>)>,
}

impl Seen {
    fn number(&mut self, word: &str) -> Result<i32> {
        if let Some(number) = self.numbers.get(word) {
            return Ok(*number);
        }
        let number = i32::try_from(self.words.len())
            .map_err(|_| DataFusionError::ResourcesExhausted("there are too many words".to_owned()))?;
        self.words.push(word.to_owned());
        self.numbers.insert(word.to_owned(), number);
        Ok(number)
    }

    /// The numbers of a dictionary's words.
    fn numbers_of(&mut self, dictionary: &StringArray) -> Result<Arc<[i32]>> {
        // A dictionary that is remembered is kept, so nothing else can be in its place.
        let is_same = |known: &StringArray| {
            known.len() == dictionary.len()
                && std::ptr::eq(known.value_data(), dictionary.value_data())
                && std::ptr::eq(known.value_offsets(), dictionary.value_offsets())
        };
        if let Some((_, numbers)) = self.dictionaries.iter().find(|(known, _)| is_same(known)) {
            return Ok(Arc::clone(numbers));
        }
        let numbers: Arc<[i32]> =
            dictionary.iter().map(|word| word.map_or(Ok(-1), |word| self.number(word))).collect::<Result<_>>()?;
        if self.dictionaries.len() >= REMEMBERED {
            self.dictionaries.remove(0);
        }
        self.dictionaries.push((dictionary.clone(), Arc::clone(&numbers)));
        Ok(numbers)
    }
}

impl WordNumbers {
    /// A function of that name, which adds the words that it is given.
    pub(crate) fn function(&self, name: &str) -> ScalarUDF {
        let words = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let numbering = self.clone();
        function(name, vec![words], DataType::Int32, move |columns| {
            let words = columns.first().ok_or_else(|| DataFusionError::Internal("words are missing".to_owned()))?;
            Ok(Arc::new(numbering.numbers(words)?))
        })
    }

    fn numbers(&self, words: &ArrayRef) -> Result<Int32Array> {
        let no_words = || DataFusionError::Execution("only words are numbered".to_owned());
        let words = words.as_dictionary_opt::<Int32Type>().ok_or_else(no_words)?;
        let dictionary = words.values().as_string_opt::<i32>().ok_or_else(no_words)?;
        let numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner).numbers_of(dictionary)?;
        let number = |key: i32| usize::try_from(key).ok().and_then(|key| numbers.get(key)).copied();
        if numbers.iter().all(|number| *number >= 0) {
            // Where there is no word, it doesn't matter which number there is.
            let values = words.keys().values().iter().map(|key| number(*key).unwrap_or_default());
            return Ok(Int32Array::new(values.collect(), words.keys().nulls().cloned()));
        }
        Ok(words.keys().iter().map(|key| key.and_then(number).filter(|number| *number >= 0)).collect())
    }

    /// The word of a number.
    pub(crate) fn word(&self, number: &Cell) -> Cell {
        let Cell::Whole(number) = number else { return Cell::Nothing };
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let word = usize::try_from(*number).ok().and_then(|number| seen.words.get(number));
        word.map_or(Cell::Nothing, |word| Cell::Text(word.clone()))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::DictionaryArray;

    use super::*;

    fn words(words: &[Option<&str>]) -> ArrayRef {
        Arc::new(words.iter().copied().collect::<DictionaryArray<Int32Type>>())
    }

    #[test]
    fn a_word_has_one_number_in_all_dictionaries() {
        let numbering = WordNumbers::default();
        let first = words(&[Some("web"), None, Some("chat"), Some("web")]);
        let second = words(&[Some("chat"), Some("mail"), Some("web")]);
        for (asked, expected) in [
            (&first, vec![Some(0), None, Some(1), Some(0)]),
            (&second, vec![Some(1), Some(2), Some(0)]),
            (&first, vec![Some(0), None, Some(1), Some(0)]),
        ] {
            assert_eq!(numbering.numbers(asked).unwrap().iter().collect::<Vec<_>>(), expected);
        }
        for number in 0..i32::try_from(REMEMBERED).unwrap() * 2 {
            numbering.numbers(&words(&[Some(&format!("word {number}"))])).unwrap();
        }
        assert_eq!(numbering.0.lock().unwrap().dictionaries.len(), REMEMBERED);
        assert_eq!(numbering.numbers(&second).unwrap().iter().collect::<Vec<_>>(), [Some(1), Some(2), Some(0)]);
        assert_eq!(numbering.word(&Cell::Whole(2)), Cell::Text("mail".to_owned()));
        assert_eq!(numbering.word(&Cell::Nothing), Cell::Nothing);
    }
}
