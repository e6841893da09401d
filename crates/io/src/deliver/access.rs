//! Who may read a file that is replaced may read the new one, and nobody else: mode, owner, group and access control list are
//! kept. Where they cannot be, the file is not replaced, and that is known before the run.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// Gives a new file the access of the one that it is to replace. The error says what cannot be kept.
#[cfg(unix)]
pub(super) fn keep(old: &Path, meta: &Metadata, new: &File) -> Result<(), (&'static str, io::Error)> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

    /// Rights of owner, group and others; a file of rows is no program that runs as its owner.
    const RIGHTS: u32 = 0o777;

    let ours = new.metadata().map_err(|e| ("mode", e))?;
    let changed = |old: u32, new: u32| (old != new).then_some(old);
    let (owner, group) = (changed(meta.uid(), ours.uid()), changed(meta.gid(), ours.gid()));
    if owner.is_some() {
        fchown(new, owner, None).map_err(|e| ("owner", e))?;
    }
    if group.is_some() {
        fchown(new, None, group).map_err(|e| ("group", e))?;
    }
    new.set_permissions(PermissionsExt::from_mode(meta.mode() & RIGHTS)).map_err(|e| ("mode", e))?;
    keep_acl(old, new).map_err(|e| ("access control list", e))
}

/// There is nothing to keep that a rename would not.
#[cfg(not(unix))]
pub(super) fn keep(_old: &Path, _meta: &Metadata, _new: &File) -> Result<(), (&'static str, io::Error)> {
    Ok(())
}

#[cfg(target_os = "linux")]
fn keep_acl(old: &Path, new: &File) -> io::Result<()> {
    use rustix::fs::{XattrFlags, fremovexattr, fsetxattr, getxattr};

    const ACL: &str = "system.posix_acl_access";
    /// The largest value of an extended attribute (limits.h, `XATTR_SIZE_MAX`).
    const MAX: usize = 65_536;

    let mut value = vec![0; MAX];
    match getxattr(old, ACL, value.as_mut_slice()) {
        Ok(len) => Ok(fsetxattr(new, ACL, value.get(..len).unwrap_or_default(), XattrFlags::empty())?),
        // None there: the directory's default list may have given the new file one.
        Err(_) => {
            let _ = fremovexattr(new, ACL);
            Ok(())
        }
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn keep_acl(_old: &Path, _new: &File) -> io::Result<()> {
    Ok(())
}

/// Why the system would refuse to replace this file by another, as far as that can be known before it is tried.
#[cfg(target_os = "linux")]
pub(super) fn refusal(old: &Path, meta: &Metadata, directory: &Path) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt;

    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

    /// In such a directory only their owners replace files (inode(7), `S_ISVTX`).
    const STICKY: u32 = 0o1000;

    let us = rustix::process::geteuid();
    if let Ok(around) = directory.metadata()
        && around.mode() & STICKY != 0
        && !us.is_root()
        && ![meta.uid(), around.uid()].contains(&us.as_raw())
    {
        return Some("it belongs to another user, and in its directory only the owner of a file may replace it");
    }
    let attributes = statx(CWD, old, AtFlags::empty(), StatxFlags::empty()).ok()?.stx_attributes;
    if attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND) {
        return Some("it is marked as one that must not be changed (chattr)");
    }
    if attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Some("it is a mount of its own, as a container's single files are: mount its directory instead");
    }
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn refusal(_old: &Path, _meta: &Metadata, _directory: &Path) -> Option<&'static str> {
    None
}
