//! Keys and rows as sled holds them: `[table byte][big-endian number]`, values in postcard.
//!
//! One schema number for the whole state; another number means rebuild, so rows never migrate.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

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
    Item(u64),
    Subscription(u64),
    /// An unfinished one.
    Request(u64),
    Pairing(u64),
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
    Item(Arc<Item>),
    Subscription(Arc<Subscription>),
    Request(Arc<Request>),
    Pairing(Pairing),
    Remembered(Remembered),
    Job(Arc<Job>),
}

impl Key {
    pub fn to_bytes(&self) -> Vec<u8> {
        let (table, number): (u8, u64) = match self {
            Self::Schema => (0, 0),
            Self::Meta => (1, 0),
            Self::Product(number) => (2, u64::from(*number)),
            Self::Provider(number) => (3, u64::from(*number)),
            Self::Item(number) => (4, *number),
            Self::Subscription(number) => (5, *number),
            Self::Request(number) => (6, *number),
            Self::Pairing(number) => (7, *number),
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
            4 => Self::Item(number),
            5 => Self::Subscription(number),
            6 => Self::Request(number),
            7 => Self::Pairing(number),
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
            Self::Item(row) => encode(row),
            Self::Subscription(row) => encode(row),
            Self::Request(row) => encode(row),
            Self::Pairing(row) => encode(row),
            Self::Remembered(row) => encode(row),
            Self::Job(row) => encode(row),
        }
    }

    pub fn parse(key: &Key, bytes: &[u8]) -> Option<Self> {
        Some(match key {
            Key::Schema => Self::Schema(decode(bytes)?),
            Key::Meta => Self::Meta(decode(bytes)?),
            Key::Product(_) => Self::Product(decode(bytes)?),
            Key::Provider(_) => Self::Provider(decode(bytes)?),
            Key::Item(_) => Self::Item(decode(bytes)?),
            Key::Subscription(_) => Self::Subscription(decode(bytes)?),
            Key::Request(_) | Key::Finished(_) => Self::Request(decode(bytes)?),
            Key::Pairing(_) => Self::Pairing(decode(bytes)?),
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
