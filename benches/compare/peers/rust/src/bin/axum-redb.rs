//! axum + redb: one write transaction, durable at once, for all that wait.
//!
//! `axum-redb load DATABASE CARDS.csv STBS.csv`, `axum-redb serve PORT DATABASE`, `axum-redb count DATABASE`.

use compare_peers::{Outcome, Pair, now, serials, serve};
use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

/// Serial number to id.
const CARDS: TableDefinition<&str, u64> = TableDefinition::new("card");
const STBS: TableDefinition<&str, u64> = TableDefinition::new("stb");
/// Id to JSON.
const REQUESTS: TableDefinition<u64, &[u8]> = TableDefinition::new("request");
const PENDING: TableDefinition<u64, ()> = TableDefinition::new("pending");
const AUDIT: TableDefinition<u64, &[u8]> = TableDefinition::new("audit");

#[derive(Serialize, Deserialize)]
struct Request {
    card: u64,
    stb: u64,
    state: String,
    created_at: i64,
}

#[derive(Serialize, Deserialize)]
struct Audit<'a> {
    at: i64,
    who: &'a str,
    what: &'a str,
    request: u64,
    detail: String,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [_, "load", database, cards, stbs] => {
            let database = Database::create(database)?;
            let write = database.begin_write()?;
            for (table, file) in [(CARDS, cards), (STBS, stbs)] {
                let mut table = write.open_table(table)?;
                for (serial, id) in serials(file).iter().zip(1..) {
                    table.insert(serial.as_str(), id)?;
                }
            }
            write.open_table(REQUESTS)?;
            write.open_table(PENDING)?;
            write.open_table(AUDIT)?;
            write.commit()?;
        }
        [_, "count", database] => {
            let database = Database::open(database)?;
            let read = database.begin_read()?;
            println!(
                "{} {} {}",
                read.open_table(REQUESTS)?.len()?,
                read.open_table(PENDING)?.len()?,
                read.open_table(AUDIT)?.len()?
            );
        }
        [_, "serve", port, database] => {
            let database = Database::open(database)?;
            let mut next = database.begin_read()?.open_table(REQUESTS)?.len()? + 1;
            serve(port.parse()?, move |pairs| {
                let write = database.begin_write().expect("a transaction");
                let outcomes = accept(&write, pairs, &mut next).expect("to write");
                write.commit().expect("to commit");
                outcomes
            });
        }
        _ => panic!("usage: axum-redb load|serve|count ..."),
    }
    Ok(())
}

fn accept(
    write: &WriteTransaction,
    pairs: &[Pair],
    next: &mut u64,
) -> Result<Vec<Outcome>, Box<dyn std::error::Error>> {
    let (cards, stbs) = (write.open_table(CARDS)?, write.open_table(STBS)?);
    let mut requests = write.open_table(REQUESTS)?;
    let mut pending = write.open_table(PENDING)?;
    let mut audit = write.open_table(AUDIT)?;
    let mut outcomes = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let card_serial = pair.smartcard_identifier.serial_number.as_str();
        let stb_serial = pair.stb_identifier.serial_number.as_str();
        let (card, stb) = match (find(&cards, card_serial)?, find(&stbs, stb_serial)?) {
            (Some(card), Some(stb)) => (card, stb),
            (None, _) => {
                outcomes.push(Err("no such card"));
                continue;
            }
            (_, None) => {
                outcomes.push(Err("no such STB"));
                continue;
            }
        };
        let (id, at) = (*next, now());
        *next += 1;
        let request = Request {
            card,
            stb,
            state: "PENDING".into(),
            created_at: at,
        };
        requests.insert(id, serde_json::to_vec(&request)?.as_slice())?;
        pending.insert(id, ())?;
        let entry = Audit {
            at,
            who: "crm",
            what: "accepted",
            request: id,
            detail: format!("pair {card_serial} with {stb_serial}"),
        };
        audit.insert(id, serde_json::to_vec(&entry)?.as_slice())?;
        outcomes.push(Ok(id));
    }
    Ok(outcomes)
}

fn find(table: &redb::Table<&str, u64>, serial: &str) -> Result<Option<u64>, redb::StorageError> {
    use redb::ReadableTable;
    Ok(table.get(serial)?.map(|id| id.value()))
}
