//! Files that are made from the code, so that no page can disagree with it.

use std::error::Error;
use std::fs;
use std::path::Path;

use joyfuljay_core::features::Profile;

use crate::{pages, stubs};

/// Writes every file.
pub fn write(root: &Path) -> Result<bool, Box<dyn Error>> {
    for (path, text) in files(root)? {
        let file = root.join(&path);
        if current(&file, &text) {
            continue;
        }
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&file, text).map_err(|e| format!("{path}: {e}"))?;
        println!("wrote {path}");
    }
    Ok(true)
}

/// Whether every file is what it should be; names those that are not.
pub fn check(root: &Path) -> Result<bool, Box<dyn Error>> {
    let stale: Vec<_> = files(root)?.into_iter().filter(|(path, text)| !current(&root.join(path), text)).collect();
    for (path, _) in &stale {
        eprintln!("stale: {path} (cargo xtask generate mends it)");
    }
    Ok(stale.is_empty())
}

fn current(file: &Path, text: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|there| there == text)
}

/// Path in the repository and text of each file.
fn files(root: &Path) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut files: Vec<(String, String)> = vec![
        ("docs/features.md".into(), pages::features()),
        ("docs/configuration.md".into(), pages::configuration()?),
        ("docs/metrics.md".into(), pages::metrics()),
        ("docs/cli.md".into(), pages::cli()),
        (stubs::PATH.into(), stubs::native(root)?),
    ];
    for profile in Profile::ALL {
        let text = format!("{:#}\n", joyfuljay_cli::profile_json(profile));
        files.push((format!("profiles/{}.json", profile.name()), text));
    }
    files.extend(pages::manual()?);
    files.extend(joyfuljay_monitoring::generated_files()?.into_iter().map(|(path, text)| (path.to_owned(), text)));
    Ok(files)
}
