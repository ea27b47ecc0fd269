//! Rows of what lives in memory, several to a key: sled's price is one for each key, whatever its size, both to write and to read.
//!
//! A page is made whole from memory when the first of its rows changes, so nothing is read for it.

use serde::{Deserialize, Serialize};

/// Rows of a page. Twice as many cost as little, but a lone change then writes twice as much.
const ROWS: usize = 8;

/// The rows with neighbouring numbers; those that are not there are holes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<T>([Option<T>; ROWS]);

/// The number of the page on which a row lies.
pub fn page_of(number: u64) -> u64 {
    number / ROWS as u64
}

impl<T> Page<T> {
    /// The page as memory has it.
    pub fn filled(page: u64, get: impl Fn(u64) -> Option<T>) -> Self {
        let first = page * ROWS as u64;
        let mut number = first;
        Self(std::array::from_fn(|_| {
            let row = get(number);
            // Behind the last number of all no row asks.
            number = number.wrapping_add(1);
            row
        }))
    }

    pub fn put(&mut self, number: u64, row: Option<T>) {
        let at = usize::try_from(number % ROWS as u64).unwrap_or(0);
        if let Some(slot) = self.0.get_mut(at) {
            *slot = row;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// The rows that are there, with their numbers.
    pub fn rows(&self, page: u64) -> impl Iterator<Item = (u64, &T)> {
        let first = page * ROWS as u64;
        let rows = (0..).zip(&self.0);
        rows.filter_map(move |(at, row)| Some((first + at, row.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_rows_of_memory_and_what_is_put() {
        let page = page_of(19);
        let mut rows = Page::filled(page, |number| (number != 17).then_some(number * 10));
        rows.put(19, Some(1));
        rows.put(16, None);
        let found: Vec<_> = rows
            .rows(page)
            .map(|(number, row)| (number, *row))
            .collect();
        let expected = [
            (18, 180),
            (19, 1),
            (20, 200),
            (21, 210),
            (22, 220),
            (23, 230),
        ];
        assert_eq!(found, expected);
        assert!(!rows.is_empty());
        for number in 16..24 {
            rows.put(number, None);
        }
        assert!(rows.is_empty());
    }

    #[test]
    fn the_last_page_of_all_numbers_is_one_too() {
        let page = page_of(u64::MAX);
        let rows = Page::filled(page, |number| (number == u64::MAX).then_some(()));
        assert_eq!(
            rows.rows(page)
                .map(|(number, ())| number)
                .collect::<Vec<_>>(),
            [u64::MAX]
        );
    }
}
