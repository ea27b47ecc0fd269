//! How much a workbook unpacks to, found out before anybody reads it: a few kilobytes of ZIP can hold gigabytes.
//!
//! Reads the archive's list of parts only: `zip` fails a part that unpacks to more than the list says, so the list binds.

use std::io::{self, Read, Seek};

use zip::ZipArchive;

use super::error::InputFault;

// Units last in names.
#[allow(clippy::struct_field_names)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The file; its list of parts is held in memory.
    pub packed_bytes_max: u64,
    /// All parts together. A sheet of 1,000,000 rows and five columns takes 250 MB.
    pub unpacked_bytes_max: u64,
    /// The parts beside the sheets. Among them are the texts of all cells, which are held in memory.
    pub texts_bytes_max: u64,
}

pub(super) const BOUNDS: Bounds = Bounds {
    packed_bytes_max: 64 * 1024 * 1024,
    unpacked_bytes_max: 512 * 1024 * 1024,
    texts_bytes_max: 160 * 1024 * 1024,
};

const SHEETS: &[u8] = b"xl/worksheets/";

/// Refuses a workbook that is larger than the bounds.
pub(super) fn weigh(file: impl Read + Seek, bounds: Bounds) -> Result<(), InputFault> {
    let mut file = file;
    let bytes = file.seek(io::SeekFrom::End(0)).map_err(InputFault::Read)?;
    if bytes > bounds.packed_bytes_max {
        let bytes_max = bounds.packed_bytes_max;
        return Err(InputFault::LargeWorkbook { bytes, bytes_max });
    }
    let unreadable = |error| InputFault::Archive(io::Error::from(error));
    let archive = ZipArchive::new(file).map_err(unreadable)?;
    let (mut all, mut texts) = (0_u64, 0_u64);
    for at in 0..archive.len() {
        let part = archive.by_index_data(at).map_err(unreadable)?;
        all = all.saturating_add(part.size());
        if !part.name_raw().starts_with(SHEETS) {
            texts = texts.saturating_add(part.size());
        }
    }
    for (what, unpacked, bytes_max) in [
        ("parts", all, bounds.unpacked_bytes_max),
        ("texts", texts, bounds.texts_bytes_max),
    ] {
        if unpacked > bytes_max {
            return Err(InputFault::LargeUnpacked {
                what,
                bytes: unpacked,
                bytes_max,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    const SMALL: Bounds = Bounds {
        packed_bytes_max: 10_000,
        unpacked_bytes_max: 100_000,
        texts_bytes_max: 50_000,
    };

    fn packed(parts: &[(&str, usize)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in parts {
            writer
                .start_file(*name, SimpleFileOptions::default())
                .unwrap();
            writer.write_all(&vec![b' '; *bytes]).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn said(archive: Vec<u8>) -> String {
        match weigh(Cursor::new(archive), SMALL) {
            Ok(()) => "fits".to_owned(),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn a_workbook_that_unpacks_to_too_much_is_refused() {
        let parts = |bytes: u64| {
            format!("expected parts of at most 100000 bytes when unpacked, found {bytes}")
        };
        let texts = |bytes: u64| {
            format!("expected texts of at most 50000 bytes when unpacked, found {bytes}")
        };
        let fits = "fits".to_owned();
        let (sheet, strings) = ("xl/worksheets/sheet1.xml", "xl/sharedStrings.xml");
        for (of, expected) in [
            (&[(sheet, 100_000)][..], fits.clone()),
            (&[(sheet, 100_001)], parts(100_001)),
            (&[(strings, 50_000)], fits),
            (&[(strings, 50_001)], texts(50_001)),
            (&[("xl/a", 30_000), ("xl/b", 30_000)], texts(60_000)),
            (&[(sheet, 60_000), (strings, 40_001)], parts(100_001)),
        ] {
            assert_eq!(said(packed(of)), expected, "{of:?}");
        }
    }

    #[test]
    fn a_part_never_unpacks_to_more_than_the_archive_says() {
        let mut archive = packed(&[("xl/sharedStrings.xml", 60_000)]);
        let size = 60_000_u32.to_le_bytes();
        let places: Vec<usize> = archive
            .windows(4)
            .enumerate()
            .filter(|(_, bytes)| *bytes == size)
            .map(|(at, _)| at)
            .collect();
        assert!(!places.is_empty());
        for at in places {
            archive[at..at + 4].copy_from_slice(&500_u32.to_le_bytes());
        }
        assert_eq!(said(archive.clone()), "fits");
        let mut archive = ZipArchive::new(Cursor::new(archive)).unwrap();
        let mut part = archive.by_name("xl/sharedStrings.xml").unwrap();
        let mut unpacked = Vec::new();
        assert!(part.read_to_end(&mut unpacked).is_err());
        assert!(unpacked.len() < 1_000, "{}", unpacked.len());
    }

    #[test]
    fn a_file_that_is_too_large_is_not_even_opened() {
        assert_eq!(
            said(vec![0; 10_001]),
            "expected a workbook of at most 10000 bytes, found 10001"
        );
    }
}
