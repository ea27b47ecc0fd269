//! Keys and rows as sled holds them: `[table byte][big-endian number]`, values in postcard; what lives in memory lies in pages.
//!
//! One schema number for the whole state; another number means rebuild, so rows never migrate.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::page::Page;
use crate::domain::view::Remembered;
use crate::domain::{Item, Job, Meta, Pairing, Product, ProviderRow, Request, Subscription};

/// Changes with every change of a row's shape.
pub const SCHEMA: u32 = 6;

/// The table of finished requests; the last one.
pub const FINISHED: u8 = 10;

/// Names one row. The order of the variants is the order on disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    Schema,
    Meta,
    Product(u32),
    Provider(u16),
    /// A page of items.
    Items(u64),
    Subscription(u64),
    /// A page of unfinished requests.
    Requests(u64),
    /// A page of the cards' pairings.
    Pairings(u64),
    Remembered(Box<str>),
    Job(u64),
    /// A request that is finished: behind everything that a start reads, however many there are.
    Finished(u64),
}

/// One row, shared with the indexes in memory.
#[derive(Clone, Debug)]
pub enum Row {
    Schema(u32),
    Meta(Box<Meta>),
    Product(Arc<Product>),
    Provider(Arc<ProviderRow>),
    Items(Box<Page<Arc<Item>>>),
    Subscription(Arc<Subscription>),
    Requests(Box<Page<Arc<Request>>>),
    Pairings(Box<Page<Pairing>>),
    Remembered(Remembered),
    Job(Arc<Job>),
    Finished(Arc<Request>),
}

impl Key {
    pub fn to_bytes(&self) -> Vec<u8> {
        let (table, number): (u8, u64) = match self {
            Self::Schema => (0, 0),
            Self::Meta => (1, 0),
            Self::Product(number) => (2, u64::from(*number)),
            Self::Provider(number) => (3, u64::from(*number)),
            Self::Items(page) => (4, *page),
            Self::Subscription(number) => (5, *number),
            Self::Requests(page) => (6, *page),
            Self::Pairings(page) => (7, *page),
            Self::Job(number) => (9, *number),
            Self::Finished(number) => (FINISHED, *number),
            Self::Remembered(key) => return [&[8], key.as_bytes()].concat(),
        };
        [&[table][..], &number.to_be_bytes()].concat()
    }

    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (table, rest) = bytes.split_first()?;
        if *table == 8 {
            return Some(Self::Remembered(std::str::from_utf8(rest).ok()?.into()));
        }
        let number = u64::from_be_bytes(rest.try_into().ok()?);
        Some(match *table {
            0 => Self::Schema,
            1 => Self::Meta,
            2 => Self::Product(u32::try_from(number).ok()?),
            3 => Self::Provider(u16::try_from(number).ok()?),
            4 => Self::Items(number),
            5 => Self::Subscription(number),
            6 => Self::Requests(number),
            7 => Self::Pairings(number),
            9 => Self::Job(number),
            FINISHED => Self::Finished(number),
            _ => return None,
        })
    }
}

impl Row {
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Schema(row) => encode(row),
            Self::Meta(row) => encode(row),
            Self::Product(row) => encode(row),
            Self::Provider(row) => encode(row),
            Self::Items(page) => encode(page),
            Self::Subscription(row) => encode(row),
            Self::Requests(page) => encode(page),
            Self::Finished(row) => encode(row),
            Self::Pairings(page) => encode(page),
            Self::Remembered(row) => encode(row),
            Self::Job(row) => encode(row),
        }
    }

    /// Whether it holds nothing, so that its key goes.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Items(page) => page.is_empty(),
            Self::Requests(page) => page.is_empty(),
            Self::Pairings(page) => page.is_empty(),
            _ => false,
        }
    }

    pub fn parse(key: &Key, bytes: &[u8]) -> Option<Self> {
        Some(match key {
            Key::Schema => Self::Schema(decode(bytes)?),
            Key::Meta => Self::Meta(decode(bytes)?),
            Key::Product(_) => Self::Product(decode(bytes)?),
            Key::Provider(_) => Self::Provider(decode(bytes)?),
            Key::Items(_) => Self::Items(decode(bytes)?),
            Key::Subscription(_) => Self::Subscription(decode(bytes)?),
            Key::Requests(_) => Self::Requests(decode(bytes)?),
            Key::Finished(_) => Self::Finished(decode(bytes)?),
            Key::Pairings(_) => Self::Pairings(decode(bytes)?),
            Key::Remembered(_) => Self::Remembered(decode(bytes)?),
            Key::Job(_) => Self::Job(decode(bytes)?),
        })
    }
}

fn encode(row: &impl Serialize) -> Vec<u8> {
    let bytes = postcard::to_stdvec(row);
    assert!(bytes.is_ok(), "every row of the state has a form on disk");
    bytes.unwrap_or_default()
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::from_bytes(bytes).ok()
}
