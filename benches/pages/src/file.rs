//! Files that an option names, and why they cannot be written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{option} {}: {reason}", file.display())]
pub struct NotWritten {
    option: &'static str,
    file: PathBuf,
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("there is no folder {}", .0.display())]
    NoFolder(PathBuf),
    #[error("this is a folder; name a file in it")]
    IsFolder,
    #[error("{0}")]
    Refused(io::Error),
}

/// Looks before a long run whether the file that `option` names has a folder to be in.
///
/// # Errors
///
/// When the folder does not exist, or `file` is a folder itself.
pub fn expect_folder(option: &'static str, file: &Path) -> Result<(), NotWritten> {
    let because = |reason| NotWritten {
        option,
        file: file.to_owned(),
        reason,
    };
    if file.is_dir() {
        return Err(because(Reason::IsFolder));
    }
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            Err(because(Reason::NoFolder(folder.to_owned())))
        }
        _ => Ok(()),
    }
}

/// Writes the file that `option` names.
///
/// # Errors
///
/// When the system refuses.
pub fn write(option: &'static str, file: &Path, text: impl AsRef<[u8]>) -> Result<(), NotWritten> {
    expect_folder(option, file)?;
    fs::write(file, text).map_err(|error| NotWritten {
        option,
        file: file.to_owned(),
        reason: Reason::Refused(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_named_with_the_option() {
        let error = expect_folder("--html", Path::new("/nowhere/at/all.html")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--html /nowhere/at/all.html: there is no folder /nowhere/at"
        );
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = write("--html", folder.path(), "").unwrap_err();
        assert!(error.to_string().contains("name a file in it"), "{error}");
    }

    #[test]
    fn a_file_here_or_in_a_folder_is_written() {
        assert!(expect_folder("--html", Path::new("page.html")).is_ok());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page.html");
        write("--html", &file, "page").unwrap();
        assert_eq!(fs::read_to_string(file).unwrap(), "page");
    }
}
