//! Writes `docs/openapi.yaml` as the JSON that the gateway serves, so that the program holds what is read.

use std::error::Error;
use std::path::Path;

const SOURCE: &str = "../docs/openapi.yaml";

#[expect(clippy::disallowed_methods, reason = "this is how a build script and cargo speak")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={SOURCE}");
    let document: serde_json::Value = serde_saphyr::from_str(&std::fs::read_to_string(SOURCE)?)?;
    let folder = std::env::var("OUT_DIR")?;
    std::fs::write(Path::new(&folder).join("openapi.json"), serde_json::to_vec(&document)?)?;
    Ok(())
}
