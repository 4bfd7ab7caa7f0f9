//! CSV as text.

/// Returns the output of a CSV writer.
///
/// # Errors
/// None in practice, because writing to a string cannot fail.
pub fn csv_text(writer: csv::Writer<Vec<u8>>) -> Result<String, csv::Error> {
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8(bytes).expect("text written from strings is UTF-8"))
}
