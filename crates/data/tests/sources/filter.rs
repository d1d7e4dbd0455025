use tidemill_data::{Bounds, Cursor, Limits, Predicate, Source, SourceExt};

use crate::check::{check_source, epoch};
use crate::memory::mixed;
use crate::unknown::Unknown;

fn predicate(text: &str) -> Predicate {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The rows of twenty for which a condition is true; see `mixed` for what they hold.
fn check(text: &str, expected: impl IntoIterator<Item = usize>) {
    let condition = predicate(text);
    let all = epoch(&mut mixed(20), 0);
    let expected: Vec<String> = expected.into_iter().map(|row| all[row].clone()).collect();
    assert_eq!(epoch(&mut mixed(20).filter(&condition).unwrap(), 0), expected, "{text}");
    let again = predicate(&condition.to_string());
    assert_eq!(again, condition, "{text} written as {condition}");
    let narrow = mixed(20).filter(&again).unwrap();
    assert_eq!(epoch(&mut { narrow }, 3), expected, "{text}");
}

/// Values are null in every third row (`maybe`) and every fifth (`name`); there a comparison is neither true nor false.
#[test]
fn rows_are_taken_where_the_condition_is_true() {
    let maybe = |row: &usize| row % 3 != 1;
    let name = |row: &usize| row % 5 != 4;
    let text = |row: usize| ["AA", "", "zürich", "B6"][row % 4];
    check("row > 17", 18..20);
    check("17 < row", 18..20);
    check("row>=17", 17..20);
    check("row <= -1", []);
    check("row = 3 OR row == 1.5e1 or row = 1_6", [3, 15, 16]);
    check("row != 3 and row <> 4 And row < 7", [0, 1, 2, 5, 6]);
    check("row between 3 and 5", 3..6);
    check("row not between 3 and 18", [0, 1, 2, 19]);
    check("row in (3, 5, 99, -0)", [0, 3, 5]);
    check("row not in (3, 5) and row < 7", [0, 1, 2, 4, 6]);
    check("target = true", (0..20).filter(|row| row % 2 == 1));
    check("class = 2", (0..20).filter(|row| row % 4 == 2));
    check("maybe > 1", (0..20).filter(maybe).filter(|row| *row > 7));
    check("not maybe > 1", (0..20).filter(maybe).filter(|row| *row <= 7));
    check("maybe is null", (0..20).filter(|row| !maybe(row)));
    check("not (maybe is null)", (0..20).filter(maybe));
    check("maybe is not null", (0..20).filter(maybe));
    check("maybe > 1 or maybe <= 1", (0..20).filter(maybe));
    check("maybe > 1 or row = 1", (0..20).filter(|row| *row == 1 || (maybe(row) && *row > 7)));
    check("not (maybe > 1 and row < 99)", (0..20).filter(maybe).filter(|row| *row <= 7));
    check("maybe not in (0) and row < 4", [2, 3]);
    check("name = 'AA'", (0..20).filter(name).filter(|row| text(*row) == "AA"));
    check("name != 'AA'", (0..20).filter(name).filter(|row| text(*row) != "AA"));
    check("name >= 'B'", (0..20).filter(name).filter(|row| text(*row) >= "B"));
    check(
        "\"name\" in ('zürich', '', 'it''s')",
        (0..20).filter(name).filter(|row| ["zürich", ""].contains(&text(*row))),
    );
    check("name is null and row > 9", [14, 19]);
    check("((row < 2) and (not (row = 0 or maybe is not null)))", [1]);
    check("row < date '1970-01-04' and row >= timestamp '1970-01-01 00:00:01'", 1..3);
}

#[test]
fn what_cannot_be_read_is_pointed_at() {
    let check = |text: &str, expected: &str| {
        let error = text.parse::<Predicate>().unwrap_err().to_string();
        assert_eq!(error, format!("condition: {expected}"), "{text}");
    };
    check("", "expected the name of a column at the end");
    check(
        "a/b > 1",
        "expected a comparison such as `=`, `<`, `in` or `is null`, or double quotes around a name that is no plain word, \
         at `/b > 1`, character 2",
    );
    for missing in ["NaN", "null"] {
        let expected = format!(
            "expected a number or a text in single quotes; `is null` asks for missing values, NaN among them, at \
             `{missing}`, character 7"
        );
        check(&format!("row = {missing}"), &expected);
    }
    check("row", "expected a comparison such as `=`, `<`, `in` or `is null` at the end");
    check("row >> 5", "expected a number or a text in single quotes at `> 5`, character 6");
    check("row > five", "expected a number or a text in single quotes at `five`, character 7");
    check("row > 5 maybe", "expected `and`, `or` or the end at `maybe`, character 9");
    check("row > 1.2.3", "expected a number at `1.2.3`, character 7");
    check("(row > 5", "expected `)`, `and` or `or` at the end");
    check("row in 5", "expected `(` at `5`, character 8");
    check("row in ()", "expected a number or a text in single quotes at `)`, character 9");
    check("row in (1, 'a')", "numbers and texts in one list at `'a')`, character 12");
    check("row is 5", "expected `null` or `not null` at `5`, character 8");
    check("row not 5", "expected `in` or `between` at `5`, character 9");
    check("row between 1 or 2", "expected `and` at `or 2`, character 15");
    check("ä = 'open", "there is no ' that ends at `'open`, character 5");
    check("t > date '2013-02-29'", "expected a date such as '2013-07-01' at `'2013-02-29'`, character 10");
    check("and = 5", "expected the name of a column at `and = 5`, character 1");
    check(&format!("{}row = 1", "(".repeat(70)), "brackets are nested too deep at `((((((row = 1`, character 65");
    let wrong = |text: &str, expected: &str| {
        assert_eq!(mixed(3).filter(&predicate(text)).err().unwrap().to_string(), format!("condition: {expected}"));
    };
    wrong("rwo = 1", "there is no column rwo; it has row, pair, maybe, name, class, target, weight");
    wrong("name = 1", "column name is text, expected a number to compare with a number");
    wrong("row in ('1')", "column row is real, expected a text to compare with a text");
    wrong("pair is null", "column pair is real [2], expected one number or text a row");
}

#[test]
fn any_cursor_is_exact() {
    let condition = predicate("row < 3 or maybe > 0.9 and name != 'AA'");
    for n in [0, 1, 2, 7, 24, 37] {
        check_source(|| mixed(n).filter(&condition).unwrap());
        check_source(|| Unknown(mixed(n).shuffled(5)).filter(&condition).unwrap());
        check_source(|| mixed(n).shuffle(8, 5).unwrap().filter(&condition).unwrap().shuffle(3, 1).unwrap().take(5));
        check_source(|| mixed(n).filter(&condition).unwrap().inspect(|_| ()));
    }
    // Over several pieces, with pieces of which nothing is taken.
    let rare = predicate("row in (3, 1023, 1024, 5000, 5001, 8191)");
    let mut source = mixed(9000).filter(&rare).unwrap();
    let rows = epoch(&mut source, 0);
    assert_eq!((rows.len(), source.rows_read(), source.rows_taken()), (6, 9000, 6));
    for given in 0..=6 {
        source.seek(Cursor::start(0)).unwrap();
        source.skip(given).unwrap();
        let cursor = source.cursor();
        let mut fresh = mixed(9000).filter(&rare).unwrap();
        fresh.seek(cursor).unwrap();
        assert_eq!(crate::check::read(&mut fresh, 2).0, rows[given as usize..], "after {cursor}");
    }
}

/// Rows of which the bounds say that none can match are passed over; whether any does is told by looking at all.
#[test]
fn bounds_never_hide_a_row() {
    let condition = |text: &str, low: f64, high: f64, nulls: bool, expected: bool| {
        let bounds = Bounds { limits: Some(Limits::Numbers(low, high)), nulls, values: true };
        assert_eq!(predicate(text).may_match(|_| bounds.clone()), expected, "{text} within {low} and {high}");
    };
    for (text, expected) in [
        ("x > 5", false),
        ("x >= 5", true),
        ("x < 2", false),
        ("x <= 2", true),
        ("x = 3", true),
        ("x = 6", false),
        ("x != 3", true),
        ("not x > 1", false),
        ("not x <= 5", false),
        ("not x = 3", true),
        ("x in (1, 6)", false),
        ("x in (1, 4)", true),
        ("not x in (1, 6)", true),
        ("x between 6 and 9", false),
        ("x > 5 or x < 2", false),
        ("x > 4 and x < 3", true),
        ("x > 5 and y = 1", false),
        ("x is null", false),
        ("x is not null", true),
        ("not (x > 1 and x < 6)", false),
        ("not (x > 5 or x = 3)", true),
        ("x = 'a'", true),
    ] {
        condition(text, 2.0, 5.0, false, expected);
    }
    condition("x = 3", 3.0, 3.0, false, true);
    condition("x != 3", 3.0, 3.0, true, false);
    condition("not x != 3", 3.0, 3.0, true, true);
    condition("x is null", 3.0, 3.0, true, true);
    let nothing = Bounds { limits: None, nulls: true, values: false };
    assert!(!predicate("x = 3 or not x = 3 or x is not null").may_match(|_| nothing.clone()));
    assert!(predicate("x is null").may_match(|_| nothing.clone()));
    let texts = |text: &str| {
        predicate(text).may_match(|_| Bounds {
            limits: Some(Limits::Texts(b"B".to_vec(), "zü".as_bytes().to_vec())),
            nulls: false,
            values: true,
        })
    };
    assert!(texts("x = 'C'") && texts("x > 'zz'") && texts("not x = 'A'"));
    assert!(!texts("x = 'A'") && !texts("x < 'B'") && !texts("x > 'zü'") && !texts("x in ('A', 'ÿ')"));
}
