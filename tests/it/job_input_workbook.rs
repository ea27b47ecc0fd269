//! A vendor's workbook becomes the same plain CSV as his CSV would, and what Excel took away is not made up.

use std::path::Path;

use pairbox::actions::spreadsheet::damage;
use pairbox::jobs::input::{Found, InputError, InputOptions, Plain, Source, read};
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook, Worksheet};

fn read_file(path: &Path, sheet: Option<&str>) -> Result<(Plain, String), InputError> {
    let options = InputOptions {
        sheet: sheet.map(str::to_owned),
        ..InputOptions::default()
    };
    let mut into = Vec::new();
    let plain = read(Source::named(path), &options, &mut into, &mut |_, _| {})?;
    Ok((plain, String::from_utf8(into).unwrap()))
}

fn read_book(book: &mut Workbook, sheet: Option<&str>) -> Result<(Plain, String), InputError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cards.xlsx");
    book.save(&path).unwrap();
    let mut found = read_file(&path, sheet);
    if let Err(error) = &mut found {
        "cards.xlsx".clone_into(&mut error.name);
    }
    found
}

fn header(sheet: &mut Worksheet) {
    sheet.write(0, 0, "Smartcard").unwrap();
    sheet.write(0, 1, " STB ").unwrap();
}

#[test]
fn a_number_is_its_digits_and_a_text_keeps_its_zeros() {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    header(sheet);
    sheet.write(1, 0, 19_000_802_077.0).unwrap();
    sheet.write(1, 1, "0046000033").unwrap();
    let zeros = Format::new().set_num_format("000000000000");
    sheet
        .write_with_format(2, 0, 19_000_802_077.0, &zeros)
        .unwrap();
    sheet.write(2, 1, 12.5).unwrap();
    let (plain, text) = read_book(&mut book, None).unwrap();
    assert_eq!(
        text,
        "smartcard,stb,input_line,input_fault\n\
         19000802077,0046000033,2,\n\
         019000802077,12.5,3,\n"
    );
    assert_eq!(plain.columns, ["smartcard", "stb"]);
    assert_eq!(plain.found.to_string(), "XLSX, sheet `Sheet1`");
}

#[test]
fn a_number_of_16_digits_is_named_as_damaged() {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    header(sheet);
    sheet.write(1, 0, 1_234_567_890_123_456.0).unwrap();
    sheet.write(1, 1, 999_999_999_999_999.0).unwrap();
    let (_, text) = read_book(&mut book, None).unwrap();
    let row = text.lines().nth(1).unwrap();
    let cells: Vec<&str> = row.split(',').collect();
    assert_eq!(
        damage(cells[0]).unwrap().to_string(),
        "looks like a spreadsheet damaged it: 1.234567890123456E+15 (its digits are lost; export the column as text)"
    );
    assert_eq!(cells[1], "999999999999999");
}

#[test]
fn dates_truths_formulas_and_errors_come_out_as_they_are_seen() {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    header(sheet);
    let day = Format::new().set_num_format("dd/mm/yyyy");
    let at = ExcelDateTime::from_ymd(2026, 5, 1).unwrap();
    sheet.write_with_format(1, 0, &at, &day).unwrap();
    let at = at.and_hms(10, 30, 0).unwrap();
    sheet.write_with_format(1, 1, &at, &day).unwrap();
    sheet.write(2, 0, true).unwrap();
    let formula = rust_xlsxwriter::Formula::new("=A1&\"x\"").set_result("0190x");
    sheet.write(2, 1, formula).unwrap();
    let error = rust_xlsxwriter::Formula::new("=VLOOKUP(1,A1,1)").set_result("#N/A");
    sheet.write(3, 0, error).unwrap();
    sheet.write(3, 1, "a\u{e9},\"b\"").unwrap();
    let (_, text) = read_book(&mut book, None).unwrap();
    assert_eq!(
        text,
        "smartcard,stb,input_line,input_fault\n\
         2026-05-01,2026-05-01T10:30:00,2,\n\
         TRUE,0190x,3,\n\
         #N/A,\"a\u{e9},\"\"b\"\"\",4,\n"
    );
}

#[test]
fn rows_keep_their_numbers_and_empty_cells_are_empty() {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet.write(1, 0, "smartcard").unwrap();
    sheet.write(1, 1, "stb").unwrap();
    sheet.write(3, 0, "1").unwrap();
    sheet.write(4, 1, "2").unwrap();
    sheet.write(6, 0, "  ").unwrap();
    sheet.write(7, 2, "x").unwrap();
    sheet.write(8, 100, "x").unwrap();
    let (plain, text) = read_book(&mut book, None).unwrap();
    assert_eq!(
        text,
        "smartcard,stb,input_line,input_fault\n\
         1,,4,\n\
         ,2,5,\n\
         ,,8,\"expected 2 columns, found 3\"\n\
         ,,9,\"expected 2 columns, found more than 64\"\n"
    );
    assert_eq!((plain.rows, plain.faults), (4, 2));
}

#[test]
fn the_first_sheet_that_is_seen_is_read_or_the_one_that_is_named() {
    let mut book = Workbook::new();
    for (name, is_hidden) in [("Old", true), ("Cards", false), ("Boxes", false)] {
        let sheet = book.add_worksheet().set_name(name).unwrap();
        sheet.set_hidden(is_hidden);
        sheet.write(0, 0, name).unwrap();
    }
    book.worksheet_from_name("Cards").unwrap().set_active(true);
    let found = |book: &mut Workbook, name| {
        let (plain, _) = read_book(book, name).unwrap();
        let Found::Workbook { sheet } = plain.found else {
            panic!("no workbook");
        };
        assert_eq!(plain.columns, [sheet.to_ascii_lowercase()]);
        sheet
    };
    assert_eq!(found(&mut book, None), "Cards");
    assert_eq!(found(&mut book, Some("Boxes")), "Boxes");
    assert_eq!(found(&mut book, Some("Old")), "Old");
    let error = read_book(&mut book, Some("cards")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`cards.xlsx`: has no sheet `cards`; it has `Old`, `Cards`, `Boxes`"
    );
    assert_eq!(error.hint(), Some("name one of them: `--sheet NAME`"));
}

#[test]
fn what_only_looks_like_a_workbook_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cards.xlsx");
    let mut whole = Workbook::new();
    header(whole.add_worksheet());
    let whole = whole.save_to_buffer().unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = read_file(&path, None).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("cannot be read as a ZIP archive"), "{said}");
    assert_eq!(
        error.hint(),
        Some("save it as XLSX without a password, or as CSV (UTF-8)")
    );
    // A ZIP archive that is no workbook.
    let mut other = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    other
        .start_file("content.xml", zip::write::SimpleFileOptions::default())
        .unwrap();
    other.finish().unwrap();
    let said = read_file(&path, None).unwrap_err().to_string();
    assert!(
        said.contains("cannot be read as an XLSX workbook"),
        "{said}"
    );
}

#[test]
fn a_workbook_comes_as_a_file_and_has_no_delimiter() {
    let mut book = Workbook::new();
    header(book.add_worksheet());
    let bytes = book.save_to_buffer().unwrap();
    let source = Source::Standard(Box::new(&bytes[..]));
    let options = InputOptions::default();
    let error = read(source, &options, &mut Vec::new(), &mut |_, _| {}).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`standard input`: expected CSV, found a workbook: it needs a file"
    );
    assert_eq!(
        error.hint(),
        Some("store it and name the file: `--input FILE.xlsx`; `-` reads CSV only")
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cards.xlsx");
    std::fs::write(&path, bytes).unwrap();
    let options = InputOptions {
        delimiter: Some(b';'),
        ..InputOptions::default()
    };
    let source = Source::File(path);
    let error = read(source, &options, &mut Vec::new(), &mut |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("has no delimiter"), "{error}");
}
