//! The golden values of `fixtures/golden/stats.json`, made by `scripts/golden_stats.py` with SciPy and statsmodels.

use serde_json::Value;

/// The whole file.
pub(crate) fn golden() -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/stats.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The cases of one kind: 500 of them.
pub(crate) fn cases(kind: &str) -> Vec<Value> {
    let cases = golden()[kind].as_array().unwrap().clone();
    assert_eq!(cases.len(), 500, "{kind}");
    cases
}

/// A field of a case.
pub(crate) fn number(case: &Value, field: &str) -> f64 {
    case[field].as_f64().unwrap()
}

/// A list in a case.
pub(crate) fn numbers(case: &Value, field: &str) -> Vec<f64> {
    case[field].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}
