//! axum + SQLite: WAL, synchronous FULL, one writing connection, a transaction for all that wait.
//!
//! `axum-sqlite PORT DATABASE`; the database is there already, made by `schema_sqlite.sql`.

use compare_peers::{Outcome, Pair, now, serve};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, port, database] = arguments.as_slice() else {
        panic!("usage: axum-sqlite PORT DATABASE");
    };
    let mut connection = Connection::open(database).expect("a database");
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
        .expect("WAL");
    serve(port.parse().expect("a port"), move |pairs| {
        let transaction = connection.transaction().expect("a transaction");
        let outcomes = pairs
            .iter()
            .map(|pair| accept(&transaction, pair).expect("to write"))
            .collect();
        transaction.commit().expect("to commit");
        outcomes
    });
}

fn accept(transaction: &Transaction, pair: &Pair) -> rusqlite::Result<Outcome> {
    let find = |sql, serial: &str| {
        let mut statement = transaction.prepare_cached(sql)?;
        let found = statement.query_row([serial], |row| row.get::<_, i64>(0));
        found.optional()
    };
    let card_serial = &pair.smartcard_identifier.serial_number;
    let stb_serial = &pair.stb_identifier.serial_number;
    let Some(card) = find("SELECT id FROM card WHERE serial_number = ?", card_serial)? else {
        return Ok(Err("no such card"));
    };
    let Some(stb) = find("SELECT id FROM stb WHERE serial_number = ?", stb_serial)? else {
        return Ok(Err("no such STB"));
    };
    let at = now();
    transaction
        .prepare_cached(
            "INSERT INTO request (card_id, stb_id, state, created_at) VALUES (?, ?, 'PENDING', ?)",
        )?
        .execute(params![card, stb, at])?;
    let id = transaction.last_insert_rowid();
    transaction
        .prepare_cached("INSERT INTO audit (at, who, what, request_id, detail) VALUES (?, 'crm', 'accepted', ?, ?)")?
        .execute(params![at, id, format!("pair {card_serial} with {stb_serial}")])?;
    Ok(Ok(u64::try_from(id).expect("ids count from 1")))
}
