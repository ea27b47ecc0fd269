"""Rows of a CSV file made into requests in PostgreSQL: COPY into a temporary table, then statements over all of it.

usage: bulk_postgresql.py DSN ROWS.csv
"""

import csv
import sys

import psycopg


def main(dsn: str, rows_path: str) -> None:
    with psycopg.connect(dsn) as database, open(rows_path, newline="") as file:
        database.execute("CREATE TEMPORARY TABLE row (smartcard text, stb text) ON COMMIT DROP")
        with database.cursor().copy("COPY row FROM STDIN") as copy:
            for row in csv.DictReader(file):
                copy.write_row((row["smartcard"], row["stb"]))
        created = database.execute(
            """
            WITH accepted AS (
                INSERT INTO request (card_id, stb_id, state)
                SELECT card.id, stb.id, 'PENDING'
                FROM row JOIN card ON card.serial_number = row.smartcard JOIN stb ON stb.serial_number = row.stb
                RETURNING id, card_id, stb_id
            )
            INSERT INTO audit (who, what, request_id, detail)
            SELECT 'bulk', 'accepted', accepted.id, format('pair %s with %s', card.serial_number, stb.serial_number)
            FROM accepted JOIN card ON card.id = card_id JOIN stb ON stb.id = stb_id
            """
        ).rowcount
        all_rows = database.execute("SELECT count(*) FROM row").fetchone()[0]
    print(f"{created} created, {all_rows - created} failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
