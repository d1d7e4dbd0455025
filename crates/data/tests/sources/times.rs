//! Columns know what their numbers count, and encodings and conditions go by that.

use tidemill_data::{
    Column, Encoder, Encoding, Field, Kind, MemorySource, Numbers, Predicate, Role, Source, SourceExt, Unit,
};

/// A column of digits behind a point.
fn source(unit: Unit, scale: i8, digits: &[i128]) -> MemorySource<f64> {
    let numbers = Numbers::Decimal { digits: 28, scale };
    let field = Field { numbers, unit, ..Field::new("t", Kind::Real { width: 1 }, Role::Feature) };
    let column = Column::of_digits(numbers, digits.iter().map(|&digits| Some(digits)));
    MemorySource::builder().column(field, column).build().unwrap()
}

fn fit(encoding: Encoding, raw: &MemorySource<f64>) -> Result<Vec<u32>, String> {
    let fitted = Encoder::builder().feature("t", encoding).fit(&mut raw.clone());
    let (encoder, _) = fitted.map_err(|error| error.to_string())?;
    let saved = serde_json::to_string(&encoder).unwrap();
    let encoder: Encoder = serde_json::from_str(&saved).unwrap();
    let rows = MemorySource::load(raw.clone().encode::<f32>(&encoder).unwrap(), 1 << 20).unwrap();
    Ok(rows.data().indices(0).to_vec())
}

#[test]
fn cases_parts_of_dates_and_times() {
    // 1969-12-31 was a Wednesday, 2024-01-01 a Monday.
    let days = source(Unit::Days, 0, &[-1, 0, 19_723, 19_724, 19_729]);
    assert_eq!(fit(Encoding::day_of_week(), &days).unwrap(), [3, 4, 1, 2, 7]);
    for scale in [0, 3, 6, 9] {
        let parts = |seconds: i128| seconds * 10_i128.pow(u32::from(scale as u8));
        let times = [-1, 0, 19_723 * 86_400 + 13 * 3600, 19_724 * 86_400 - 1].map(parts);
        // The last part of a second is not yet the next one.
        let last = parts(19_724 * 86_400) - 1;
        let timestamps = source(Unit::Timestamp, scale, &[&times[..], &[last]].concat());
        assert_eq!(fit(Encoding::day_of_week(), &timestamps).unwrap(), [3, 4, 1, 1, 1], "scale {scale}");
        assert_eq!(fit(Encoding::hour_of_day(), &timestamps).unwrap(), [24, 1, 14, 24, 24], "scale {scale}");
        let of_day = source(Unit::TimeOfDay, scale, &[0, parts(3_600) - 1, parts(3_600), parts(86_400) - 1]);
        assert_eq!(fit(Encoding::hour_of_day(), &of_day).unwrap(), [1, 1, 2, 24], "scale {scale}");
    }
}

#[test]
fn cases_what_makes_no_sense_is_refused_by_name() {
    let refused = |unit, encoding: Encoding, problem: &str| {
        let error = fit(encoding, &source(unit, 0, &[3])).unwrap_err();
        assert!(error.starts_with("encoding of column t: ") && error.contains(problem), "{error}");
    };
    refused(Unit::Days, Encoding::hour_of_day(), "a date has no hours");
    refused(Unit::TimeOfDay, Encoding::day_of_week(), "a time of day has no day of the week");
    refused(Unit::Duration, Encoding::day_of_week(), "a duration has no day of the week");
    refused(Unit::Duration, Encoding::hour_of_day(), "a duration has no hour of the day");
    refused(Unit::None, Encoding::day_of_week(), "say what they count by Encoding::unit");
    refused(Unit::None, Encoding::hour_of_day(), "say what they count by Encoding::unit");
    // What is said of plain numbers counts; of a column that knows better it is an error.
    let plain = source(Unit::None, 0, &[86_400 * 4]);
    assert_eq!(fit(Encoding::day_of_week().unit(Unit::Timestamp), &plain).unwrap(), [1]);
    assert_eq!(fit(Encoding::day_of_week().unit(Unit::Days), &plain).unwrap(), [fit_days(86_400 * 4)]);
    let error = fit(Encoding::day_of_week().unit(Unit::Timestamp), &source(Unit::Days, 0, &[3])).unwrap_err();
    assert_eq!(error, "the source: column t is dates (days since 1970), expected timestamps (seconds since 1970)");
    refused(Unit::None, Encoding::hour_of_day().unit(Unit::Days), "a date has no hours");
}

fn fit_days(days: i64) -> u32 {
    (days + 3).rem_euclid(7) as u32 + 1
}

/// An encoder that is fitted to one unit does not take numbers of another.
#[test]
fn fitted_encoders_remember_the_unit() {
    let fitted = |encoding, unit| {
        let fitted = Encoder::builder().feature("t", encoding).fit(&mut source(unit, 0, &[3, 19_000])).unwrap().0;
        serde_json::from_str::<Encoder>(&serde_json::to_string(&fitted).unwrap()).unwrap()
    };
    let encodes = |encoder: &Encoder, unit| source(unit, 0, &[5]).encode::<f32>(encoder).is_ok();
    let of_dates = fitted(Encoding::day_of_week(), Unit::Days);
    assert!(encodes(&of_dates, Unit::Days));
    assert!(!encodes(&of_dates, Unit::Timestamp) && !encodes(&of_dates, Unit::None));
    let scaled = fitted(Encoding::standardize(), Unit::Timestamp);
    assert!(encodes(&scaled, Unit::Timestamp) && encodes(&scaled, Unit::None), "a program's numbers have no unit");
    assert!(!encodes(&scaled, Unit::Days));
    // Before units were known, parts were those of seconds.
    let saved = serde_json::to_string(&fitted(Encoding::day_of_week(), Unit::Timestamp)).unwrap();
    let old = saved.replace(r#","counted":{"ByColumn":"Timestamp"}"#, "");
    assert_ne!(old, saved);
    let old: Encoder = serde_json::from_str(&old).unwrap();
    assert!(encodes(&old, Unit::Timestamp) && encodes(&old, Unit::None) && !encodes(&old, Unit::Days));
}

#[test]
fn conditions_know_dates_and_times() {
    let chosen = |raw: &MemorySource<f64>, condition: &str| -> Result<Vec<i128>, String> {
        let condition: Predicate = condition.parse().map_err(|error: tidemill_data::Error| error.to_string())?;
        assert_eq!(condition.to_string().parse::<Predicate>().unwrap(), condition, "{condition}");
        let rows = raw.clone().filter(&condition).map_err(|error| error.to_string())?;
        let rows = MemorySource::load(rows, 1 << 20).unwrap();
        Ok((0..rows.len()).map(|row| rows.data().columns()[0].digits(row).unwrap()).collect())
    };
    let check = |raw: &MemorySource<f64>, condition: &str, expected: &[i128]| {
        assert_eq!(chosen(raw, condition).as_deref(), Ok(expected), "{condition}");
    };
    let days = source(Unit::Days, 0, &[-1, 0, 19_723, 19_724]);
    check(&days, "t = '2024-01-01'", &[19_723]);
    check(&days, "t in ('1969-12-31', '2024-01-02')", &[-1, 19_724]);
    check(&days, "t >= date '2024-01-01'", &[19_723, 19_724]);
    check(&days, "t >= 19723", &[19_723, 19_724]);
    check(&days, "t > timestamp '2024-01-01 12:00'", &[19_724]);
    check(&days, "t < timestamp '2024-01-01 12:00'", &[-1, 0, 19_723]);
    check(&days, "t = timestamp '2024-01-01 00:00'", &[19_723]);

    // Neighbours of a nanosecond, which f64 does not tell apart.
    let midnight = 19_723 * 86_400 * 1_000_000_000;
    let times = source(Unit::Timestamp, 9, &[-1, midnight - 1, midnight, midnight + 1]);
    check(&times, "t = '2024-01-01'", &[midnight]);
    check(&times, "t = '2024-01-01 00:00:00.000000001'", &[midnight + 1]);
    check(&times, "t < date '2024-01-01'", &[-1, midnight - 1]);
    check(&times, "t > '1969-12-31 23:59:59.999999999'", &[midnight - 1, midnight, midnight + 1]);
    check(&times, "t = '1969-12-31 23:59:59.999999999'", &[-1]);
    check(&times, "t >= timestamp '2024-01-01T00:00:00Z'", &[midnight, midnight + 1]);
    check(&source(Unit::TimeOfDay, 3, &[1, 43_200_500]), "t >= '12:00:00.5'", &[43_200_500]);

    for (unit, condition, expected) in [
        (Unit::Days, "t = 'soon'", "expected a date such as '2013-07-01'"),
        (Unit::Timestamp, "t in ('2024-01-01', 'soon')", "expected a timestamp such as"),
        (Unit::TimeOfDay, "t = '2024-01-01'", "expected a time such as '12:00:00'"),
        (Unit::TimeOfDay, "t = date '2024-01-01'", "expected a time such as '12:00:00'"),
        (Unit::Duration, "t < timestamp '2024-01-01'", "expected seconds to compare with a duration"),
        (Unit::None, "t = '2024-01-01'", "expected a text to compare with a text"),
    ] {
        let error = chosen(&source(unit, 0, &[3]), condition).unwrap_err();
        assert!(error.starts_with("condition: column t is ") && error.contains(expected), "{error}");
    }
}

#[test]
fn sources_pass_units_on() {
    let raw = source(Unit::Days, 0, &[3, 5]);
    let filtered = raw.clone().filter(&"t > 3".parse().unwrap()).unwrap();
    assert_eq!(filtered.schema().fields[0].unit, Unit::Days);
    let memory = MemorySource::<f64>::builder().integers("t", [Some(19_723)]).unit(Unit::Days).build().unwrap();
    assert_eq!(fit(Encoding::day_of_week(), &memory).unwrap(), [1]);
}
