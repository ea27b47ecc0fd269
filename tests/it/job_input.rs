//! A vendor's CSV, however it was exported, becomes one plain CSV; what cannot is told with file, line and the next command.

use std::path::Path;

use pairbox::actions::spreadsheet::damage;
use pairbox::jobs::input::{
    CELL_BYTES_MAX, COLUMNS_MAX, Encoding, Found, InputError, InputOptions, Plain, ROW_BYTES_MAX,
    Source, read,
};

const HEADER: &str = "smartcard,stb,input_line,input_fault\n";

fn read_with(bytes: &[u8], options: &InputOptions) -> Result<(Plain, String), InputError> {
    let mut into = Vec::new();
    let source = Source::Standard(Box::new(bytes));
    let plain = read(source, options, &mut into, &mut |_, _| {})?;
    Ok((plain, String::from_utf8(into).unwrap()))
}

#[track_caller]
fn plain_of(bytes: impl AsRef<[u8]>) -> String {
    match read_with(bytes.as_ref(), &InputOptions::default()) {
        Ok((_, text)) => text,
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn assert_rows(bytes: impl AsRef<[u8]>, rows: &[&str]) {
    let plain = plain_of(bytes);
    let found: Vec<&str> = plain
        .strip_prefix(HEADER)
        .unwrap()
        .split_terminator('\n')
        .collect();
    assert_eq!(found.join("\n"), rows.join("\n"));
}

/// The error and its hint.
#[track_caller]
fn assert_error(bytes: impl AsRef<[u8]>, options: &InputOptions, error: &str, hint: &str) {
    let found = read_with(bytes.as_ref(), options).unwrap_err();
    assert_eq!(found.to_string(), error);
    assert_eq!(found.hint().unwrap_or_default(), hint);
}

#[test]
fn utf8_is_read_with_and_without_its_mark() {
    let file = "Smartcard,STB\nK\u{f6}ln-1,S1\n";
    assert_rows(file, &["K\u{f6}ln-1,S1,2,"]);
    assert_rows(format!("\u{feff}{file}"), &["K\u{f6}ln-1,S1,2,"]);
}

#[test]
fn latin1_is_read_if_the_operator_says_so() {
    let file = b"smartcard;stb\nK\xf6ln-1;\x805\n";
    let options = InputOptions {
        encoding: Encoding::Latin1,
        ..InputOptions::default()
    };
    let (plain, text) = read_with(file, &options).unwrap();
    assert_eq!(text, format!("{HEADER}K\u{f6}ln-1,\u{20ac}5,2,\n"));
    assert_eq!(plain.found.to_string(), "Latin-1, delimiter semicolon");
    assert_error(
        file,
        &InputOptions::default(),
        "`standard input`, line 2: expected UTF-8, found other bytes at column 2",
        "save the file as UTF-8, or say `--encoding latin1` if it is Latin-1",
    );
}

#[test]
fn bytes_that_are_no_text_are_found_wherever_the_chunks_are_cut() {
    for rows in [0, 1, 9_361, 9_362, 9_363, 20_000] {
        let mut file = b"smartcard,stb\n".to_vec();
        file.extend("1\u{20ac},2\n".repeat(rows).bytes());
        // The first byte of a character that never comes.
        file.extend(b"ab\xe2");
        let error = read_with(&file, &InputOptions::default()).unwrap_err();
        let line = rows + 2;
        assert_eq!(
            error.to_string(),
            format!("`standard input`, line {line}: expected UTF-8, found other bytes at column 3")
        );
    }
}

#[test]
fn utf16_is_known_by_its_mark_and_refused_without() {
    let text = "smartcard\tstb\r\nK\u{f6}ln-1\tS1\r\n";
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (mark, file) in [(b"\xfe\xff", &big), (b"\xff\xfe", &little)] {
        assert_rows([&mark[..], file].concat(), &["K\u{f6}ln-1,S1,2,"]);
    }
    assert_error(
        &little,
        &InputOptions::default(),
        "`standard input`, line 1: expected text, found a zero byte at column 2",
        "save the file as UTF-8",
    );
}

#[test]
fn the_delimiter_is_seen_in_the_header_and_a_said_one_goes_before() {
    for (file, delimiter) in [
        ("smartcard,stb\n1,2\n", b','),
        ("smartcard;stb\n1;2\n", b';'),
        ("smartcard\tstb\n1\t2\n", b'\t'),
        ("sep=;\nsmartcard;stb\n1;2\n", b';'),
        ("\"smartcard\";\"stb\"\n\"1\";\"2\"\n", b';'),
    ] {
        let (plain, text) = read_with(file.as_bytes(), &InputOptions::default()).unwrap();
        let line = file.matches('\n').count();
        assert_eq!(text, format!("{HEADER}1,2,{line},\n"), "{file}");
        let charset = "UTF-8";
        assert_eq!(plain.found, Found::Text { charset, delimiter });
    }
    let options = InputOptions {
        delimiter: Some(b'|'),
        ..InputOptions::default()
    };
    let (_, text) = read_with(b"smartcard|stb\n1;2|3,4\n", &options).unwrap();
    assert_eq!(text, format!("{HEADER}1;2,\"3,4\",2,\n"));
}

#[test]
fn every_kind_of_line_end_ends_a_line() {
    for end in ["\n", "\r\n", "\r"] {
        let file = ["smartcard,stb", "1,2", "", "3,4"].join(end);
        assert_rows(&file, &["1,2,2,", "3,4,4,"]);
        assert_rows(file + end, &["1,2,2,", "3,4,4,"]);
    }
}

#[test]
fn empty_lines_are_no_rows_and_do_not_move_the_line_numbers() {
    let file = "\n\n ,\nsmartcard,stb\n\n1,2\n,\n , \n,,,\n   \n3,4\n\n";
    assert_rows(file, &["1,2,6,", "3,4,11,"]);
    let wide = ",".repeat(COLUMNS_MAX * 3);
    assert_rows(format!("smartcard,stb\n{wide}\n1,2\n"), &["1,2,3,"]);
}

#[test]
fn names_are_lower_case_and_cells_are_trimmed() {
    let file = " Smartcard , STB\t\n\t1 ,\u{a0}2 \n";
    assert_rows(file, &["1,2,2,"]);
}

#[test]
fn quotes_hold_delimiters_quotes_and_line_ends() {
    let file = "smartcard,stb\r\n\"1,5\",\"say \"\"no\"\"\"\r\n\"two\r\nlines\",2\r\n3,4\r\n";
    assert_rows(
        file,
        &[
            "\"1,5\",\"say \"\"no\"\"\",2,",
            "\"two\r\nlines\",2,3,",
            "3,4,5,",
        ],
    );
}

#[test]
fn duplicate_rows_are_rows() {
    let (plain, text) = read_with(b"smartcard,stb\n1,2\n1,2\n", &InputOptions::default()).unwrap();
    assert_eq!(text, format!("{HEADER}1,2,2,\n1,2,3,\n"));
    assert_eq!((plain.rows, plain.faults), (2, 0));
    assert_eq!(plain.columns, ["smartcard", "stb"]);
}

#[test]
fn a_quote_that_never_ends_is_named_by_its_line() {
    let message = |line: u64| {
        format!(
            "`standard input`, line {line}: a quote begins here and does not end: expected its end within 65536 bytes"
        )
    };
    let hint = "look at this line: a quote inside a cell is written twice";
    let defaults = InputOptions::default();
    assert_error(
        "smartcard,stb\n1,2\n3,\"4\n5,6\n",
        &defaults,
        &message(3),
        hint,
    );
    assert_error(
        "smartcard,stb\n\"a\nb\",\"4\n5,6\n",
        &defaults,
        &message(3),
        hint,
    );
    let rest = "5,6\n".repeat(100_000);
    assert_error(
        format!("smartcard,stb\n1,2\n3,\"4\n{rest}"),
        &defaults,
        &message(3),
        hint,
    );
    assert_error("smartcard,\"stb\n1,2\n", &defaults, &message(1), hint);
}

#[test]
fn a_row_of_another_width_is_a_row_with_a_fault() {
    let (plain, text) = read_with(
        b"smartcard,stb\n1\n1,2,3\n1,2,\n1,2\n",
        &InputOptions::default(),
    )
    .unwrap();
    assert_eq!(
        text,
        format!(
            "{HEADER}1,,2,\"expected 2 columns, found 1\"\n1,2,3,\"expected 2 columns, found 3\"\n1,2,4,\n1,2,5,\n"
        )
    );
    assert_eq!((plain.rows, plain.faults), (4, 2));
}

#[test]
fn a_row_that_is_too_large_is_a_row_with_a_fault_and_the_next_one_is_sound() {
    let cell = "x".repeat(CELL_BYTES_MAX);
    assert_rows(
        format!("smartcard,stb\n1,{cell}y\n1,{cell}\n"),
        &[
            &format!("1,{cell},2,\"expected at most 4096 bytes in column `stb`, found 4097\""),
            &format!("1,{cell},3,"),
        ],
    );
    let row = "x".repeat(ROW_BYTES_MAX - 1);
    assert_rows(
        format!("smartcard,stb\n1,{row}yz\n1,{row}\n1,2\n"),
        &[
            "1,,2,\"expected a row of at most 65536 bytes, found a longer one\"",
            &format!("1,{cell},3,\"expected at most 4096 bytes in column `stb`, found 65535\""),
            "1,2,4,",
        ],
    );
    let wide = "1,".repeat(COLUMNS_MAX);
    assert_rows(
        format!("smartcard,stb\n{wide}2\n1,2\n"),
        &["1,1,2,\"expected 2 columns, found more than 64\"", "1,2,3,"],
    );
}

#[test]
fn a_header_that_cannot_be_used_is_refused() {
    let names_lines = "the first line names the columns, lines after it are rows";
    let says_delimiter = "if the wrong delimiter was found, say the right one: `--delimiter ';'`";
    let names: Vec<String> = (0..=COLUMNS_MAX).map(|at| format!("c{at}")).collect();
    let cases = [
        (
            "",
            "",
            "expected a first line that names the columns, found nothing",
            names_lines,
        ),
        (
            "\n ,\n",
            "",
            "expected a first line that names the columns, found nothing",
            names_lines,
        ),
        (
            "a,,b\n",
            ", line 1",
            "expected a name for every column, found none for column 2",
            names_lines,
        ),
        (
            "\nA,b, a\n",
            ", line 2",
            "column `a` is there twice",
            "rename one of the two, or take it out",
        ),
        (
            &format!("a,{}", "x".repeat(257)),
            ", line 1",
            "expected a name of at most 256 bytes for column 2, found 257",
            says_delimiter,
        ),
        (
            &names.join(","),
            ", line 1",
            "expected at most 64 columns, found more",
            says_delimiter,
        ),
        (
            &"x".repeat(ROW_BYTES_MAX + 1),
            ", line 1",
            "expected a first line of at most 65536 bytes, found a longer one",
            says_delimiter,
        ),
    ];
    for (file, line, error, hint) in cases {
        let error = format!("`standard input`{line}: {error}");
        assert_error(file, &InputOptions::default(), &error, hint);
    }
    assert_rows("smartcard,stb,,\n1,2,,\n1,2\n", &["1,2,2,", "1,2,3,"]);
}

#[test]
fn a_file_of_failures_is_fed_back_as_it_was() {
    let file = "smartcard,input_line,stb,failed_line,failed_reason,rejected_reason\n\
                '=1+1,7,'-a,7,unknown,x\n\
                '0190,8,-5,8,unknown,x\n";
    assert_rows(file, &["=1+1,-a,2,", "'0190,-5,3,"]);
}

#[test]
fn a_cell_that_a_spreadsheet_damaged_comes_through_and_is_named() {
    let file = "smartcard;stb\n1,9E+10;'0190\n=\"0190\";0190.0\n0190\u{a0}0080;0190\n";
    let plain = plain_of(file);
    let mut rows = csv::Reader::from_reader(plain.as_bytes());
    let found: Vec<String> = rows
        .records()
        .flat_map(|row| {
            let row = row.unwrap();
            [row[0].to_owned(), row[1].to_owned()]
        })
        .map(|cell| damage(&cell).map_or(String::new(), |damage| damage.to_string()))
        .collect();
    assert_eq!(
        found,
        [
            "looks like a spreadsheet damaged it: 1,9E+10 (its digits are lost; export the column as text)",
            "looks like a spreadsheet damaged it: '0190 (a stray apostrophe)",
            "looks like a spreadsheet damaged it: =\"0190\" (a formula in the place of its text)",
            "looks like a spreadsheet damaged it: 0190.0 (a number with a decimal part; export the column as text)",
            "looks like a spreadsheet damaged it: 0190\\u{a0}0080 (an invisible character inside)",
            "",
        ]
    );
}

#[test]
fn what_is_no_csv_is_told_so() {
    let defaults = InputOptions::default();
    assert_error(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        &defaults,
        "`standard input`: expected CSV or XLSX, found an old or an encrypted workbook",
        "save it as XLSX without a password, or as CSV (UTF-8)",
    );
    assert_error(
        b"\x1f\x8b\x08",
        &defaults,
        "`standard input`: expected CSV or XLSX, found a gzip archive",
        "unpack it first: `zcat FILE | pairbox run SCRIPT --input -`",
    );
    let of_sheet = InputOptions {
        sheet: Some("Cards".to_owned()),
        ..InputOptions::default()
    };
    assert_error(
        "a,b\n",
        &of_sheet,
        "`standard input`: is text, and text has no sheets",
        "leave `--sheet` out",
    );
    let of_quote = InputOptions {
        delimiter: Some(b'"'),
        ..InputOptions::default()
    };
    assert_error(
        "a,b\n",
        &of_quote,
        "`standard input`: `\\\"` cannot be a delimiter: expected a tab or a punctuation mark, no quote",
        "`--delimiter ';'`, `--delimiter tab`",
    );
    let missing = Source::File("no/such.csv".into());
    let error = read(missing, &defaults, &mut Vec::new(), &mut |_, _| {}).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`no/such.csv`: cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn a_hyphen_is_standard_input() {
    assert!(matches!(Source::named(Path::new("-")), Source::Standard(_)));
    assert!(matches!(Source::named(Path::new("./-")), Source::File(_)));
}
