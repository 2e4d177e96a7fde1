//! Where state lies on this host, after the XDG Base Directory Specification.

use std::ffi::OsString;
use std::path::PathBuf;

/// The name of our folder.
const NAME: &str = "watchfire";

/// The folder for state: what was asked for, else `$XDG_STATE_HOME/watchfire`, else
/// `~/.local/state/watchfire`, else `./.watchfire`. It need not exist yet.
pub fn state_dir(asked: Option<PathBuf>) -> PathBuf {
    asked.unwrap_or_else(|| default_state_dir(|name| std::env::var_os(name)))
}

/// The default under an environment. The specification asks for relative paths to be ignored.
fn default_state_dir(env: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let folder = |name| env(name).map(PathBuf::from).filter(|p| p.is_absolute());
    if let Some(state) = folder("XDG_STATE_HOME") {
        state.join(NAME)
    } else if let Some(home) = folder("HOME") {
        home.join(".local/state").join(NAME)
    } else {
        PathBuf::from(".").join(format!(".{NAME}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_set_wins() {
        let dir = |xdg: Option<&str>, home: Option<&str>| {
            default_state_dir(|name| match name {
                "XDG_STATE_HOME" => xdg.map(Into::into),
                "HOME" => home.map(Into::into),
                _ => None,
            })
        };
        assert_eq!(dir(Some("/x"), Some("/h")), PathBuf::from("/x/watchfire"));
        assert_eq!(dir(Some("relative"), Some("/h")), PathBuf::from("/h/.local/state/watchfire"));
        assert_eq!(dir(Some(""), Some("/h")), PathBuf::from("/h/.local/state/watchfire"));
        assert_eq!(dir(None, None), PathBuf::from("./.watchfire"));
        assert_eq!(state_dir(Some("/asked".into())), PathBuf::from("/asked"));
    }
}
