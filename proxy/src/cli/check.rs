//! `portcullis check` and `portcullis schema`.

use super::Exit;
use portcullis_config::Checked;
use std::path::Path;

pub(super) fn check(file: &Path) -> Result<(), Exit> {
    let checked = portcullis_config::check_file(file)?;
    let policy = match &checked {
        Checked::Config(config) => &config.policy,
        Checked::Policy(policy) => policy,
    };
    portcullis_policy::Engine::compile(policy)
        .map_err(|error| Exit::Usage(super::chain(&error)))?;
    let kind = match checked {
        Checked::Config(_) => "configuration",
        Checked::Policy(_) => "policy",
    };
    println!("{}: a valid {kind}", file.display());
    Ok(())
}

pub(super) fn schema() -> Result<(), Exit> {
    let schema = serde_json::to_string_pretty(&portcullis_config::schema());
    let schema = schema.map_err(|error| Exit::Environment(error.to_string()))?;
    println!("{schema}");
    Ok(())
}
