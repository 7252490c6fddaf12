//! How much of the core its tests run, as `scripts/coverage` measures it.

use std::path::Path;

use tokio::process::Command;

use crate::Failure;
use crate::report::Finding;

/// The share of lines, in percent.
pub(crate) async fn of_pool_core() -> Result<Finding, Failure> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let script = project.join("scripts/coverage");
    if !script.exists() {
        return Ok(Finding::NotMeasured("the sources are not here".to_owned()));
    }
    let output = Command::new(script).current_dir(project).output().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let percent = lines_in(&text).ok_or_else(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!(
            "scripts/coverage: {}",
            errors.lines().last().unwrap_or_default()
        )
    })?;
    Ok(Finding::Measured(percent, percent >= 95.0))
}

/// The third share in the line of totals: regions, functions, lines.
fn lines_in(table: &str) -> Option<f64> {
    let totals = table.lines().find(|line| line.starts_with("TOTAL"))?;
    let mut shares = totals
        .split_whitespace()
        .filter_map(|word| word.strip_suffix('%'));
    shares.nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::lines_in;

    #[test]
    fn the_share_of_lines_is_read_from_the_totals() {
        let table =
            "a.rs 1 0 100.00%\nTOTAL 10868 430 96.04% 1071 49 95.42% 6473 255 96.06% 0 0 -\n";
        assert_eq!(lines_in(table), Some(96.06));
        assert_eq!(lines_in("error"), None);
    }
}
