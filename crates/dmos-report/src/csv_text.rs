//! CSV as text.

/// What a writer has written.
///
/// # Errors
/// None that a string could cause.
pub fn csv_text(writer: csv::Writer<Vec<u8>>) -> Result<String, csv::Error> {
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8(bytes).expect("it was written from strings"))
}
