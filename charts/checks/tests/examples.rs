//! The examples keep the rules and the types of the API.

use serde_json::Value;
use spread_charts::{checkout, documents, restricted, validate};
use spread_operator_api::SpreadCluster;

#[test]
fn every_example_is_right() {
    let folder = checkout("examples/kubernetes");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("examples").flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.push(checkout("examples/orders.yaml"));
    assert!(files.len() >= 5);
    for file in files {
        let text = std::fs::read_to_string(&file).expect("an example");
        for document in documents(&text).expect("YAML") {
            check(&document).unwrap_or_else(|wrong| panic!("{}: {wrong}", file.display()));
        }
    }
}

fn check(document: &Value) -> Result<(), String> {
    validate(document)?;
    if document["kind"] != "SpreadCluster" {
        return restricted(&document["spec"]["template"]["spec"]);
    }
    let cluster: SpreadCluster =
        serde_json::from_value(document.clone()).map_err(|error| error.to_string())?;
    let broken = spread_operator_api::validate(&cluster);
    broken.first().map_or(Ok(()), |first| Err(first.to_string()))
}
