//! Rules of the schema, in the expression language that API servers evaluate.

use serde_json::{Value, json};

/// A rule over the object it is attached to: where it points when broken, the expression, and a
/// message that names the remedy.
pub(crate) fn rule(field: &str, expression: &str, message: &str) -> Value {
    json!({
        "rule": expression,
        "message": message,
        "fieldPath": field,
        "reason": "FieldValueInvalid",
    })
}

/// The rule may look at the object as it was, which is absent at its creation.
pub(crate) fn at_creation(mut rule: Value) -> Value {
    rule["optionalOldSelf"] = Value::Bool(true);
    rule
}
