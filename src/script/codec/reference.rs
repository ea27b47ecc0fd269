//! What each helper does, with an example that a test evaluates: `mapping-reference.md` is made of it, and `check` knows the names.

/// A helper as a script's author needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Helper {
    pub name: &'static str,
    /// How it is called.
    pub call: &'static str,
    pub doc: &'static str,
    /// An expression, and what it gives as text.
    pub example: &'static str,
    pub gives: &'static str,
}

const fn helper(
    name: &'static str,
    call: &'static str,
    doc: &'static str,
    example: &'static str,
    gives: &'static str,
) -> Helper {
    Helper {
        name,
        call,
        doc,
        example,
        gives,
    }
}

/// Helpers that build frames.
pub(crate) const BUILD: &[Helper] = &[
    helper(
        "put_u8",
        "frame.put_u8(value)",
        "Adds one byte, 0 to 255.",
        "let f = blob(); f.put_u8(7); f.to_hex()",
        "07",
    ),
    helper(
        "put_u16be",
        "frame.put_u16be(value)",
        "Adds two bytes, the high one first; 0 to 65535.",
        "let f = blob(); f.put_u16be(258); f.to_hex()",
        "0102",
    ),
    helper(
        "put_u16le",
        "frame.put_u16le(value)",
        "Adds two bytes, the low one first.",
        "let f = blob(); f.put_u16le(258); f.to_hex()",
        "0201",
    ),
    helper(
        "put_u24be",
        "frame.put_u24be(value)",
        "Adds three bytes, the high one first; 0 to 16777215.",
        "let f = blob(); f.put_u24be(66051); f.to_hex()",
        "010203",
    ),
    helper(
        "put_u32be",
        "frame.put_u32be(value)",
        "Adds four bytes, the high one first; 0 to 4294967295.",
        "let f = blob(); f.put_u32be(16909060); f.to_hex()",
        "01020304",
    ),
    helper(
        "put_u32le",
        "frame.put_u32le(value)",
        "Adds four bytes, the low one first.",
        "let f = blob(); f.put_u32le(16909060); f.to_hex()",
        "04030201",
    ),
    helper(
        "put_digits",
        "frame.put_digits(value, width)",
        "Adds a decimal column, a number or a text of digits, with zeros before it.",
        "let f = blob(); f.put_digits(42, 5); f.ascii(0, 5)",
        "00042",
    ),
    helper(
        "put_text",
        "frame.put_text(text, width)",
        "Adds a column of printable ASCII with blanks behind it.",
        "let f = blob(); f.put_text(\"ab\", 4); f.ascii(0, 4)",
        "ab  ",
    ),
    helper(
        "put_right",
        "frame.put_right(text, width)",
        "Adds a column with blanks before it.",
        "let f = blob(); f.put_right(\"ab\", 4); f.ascii(0, 4)",
        "  ab",
    ),
    helper(
        "put_ascii",
        "frame.put_ascii(text)",
        "Adds printable ASCII as it is.",
        "let f = blob(); f.put_ascii(\"PAIR\"); f.to_hex()",
        "50414952",
    ),
    helper(
        "put_hex",
        "frame.put_hex(text)",
        "Adds bytes that are written in hexadecimal.",
        "let f = blob(); f.put_hex(\"0a ff\"); f.to_hex()",
        "0aff",
    ),
    helper(
        "put_bytes",
        "frame.put_bytes(blob)",
        "Adds another blob.",
        "let f = blob(); f.put_bytes(from_hex(\"0102\")); f.to_hex()",
        "0102",
    ),
    helper(
        "put_repeat",
        "frame.put_repeat(byte, count)",
        "Adds one byte so many times.",
        "let f = blob(); f.put_repeat(32, 3); f.to_hex()",
        "202020",
    ),
    helper(
        "put_bcd",
        "frame.put_bcd(digits, bytes)",
        "Adds packed decimal, two digits a byte, zeros before it.",
        "let f = blob(); f.put_bcd(\"123\", 3); f.to_hex()",
        "000123",
    ),
    helper(
        "put_date",
        "frame.put_date(now, plus_days)",
        "Adds YYYYMMDD in UTC; `now` is `ctx.now`.",
        "let f = blob(); f.put_date(0, 1); f.ascii(0, 8)",
        "19700102",
    ),
    helper(
        "prefix_u8",
        "prefix_u8(blob)",
        "A new blob: the length in one byte, then the blob.",
        "prefix_u8(from_hex(\"aabb\")).to_hex()",
        "02aabb",
    ),
    helper(
        "prefix_u16be",
        "prefix_u16be(blob)",
        "The same with two bytes, the high one first.",
        "prefix_u16be(from_hex(\"aabb\")).to_hex()",
        "0002aabb",
    ),
    helper(
        "prefix_u16le",
        "prefix_u16le(blob)",
        "The same with the low one first.",
        "prefix_u16le(from_hex(\"aabb\")).to_hex()",
        "0200aabb",
    ),
    helper(
        "prefix_u32be",
        "prefix_u32be(blob)",
        "The same with four bytes, the high one first.",
        "prefix_u32be(from_hex(\"aabb\")).to_hex()",
        "00000002aabb",
    ),
];

/// Helpers that read frames; what reaches past the end is an error, except where it says so.
pub(crate) const READ: &[Helper] = &[
    helper(
        "u8",
        "frame.u8(at)",
        "One byte as a number.",
        "from_hex(\"0102\").u8(1)",
        "2",
    ),
    helper(
        "u16be",
        "frame.u16be(at)",
        "Two bytes, the high one first.",
        "from_hex(\"0102\").u16be(0)",
        "258",
    ),
    helper(
        "u16le",
        "frame.u16le(at)",
        "Two bytes, the low one first.",
        "from_hex(\"0102\").u16le(0)",
        "513",
    ),
    helper(
        "u24be",
        "frame.u24be(at)",
        "Three bytes, the high one first.",
        "from_hex(\"010203\").u24be(0)",
        "66051",
    ),
    helper(
        "u32be",
        "frame.u32be(at)",
        "Four bytes, the high one first.",
        "from_hex(\"01020304\").u32be(0)",
        "16909060",
    ),
    helper(
        "u32le",
        "frame.u32le(at)",
        "Four bytes, the low one first.",
        "from_hex(\"04030201\").u32le(0)",
        "16909060",
    ),
    helper(
        "ascii",
        "frame.ascii(at, length)",
        "Printable ASCII as it is.",
        "from_hex(\"414220\").ascii(0, 3)",
        "AB ",
    ),
    helper(
        "text",
        "frame.text(at, length)",
        "Printable ASCII without the blanks at its end. `text(text, width)` is the column as a text.",
        "from_hex(\"414220\").text(0, 3)",
        "AB",
    ),
    helper(
        "digits",
        "frame.digits(at, length)",
        "A decimal number. `digits(value, width)` is the column as a text.",
        "from_hex(\"303432\").digits(0, 3)",
        "42",
    ),
    helper(
        "bcd",
        "frame.bcd(at, length)",
        "Packed decimal as a text.",
        "from_hex(\"0123\").bcd(0, 2)",
        "0123",
    ),
    helper(
        "bytes",
        "frame.bytes(at, length)",
        "A part as a blob.",
        "from_hex(\"010203\").bytes(1, 2).to_hex()",
        "0203",
    ),
    helper(
        "is_digits",
        "frame.is_digits(at, length)",
        "Whether all of it is decimal digits; false past the end. `text.is_digits()` too.",
        "from_hex(\"3031\").is_digits(0, 9)",
        "false",
    ),
    helper(
        "is_ascii",
        "frame.is_ascii()",
        "Whether all of it is printable ASCII. `text.is_ascii()` too.",
        "from_hex(\"3031\").is_ascii()",
        "true",
    ),
    helper(
        "to_hex",
        "frame.to_hex()",
        "All of it in hexadecimal.",
        "from_hex(\"0A\").to_hex()",
        "0a",
    ),
];

/// Texts, dates and checksums.
pub(crate) const TEXTS: &[Helper] = &[
    helper(
        "from_hex",
        "from_hex(text)",
        "A blob of what is written in hexadecimal, with or without blanks.",
        "from_hex(\"01 02\").len",
        "2",
    ),
    helper(
        "right",
        "right(text, width)",
        "The text with blanks before it.",
        "right(\"7\", 3)",
        "  7",
    ),
    helper(
        "strip_left",
        "strip_left(text, count)",
        "The text without so many characters at its beginning.",
        "strip_left(\"019000\", 2)",
        "9000",
    ),
    helper(
        "strip_right",
        "strip_right(text, count)",
        "The text without so many characters at its end.",
        "strip_right(\"019077\", 2)",
        "0190",
    ),
    helper(
        "date_yyyymmdd",
        "date_yyyymmdd(now, plus_days)",
        "A date in UTC as eight digits.",
        "date_yyyymmdd(0, -1)",
        "19691231",
    ),
    helper(
        "crc16_ccitt",
        "crc16_ccitt(blob)",
        "CRC-16/CCITT-FALSE: polynomial 1021, start FFFF.",
        "crc16_ccitt(from_hex(\"313233343536373839\"))",
        "10673",
    ),
    helper(
        "crc16_modbus",
        "crc16_modbus(blob)",
        "CRC-16/MODBUS: polynomial 8005 reflected, start FFFF.",
        "crc16_modbus(from_hex(\"313233343536373839\"))",
        "19255",
    ),
    helper(
        "crc32",
        "crc32(blob)",
        "CRC-32 of Ethernet and zip.",
        "crc32(from_hex(\"313233343536373839\"))",
        "3421780262",
    ),
    helper(
        "xor",
        "xor(blob)",
        "All bytes exclusive-ored.",
        "xor(from_hex(\"0103\"))",
        "2",
    ),
    helper(
        "lrc",
        "lrc(blob)",
        "The two's complement of the sum.",
        "lrc(from_hex(\"0102\"))",
        "253",
    ),
    helper(
        "lookup",
        "lookup(table, key)",
        "The row of `tables/TABLE.csv` beside the mapping whose first cell is the key, as a map of its columns; () if there is none.",
        "lookup(\"regions\", \"7\").name",
        "north",
    ),
];

/// JSON, XML and forms.
pub(crate) const DOCUMENTS: &[Helper] = &[
    helper(
        "json",
        "json(text)",
        "The value that a JSON text holds; an error if it is none.",
        "json(\"{\\\"a\\\":[1,2]}\").a[1]",
        "2",
    ),
    helper(
        "is_json",
        "text.is_json()",
        "Whether a text is JSON.",
        "\"{\".is_json()",
        "false",
    ),
    helper(
        "to_json",
        "to_json(value)",
        "A value as JSON.",
        "to_json([1, \"a\", true])",
        "[1,\"a\",true]",
    ),
    helper(
        "xml_text",
        "xml_text(text, path)",
        "The text of the first element at a path of local names; () if there is none.",
        "xml_text(\"<a><x:b>1 &amp; 2</x:b></a>\", \"a/b\")",
        "1 & 2",
    ),
    helper(
        "xml_escape",
        "xml_escape(text)",
        "A text as it stands in XML.",
        "xml_escape(\"<&>\")",
        "&lt;&amp;&gt;",
    ),
    helper(
        "form",
        "form(map)",
        "Fields as application/x-www-form-urlencoded.",
        "form(#{ a: \"1 2\", b: 3 })",
        "a=1+2&b=3",
    ),
];

/// All of them.
pub(crate) fn helpers() -> impl Iterator<Item = &'static Helper> {
    [BUILD, READ, TEXTS, DOCUMENTS].into_iter().flatten()
}

/// Every helper's name: what `check` counts as known besides rhai's own.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    helpers().map(|helper| helper.name)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rhai::Dynamic;

    use super::super::super::engine::{Profile, engine};
    use super::super::super::lookup::{Open, Tables};
    use super::*;

    #[test]
    fn every_example_gives_what_it_says() {
        let tables = Arc::new(Tables::of("regions", "code,name\n7,north\n"));
        let _open = Open::of(&tables);
        for helper in helpers() {
            let found = engine(Profile::Mapping).eval::<Dynamic>(helper.example);
            let found = found.unwrap_or_else(|error| panic!("{}: {error}", helper.name));
            assert_eq!(found.to_string(), helper.gives, "{}", helper.name);
        }
    }
}
