//! The reader of the reference fixtures: numbers that PyTorch, Keras, optax, scikit-learn and River computed, against
//! which the other crates' tests hold theirs. A development dependency only.
//!
//! Fixtures lie in this crate's `fixtures/` folder; set `TIDEMILL_GOLDEN` to read others of the same format.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// A data set that cases refer to, such as `phishing.parquet`: of the fixtures where they bring it, else this crate's.
pub fn data_set(name: &str) -> PathBuf {
    let theirs = folder().join(name);
    if theirs.exists() { theirs } else { own_folder().join(name) }
}

/// Where the fixtures lie.
fn folder() -> PathBuf {
    std::env::var_os("TIDEMILL_GOLDEN").map_or_else(own_folder, PathBuf::from)
}

fn own_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// A folder of fixtures: `cases.json` and `tensors.safetensors`.
pub struct Group {
    name: String,
    cases: Value,
    tensors: Vec<u8>,
}

/// One case of a [`Group`].
pub struct Case<'a> {
    /// The case's name, such as `linear_basic`.
    pub name: &'a str,
    /// What is computed, such as `linear`: the key of a formula in `kinds`.
    pub kind: &'a str,
    /// Hyper-parameters.
    pub params: &'a Value,
    /// Expected scalars, `null` where there are none.
    pub expected: &'a Value,
    raw: &'a Value,
    tensors: &'a SafeTensors<'a>,
}

/// A stored tensor, widened to `f64`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Lengths of the axes, outermost first.
    pub shape: Vec<usize>,
    /// The values, row-major.
    pub values: Vec<f64>,
}

impl Tensor {
    /// The values, rounded to `f32`.
    pub fn f32(&self) -> Vec<f32> {
        self.values.iter().map(|&x| x as f32).collect()
    }

    /// The values as indices.
    ///
    /// # Panics
    ///
    /// When one is negative or no whole number.
    pub fn indices(&self) -> Vec<u32> {
        let index = |&x: &f64| if x >= 0.0 && x.fract() == 0.0 { x as u32 } else { panic!("{x} is no index") };
        self.values.iter().map(index).collect()
    }
}

/// What a test did with a case.
pub enum Outcome {
    /// Its numbers were computed and compared.
    Checked,
    /// The project has nothing to compare with them yet; why.
    NotCovered(&'static str),
}

impl Group {
    /// Reads a group, such as `layers`.
    ///
    /// # Panics
    ///
    /// When the folder is missing or not of the format: a test cannot go on without it.
    pub fn load(name: &str) -> Self {
        let folder = folder().join(name);
        let read = |file: &str| {
            let path = folder.join(file);
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let cases: Value = serde_json::from_slice(&read("cases.json")).expect("cases.json is JSON");
        assert_eq!(cases["format"], 1, "{name}: fixtures of format 1");
        Self { name: name.to_owned(), cases, tensors: read("tensors.safetensors") }
    }

    /// Runs `check` on every case, and says how many were covered. `not_covered` names the kinds of cases, and single ones,
    /// that are not: no others may be skipped, and each of these must be.
    ///
    /// # Panics
    ///
    /// When `check` skipped a case that is not listed, covered one that is, or panicked itself.
    pub fn run(&self, not_covered: &[&str], check: impl Fn(&Case<'_>) -> Outcome) {
        let tensors = SafeTensors::deserialize(&self.tensors).expect("tensors.safetensors is safetensors");
        let cases = self.cases["cases"].as_array().expect("cases is a list");
        let mut checked = 0;
        let mut skipped = BTreeMap::<(&str, &str), Vec<&str>>::new();
        let mut used = BTreeSet::new();
        for raw in cases {
            let case = Case {
                name: raw["name"].as_str().expect("a case has a name"),
                kind: raw["kind"].as_str().expect("a case has a kind"),
                params: &raw["params"],
                expected: &raw["expected"],
                raw,
                tensors: &tensors,
            };
            match check(&case) {
                Outcome::Checked => checked += 1,
                Outcome::NotCovered(why) => {
                    let listed = not_covered.iter().find(|&&listed| listed == case.kind || listed == case.name);
                    let Some(listed) = listed else {
                        panic!(
                            "golden {}: {} of kind {} is skipped ({why}), and not listed",
                            self.name, case.name, case.kind
                        )
                    };
                    used.insert(*listed);
                    skipped.entry((case.kind, why)).or_default().push(case.name);
                }
            }
        }
        for ((kind, why), names) in &skipped {
            println!("golden {}: kind {kind} not covered ({why}): {}", self.name, names.join(", "));
        }
        println!("golden {}: {checked} of {} cases checked", self.name, cases.len());
        assert!(checked > 0, "{}: not one case was checked", self.name);
        let stale: Vec<_> = not_covered.iter().filter(|listed| !used.contains(*listed)).collect();
        assert!(stale.is_empty(), "golden {}: {stale:?} are listed as not covered, and are", self.name);
    }
}

impl Case<'_> {
    /// Whether the case has a tensor of that name.
    pub fn has(&self, tensor: &str) -> bool {
        !self.raw["tensors"][tensor].is_null()
    }

    /// The tensor of that name, such as `grad_weight`.
    ///
    /// # Panics
    ///
    /// When the case has no such tensor.
    pub fn tensor(&self, name: &str) -> Tensor {
        let key = self.raw["tensors"][name]["key"].as_str();
        self.by_key(key.unwrap_or_else(|| panic!("case {} has no tensor {name}", self.name)))
    }

    /// A number among the hyper-parameters.
    ///
    /// # Panics
    ///
    /// When it is missing or no number.
    pub fn number(&self, param: &str) -> f64 {
        self.params[param].as_f64().unwrap_or_else(|| panic!("case {}: {param} is no number", self.name))
    }

    /// A count among the hyper-parameters.
    ///
    /// # Panics
    ///
    /// When it is missing or no count.
    pub fn count(&self, param: &str) -> usize {
        self.params[param].as_u64().unwrap_or_else(|| panic!("case {}: {param} is no count", self.name)) as usize
    }

    /// A flag among the hyper-parameters; absent means false.
    pub fn flag(&self, param: &str) -> bool {
        self.params[param].as_bool().unwrap_or(false)
    }

    /// What else the case says under that name, such as `eval_loss`; null where it says nothing.
    pub fn field(&self, name: &str) -> &Value {
        &self.raw[name]
    }

    /// Asserts `|got - want| <= atol + rtol |want|` for every element.
    ///
    /// # Panics
    ///
    /// When an element is further away, or the lengths differ; says which.
    pub fn close(&self, what: &str, got: impl IntoIterator<Item = f64>, want: &[f64], atol: f64, rtol: f64) {
        let mut n = 0;
        for (i, got) in got.into_iter().enumerate() {
            let want = *want.get(i).unwrap_or_else(|| panic!("{} {what}: more than {} values", self.name, want.len()));
            let apart = (got - want).abs();
            assert!(
                apart <= atol + rtol * want.abs() || got == want,
                "{} {what}[{i}]: got {got}, want {want} ({apart:e} apart)",
                self.name
            );
            n += 1;
        }
        assert_eq!(n, want.len(), "{} {what}: number of values", self.name);
    }

    fn by_key(&self, key: &str) -> Tensor {
        let view = self.tensors.tensor(key).unwrap_or_else(|error| panic!("case {}: {key}: {error}", self.name));
        let bytes = view.data();
        let values = match view.dtype() {
            Dtype::F64 => bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            Dtype::F32 => bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect(),
            Dtype::I64 => bytes.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect(),
            Dtype::U8 => bytes.iter().map(|&b| f64::from(b)).collect(),
            other => panic!("case {}: {key} is {other:?}", self.name),
        };
        Tensor { shape: view.shape().to_vec(), values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_groups_load_and_report() {
        load(&OTHERS);
    }

    const OTHERS: [&str; 14] = [
        "cosine",
        "cosine_annealing",
        "exponential",
        "exponential_decay",
        "inverse_sqrt",
        "linear",
        "multistep",
        "one_cycle",
        "piecewise_constant",
        "polynomial",
        "step",
        "warm_restarts",
        "warmup_cosine",
        "warmup_linear",
    ];

    fn load(not_covered: &[&str]) {
        Group::load("schedules").run(not_covered, |case| {
            assert_eq!(case.tensor("value").shape, [101]);
            if case.kind == "constant" { Outcome::Checked } else { Outcome::NotCovered("not looked at here") }
        });
    }

    #[test]
    #[should_panic(expected = "of kind cosine is skipped")]
    fn what_is_skipped_must_be_listed() {
        load(&OTHERS[1..]);
    }

    #[test]
    #[should_panic(expected = "are listed as not covered, and are")]
    fn what_is_listed_must_be_skipped() {
        load(&[&OTHERS[..], &["constant"]].concat());
    }
}
