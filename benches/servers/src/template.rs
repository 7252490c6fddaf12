//! Data directories by copy.
//!
//! Making one takes half a second to a second, copying one a tenth. The first server of a kind leaves
//! a copy under a name that says from which program and with which arguments it was made; whoever
//! finds that name copies it. A copy is written beside and renamed when complete, so two that
//! are first at once do not disturb each other.

use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Tells apart the copies that this process makes at the same time.
static COPIES: AtomicU64 = AtomicU64::new(0);

/// A data directory that may already exist as a copy.
#[derive(Debug)]
pub(crate) struct Template {
    path: PathBuf,
}

impl Template {
    /// The template made by `program` with `arguments`; a new build of the program is another one.
    pub(crate) fn new(program: &Path, arguments: &[OsString]) -> io::Result<Self> {
        let file = fs::metadata(program)?;
        let mut hasher = DefaultHasher::new();
        (program, file.len(), file.mtime(), arguments).hash(&mut hasher);
        let name = format!("template-{:016x}", hasher.finish());
        Ok(Self {
            path: Path::new(env!("OUT_DIR")).join(name),
        })
    }

    /// Copies the template to `data`. `false`: there is none.
    pub(crate) fn copy_to(&self, data: &Path) -> bool {
        if !self.path.is_dir() {
            return false;
        }
        let copied = copy(&self.path, data);
        if copied.is_err() {
            let _ = fs::remove_dir_all(data);
        }
        copied.is_ok()
    }

    /// Keeps a copy of `data`. That this may fail is no matter: the next server makes its own.
    pub(crate) fn keep(&self, data: &Path) {
        let number = COPIES.fetch_add(1, Relaxed);
        let partial = self
            .path
            .with_extension(format!("{}-{number}", process::id()));
        let kept = copy(data, &partial).and_then(|()| fs::rename(&partial, &self.path));
        if kept.is_err() {
            let _ = fs::remove_dir_all(&partial);
        }
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    fs::set_permissions(to, fs::metadata(from)?.permissions())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_directory_is_copied_with_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir_all(data.join("inner")).unwrap();
        fs::write(data.join("inner/file"), "content").unwrap();
        let template = Template {
            path: folder.path().join("template"),
        };
        let copied = folder.path().join("copied");

        assert!(!template.copy_to(&copied), "there is no template yet");
        template.keep(&data);
        assert!(template.copy_to(&copied));

        assert_eq!(
            fs::read_to_string(copied.join("inner/file")).unwrap(),
            "content"
        );
        let mode = |path: &Path| fs::metadata(path).unwrap().mode();
        assert_eq!(mode(&copied.join("inner")), mode(&data.join("inner")));
    }

    #[test]
    fn another_argument_is_another_template() {
        let program = std::env::current_exe().unwrap();
        let path = |argument: &str| Template::new(&program, &[argument.into()]).unwrap().path;
        assert_ne!(path("-a"), path("-b"));
        assert_eq!(path("-a"), path("-a"));
    }
}
