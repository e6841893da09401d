//! The page at `/`, for people: what runs now, drawn in the browser from `/metrics`. Its files are part of the binary and it asks
//! nobody but this server.

/// Content type and bytes of a file of the page.
pub(crate) fn asset(path: &str) -> Option<(&'static str, &'static [u8])> {
    Some(match path {
        "/" => ("text/html; charset=utf-8", include_bytes!("../assets/live.html")),
        _ => return None,
    })
}
