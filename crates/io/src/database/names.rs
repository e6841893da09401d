//! Names of tables and columns: checked before anything is connected to, and always quoted.

use arrow_schema::Schema;

use super::{RUN_ID, RUNS};

/// Longest name in bytes: PostgreSQL cuts what is longer (NAMEDATALEN - 1), and two names may then be one.
const MAX_BYTES: usize = 63;

/// A name as SQL writes it, whatever is in it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quoted names with commas between.
pub(super) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(quoted).collect::<Vec<_>>().join(", ")
}

/// Refuses a name that a table cannot have.
pub(super) fn check_table(name: &str) -> Result<(), String> {
    check("table", name)?;
    if name.eq_ignore_ascii_case(RUNS) {
        return Err(format!("{RUNS} is the table of runs: name another one for the rows"));
    }
    Ok(())
}

/// Refuses names of columns that are not those of a table: too long, not there, or one twice for databases that do not tell
/// capital letters from small ones.
pub(super) fn check_columns(schema: &Schema) -> Result<(), String> {
    let mut seen = std::collections::HashSet::from([RUN_ID.to_owned()]);
    for field in schema.fields() {
        check("column", field.name())?;
        if field.name().eq_ignore_ascii_case(RUN_ID) {
            return Err(format!("the column {RUN_ID} is that of the run: give yours another name"));
        }
        if !seen.insert(field.name().to_lowercase()) {
            return Err(format!("two columns are named '{}', capital letters or not: rename one", field.name()));
        }
    }
    Ok(())
}

fn check(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("a {what} has no name"));
    }
    if name.contains('\0') {
        return Err(format!("the {what} {name:?} has a zero byte in its name: rename it"));
    }
    if name.len() > MAX_BYTES {
        let bytes = name.len();
        return Err(format!("the {what} '{name}' has a name of {bytes} bytes: {MAX_BYTES} at most, shorten it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow_schema::{DataType, Field};

    use super::*;

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
        assert_eq!(quoted("\"; drop"), "\"\"\"; drop\"");
    }

    #[test]
    fn what_no_table_can_be_named_is_refused() {
        for good in ["user", "a\"b", "Flüße", "\"; drop", &"x".repeat(63)] {
            check_table(good).unwrap();
        }
        for bad in ["", "a\0b", &"x".repeat(64), &"ü".repeat(32), "Joyfuljay_Runs"] {
            assert!(check_table(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn columns_are_unique_whatever_their_case() {
        let schema = |names: &[&str]| {
            Schema::new(names.iter().map(|n| Field::new(*n, DataType::Int64, true)).collect::<Vec<_>>())
        };
        check_columns(&schema(&["a", "b"])).unwrap();
        for bad in [&["a", "A"][..], &["Run_id"], &[""], &["Ü", "ü"]] {
            assert!(check_columns(&schema(bad)).is_err(), "{bad:?}");
        }
    }
}
